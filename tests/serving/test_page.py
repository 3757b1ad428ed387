"""The page in a real browser: every kind is drawn, by mouse and by keyboard, in the dark and on a phone."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
uvicorn = pytest.importorskip("uvicorn", reason="the extra serve is not installed")

from recurra.serving.server.limits import Limits  # noqa: E402
from recurra.serving.server.listening import address_of, bind  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
TOKEN = "a-token-for-the-page"
SERIES = """async () => {
    const { answer } = await import('/ui/kinds.js');
    const given = [3, 4, 6, 5, 7, 8], forecast = [8.5, 9, 9.25];
    document.getElementById('result').replaceChildren(answer([
        { kind: 'series', given, forecast, low: [8, 8, 8], high: [9, 10, 10.5], unit: 'kW' },
        { kind: 'number', name: 'mean', value: 5.5, unit: 'kW' },
        { kind: 'of the future', said: 1 }]));
}"""


def listening(models: Any, token: str | None = None) -> Iterator[str]:
    """The address of a server in a thread."""
    from recurra.serving.server.api import make_app

    with bind("127.0.0.1", 0) as bound:
        config = uvicorn.Config(make_app(models, token, ["127.0.0.1"]), log_level="error", lifespan="on")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        yield address_of(bound, "127.0.0.1")
        server.should_exit = True
        thread.join(20)


@pytest.fixture(scope="module")
def address(small_runs: dict[str, Any]) -> Iterator[str]:
    """All small runs, one that writes slowly among them."""
    from recurra.serving.server.models import Models

    models = Models([*small_runs.values(), small_runs["writer"]], Limits())
    slow = models.by_name["writer-2"].worker
    advance = slow._advance

    def slowly(texts: Any) -> Any:
        time.sleep(0.02)
        return advance(texts)

    slow._advance = slowly
    yield from listening(models)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


Open = Callable[..., Any]


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Open]:
    """Opens the page at a model; whatever the browser complains of fails the test."""
    complaints: list[str] = []
    pages = []

    def open_page(model: str = "", at: str = address, **settings: Any) -> Any:
        page = browser.new_page(**settings)
        pages.append(page)
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.goto(f"{at}#{model}")
        return page

    yield open_page
    for page in pages:
        page.close()
    assert [said for said in complaints if "the server responded with a status of 4" not in said] == []


def ask(page: Any, text: str | None = None, done: str = "Answered in") -> Any:
    if text is not None:
        page.fill("#input", text)
    page.click("#verbs button[type=submit]")
    playwright.expect(page.locator("#status")).to_contain_text(done, timeout=20_000)
    return page.locator("#result")


def test_a_model_is_picked_and_asked(opened: Open) -> None:
    page = opened()
    playwright.expect(page.locator("#name")).to_have_text("writer")
    assert page.locator("#model option").count() == 10
    page.select_option("#model", "slots")
    assert page.title() == "slots – recurra" and page.url.endswith("#slots")
    result = ask(page, "the quick fox")
    assert result.locator(".bars li").count() == 3 and "%" in result.locator(".bars .p").first.inner_text()
    assert "fox" in result.locator(".spans").inner_text()
    fill = page.locator(".bars .fill").first
    assert fill.bounding_box()["width"] > 20  # its length is the probability, although no style stands in the page
    page.select_option("#model", "writer")
    page.select_option("#model", "slots")
    assert page.input_value("#input") == "the quick fox"


def test_a_text_is_generated_as_it_is_sampled(opened: Open, small_runs: dict[str, Any]) -> None:
    page = opened("writer")
    page.click("#settings summary")
    page.fill("#option-length", "30")
    page.fill("#option-seed", "7")
    page.fill("#option-temperature", "0.5")
    result = ask(page, "the ", "30 symbols in")
    expected = small_runs["writer"].predict("the ", length=30, seed=7, temperature=0.5)
    assert result.locator(".written").inner_text() == "the " + expected
    shown = result.locator(".expected")
    result.locator(".s").nth(3).hover()
    playwright.expect(shown).to_contain_text("likeliest:")
    first = shown.inner_text()
    page.focus(".written")
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    playwright.expect(result.locator(".s.now")).to_have_attribute("data-k", "28")
    assert shown.inner_text() != first and shown.inner_text().count("%") == 6


def test_generating_can_be_stopped(opened: Open) -> None:
    page = opened("writer-2")
    page.click("#settings summary")
    page.fill("#option-length", "2000")
    page.click("#verbs button[type=submit]")
    playwright.expect(page.locator(".written .s").nth(3)).to_be_visible(timeout=20_000)
    assert page.locator("#status").inner_text() == "Writing …"
    page.click("#stop")
    playwright.expect(page.locator("#status")).to_have_text("Stopped.")
    count = page.locator(".written .s").count()
    page.wait_for_timeout(200)
    assert page.locator(".written .s").count() == count < 2000
    assert page.locator("#stop").is_disabled()
    for _ in range(50):  # and the server has stopped, too
        health = page.evaluate("async () => (await fetch('/api/health')).json()")
        if not health["models"]["writer-2"]["writing"]:
            return
        page.wait_for_timeout(100)
    raise AssertionError("the server goes on writing")


def test_a_target_with_its_map(opened: Open, small_runs: dict[str, Any]) -> None:
    page = opened("pairs")
    result = ask(page, "the quick fox")
    target = small_runs["pairs"].predict("the quick fox")[0]["target"]
    assert result.locator(".target").inner_text() == (target or "–")
    assert result.locator("svg .cell").count() >= 2
    page.focus("#result [role=application]")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert re.match(r".+ · quick · \d\.\d\d", result.locator(".said").inner_text())
    page.get_by_role("button", name="Symbol by symbol").click()
    playwright.expect(page.locator("#status")).to_contain_text("symbols in")
    assert page.locator("#result .s").count() > 0


def test_blanks_and_what_is_wrong_in_words(opened: Open) -> None:
    page = opened("fill")
    result = ask(page, "the ___ fox")
    assert result.locator(".columns h3").all_inner_texts() == ["from both sides", "from the left alone"]
    page.fill("#input", "no blank")
    page.click("#verbs button")
    playwright.expect(page.get_by_role("alert")).to_contain_text("No blank in 'no blank': write ___ where a word")
    ask(page, "___ fox")
    assert page.locator("#trouble").is_hidden()
    page.click("#settings summary")
    page.fill("#option-top", "1000")
    page.click("#verbs button")
    assert page.evaluate("document.activeElement.id") == "option-top"


def test_looking_inside(opened: Open) -> None:
    page = opened("writer")
    page.fill("#input", "the quick fox")
    page.click("#inspect")
    playwright.expect(page.locator("#status")).to_contain_text("Looked inside", timeout=30_000)
    heads = page.locator("#findings h3").all_inner_texts()
    assert heads == ["Gradient flow", "Gates", "Units that change most", "Next symbols"]
    assert page.locator("#findings .line").count() == 1 and page.locator("#findings .cell").count() > 50
    assert page.locator("#findings .verdict").inner_text()


def test_kinds_that_no_task_gives_yet(opened: Open) -> None:
    page = opened("classifier")
    playwright.expect(page.locator("#name")).to_have_text("classifier")
    page.evaluate(SERIES)
    result = page.locator("#result")
    assert result.locator(".line").count() == 2 and result.locator(".band").count() == 1
    assert result.locator(".big").inner_text() == "5.5 kW" and "of the future" in result.locator("pre").inner_text()


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


def test_scripts_that_go_the_other_way_and_markup_that_is_none(opened: Open) -> None:
    page = opened("pos")
    result = ask(page, "الثعلب السريع")
    assert result.locator(".spans").evaluate("e => getComputedStyle(e).direction") == "rtl"
    assert page.locator("#input").evaluate("e => getComputedStyle(e).direction") == "rtl"
    result = ask(page, "敏捷的狐狸")
    assert "".join(result.locator(".spans bdi").all_inner_texts()) == "敏捷的狐狸"
    result = ask(page, "<img/src=x/onerror=alert(1)> fox")
    assert page.locator("#result img").count() == 0 and "<" in result.locator(".spans").inner_text()


def test_a_token_is_asked_for(opened: Open, small_runs: dict[str, Any]) -> None:
    from recurra.serving.server.models import Models

    for at in listening(Models([small_runs["classifier"]], Limits()), TOKEN):
        page = opened(at=at)
        page.fill("#token", "wrong")
        page.keyboard.press("Enter")
        playwright.expect(page.get_by_role("alert")).to_contain_text("This is not the server's token")
        page.fill("#token", TOKEN)
        page.keyboard.press("Enter")
        playwright.expect(page.locator("#name")).to_have_text("classifier")
        assert page.locator("#pick").is_hidden() and ask(page, "the fox").locator(".bars").is_visible()
