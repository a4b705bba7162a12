"""What is said of a translation is what the sacrebleu command says of its file."""

import json
import os
import random
import re
import subprocess
import sys

import pytest
import sacrebleu

from transformer import judgement, metrics
from transformer.errors import InputError

CHANCE = random.Random(0)
WORDS = "Ein Hund läuft, die Katze schläft; „und“ 2,5 Vögel fliegen. नमस्ते".split()


def drawn(count):
    lengths = [CHANCE.randrange(4, 12) for _ in range(count)]
    return [" ".join(CHANCE.choices(WORDS, k=length)) for length in lengths]


def altered(line, share):
    words = [
        CHANCE.choice(WORDS) if CHANCE.random() < share else w for w in line.split()
    ]
    return " ".join(words)


ODD = ["", "one\u2028line ", " twice  blank", "\u00a0", "A", "a\r"]
PEOPLE = [*drawn(60), *ODD]
OURS = [altered(line, 0.3) for line in PEOPLE]
OTHER = [altered(line, 0.36) for line in PEOPLE]
MEASURES = ["BLEU", "chrF2", "TER"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    texts = {"source": PEOPLE, "people": PEOPLE, "ours": OURS, "other": OTHER}
    for name, lines in texts.items():
        text = "".join(f"{line}\n" for line in lines)
        (folder / name).write_bytes(text.encode())
    return folder


def command(folder, *systems, flags):
    """What sacreBLEU's own command prints."""
    call = [sys.executable, "-m", "sacrebleu", folder / "people", "-m"]
    call += ["bleu", "chrf", "ter", *flags, "-i", *(folder / name for name in systems)]
    return subprocess.check_output(call, text=True, env=os.environ | {"COLUMNS": "300"})


def test_scores_are_those_of_the_command_to_the_last_digit(files):
    said = json.loads(command(files, "ours", flags=["-w", "2"]))
    report = judgement.read(files / "source", files / "people", None).report(OURS)
    assert [one["name"] for one in said] == MEASURES
    assert report == [
        f"{one['name']} {one['score']:.2f}  [{one['signature']}]" for one in said
    ]


def test_comparisons_are_those_of_the_command_to_the_last_digit(files):
    flags = ["--paired-bs", "-w", "2", "-f", "text"]
    said = command(files, "other", "ours", flags=flags)
    scores = re.findall(r"([\d.]+) \([\d.]+ ± ([\d.]+)\)", said)
    chances = re.findall(r"\((p = [\d.]+)\)", said)
    signatures = re.findall(r"^ - \w+ +(nrefs\S+)$", said, re.MULTILINE)
    judge = judgement.read(files / "source", files / "people", files / "other")
    assert judge.report(OURS) == [
        f"{name} {ours} ± {width}, the other {other} ± {others}, {p}  [{signature}]"
        for name, (other, others), (ours, width), p, signature in zip(
            MEASURES, scores[:3], scores[3:], chances, signatures, strict=True
        )
    ]


def test_a_system_is_no_better_than_itself(files):
    assert [one.p for one in metrics.compare(OURS, OURS, PEOPLE)] == [1.0] * 3
    one, *_ = metrics.compare(OURS, OTHER, PEOPLE)
    assert 0 < one.p < 1


def test_edits_are_counted_against_the_reference():
    assert metrics.ter(["the cat"], ["the cat"]).value == 0
    assert metrics.ter(["the dog runs"], ["the cat"]).value == pytest.approx(100)
    assert f"version:{sacrebleu.__version__}" in metrics.ter(["a"], ["a"]).signature


@pytest.mark.parametrize("short", ["people", "other"])
def test_files_of_another_length_are_refused_with_both_counts(files, tmp_path, short):
    (tmp_path / short).write_text("a\nb\n")
    paths = {name: files / name for name in ("people", "other")}
    paths[short] = tmp_path / short
    with pytest.raises(InputError, match=rf"{short} has 2 .*source has {len(PEOPLE)}"):
        judgement.read(files / "source", paths["people"], paths["other"])


def test_files_that_are_not_there_or_empty_are_refused(files, tmp_path):
    with pytest.raises(InputError, match="absent"):
        judgement.read(files / "source", tmp_path / "absent", None)
    (tmp_path / "empty").touch()
    with pytest.raises(InputError, match="nothing to score"):
        judgement.read(tmp_path / "empty", tmp_path / "empty", None)
