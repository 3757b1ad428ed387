"""What is read worst, and how it is drawn."""

from __future__ import annotations

import re
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import torch

from recurra.data.codecs.characters import Character
from recurra.data.codecs.numbers import Vectors
from recurra.diagnostics.misread import SHOWN, misread, writes_transcripts
from recurra.errors import DataError
from recurra.figures.pictures import png, strip
from recurra.model import Model


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    config: dict[str, Any] = {
        "embedder": {"kind": "numbers"},
        "core": {"kind": "recurrent", "cell": "lstm", "hidden_size": 6},
        "task": {"kind": "transcribe"},
        "batching": {"kind": "buckets"},
    }
    codecs = {"input": Vectors().fit([np.zeros((2, 3))]), "target": Character().fit(["01"])}
    made = Model.from_config(config, codecs).eval()
    with torch.no_grad():
        made.task.linear.bias[[codecs["target"].unknown, -1]] = -50.0
    return made


def test_the_worst_come_first_with_their_pictures(model: Model) -> None:
    random = np.random.default_rng(0)
    examples = [
        {"vectors": random.normal(size=(5 + k, 3)), "transcript": "01" * (k % 3), "place": f"a:{k}"} for k in range(9)
    ]
    found = misread(model, examples)
    shares = [each.errors / max(1, len(each.true)) for each in found]
    assert len(found) == SHOWN and shares == sorted(shares, reverse=True)
    first = found[0]
    steps = int(first.place[2:]) + 5
    assert first.picture.shape == (3, steps) and 0 <= first.picture.min() <= first.picture.max() <= 1
    assert "".join(each["symbol"] for each in first.symbols) == first.written and first.end == steps
    assert "picture" not in first.as_json() and first.as_json()["written"] == first.written
    drawn = strip(first.picture, first.symbols, first.end, "a <picture>")
    assert drawn.count("<text") == len(first.symbols) and "&lt;picture&gt;" in drawn
    assert all(0 <= float(at) <= 600 for at in re.findall(r' x="([\d.]+)"', drawn))


def test_a_picture_is_a_png_of_its_numbers() -> None:
    values = np.random.default_rng(1).random((3, 5))
    raw = png(values)
    assert raw.startswith(b"\x89PNG\r\n\x1a\n") and struct.unpack(">II", raw[16:24]) == (5, 3)
    size = struct.unpack(">I", raw[33:37])[0]
    rows = np.frombuffer(zlib.decompress(raw[41 : 41 + size]), np.uint8).reshape(3, 6)
    assert (rows[:, 0] == 0).all() and np.abs(rows[:, 1:] / 255 - values).max() <= 0.5 / 255 + 1e-12


def test_what_cannot_be_shown(model: Model) -> None:
    assert writes_transcripts(model)
    with pytest.raises(DataError, match="no labelled examples"):
        misread(model, [{"vectors": np.zeros((2, 3))}])
