"""Pictures drawn of nothing, over HTTP and on the page, where the canvas is seen to grow."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recurra import config as configuration
from recurra.data.codecs.grey_picture import GreyPicture
from recurra.model import Model
from recurra.runs.run import Run
from recurra.server.limits import Limits
from recurra.server.models import Models

from .conftest import Api, Open, listening

image = pytest.importorskip("PIL.Image", reason="the extra images is not installed")
SMALL = {"task.steps": 4, "task.latent": 3, "task.hidden_size": 6}


@pytest.fixture(scope="module")
def drawer(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that draws pictures of 6 by 5; random weights."""
    torch.manual_seed(0)
    config = configuration.with_settings(configuration.load_recipe("draw"), SMALL)
    codec = GreyPicture().fit([np.zeros((6, 5), np.uint8)])
    model = Model.from_config(config, {"input": codec}).eval()
    return Run(tmp_path_factory.mktemp("runs") / "drawer", config, model, torch.device("cpu"))


def png(array: Any) -> str:
    made = io.BytesIO()
    image.fromarray(array).save(made, "PNG")
    return base64.b64encode(made.getvalue()).decode()


def test_an_empty_input_is_nothing_and_a_picture_is_drawn_again(drawer: Run, serve: Callable[..., Api]) -> None:
    api = serve(drawer)
    card = api.ask("models")["models"][0]
    assert card["file"] == "image" and card["imagines"] and card["options"]["predict"].keys() == {"seed"}
    (part,) = api.parts("drawer", "", seed=3)[0]
    assert part["kind"] == "picture" and part["shape"] == [6, 5] and len(part["frames"]) == 4
    assert part == api.parts("drawer", "", seed=3)[0][0]
    assert part != api.parts("drawer", "", seed=4)[0][0]
    given = np.random.default_rng(0).integers(0, 256, (6, 5), np.uint8)
    (again,) = api.parts("drawer", png(given), seed=3)[0]
    whole = drawer.predict(given, seed=3)[0].parts[0]
    assert base64.b64decode(again["pixels"]) == (whole.pixels * 255).round().astype(np.uint8).tobytes()
    said = api.refused(422, "models/drawer/predict", {"inputs": [png(given[:4])], "options": {}})
    assert "5 pixels wide and 4 high, expected 5 and 6" in said["error"]


@pytest.fixture(scope="module")
def place(drawer: Run) -> Iterator[str]:
    pytest.importorskip("uvicorn", reason="the extra serve is not installed")
    yield from listening(Models([drawer], Limits()))


def test_a_button_draws_and_the_canvas_grows(opened: Open, place: str, tmp_path: Path) -> None:
    expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
    page = opened("drawer", place)
    ask = page.locator("#verbs button[type=submit]")
    expect(ask).to_have_text("Draw")
    expect(page.locator("#pad canvas")).to_be_hidden()
    expect(page.locator("#pad")).to_contain_text("Without a picture a new one is drawn")
    ask.click()
    steps = page.locator("#result input[type=range]")
    expect(page.locator("#result canvas.picture")).to_be_visible()
    expect(page.locator("#status")).to_contain_text("seed")
    expect(steps).to_have_value("3", timeout=5000)
    (tmp_path / "a.png").write_bytes(base64.b64decode(png(np.full((6, 5), 200, np.uint8))))
    page.set_input_files("#picture", tmp_path / "a.png")
    expect(page.locator("#pad canvas")).to_be_visible()
    page.click("#clear")
    expect(page.locator("#pad canvas")).to_be_hidden()
    page.get_by_role("button", name="Play").click()
    expect(steps).to_have_value("3", timeout=5000)
