"""Least squares beside a network: those of numpy, of what was seen, counted from the last of it; no gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from recurra.nn.frame import Frame
from recurra.nn.highway import RIDGE, STALE, Highway, training_windows

L, H, W, N = 4, 2, 2, 60


def windows(gaps: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Windows, what of them was seen, and what follows, NaN in some places."""
    torch.manual_seed(0)
    past, future = torch.randn(N, L, W).double(), torch.randn(N, H, W).double()
    seen = torch.randint(2, (N, L, W)).double()
    if gaps:
        future[torch.rand(N, H, W) < 0.3] = torch.nan
    return past, seen, future


def regressed(x: np.ndarray, known: np.ndarray, gaps: bool) -> tuple[np.ndarray, int]:
    """What one window of one variable comes to, written out, and how many steps ago it ends."""
    if not gaps:
        return np.append(x, 1.0), 0
    (places,) = np.nonzero(np.append(True, known[1:] > 0))  # in front of what was seen first it is as it is
    between = np.interp(np.arange(L), places, x[places])[: places[-1] + 1]
    return np.concatenate([np.zeros(L - len(between)), between, [1.0]]), min(L - len(between), STALE)


@pytest.mark.parametrize("gaps", [False, True])
def test_it_is_least_squares_of_each_variable(gaps: bool) -> None:
    past, seen, future = windows(gaps)
    highway = Highway(L, H, W, gaps).double().fit([(past, seen, future)])
    said = highway(past, None, seen)
    assert said.shape == (N, H, W) and not list(highway.parameters())
    for w in range(W):
        found = [regressed(past[n, :, w].numpy(), seen[n, :, w].numpy(), gaps) for n in range(N)]
        X, old = np.stack([each for each, _ in found]), np.array([steps for _, steps in found])
        y = np.full((N, H + STALE), np.nan)
        for n in range(N):
            y[n, old[n] : old[n] + H] = future[n, :, w].numpy()
        for h in range(H):
            expected = np.zeros(N)
            for n in range(N):
                there = ~np.isnan(y[:, old[n] + h])
                A, b = X[there], y[there, old[n] + h]
                ridge = RIDGE * np.square(A).sum() / A.shape[1] * np.eye(A.shape[1])
                expected[n] = X[n] @ np.linalg.solve(A.T @ A + ridge, A.T @ b)
            assert np.allclose(said[:, h, w].numpy(), expected, atol=1e-10)


def test_what_stands_for_a_missing_value_makes_no_difference() -> None:
    past, seen, future = windows(True)
    highway = Highway(L, H, W, True).double().fit([(past, seen, future)])
    other = torch.where(seen > 0, past, torch.randn_like(past))
    other[:, 0] = past[:, 0]  # where nothing is before it
    assert torch.allclose(highway(past, None, seen), highway(other, None, seen))
    assert not torch.allclose(highway(past, None, None), highway(other, None, None))


def test_windows_shorter_than_what_is_looked_back_on() -> None:
    past, seen, future = windows(True)
    highway = Highway(L, H, W, True).double().fit([(past, seen, future)])
    lengths = torch.randint(1, L + 1, (N,))
    found = highway(past, lengths, seen)
    for n, length in enumerate(lengths.tolist()):
        alone = highway(past[n : n + 1, :length], None, seen[n : n + 1, :length])
        front = torch.zeros(1, L - length, W).double()
        padded = [torch.cat((front + k, each[n : n + 1, :length]), 1) for k, each in enumerate((past, seen))]
        assert torch.allclose(found[n], alone[0]) and torch.allclose(alone, highway(padded[0], None, padded[1]))


def test_windows_of_series_in_their_frame() -> None:
    random = np.random.default_rng(0)
    x, seen = random.normal(size=(30, W)).astype(np.float32), random.integers(0, 2, (30, W)).astype(np.float32)
    given = [{"input": x, "seen": seen}, {"input": x[: L + H - 1], "seen": seen[: L + H - 1]}]
    parts = list(training_windows(given, L, H, 1, None))
    past, of_past, future = (torch.cat([part[k] for part in parts]) for k in range(3))  # type: ignore[misc]
    assert len(past) == 30 - L - H + 1, "of series that are too short there are none"
    for n in range(len(past)):
        window = torch.from_numpy(x[n : n + L + H])[None]
        frame = Frame.of(window[:, :L], None, 1, None)
        assert torch.equal(past[n], frame.of_past(window[:, :L])[0]) and torch.equal(
            of_past[n], torch.from_numpy(seen[n : n + L])
        )
        there = torch.from_numpy(seen[n + L : n + L + H]) > 0
        assert (
            torch.equal(future[n][there], frame.of_future(window[:, L:])[0][there]) and future[n][~there].isnan().all()
        )


def test_a_frame_with_a_line_goes_there_and_back() -> None:
    x, line = torch.randn(3, 6, W), torch.randn(3, H, W)
    for floor in (None, 0.1):
        plain = Frame.of(x, None, 1, floor)
        frame = Frame(plain.last, plain.unit, plain.ends, line)
        future = torch.randn(3, H, W)
        assert torch.allclose(frame.future(frame.of_future(future)), future, atol=1e-5)
        assert torch.allclose(frame.future(torch.zeros(3, H, W)), plain.future(line), atol=1e-6)
        assert torch.equal(frame.of_past(x), plain.of_past(x))
