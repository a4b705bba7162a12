"""The page of a sentence in a browser: from disk, by mouse and by keys."""

import base64
import shutil

import invented
import numpy as np
import pytest
from invented import HOSTILE
from webpages import Page

from transformer import pages, panels

library = pytest.importorskip(
    "playwright.sync_api", reason="the extra `browser` is not installed"
)
NAMES = "chromium", "chromium-browser", "google-chrome"
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(not BROWSER, reason="there is no Chromium here")

FIRST = invented.explanation("the river bank", "नदी का किनारा")
TWENTY = " ".join(f"longish{n}" for n in range(20))


@pytest.fixture(scope="module")
def browser():
    with library.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=BROWSER)
        yield opened
        opened.close()


@pytest.fixture
def noted():
    """What pages complain of, or ask for."""
    return []


@pytest.fixture
def opened(browser, tmp_path, noted):
    """Opens pages from disk, without network."""
    contexts = []

    def open_(html, **options):
        pages.write(tmp_path / "page.html", html)
        address = (tmp_path / "page.html").as_uri()
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(5000)
        tab.on("console", lambda message: noted.append(message.text))
        tab.on("pageerror", lambda error: noted.append(str(error)))
        tab.on("dialog", lambda dialog: noted.append(dialog.message))
        tab.on("request", lambda request: noted.append(request.url))
        tab.goto(address)
        noted[:] = [one for one in noted if one != address and one[:5] != "data:"]
        return tab

    yield open_
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def shared(browser, tmp_path_factory):
    """A tab with two sentences and a comparison."""
    second = invented.explanation("a dog", "ein Hund")
    compared = invented.comparison("the river bank", "the SBI bank", "bank")
    path = tmp_path_factory.mktemp("shared") / "page.html"
    pages.write(path, panels.page([FIRST, second], compared))
    tab = browser.new_page()
    tab.set_default_timeout(5000)
    tab.goto(path.as_uri())
    return tab


@pytest.fixture
def tab(shared):
    shared.reload()
    return shared


def weights(look):
    """By layer, head, token that looks and token that is looked at."""
    shape = look["layers"], look["heads"], len(look["from"]), len(look["to"])
    return np.frombuffer(base64.b64decode(look["weights"]), np.uint8).reshape(shape)


def told(tab):
    return tab.inner_text("#sheet-0 .attention .told")


def test_the_page_opens_without_network_and_without_a_complaint(opened, noted):
    tab = opened(panels.page([FIRST], None))
    assert tab.is_visible("#sheet-0 .threads") and noted == []


def test_a_token_that_is_pointed_at_shows_where_it_looks(tab):
    [look, *_] = Page(panels.page([FIRST], None)).data("looks")[0]
    tab.select_option("#sheet-0 .layer", label="1")
    for head in (0, 1):
        tab.select_option("#sheet-0 .head", label=str(head + 1))
        row = weights(look)[0, head, 1]
        tab.hover("h1")
        tab.hover("#sheet-0 .from li:nth-child(2) button")
        goal = look["to"][row.argmax()].removeprefix("▁")
        assert told(tab).startswith(
            f"“river” looks at “{goal}” {row.max() / 2.55:.0f} %"
        )
        lines = tab.locator("#sheet-0 .threads path").count()
        assert lines == (row / 255 >= 0.02).sum()


def test_all_heads_are_averaged_and_a_square_chooses_one(tab):
    look = Page(panels.page([FIRST], None)).data("looks")[0][2]
    tab.click("text=Between: translation to source")
    row = weights(look)[-1].mean(axis=0)[0]
    tab.hover("#sheet-0 .from li:first-child button")
    goal = look["to"][row.argmax()].removeprefix("▁")
    assert told(tab).startswith(f"“नदी” looks at “{goal}” {row.max() / 2.55:.0f} %")
    tab.locator("#sheet-0 .thumbs canvas").nth(1).click()
    chosen = [tab.input_value(f"#sheet-0 .{name}") for name in ("layer", "head")]
    assert chosen == ["0", "1"]


def test_a_token_that_is_clicked_stays_while_heads_are_compared(tab):
    tab.click("#sheet-0 .from li:nth-child(2) button")
    for number in (1, 0):
        tab.locator("#sheet-0 .thumbs canvas").nth(number).click()
        assert told(tab).startswith("“river” looks at")
    tab.click("#sheet-0 .from li:nth-child(2) button")
    tab.hover("h1")
    tab.focus("#sheet-0 .head")
    assert told(tab).startswith("This head")


def test_a_token_says_who_looks_at_it(tab):
    tab.hover("#sheet-0 .to li:first-child button")
    assert told(tab).startswith("“the” is looked at by")


