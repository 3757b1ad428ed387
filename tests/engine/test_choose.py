"""Which engine `auto` takes for a layer on the CPU."""

from __future__ import annotations

import pytest
import torch

from recurra.engine import Layer, Time, choose
from recurra.engine.native import build
from recurra.engine.short import widens
from recurra.registry import find

pytestmark = pytest.mark.skipif(build.no_compiler() is not None, reason=str(build.no_compiler()))


def test_auto_hands_over_what_onednn_does_faster() -> None:
    """A plain LSTM without a backward, or small, to torch's kernel; trained and wide, or ragged, to native code."""
    full, ragged = Time.full(3, 2), Time.of(torch.tensor([1, 3]), 3, 2)
    x = torch.randn(6, 4)
    lstm, gru = find("cell", "lstm"), find("cell", "gru")
    assert choose("auto", Layer(lstm, full), x, 256, learns=False) == "aten"
    assert choose("auto", Layer(lstm, full), x, 200, learns=True) == "aten"
    assert choose("auto", Layer(lstm, full), x, 256, learns=True) == "native"
    assert choose("auto", Layer(lstm, full), x.double(), 200) == "native"
    assert choose("auto", Layer(lstm, ragged), x[:4], 200) == "native"
    assert choose("auto", Layer(lstm, Time.full(1000, 64)), x, 128) == "native"
    assert choose("auto", Layer(gru, full), x, 8, learns=False) == "native"


@pytest.mark.parametrize(
    ("instructions", "rows", "chosen"),
    [("avx2", 2000, "aten"), ("avx2", 3200, "native"), ("avx512", 6400, "aten"), ("avx512-bf16", 16_000, "native")],
)
def test_from_which_size_auto_trains_an_lstm_itself(
    monkeypatch: pytest.MonkeyPatch, instructions: str, rows: int, chosen: str
) -> None:
    """Earlier with AVX2, where oneDNN's kernel is slower."""
    monkeypatch.setattr(build, "instructions", lambda: instructions)
    layer = Layer(find("cell", "lstm"), Time.full(rows // 64, 64))
    assert choose("auto", layer, torch.randn(6, 4), 64, learns=True) == chosen


def test_auto_takes_a_single_step_as_it_is_written() -> None:
    """What another engine arranges for a whole sequence takes longer than one step; a backward and autocast aside."""
    layer, x = Layer(find("cell", "lstm"), Time.full(1, 2)), torch.randn(2, 4)
    assert choose("auto", layer, x, 256, learns=False) == "reference"
    assert choose("auto", layer, x, 256, learns=True) == "native"
    assert choose("aten", layer, x, 256, learns=False) == "aten"
    with torch.autocast("cpu", torch.bfloat16):
        expected = "native" if widens(x.device, torch.bfloat16) else "aten"
        assert choose("auto", layer, x, 256, learns=False) == expected
