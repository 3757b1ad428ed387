"""Dynamic evaluation: scored first, then learned from; against the equations written out, and the weights as before."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recurra.data.batching.layout import SYMBOLS
from recurra.data.batching.streams import Streams
from recurra.data.codecs.characters import Byte
from recurra.errors import DataError
from recurra.model import Model
from recurra.training.dynamic import EPSILON, Steps, evaluate_dynamically, mean_squares
from recurra.training.evaluation import evaluate
from recurra.types import Batch

T = 8
CONFIG: dict[str, Any] = {
    "embedder": {"kind": "symbols", "size": 5, "dropout": 0.3},
    "core": {"kind": "recurrent", "hidden_size": 6, "num_layers": 2, "dropout": 0.3},
    "task": {"kind": "generate", "dropout": 0.3},
}


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    return Model.from_config(CONFIG, {"input": Byte()}).double()


def ids(n: int = 60, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(97, 105, n)


def segments(symbols: np.ndarray, steps: int = T) -> Any:
    return Streams(1, steps).batches([{"input": symbols}], SYMBOLS, whole=True)


def bits(model: Model) -> list[Tensor]:
    return [p.detach().clone() for p in model.parameters()]


def losses_by_hand(
    model: Model, symbols: np.ndarray, rate: float, decay: float, squares: list[Tensor] | None
) -> list[float]:
    """Every segment's loss, the weights changed by the equations one number after the other tensor."""
    weights, trained, found, state = list(model.parameters()), bits(model), [], None
    roots = None if squares is None else [s.sqrt() for s in squares]
    mean = torch.cat([r.flatten() for r in roots]).mean() if roots else 0.0
    model.eval()
    for batch in segments(symbols):
        output = model.loss(batch, state)
        state = tuple(s.detach() for s in output.state)
        found.append(output.loss.item())
        gradients = torch.autograd.grad(output.loss / output.targets, weights)
        with torch.no_grad():
            for k, (w, g, w0) in enumerate(zip(weights, gradients, trained, strict=True)):
                if roots is None:
                    w += -rate * g + decay * (w0 - w)
                else:
                    norm = (roots[k] / mean).clamp(max=1 / decay)
                    w += -rate * g / (roots[k] + EPSILON) + decay * (w0 - w) * norm
    with torch.no_grad():
        for w, w0 in zip(weights, trained, strict=True):
            w.copy_(w0)
    return found


@pytest.mark.parametrize("rms", [False, True])
def test_the_loss_is_that_of_the_equations(model: Model, rms: bool) -> None:
    squares = mean_squares(model, Streams(3, T).batches([{"input": ids(200, seed=1)}], SYMBOLS)) if rms else None
    rate, decay = (0.01, 0.05) if rms else (0.5, 0.05)
    expected = losses_by_hand(model, ids(), rate, decay, squares)
    found = evaluate_dynamically(model, segments(ids()), rate, decay, squares)
    assert found.loss == pytest.approx(sum(expected), rel=1e-12)
    assert (found.targets, found.sequences) == (59, len(expected))
    assert found.loss != pytest.approx(evaluate(model, segments(ids())).loss, rel=1e-3)


def test_the_first_segment_is_scored_as_ever_and_what_follows_changes_nothing_before(model: Model) -> None:
    told: list[float] = []

    def segment_losses(symbols: np.ndarray) -> list[float]:
        told.clear()
        loss = model.loss

        def listening(batch: Batch, state: Any) -> Any:
            output = loss(batch, state)
            told.append(output.loss.item())
            return output

        model.loss = listening  # type: ignore[method-assign]
        evaluate_dynamically(model, segments(symbols), 0.5, 0.01)
        model.loss = loss  # type: ignore[method-assign]
        return list(told)

    symbols, other = ids(), ids()
    other[4 * T + 3 :] = 110
    first, second = segment_losses(symbols), segment_losses(other)
    assert first[:4] == second[:4] and first[4] != second[4]
    static = [evaluate(model, [replaced]).loss for replaced in (segments(symbols)[0],)]
    assert first[0] == static[0]


