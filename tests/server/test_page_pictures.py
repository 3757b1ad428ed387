"""Pictures over HTTP and on the page: drawn, chosen, refused, and the columns that symbols were read in."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from recurra.data.codecs.characters import Character
from recurra.data.codecs.line_image import LineImage
from recurra.data.codecs.picture import PictureCodec
from recurra.data.codecs.tokens import Tokens
from recurra.data.sample import PNG
from recurra.model import Model
from recurra.runs.run import Run
from recurra.server.limits import Limits
from recurra.server.models import Models

from .conftest import Api, Open, listening

pytest.importorskip("PIL.Image", reason="the extra images is not installed")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that reads lines; random weights, that says a digit at every step."""
    torch.manual_seed(0)
    config: dict[str, Any] = {
        "embedder": {"kind": "columns", "channels": [4, 4], "size": 6},
        "core": {"kind": "recurrent", "cell": "lstm", "hidden_size": 6, "bidirectional": True},
        "task": {"kind": "transcribe"},
        "input": {"kind": "line-image", "height": 16},
        "batching": {"kind": "buckets"},
    }
    model = Model.from_config(config, {"input": LineImage(16), "target": Character().fit(["01"])}).eval()
    with torch.no_grad():
        model.task.linear.bias[[model.codecs["target"].unknown, -1]] = -50.0
    return Run(tmp_path_factory.mktemp("runs") / "reader", config, model, torch.device("cpu"))


def test_a_picture_is_the_bytes_of_a_file(reader: Run, serve: Callable[..., Api]) -> None:
    api = serve(reader)
    card = api.ask("models")["models"][0]
    assert card["file"] == "image" and {"alignment", "beam", "top"} <= card["options"]["predict"].keys()
    (part,) = api.parts("reader", base64.b64encode(PNG).decode(), alignment=True)[0]
    assert part["transcript"] and part["unit"] == "px" and len(part["symbols"]) == len(part["transcript"])
    assert all(0 <= each["begin"] <= each["end"] <= 6 for each in part["symbols"])
    said = api.refused(422, "models/reader/predict", {"inputs": [base64.b64encode(b"a text").decode()], "options": {}})
    assert "begins with 'a text', expected a picture" in said["error"]


@pytest.fixture(scope="module")
def describer(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that describes pictures; random weights."""
    torch.manual_seed(0)
    config: dict[str, Any] = {
        "embedder": {"kind": "regions", "channels": [4, 4], "size": 6},
        "core": {"kind": "identity"},
        "task": {"kind": "transduce", "scores": "captions", "decoder": {"kind": "recurrent", "hidden_size": 6}},
        "input": {"kind": "picture", "side": 16},
        "batching": {"kind": "buckets"},
        "search": {"longest": 4, "beam": 1},
    }
    codecs = {"input": PictureCodec(16), "target": Tokens().fit(["a red wall"])}
    model = Model.from_config(config, codecs).eval()
    with torch.no_grad():
        model.task.bias[-1] = -50.0  # the end
    return Run(tmp_path_factory.mktemp("runs") / "describer", config, model, torch.device("cpu"))


def test_a_picture_is_described_word_by_word(describer: Run, serve: Callable[..., Api]) -> None:
    api = serve(describer)
    card = api.ask("models")["models"][0]
    assert card["file"] == "image" and not card["drawn"] and "generate" not in card["can"]
    picture = base64.b64encode(PNG).decode()
    (part,) = api.parts("describer", picture, attention=True)[0]
    assert part["kind"] == "caption" and part["looks"]["regions"] == [4, 4] and part["looks"]["shape"] == [16, 16, 3]
    assert len(base64.b64decode(part["looks"]["pixels"])) == 16 * 16 * 3
    assert len(part["looks"]["weights"]) == len(part["looks"]["words"]) and part["looks"]["words"]
    assert all(abs(sum(row) - 1) < 1e-2 for row in part["looks"]["weights"])
    (bare,) = api.parts("describer", picture)[0]
    assert bare["looks"] is None and bare["target"] == part["target"]


@pytest.fixture(scope="module")
def place(reader: Run) -> Iterator[str]:
    pytest.importorskip("uvicorn", reason="the extra serve is not installed")
    yield from listening(Models([reader], Limits()))


def test_a_drawing_is_read_and_shown_with_its_columns(opened: Open, place: str, tmp_path: Path) -> None:
    expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
    page = opened("reader", place)
    pad, ask = page.locator("#pad canvas"), page.locator("#verbs button[type=submit]")
    expect(pad).to_be_visible()
    assert not page.locator("#input").is_visible()
    ask.click()
    expect(page.locator("#trouble")).to_contain_text("Draw one, or choose a file.")
    box = pad.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 130, steps=3)
    page.mouse.up()
    ask.click()
    shown = page.locator("#result canvas.columns-read")
    expect(shown).to_be_visible()
    assert shown.get_attribute("aria-label").startswith("Read from left to right: ")
    assert 30 < int(shown.get_attribute("width")) < 90  # without the empty ground beside the stroke
    page.click("#clear")
    ask.click()
    expect(page.locator("#trouble")).to_contain_text("There is no picture")
    (tmp_path / "a.png").write_bytes(PNG)
    page.set_input_files("#picture", tmp_path / "a.png")
    ask.click()
    expect(shown).to_have_attribute("width", "144")  # 6 × 4 pixels, 96 high
    (tmp_path / "b.png").write_text("a text", encoding="utf-8")
    page.set_input_files("#picture", tmp_path / "b.png")
    ask.click()
    expect(page.locator("#trouble")).to_contain_text("begins with 'a text', expected a picture")


def test_the_page_shows_where_each_word_looks(describer: Run, opened: Open, tmp_path: Path) -> None:
    expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
    pytest.importorskip("uvicorn", reason="the extra serve is not installed")
    for at in listening(Models([describer], Limits())):
        page = opened("describer", at)
        expect(page.locator("#pad")).to_contain_text("Drop a picture here, or choose one.")
        (tmp_path / "a.png").write_bytes(PNG)
        page.set_input_files("#picture", tmp_path / "a.png")
        page.locator("#verbs button[type=submit]").click()
        tiles = page.locator("#result .looks canvas")
        expect(tiles.first).to_be_visible()
        assert tiles.first.get_attribute("aria-label") == "The picture as it is read"
        assert "most at row" in tiles.nth(1).get_attribute("aria-label")
