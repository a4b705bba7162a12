"""Whatever comes in, one line goes out for each line, and no line is lost."""

import json
import os
import select
import sys
import threading
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from transformer import streams
from transformer.errors import InputError
from transformer.translator import Translation

WAIT = 20
"""Seconds after which an answer counts as missing; it takes milliseconds."""

lines_of_bytes = st.lists(
    st.one_of(
        st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")),
        st.sampled_from([b"", b"\r", b"\xff\xfe", "नमस्ते\u2028".encode()]),
    ),
    max_size=8,
)


def translation(text, *others):
    more = tuple(translation(other) for other in others)
    return Translation(text, -1.5, ("▁a", "b"), (-0.5, -0.5, -0.5), more)


def shout(texts, *, first_line):
    """Upper case, with the number of the line, and of the lines that came together."""
    return [
        translation(f"{first_line + i} {text!r} {len(texts)}".upper())
        for i, text in enumerate(texts)
    ]


def shouted(number, text, together):
    return f"{number} {text!r} {together}".upper()


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(streams, "PART", 2)


class Recorder:
    """Translates, remembers what, and is interrupted before one of the calls."""

    def __init__(self, fails_at=None):
        self.fails_at = fails_at
        self.texts = []

    def __call__(self, texts, *, first_line):
        if first_line == self.fails_at:
            raise KeyboardInterrupt
        self.texts += texts
        return [
            translation(f"{first_line + i} {text}") for i, text in enumerate(texts)
        ]
