"""What translate.py shows: for a terminal, for a program, and for a browser."""

import json
from pathlib import Path

import pytest
import tiny

import translate
from transformer import insights
from transformer.errors import InputError
from transformer.insights import Views
from transformer.options import Demands, Search
from transformer.strategies import Beam

BEAM = Beam()


@pytest.fixture(scope="module")
def translator():
    return tiny.translator()


@pytest.fixture
def shown(translator, capsysbinary):
    def show(views, texts=(), form=insights.as_text):
        insights.show(views, translator, texts, BEAM, form)
        return capsysbinary.readouterr().out.decode()

    return show


def test_the_walk_names_every_token_and_what_might_have_come(shown, translator):
    walk = shown(Views(explain=True), ["a dog runs"])
    (found,) = translator.translate(["a dog runs"])
    assert " ".join(found.text.split()[:2]) in walk.replace("\n", " ")
    for piece in translator.tokenizers.source.pieces("a dog runs"):
        assert f"{piece.text} {piece.id}" in walk
    assert all(token in walk for token in found.tokens)
    assert "\x1b" not in walk  # no colours where no terminal is


def test_what_looks_like_markup_or_controls_a_terminal_is_text(shown):
    walk = shown(Views(explain=True), ["[bold]a[/bold] \x1b[31m dog :dog:"])
    assert "[bold]" in walk
    assert "\x1b" not in walk


def test_json_is_a_line_for_each_thing_asked_for(shown):
    views = Views(explain=True, compare=("a dog", "the dog"), neighbours="dog")
    near, compared, *explained = map(
        json.loads, shown(views, form=insights.as_json).splitlines()
    )
    assert near["by_script"]["LATIN"][0].keys() == {"text", "id", "cosine"}
    assert compared["words"][0]["word"] == "dog"
    assert [one["text"] for one in explained] == ["a dog", "the dog"]


def test_the_terminal_says_what_the_numbers_say(shown):
    assert "1.000" in shown(Views(compare=("dog a", "dog the")))
    order = shown(Views(compare=("dog sees cat", "cat sees dog")))
    assert "another order" in order
    assert "dog" in shown(Views(neighbours="dog"))


def test_a_page_is_written_and_a_place_that_cannot_be_is_named(shown, tmp_path):
    path = tmp_path / "page.html"
    assert shown(Views(html=path), ["a dog runs"]) == ""
    assert path.read_text("utf-8").startswith("<!")
    missing = tmp_path / "missing" / "page.html"
    with pytest.raises(InputError, match="missing"):
        shown(Views(html=missing), ["a dog runs"])


@pytest.mark.parametrize(
    "other",
    [
        {"search": Search(sample=True)},
        {"demands": Demands(ban=("a",))},
        {"input": "a", "output": "b"},
        {"others": ("b",)},
    ],
    ids=str,
)
@pytest.mark.parametrize("views", [Views(explain=True), Views(neighbours="a")], ids=str)
def test_what_is_not_explained_is_refused(views, other):
    with pytest.raises(InputError, match="explain|--neighbours"):
        translate.check(translate.Command(model=Path("m"), views=views, **other))
    translate.check(
        translate.Command(model=Path("m"), views=views, search=Search(beam=2))
    )
