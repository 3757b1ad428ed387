"""CTC against the enumeration of all paths."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from recurra.decoding.ctc import (
    aligned,
    collapsed,
    elected,
    frames_needed,
    likeliest_path,
    log_probability,
    prefix_beam,
)
from recurra.errors import DataError

BLANK = 2


def drawn(T: int, K: int = 3, seed: int = 0) -> np.ndarray:
    z = np.random.default_rng(seed).normal(size=(T, K)) * 2
    return z - np.logaddexp.reduce(z, 1)[:, None]


def enumerated(log_p: np.ndarray, blank: int = BLANK) -> dict[tuple[int, ...], float]:
    found: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(log_p.shape[1]), repeat=len(log_p)):
        symbols = tuple(collapsed(path, blank))
        found[symbols] = found.get(symbols, 0.0) + math.exp(sum(log_p[t, s] for t, s in enumerate(path)))
    return found


def test_a_path_becomes_its_symbols():
    assert collapsed([0, 0, 2, 0, 1, 1, 2], BLANK) == [0, 0, 1]
    assert collapsed([2, 2], BLANK) == []


@pytest.mark.parametrize("T", [0, 1, 2, 5])
def test_probabilities_are_those_of_all_paths(T):
    log_p = drawn(T, seed=T)
    for symbols, p in enumerated(log_p).items():
        assert math.exp(log_probability(log_p, symbols, BLANK)) == pytest.approx(p, rel=1e-12)
    assert log_probability(log_p, (0,) * (T + 1), BLANK) == -math.inf


def test_torchs_loss_is_the_same():
    log_p, target = drawn(7, 4, seed=3), (1, 1, 0)
    loss = F.ctc_loss(torch.tensor(log_p)[:, None], torch.tensor([target]), [7], [3], blank=3, reduction="sum")
    assert float(loss) == pytest.approx(-log_probability(log_p, target, 3), rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_is_enumeration(seed):
    log_p = drawn(5, seed=seed)
    truth = sorted(enumerated(log_p).items(), key=lambda each: -each[1])
    found = prefix_beam(log_p, BLANK, beam=1000)
    assert [each.symbols for each in found] == [symbols for symbols, _ in truth]
    assert np.exp([each.log_p for each in found]) == pytest.approx([p for _, p in truth], rel=1e-12)


def test_a_narrow_beam_keeps_the_best_it_met_and_least_leaves_out_what_is_unlikely():
    log_p = drawn(6, 5, seed=1)
    found = prefix_beam(log_p, 4, beam=3, least=-3.0)
    assert len(found) == 3
    assert all(each.log_p <= log_probability(log_p, each.symbols, 4) + 1e-12 for each in found)


def test_a_scorer_is_added_and_rules_out():
    class NoTwo:
        def start(self):
            return 0

        def extend(self, state, symbol):
            return (-math.inf if state == 2 else 0.5 * symbol), state + 1

        def end(self, state):
            return 0.25 * state

    log_p = drawn(5, seed=4)
    found = prefix_beam(log_p, BLANK, beam=1000, scorer=NoTwo())
    truth = {
        symbols: math.log(p) + sum(0.5 * s for s in symbols) + 0.25 * len(symbols)
        for symbols, p in enumerated(log_p).items()
        if len(symbols) <= 2
    }
    assert {each.symbols: each.score for each in found} == pytest.approx(truth, rel=1e-12)
    assert found[0].symbols == max(truth, key=lambda symbols: truth[symbols])


def test_the_likeliest_path_is_greedy():
    log_p = drawn(6, seed=5)
    best = likeliest_path(log_p, BLANK)
    assert list(best.symbols) == collapsed(log_p.argmax(1).tolist(), BLANK)
    assert best.log_p == pytest.approx(log_probability(log_p, best.symbols, BLANK))


@pytest.mark.parametrize("symbols", [(0,), (0, 0), (1, 0, 1), ()])
def test_frames_are_those_of_the_likeliest_path(symbols):
    log_p = drawn(6, seed=6)
    paths = [path for path in itertools.product(range(3), repeat=6) if tuple(collapsed(path, BLANK)) == symbols]
    best = max(paths, key=lambda path: sum(log_p[t, s] for t, s in enumerate(path)))
    spelt = [BLANK] * 6
    for symbol, place in zip(symbols, aligned(log_p, symbols, BLANK), strict=True):
        spelt[place.begin : place.end] = [symbol] * (place.end - place.begin)
        assert place.p == pytest.approx(math.exp(log_p[place.begin : place.end, symbol].max()))
    assert tuple(spelt) == best


def test_too_few_frames():
    assert frames_needed([0, 0, 1, 1, 1]) == 8
    with pytest.raises(DataError, match="2 symbols want 3 frames, there are 2"):
        aligned(drawn(2), (0, 0), BLANK)


def test_where_all_is_ruled_out_nothing_is_written():
    class Never:
        def start(self):
            return 0

        def extend(self, state, symbol):
            return 0.0, 1

        def end(self, state):
            return -math.inf if state else 0.0

    log_p = np.log(np.tile([0.9, 0.05, 0.05], (4, 1)))
    (best,) = prefix_beam(log_p, BLANK, beam=1, scorer=Never())
    assert best.symbols == () and best.log_p == pytest.approx(4 * math.log(0.05))


@pytest.mark.parametrize("seed", range(3))
def test_models_elect_what_has_the_highest_mean(seed):
    voters = np.stack([drawn(4, seed=2 * seed), drawn(4, seed=2 * seed + 1)])
    all_of = [enumerated(each) for each in voters]
    means = {symbols: np.mean([math.log(each[symbols]) for each in all_of]) for symbols in all_of[0]}
    found = elected(voters, BLANK, 1000)
    assert found[0].symbols == max(means, key=means.get)
    assert found[0].log_p == pytest.approx(max(means.values()))
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


def test_models_that_say_the_same_at_other_frames_agree():
    """The mean of what they say of each frame is the blank."""
    sure, blank = [0.6, 0.05, 0.35], [0.05, 0.05, 0.9]
    one, other = np.log([sure, blank, blank, blank]), np.log([blank, blank, blank, sure])
    assert likeliest_path((one + other) / 2, BLANK).symbols == ()
    assert elected(np.stack([one, other]), BLANK, 4)[0].symbols == (0,)
