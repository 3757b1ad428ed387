"""Recordings on the page: chosen, heard, refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recurra.data.codecs.characters import Character
from recurra.data.codecs.log_mel import LogMel
from recurra.data.recordings import TONE
from recurra.data.sound import Sound
from recurra.model import Model
from recurra.runs.run import Run
from recurra.server.limits import Limits
from recurra.server.models import Models

from .conftest import Open, listening


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of a run that hears a digit at every step; random weights."""
    pytest.importorskip("uvicorn", reason="the extra serve is not installed")
    torch.manual_seed(0)
    config: dict[str, Any] = {
        "embedder": {"kind": "numbers"},
        "core": {"kind": "recurrent", "cell": "lstm", "hidden_size": 6},
        "task": {"kind": "transcribe"},
        "input": {"kind": "log-mel", "mels": 8},
        "batching": {"kind": "buckets"},
    }
    noise = np.random.default_rng(0).normal(size=4000).astype(np.float32) / 10
    codecs = {"input": LogMel(mels=8).fit([Sound(noise, 8000)]), "target": Character().fit(["01"])}
    model = Model.from_config(config, codecs).eval()
    with torch.no_grad():
        model.task.linear.bias[[model.codecs["target"].unknown, -1]] = -50.0
    run = Run(tmp_path_factory.mktemp("runs") / "hearer", config, model, torch.device("cpu"))
    yield from listening(Models([run], Limits()))


def test_a_recording_is_chosen_and_heard(opened: Open, place: str, tmp_path: Path) -> None:
    expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
    page = opened("hearer", place)
    ask = page.locator("#verbs button[type=submit]")
    expect(page.locator("#hearing canvas")).to_be_visible()
    assert not page.locator("#input").is_visible() and not page.locator("#pad").is_visible()
    ask.click()
    expect(page.locator("#trouble")).to_contain_text("Speak, or choose a file.")
    (tmp_path / "a.wav").write_bytes(TONE)
    page.set_input_files("#recording", tmp_path / "a.wav")
    expect(page.locator("#hearing")).to_contain_text("a.wav")
    page.wait_for_function(
        "() => document.querySelector('#hearing canvas').getContext('2d').getImageData(360, 40, 1, 1).data[3] > 0"
    )
    ask.click()
    expect(page.locator("#result .strip canvas")).to_be_visible()
    assert page.locator("#result .strip .read").count() >= 1
    (tmp_path / "b.wav").write_text("a text", encoding="utf-8")
    page.set_input_files("#recording", tmp_path / "b.wav")
    ask.click()
    expect(page.locator("#trouble")).to_contain_text("expected WAV")
