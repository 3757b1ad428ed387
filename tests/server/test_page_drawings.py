"""What the page draws, in a real browser: by mouse, by keyboard and by tapping, in the dark and on a phone."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from recurra.answers import Answer, Number, Picture, Roll, Series, Tree
from recurra.server.limits import Limits

from .conftest import Open, listening
from .test_page import ask

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("uvicorn", reason="the extra serve is not installed")

SERIES = """async () => {
    const { answer } = await import('/ui/kinds.js');
    const given = [3, 4, 6, 5, 7, 8], forecast = [8.5, 9, 9.25];
    document.getElementById('result').replaceChildren(answer([
        { kind: 'series', given, forecast, low: [8, 8, 8], high: [9, 10, 10.5], unit: 'kW' },
        { kind: 'number', name: 'mean', value: 5.5, unit: 'kW' },
        { kind: 'of the future', said: 1 }]));
}"""
OTHERS = """async parts => {
    const { answer } = await import('/ui/kinds.js');
    document.getElementById('result').replaceChildren(answer(parts));
}"""
LARGE = """async () => {
    const { answer } = await import('/ui/kinds.js');
    const all = Array(130).fill('a'), weights = all.map(() => all.map(() => 0.5));
    const pair = { kind: 'pair', source: 'a', target: 'a', ended: true, hypotheses: [], unknown: {} };
    const map = { rows: all, columns: all, weights };
    document.getElementById('result').replaceChildren(answer([{ ...pair, map }]));
}"""


def look_inside(page: Any) -> None:
    page.click("#inspect")
    playwright.expect(page.locator("#status")).to_contain_text("Looked inside", timeout=30_000)


def test_a_map_is_read_by_tapping(opened: Open) -> None:
    page = opened("pairs", viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    page.fill("#input", "the quick fox")
    page.tap("#verbs button[type=submit]")
    playwright.expect(page.locator("#status")).to_contain_text("Answered in", timeout=20_000)
    page.locator("#result svg .cell").first.tap()
    assert re.match(r".+ · .+ · \d\.\d\d", page.locator("#result .said").inner_text())


def test_a_map_that_is_too_large(opened: Open, small_runs: dict[str, Any]) -> None:
    from recurra.answers.pair import TOO_LARGE
    from recurra.server.models import Models

    for at in listening(Models([small_runs["pairs"]], Limits(cells=1))):
        result = ask(opened(at=at), "the quick fox")
        assert result.locator("svg").count() == 0 and TOO_LARGE in result.inner_text()
    page = opened("pairs")
    playwright.expect(page.locator("#name")).to_have_text("pairs")
    page.evaluate(LARGE)
    assert page.locator("#result .cell").count() == 120 * 120 and page.locator("#result svg text").count() == 240
    assert "The first 120 symbols of each are shown." in page.locator("#result").inner_text()


def test_looking_inside(opened: Open) -> None:
    page = opened("writer")
    page.fill("#input", "the quick fox")
    look_inside(page)
    heads = page.locator("#findings h3").all_inner_texts()
    assert heads == ["Gradient flow", "Gates", "Units that change most", "Next symbols"]
    assert page.locator("#findings .line").count() == 1 and page.locator("#findings .cell").count() > 50
    assert page.locator("#findings .verdict").inner_text()
    ask(page, "a dog", "symbols in")
    assert page.locator("#inside").is_hidden()  # it was about another input


def test_kinds_that_no_task_gives_yet(opened: Open) -> None:
    page = opened("classifier")
    playwright.expect(page.locator("#name")).to_have_text("classifier")
    page.evaluate(SERIES)
    result = page.locator("#result")
    assert result.locator(".line").count() == 2 and result.locator(".band").count() == 1
    assert result.locator(".big").inner_text() == "5.5 kW" and "of the future" in result.locator("pre").inner_text()


def test_pictures_rolls_and_trees(opened: Open) -> None:
    grey = np.array([[0.0, 1.0], [0.5, 0.25]])
    frames = (np.zeros((2, 2)), grey)
    leaves = (Tree("D", token="the"), Tree("N", token="fox", p=0.5))
    parts = [
        Picture(grey, "four shades", frames=frames),
        Picture(np.stack((grey, grey * 0, grey * 0), 2)),
        Roll(("C4", "E4", "G4"), [[0], [0, 2], [2]], given=2, seconds=0.25),
        Tree("NP", leaves),
        Number(1.5, "load", "kW", low=1.25, high=2.0),
        Series([1.0, 2.0], [3.0, 4.5], truth=[2.875, 5.0], name="level"),
    ]
    page = opened("classifier")
    playwright.expect(page.locator("#name")).to_have_text("classifier")
    page.evaluate(OTHERS, Answer(tuple(parts)).page())
    result = page.locator("#result")
    assert result.locator("pre").count() == 0
    seen = "c => [...c.getContext('2d').getImageData(0, 0, 2, 2).data]"
    canvases = result.locator("canvas")
    first = canvases.nth(0).evaluate(seen)
    assert first == [n for value in (0, 255, 128, 64) for n in (value, value, value, 255)]
    assert canvases.nth(1).evaluate(seen) == [n for value in (0, 255, 128, 64) for n in (value, 0, 0, 255)]
    result.locator("input[type=range]").fill("0")
    assert canvases.nth(0).evaluate(seen) == [0, 0, 0, 255] * 4
    assert result.locator("svg .cell").count() == 4 and "0.25 s" in result.locator("svg").first.inner_html()
    assert result.locator(".tree").text_content().split() == ["NPD", "theN", "50", "%", "fox"]
    assert result.locator(".branches .node").count() == 3 and result.locator(".branches .branch").count() == 2
    assert result.locator(".branches text").all_text_contents() == ["NP", "D", "the", "N", "fox"]
    assert "1.25 to 2" in result.inner_text()
    assert result.locator(".line").count() == 3 and result.locator(".key.c2").inner_text() == "measured"
    assert "2.88" in result.locator("table").last.text_content()


def test_all_goes_by_keyboard(opened: Open) -> None:
    page = opened("classifier")
    playwright.expect(page.locator("#name")).to_have_text("classifier")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.locator("#input").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("the fox")
    page.keyboard.press("Control+Enter")
    playwright.expect(page.locator("#status")).to_contain_text("Answered")
    seen = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        seen.add(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none"
    assert {"Options", "Label", "inspect", "example"} <= seen
    assert page.evaluate("[...document.querySelectorAll('input, textarea, select')].every(e => e.labels.length)")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_and_in_the_dark(opened: Open, width: int, scheme: str) -> None:
    page = opened("pairs", viewport={"width": width, "height": 800}, color_scheme=scheme)
    ask(page, "the quick fox jumps over the lazy dog and over the fox")
    paper = "getComputedStyle(document.body).backgroundColor"
    assert (page.evaluate(paper) == "rgb(21, 23, 28)") == (scheme == "dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.click("#look")
    assert (page.evaluate(paper) == "rgb(21, 23, 28)") == (scheme == "light")
    page.reload()
    playwright.expect(page.locator("#name")).to_have_text("pairs")
    assert (page.evaluate(paper) == "rgb(21, 23, 28)") == (scheme == "light")


def test_nothing_is_wider_than_a_phone(opened: Open, small_runs: dict[str, Any]) -> None:
    page = opened("writer", viewport={"width": 390, "height": 800})
    for name in small_runs:
        page.select_option("#model", name)
        page.click("#verbs button[type=submit]")
        playwright.expect(page.locator("#status")).to_contain_text(re.compile("Answered in|symbols in"), timeout=20_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        look_inside(page)
        assert page.locator("#findings > *").count() > 1
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name


def test_scripts_that_go_the_other_way_and_markup_that_is_none(opened: Open) -> None:
    page = opened("pos")
    result = ask(page, "الثعلب السريع")
    assert result.locator(".spans").evaluate("e => getComputedStyle(e).direction") == "rtl"
    assert page.locator("#input").evaluate("e => getComputedStyle(e).direction") == "rtl"
    result = ask(page, "敏捷的狐狸")
    assert "".join(result.locator(".spans bdi").all_inner_texts()) == "敏捷的狐狸"
    result = ask(page, "<img/src=x/onerror=alert(1)> fox")
    assert page.locator("#result img").count() == 0 and "<" in result.locator(".spans").inner_text()
