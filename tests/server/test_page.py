"""The page in a real browser: models are picked, asked, and stopped."""

from __future__ import annotations

import re
from typing import Any

import pytest

from recurra.server.limits import Limits

from .conftest import Open, listening

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("uvicorn", reason="the extra serve is not installed")

TOKEN = "a-token-for-the-page"


def ask(page: Any, text: str | None = None, done: str = "Answered in") -> Any:
    """The result of a text, or of what stands there."""
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
    expected = small_runs["writer"].predict("the ", length=30, seed=7, temperature=0.5)[0]["text"]
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


def writing_at_length(opened: Open) -> Any:
    """The page while a long text is written."""
    page = opened("writer-2")
    page.click("#settings summary")
    page.fill("#option-length", "2000")
    page.click("#verbs button[type=submit]")
    page.locator(".written .s").nth(3).wait_for(state="attached", timeout=20_000)
    return page


def test_generating_can_be_stopped(opened: Open) -> None:
    page = writing_at_length(opened)
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


def test_another_model_is_not_told_that_one_was_stopped(opened: Open) -> None:
    page = writing_at_length(opened)
    page.select_option("#model", "slots")
    page.wait_for_timeout(200)
    assert page.locator("#status").inner_text() == "" and page.locator("#result *").count() == 0
    assert page.locator("#stop").is_disabled() and page.get_attribute("#try", "aria-busy") is None


def test_the_address_names_the_model(opened: Open) -> None:
    page = opened("%")
    playwright.expect(page.locator("#name")).to_have_text("writer")
    page.evaluate("location.hash = '#slots'")
    playwright.expect(page.locator("#name")).to_have_text("slots")
    page.evaluate("location.hash = '#%'")
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "input"
    assert page.locator("#name").inner_text() == "slots"


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


def test_a_token_is_asked_for(opened: Open, small_runs: dict[str, Any]) -> None:
    from recurra.server.models import Models

    for at in listening(Models([small_runs["classifier"]], Limits()), TOKEN):
        page = opened(at=at)
        page.fill("#token", "wrong")
        page.keyboard.press("Enter")
        playwright.expect(page.get_by_role("alert")).to_contain_text("This is not the server's token")
        page.fill("#token", TOKEN)
        page.keyboard.press("Enter")
        playwright.expect(page.locator("#name")).to_have_text("classifier")
        assert page.locator("#pick").is_hidden() and ask(page, "the fox").locator(".bars").is_visible()
