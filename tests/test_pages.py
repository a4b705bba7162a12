"""Pages: what comes from data stays text, and nothing but our own files runs."""

import base64
import hashlib
from importlib import resources

import pytest
from jinja2 import UndefinedError
from jinja2.loaders import DictLoader
from webpages import Page

from transformer import pages

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "\"' onload=alert(1) <!--",
    "\u202eright to left\u2028👩‍👩‍👧 &amp; {{ 7 * 7 }}",
    "",
    "long " * 400,
]


def hashed(text):
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@pytest.fixture
def template(monkeypatch):
    """A page that shows a text in three places."""
    shown = (
        '{% extends "page.html" %}{% block title %}{{ text }}{% endblock %}'
        '{% block content %}<p title="{{ text }}">{{ text }}</p>{% endblock %}'
        '{% block data %}<script type="application/json" id="given">'
        "{{ text|tojson }}</script>{% endblock %}"
    )
    of_page = (resources.files(pages) / "templates" / "page.html").read_text("utf-8")
    environment = pages._environment.overlay(
        loader=DictLoader({"shown.html": shown, "page.html": of_page})
    )
    monkeypatch.setattr(pages, "_environment", environment)
    return "shown.html"


def test_exactly_what_is_in_the_page_may_apply_and_run():
    assets = ["charts.css", "charts.js", "run.js"]
    page = Page(pages.document("page.html", assets))
    assert page.policy == {
        "default-src": ["'none'"],
        "style-src": [hashed(text) for text in page.texts("style")],
        "script-src": [hashed(text) for text in page.texts("script")],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    assert [len(page.policy[name]) for name in ("style-src", "script-src")] == [2, 2]


def test_a_page_without_scripts_runs_none():
    assert Page(pages.document("page.html", [])).policy["script-src"] == ["'none'"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_it_is_and_makes_no_element(template, text):
    page = Page(pages.document(template, [], text=text))
    harmless = Page(pages.document(template, [], text="harmless"))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in harmless.elements]
    assert page.texts("title") == page.texts("p") == [text]
    assert ("p", {"title": text}) in page.elements
    assert page.data("given") == text


def test_a_value_that_is_missing_or_no_number_is_our_own_bug(template):
    with pytest.raises(UndefinedError):
        pages.document(template, [])
    with pytest.raises(ValueError, match="not JSON compliant"):
        pages.document(template, [], text=float("nan"))


def test_a_page_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "report.html"
    pages.write(path, "old")
    with path.open() as opened:
        pages.write(path, "half a pair: \ud83d")
        assert opened.read() == "old"
    assert path.read_text("utf-8") == "half a pair: ?"
    assert list(tmp_path.iterdir()) == [path]
