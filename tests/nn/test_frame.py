"""The frame of a window: back is where it came from, a season lies where it should, whatever the lengths."""

from __future__ import annotations

import pytest
import torch

from recurra.nn.frame import Frame


@pytest.mark.parametrize("season", [0, 1, 4])
@pytest.mark.parametrize("floor", [None, 0.01])
@pytest.mark.parametrize("lengths", [None, [9, 6, 3, 1]])
def test_a_window_by_hand(season: int, floor: float | None, lengths: list[int] | None) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(4, 9, 2, dtype=torch.float64), torch.randn(4, 7, 2, dtype=torch.float64)
    frame = Frame.of(x, None if lengths is None else torch.tensor(lengths), season, floor)
    past, future = frame.of_past(x), frame.of_future(y)
    assert torch.allclose(frame.future(future), y, atol=1e-12)
    for b, n in enumerate(lengths or [9] * 4):
        window = x[b, :n]
        unit = 1.0 if floor is None else (window.var(0, correction=0) + floor**2).sqrt()
        for t in range(n + 7):
            value = x[b, t] if t < n else y[b, t - n]
            place = n - season + (t - n) % season if season else 0
            zero = 0.0 if not season else window[place] if place >= 0 else window[-1]
            given = past[b, t] if t < n else future[b, t - n]
            assert torch.allclose(given, (value - zero) / unit, atol=1e-12)