def test_keys_move_from_token_to_token(tab):
    tab.focus("#sheet-0 .head")
    tab.keyboard.press("Tab")
    assert told(tab).startswith("“the” looks at")
    tab.keyboard.press("ArrowDown")
    assert told(tab).startswith("“river” looks at")
    tab.keyboard.press("End")
    assert told(tab).startswith("“</s>” looks at")
    tab.keyboard.press("Tab")
    assert told(tab).startswith("“the” is looked at by")


def test_a_head_is_shown_from_its_summary(tab):
    tab.click("#sheet-0 .roles button[data-kind=writing][data-head='2'] >> nth=0")
    assert tab.is_checked("#sheet-0 .kinds input[value='1']")
    assert tab.input_value("#sheet-0 .head") == "1"
    assert "certain tokens" in told(tab)


def test_a_word_is_tied_to_its_neighbours(tab):
    tab.focus("#sheet-0 .words button >> nth=2")
    assert tab.inner_text("#sheet-0 .map .told").startswith(
        "Nearest to bank: near2 0.50"
    )
    assert tab.locator("#sheet-0 .ties line").count() == 1
    tab.hover("h1")
    tab.focus("#sheet-0 .head")
    assert tab.locator("#sheet-0 .ties line").count() == 0


def test_the_search_is_walked_by_keys(tab):
    tab.focus("#sheet-0 .branches")
    said = []
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowLeft"):
        tab.keyboard.press(key)
        said.append(tab.inner_text("#sheet-0 .tree .told"))
    assert said[0].startswith("“नदी का”") and "on the way" in said[0]
    assert "given up" in said[1]
    assert said[2] == said[3] and said[3].startswith("“नदी”")


def test_one_sentence_is_shown_at_a_time(tab):
    assert tab.is_visible("#sheet-0") and not tab.is_visible("#sheet-1")
    tab.focus("#choice input >> nth=0")
    tab.keyboard.press("ArrowRight")
    assert tab.is_visible("#sheet-1 .threads") and not tab.is_visible("#sheet-0")


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(opened, noted, width):
    texts = ["x" * 2000, HOSTILE, "שלום עולם", "🏳️‍🌈 😀", ""]
    explanations = [
        invented.explanation(TWENTY, TWENTY, layers=6, num_heads=8),
        *(invented.explanation(text, text[::-1]) for text in texts),
    ]
    compared = invented.comparison("x" * 500, "the SBI bank", "x" * 500)
    tab = opened(
        panels.page(explanations, compared), viewport={"width": width, "height": 800}
    )
    for number in range(len(explanations)):
        if number:
            tab.keyboard.press("ArrowRight")
        else:
            tab.focus("#choice input >> nth=0")
        assert tab.is_visible(f"#sheet-{number}")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert noted == []


def test_hostile_text_is_seen_and_runs_nothing(opened, noted):
    html = panels.page(
        [invented.explanation(HOSTILE, HOSTILE)],
        invented.comparison(HOSTILE, HOSTILE, HOSTILE),
    )
    tab = opened(html)
    for name in ("from", "to"):
        tab.hover(f"#sheet-0 .{name} li:first-child button")
    tab.focus("#sheet-0 .words button >> nth=0")
    tab.focus("#sheet-0 .branches")
    assert "onerror='document.title=1'" in tab.inner_text("#sheet-0 .hero")
    assert tab.title().startswith("Under the hood") and noted == []


def test_the_policy_stops_what_would_run_if_it_were_not_escaped(opened, noted):
    html = panels.page([FIRST], None)
    tab = opened(html.replace("</main>", f"{HOSTILE}</main>"))
    assert tab.title().startswith("Under the hood")
    assert any("Content Security Policy" in text for text in noted)


def test_without_scripts_all_is_read(opened):
    second = invented.explanation("a dog", "ein Hund")
    tab = opened(panels.page([FIRST, second], None), java_script_enabled=False)
    for number in (0, 1):
        for panel in ("tokens", "map", "positions", "roles", "steps", "tree"):
            assert tab.is_visible(f"#s{number}-{panel}")
    tab.click("#sheet-0 >> text=Where each token looks most")
    assert tab.is_visible("#sheet-0 >> text=Reading: source to source, last layer")


def test_there_is_a_light_and_a_dark_page(opened):
    shades = [
        opened(panels.page([FIRST], None), color_scheme=scheme).evaluate(
            "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
        )
        for scheme in ("light", "dark")
    ]
    assert min(shades[0]) > 200 and max(shades[1]) < 60
