"""The time-delay network of a window: what no linear function forecasts, equal for equal series, of what was seen."""

from __future__ import annotations

import numpy as np
import pytest

from recurra.baselines import tdnn
from recurra.baselines.linear_window import LinearWindow
from recurra.baselines.tdnn import TimeDelayNetwork
from recurra.data.codecs.numbers import Scaled
from recurra.errors import ConfigError, DataError


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tdnn, "UPDATES", 300)


def henon(steps: int, start: float) -> np.ndarray:
    """x_{t+1} = 1 − 1.4 x_t² + 0.3 x_{t−1}: no linear function of the past says where it goes."""
    x = [start, 0.1]
    for _ in range(steps):
        x.append(1 - 1.4 * x[-1] ** 2 + 0.3 * x[-2])
    return np.array(x)[:, None] * 3 + 20


def test_it_forecasts_what_no_linear_function_does() -> None:
    train, test = henon(800, 0.1), henon(300, 0.3)
    codecs = {"input": Scaled().fit([train])}

    def error(baseline: LinearWindow | TimeDelayNetwork) -> float:
        (row,) = baseline.rows([{"series": train}], [{"series": test}], codecs)
        assert row.log_p is not None and len(row.log_p) == 2 * (len(test) - 5)
        assert row.sums["model_squared"] == pytest.approx(-row.log_p.sum())
        return float(-row.log_p.mean())

    network = error(TimeDelayNetwork(4, 2))
    assert network < 0.5 * error(LinearWindow(4, 2)) and network == error(TimeDelayNetwork(4, 2))
    (row,) = TimeDelayNetwork(4, 2).rows([{"series": train}], [{"series": test}], codecs)
    assert row.size == 5 * 2 + 4 * 64 + 64 + 64 * 2 and row.note == "64 units, 300 updates"


def test_what_was_not_seen_is_neither_learned_nor_scored() -> None:
    train, test = henon(300, 0.1), henon(100, 0.3)
    codecs = {"input": Scaled().fit([train])}
    seen = np.ones_like(test)
    seen[50:60] = 0
    (row,) = TimeDelayNetwork(4, 1).rows([{"series": train}], [{"series": test, "seen": seen}], codecs)
    (whole,) = TimeDelayNetwork(4, 1).rows([{"series": train}], [{"series": test}], codecs)
    assert row.log_p is not None and whole.log_p is not None
    assert np.array_equal(row.log_p, whole.log_p[seen[4:, 0] > 0])
    never = [{"series": train, "seen": np.zeros_like(train)}]
    (alone,) = TimeDelayNetwork(4, 1).rows(never, [{"series": test}], codecs)
    (linear,) = LinearWindow(4, 1).rows(never, [{"series": test}], codecs)
    assert alone.log_p == pytest.approx(linear.log_p)


def test_too_short_a_series_and_sizes() -> None:
    codecs = {"input": Scaled().fit([np.arange(5.0)[:, None]])}
    examples = [{"series": np.arange(5.0)[:, None]}]
    with pytest.raises(DataError, match="no training series has 8 steps, a window of the tdnn baseline"):
        list(TimeDelayNetwork(5, 3).rows(examples, examples, codecs))
    with pytest.raises(ConfigError, match=r"baseline\.hidden_size = 0, expected 1 or more"):
        TimeDelayNetwork(hidden_size=0)