def test_steps_of_no_size_leave_the_static_score(model: Model) -> None:
    static = evaluate(model, segments(ids())).loss
    assert evaluate_dynamically(model, segments(ids()), 0.0, 0.3).loss == pytest.approx(static, rel=1e-12)
    assert evaluate_dynamically(model, segments(ids()), 0.5, 0.0).loss != pytest.approx(static, rel=1e-4)


def test_it_learns_a_text_that_repeats_itself(model: Model) -> None:
    symbols = np.tile(ids(10), 30)
    static = evaluate(model, segments(symbols)).per_target
    assert evaluate_dynamically(model, segments(symbols), 1.0, 0.0).per_target < 0.8 * static


class Stop(BaseException):
    """Ctrl-C."""


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("error", [None, Stop, RuntimeError])
def test_the_weights_are_what_they_were_to_the_last_bit(
    model: Model, training: bool, error: type[BaseException] | None
) -> None:
    model.train(training)
    before, versions = bits(model), [p.requires_grad for p in model.parameters()]

    def batches() -> Iterator[Batch]:
        for k, batch in enumerate(segments(ids())):
            if k == 4 and error is not None:
                assert not all(torch.equal(a, b) for a, b in zip(bits(model), before, strict=True))
                raise error("enough")
            yield batch

    if error is None:
        evaluate_dynamically(model, batches(), 0.5, 0.01)
    else:
        with pytest.raises(error, match="enough"):
            evaluate_dynamically(model, batches(), 0.5, 0.01)
    assert all(torch.equal(a, b) for a, b in zip(bits(model), before, strict=True))
    assert [p.requires_grad for p in model.parameters()] == versions
    assert all(p.grad is None for p in model.parameters())
    assert model.training is training


def test_mean_squares_are_the_means_of_squared_gradients(model: Model) -> None:
    batches = Streams(3, T).batches([{"input": ids(120, seed=1)}], SYMBOLS)
    before, found = bits(model), mean_squares(model, batches)
    expected, state = [torch.zeros_like(w) for w in before], None
    model.eval()
    for batch in batches:
        output = model.loss(batch, state)
        state = tuple(s.detach() for s in output.state)
        for total, g in zip(
            expected, torch.autograd.grad(output.loss / output.targets, [*model.parameters()]), strict=True
        ):
            total += g**2 / len(batches)
    for a, b, w, w0 in zip(found, expected, model.parameters(), before, strict=True):
        assert (a - b).abs().max() <= 1e-12 * b.abs().max()
        assert torch.equal(w, w0)


def test_the_pull_is_never_more_than_all_the_way() -> None:
    weight, trained = torch.tensor([3.0, 3.0]).double(), torch.tensor([1.0, 1.0]).double()
    squares = [torch.tensor([1e6, 0.0]).double()]
    Steps([weight], [trained], 0.1, 0.5, squares).follow([None])
    assert weight.tolist() == [1.0, 3.0]
    Steps([weight], [trained], 0.1, 0.5, [torch.zeros(2).double()]).follow([torch.zeros(2).double()])
    assert weight.tolist() == [1.0, 2.0]


def test_a_loss_that_is_no_number_makes_the_score_infinite(model: Model) -> None:
    before = bits(model.float())
    found = evaluate_dynamically(model, segments(ids()), 1e38, 0.0)
    assert found.loss == math.inf and 0 < found.targets < 59
    assert all(torch.equal(a, b) for a, b in zip(bits(model), before, strict=True))


def test_nothing_to_evaluate_or_to_collect_on_is_refused(model: Model) -> None:
    with pytest.raises(DataError, match=r"hold no target. Give a longer file"):
        evaluate_dynamically(model, [], 0.1, 0.0)
    with pytest.raises(DataError, match=r"no batch to collect gradients on. Give a longer file"):
        mean_squares(model, [])
