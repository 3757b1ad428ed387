"""How far the error of one step reaches back: ‖∂L_t/∂h_k‖ by the lag t − k, for each layer and direction.

One forward and one backward pass give it for several t: the sequence stands in the batch once for each, and each row's
loss is that of its own t. All is computed in float64, beside the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra import registry
from recurra.diagnostics import horizon
from recurra.diagnostics.horizon import Verdict
from recurra.diagnostics.plain import plain
from recurra.diagnostics.reading import Given, frozen_copy, read
from recurra.engine import Trace
from recurra.equations.gates import activations, slope
from recurra.errors import ConfigError, DataError
from recurra.model import Model
from recurra.nn.watch import LayerTrace, Watched
from recurra.tasks.contract import LosesByStep, ReadsInSegments
from recurra.tasks.writing import Continues

Curve = NDArray[np.float64]
CHOSEN = 8
"""Steps t whose errors are followed where none are named."""


@dataclass(frozen=True, eq=False)
class Flow:
    """One state of one layer in one direction. Lags are steps of the direction's own time."""

    layer: int
    """From 1, the lowest."""
    direction: str
    """"forwards" or "backwards"."""
    state: str
    """h, c, …; y is the output of a layer without recurrence."""
    norms: Curve
    """[N, L]: ‖∂L_t/∂state_{t − lag}‖ for each chosen t; nan before the sequence's begin."""
    mean: Curve
    """Their geometric mean, as far back as all of those reach that reach more than half as far as the farthest."""
    slope: float
    """Of the logarithm of `mean` per step; nan where there are not two lags with a gradient."""
    horizon: int | None
    """The lag from which on less than 1 % of the first norm is left; None: not within the lags measured."""
    verdict: Verdict
    advice: str
    """What the verdict means, and what to try."""
    bound: Curve | None = None
    """For the upmost layer of an Elman network what `mean` can be at most: (σ₁ γ)^lag of its first norm, with σ₁ the
    largest singular value of W_hh and γ the largest slope of the activation. σ₁ γ < 1 suffices for gradients to vanish;
    σ₁ γ > 1 is necessary, not sufficient, for them to explode (Pascanu, Mikolov & Bengio 2013)."""


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """How far errors reach back in one text."""

    tokens: tuple[str, ...]
    steps: tuple[int, ...]
    """The t whose errors were followed, from 0; empty where the loss is one for the whole sequence."""
    flows: tuple[Flow, ...]
    notes: tuple[str, ...]
    """What the numbers must be read with, a sentence each."""

    @property
    def main(self) -> tuple[Flow, ...]:
        """One flow for each layer and direction: that of the first state, h, or, where this carries nothing from step
        to step (SRU, QRNN), of the first that does."""
        top = max(flow.layer for flow in self.flows)
        highest = [flow for flow in self.flows if flow.layer == top]
        state = next((flow.state for flow in highest if (flow.mean > 0).sum() > 1), highest[0].state)
        return tuple(flow for flow in self.flows if flow.state == state)

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        found: dict[str, Any] = plain(self)
        return found


def gradient_flow(model: Model, text: Given, *, steps: Sequence[int] | None = None) -> GradientFlow:
    """Follow the errors of a few steps of a text back through the layers of a model's core.

    `text`: a text, its tokens, or an example that also holds what is to be predicted (tags, label, target); without it
    the errors are those of the model's own answers. `steps`: the t to be followed, from 0; None: eight of them, late in
    the text, and where the core also reads from the end half of them early. Where the task has one loss for the whole
    sequence (a label, a translation), that one is followed from the end of the sequence.

    Raises `DataError` for a text of fewer than three steps and for steps outside it, `ConfigError` for a task or core
    that this makes no sense for.
    """
    if isinstance(model.task, ReadsInSegments) and model.task.segmented:
        raise ConfigError(
            "the task reads every sentence of a story by itself, so that no error goes through the story in time; "
            "attention over the sentences does. Look at the gates of one sentence instead."
        )
    reading = read(model, text, answered=True)
    T, single = len(reading.tokens), isinstance(model.task, LosesByStep)
    if T < 3:
        raise DataError(f"the text has {T} steps, expected 3 or more for an error to go back through.")
    chosen = _chosen(steps, T, model) if single else (T - 1,)
    parts = frozen_copy(model, torch.float64)
    trace: list[Trace | LayerTrace] = []
    core = Watched(parts.core, trace=trace, cut=True)
    batch = reading.batch(len(chosen))
    with torch.enable_grad():
        if single:
            loss = parts.task.step_loss(parts.embedder, core, batch, torch.tensor(chosen, device=reading.device))
        else:
            loss = parts.task(parts.embedder, core, batch).loss
        direct = not single and _direct(loss, core.y)
        steps = chosen if single else None
        pieces = registry.find("batching", model.config["batching"]["kind"]).in_pieces
        flows = measure(trace, loss, steps, causal=bool(model.core.causal), direct=direct, in_pieces=pieces)
    notes = []
    if reading.own_answer:
        notes.append("No true answer was given: the errors are those of the model's own, taken for the truth.")
    if not single:
        notes.append("The loss is one for the whole sequence; lags are steps from its end in the direction's own time.")
    return GradientFlow(reading.tokens, chosen if single else (), flows, tuple(notes))


