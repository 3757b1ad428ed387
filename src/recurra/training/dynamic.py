"""Dynamic evaluation: while a text is scored, the weights follow its gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from recurra.engine.device import moved
from recurra.errors import DataError
from recurra.training.evaluation import Score, Trainable, detached
from recurra.types import Batch

EPSILON = 1e-3
"""Added to the root of the mean squares, so that a weight whose gradient was ever zero does not leap."""


class Steps:
    """How weights θ follow the gradients g of a text's segments and are drawn back to what was trained, θ_0.

    Plain, without `squares`: θ ← θ − η g + λ (θ_0 − θ). With the mean squares `squares` of the training's gradients,
    r = √squares:  θ ← θ − η g / (r + ε) + λ (θ_0 − θ) · min(1 / λ, r / mean(r)), the mean over all weights.
    η is `learning_rate`, λ `decay`, 0 to 1; θ_0 is `trained`, left alone. All lists are in the weights' order.
    Source: Krause, Kahembwe, Murray & Renals 2018, Dynamic evaluation of neural sequence models, section 4.
    """

    def __init__(
        self,
        weights: Sequence[Tensor],
        trained: Sequence[Tensor],
        learning_rate: float,
        decay: float,
        squares: Sequence[Tensor] | None = None,
        epsilon: float = EPSILON,
    ) -> None:
        self._weights, self._trained = weights, trained
        self._learning_rate, self._decay = learning_rate, decay
        self._pulls: list[Any] = [decay] * len(weights)
        self._scales: list[Tensor] | None = None
        if squares is not None:
            roots = [s.sqrt() for s in squares]
            mean = sum(float(r.sum(dtype=torch.float64)) for r in roots) / sum(r.numel() for r in roots)
            self._pulls = [(r * (decay / mean)).clamp_(max=1.0) if mean else r.fill_(decay) for r in roots]
            self._scales = [s.sqrt().add_(epsilon).reciprocal_() for s in squares]

    @torch.no_grad()
    def follow(self, gradients: Sequence[Tensor | None]) -> None:
        """One step; a weight that had no part in the segment has no gradient and is only drawn back."""
        if self._decay:
            for weight, trained, pull in zip(self._weights, self._trained, self._pulls, strict=True):
                weight.lerp_(trained, pull)
        for k, gradient in enumerate(gradients):
            if gradient is not None and self._scales is not None:
                self._weights[k].addcmul_(gradient, self._scales[k], value=-self._learning_rate)
            elif gradient is not None:
                self._weights[k].add_(gradient, alpha=-self._learning_rate)


def evaluate_dynamically(
    model: Trainable,
    batches: Iterable[Batch],
    learning_rate: float,
    decay: float,
    squares: Sequence[Tensor] | None = None,
    *,
    device: torch.device | str = "cpu",
) -> Score:
    """The loss over all batches of one stream, each scored first and then learned from as `Steps` says; dropout off.

    What a batch scores depends on the batches before it alone. The gradient is that of the batch's loss per target.
    Afterwards the model has its own weights again, to the last bit, whatever happened.

    Steps too long to be followed end the pass: once a loss is no number, the whole is infinite. Raises `DataError` if
    there is no target in them.
    """
    loss, targets, sequences, state = 0.0, 0, 0, None
    with _kept(model) as (weights, trained):
        steps = Steps(weights, trained, learning_rate, decay, squares)
        for batch in batches:
            output = model.loss(moved(batch, torch.device(device)), None if batch.first else state)
            value = float(output.loss.detach())
            if not math.isfinite(value):
                return Score(math.inf, targets + output.targets, sequences)
            loss, targets, sequences = loss + value, targets + output.targets, sequences + output.sequences
            state = detached(output.state)
            if output.targets:
                steps.follow(torch.autograd.grad(output.loss / output.targets, weights, allow_unused=True))
    if not targets:
        raise DataError("the data to evaluate on hold no target. Give a longer file.")
    return Score(loss, targets, sequences)


def mean_squares(model: Trainable, batches: Iterable[Batch], *, device: torch.device | str = "cpu") -> list[Tensor]:
    """The mean over batches of the squared gradient of their loss per target, a tensor of each weight's shape.

    Dropout is off, the state is carried, and the weights stay as they are. Raises `DataError` for no batch.
    """
    weights, count, state = _weights(model), 0, None
    sums = [torch.zeros_like(w) for w in weights]
    with _evaluating(model):
        for batch in batches:
            output = model.loss(moved(batch, torch.device(device)), None if batch.first else state)
            state = detached(output.state)
            gradients = torch.autograd.grad(output.loss / max(1, output.targets), weights, materialize_grads=True)
            torch._foreach_addcmul_(sums, gradients, gradients)
            count += 1
    if not count:
        raise DataError("the training text gives no batch to collect gradients on. Give a longer file.")
    torch._foreach_div_(sums, float(count))
    return sums


def _weights(model: Trainable) -> list[Any]:
    return [p for p in model.parameters() if p.requires_grad]


@contextmanager
def _evaluating(model: Trainable) -> Iterator[None]:
    """Inside, dropout is off and gradients are on."""
    training = model.training
    model.train(False)
    try:
        with torch.enable_grad():
            yield
    finally:
        model.train(training)


@contextmanager
def _kept(model: Trainable) -> Iterator[tuple[list[Any], list[Tensor]]]:
    """The weights, free to be changed inside, and a copy of them; afterwards they are what they were."""
    weights = _weights(model)
    own = [w.detach().clone() for w in weights]
    try:
        with _evaluating(model):
            yield weights, own
    finally:
        with torch.no_grad():
            torch._foreach_copy_(weights, own)
