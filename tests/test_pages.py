"""Pages: what comes from data stays text, and nothing but our own files runs."""

import base64
import hashlib
import re
from importlib import resources

from transformer import pages

TEMPLATES = resources.files("transformer.pages") / "templates"


def policy(page):
    [content] = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    text = content.replace("&#39;", "'")
    return dict(part.split(" ", 1) for part in text.split("; "))


def hash_of(text):
    return (
        "'sha256-"
        + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        + "'"
    )


def test_exactly_what_is_in_the_page_may_apply_and_run():
    page = pages.document("page.html", [])
    [style] = re.findall(r"<style>(.*?)</style>", page, re.S)
    allowed = policy(page)
    assert allowed["style-src"] == hash_of(style)
    assert allowed["script-src"] == allowed["default-src"] == "'none'"