def measure(
    trace: Sequence[Trace | LayerTrace],
    loss: Tensor,
    steps: Sequence[int] | None,
    *,
    causal: bool = True,
    direct: bool = False,
    in_pieces: bool = False,
) -> tuple[Flow, ...]:
    """The flows of a forward pass whose layers left `trace`, for a `loss` that is the sum of one for each row.

    All rows are T steps long; row n's loss enters at its step `steps[n]` alone. None: wherever it likes, and lags are
    counted from the end. `causal`: of layers without recurrence, whether they look back only. `direct`: the loss sees
    the states of all steps itself. `in_pieces`: what it was trained on was cut into stretches.
    """
    tensors = list(_tensors(trace))
    wanted = [t for _, _, _, several in tensors for t in several if t.requires_grad]
    found, flows = iter(torch.autograd.grad(loss, wanted, allow_unused=True)), []
    top = max(one.layer for one in trace)
    for one, state, reverse, several in tensors:
        gradients = [next(found) if t.requires_grad else None for t in several]
        norms = np.stack([_norms(*pair) for pair in zip(gradients, several, strict=True)])
        norms = norms.reshape(-1, norms.shape[-1])  # [T, N]; what a layer without recurrence made is one tensor
        for back in (reverse,) if causal or isinstance(one, Trace) else (False, True):
            turned = norms[::-1] if back and not isinstance(one, Trace) else norms
            bounded = one.layer == top and steps is not None
            flows.append(_flow(one, state, back, _by_lag(turned, steps, back), bounded, direct, in_pieces))
    return tuple(flows)


def _tensors(trace: Sequence[Trace | LayerTrace]) -> Iterator[tuple[Trace | LayerTrace, str, bool, list[Tensor]]]:
    """Of each layer each state: its name, whether it goes from the end, and the tensors of all steps."""
    for one in trace:
        if isinstance(one, LayerTrace):
            yield one, "y", False, [one.y]
        else:
            for k, name in enumerate(one.cell.state):
                yield one, name, one.reverse, [states[k] for states in one.states]


def _norms(gradient: Tensor | None, like: Tensor) -> Curve:
    """‖·‖ of each row, zeros where nothing depends on it."""
    if gradient is None:
        return np.zeros(like.shape[:-1])
    found: Curve = torch.linalg.vector_norm(gradient, dim=-1).double().cpu().numpy()
    return found


def _by_lag(norms: Curve, steps: Sequence[int] | None, back: bool) -> Curve:
    """Norms [T, N] in the direction's own time as [N, L] by lag."""
    T = len(norms)
    own = [T - 1] * norms.shape[1] if steps is None else [T - 1 - t if back else t for t in steps]
    out = np.full((len(own), max(own) + 1), np.nan)
    for n, step in enumerate(own):
        out[n, : step + 1] = norms[step::-1, n]
    return out


def _direct(loss: Tensor, y: Tensor | None) -> bool:
    """Whether a loss sees more of a core's y [1, T, H] than the ends of its two directions."""
    if y is None:
        return False
    (gradient,) = torch.autograd.grad(loss, y, retain_graph=True)
    return int((gradient != 0).any(2).sum()) > 2


def _flow(
    one: Trace | LayerTrace, state: str, back: bool, norms: Curve, bounded: bool, direct: bool, in_pieces: bool
) -> Flow:
    lags = (~np.isnan(norms)).sum(1)
    far = lags > lags.max() / 2
    mean = horizon.geometric_mean(norms[far, : lags[far].min()])
    recurrent = isinstance(one, Trace)
    word = horizon.verdict(mean, recurrent, direct)
    gated = isinstance(one, Trace) and any(each.gate for each in activations(one.cell))
    return Flow(
        layer=one.layer + 1,
        direction="backwards" if back else "forwards",
        state=state,
        norms=norms,
        mean=mean,
        slope=horizon.slope(mean),
        horizon=horizon.horizon(mean),
        verdict=word,
        advice=horizon.advice(word, mean, recurrent, not gated, in_pieces),
        bound=_bound(one, mean) if bounded and isinstance(one, Trace) else None,
    )


def _bound(one: Trace, mean: Curve) -> Curve | None:
    steepest, first = slope(one.cell), horizon.begin(mean)
    if steepest is None or one.recurrent is None or first is None:
        return None
    factor = steepest * float(torch.linalg.matrix_norm(one.recurrent.detach().double(), 2))
    lags = np.arange(len(mean)) - first
    return np.where(lags >= 0, mean[first] * factor ** np.maximum(lags, 0.0), np.nan)


def _chosen(steps: Sequence[int] | None, T: int, model: Model) -> tuple[int, ...]:
    """The steps to be followed; a language model's last symbol has nothing to predict."""
    last = T - 2 if isinstance(model.task, Continues) else T - 1
    if steps is None:
        if model.core.causal:
            wanted = np.linspace(0.75 * last, last, CHOSEN)
        else:  # each direction is measured by those that are far from where it begins
            early, late = np.linspace(0, 0.25 * last, CHOSEN // 2), np.linspace(0.75 * last, last, CHOSEN // 2)
            wanted = np.concatenate((early, late))
        return tuple(sorted({round(t) for t in wanted}))
    for t in steps:
        if not 0 <= t <= last:
            raise DataError(f"step {t} of a text whose steps with a target are 0 to {last}. Name others.")
    if not steps:
        raise DataError("no step was named whose error is to be followed. Name one or more, or none for eight.")
    return tuple(steps)
