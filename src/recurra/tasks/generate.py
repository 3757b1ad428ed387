"""Predict the next symbol: language models, by character, byte or word."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import ConfigError, DataError, UnknownName
from recurra.nn.activations import mean_square, mean_square_change
from recurra.nn.adaptive_softmax import AdaptiveSoftmax
from recurra.nn.dropout import dropout
from recurra.nn.softmax import IGNORED, linear_cross_entropy, linear_log_probability
from recurra.registry import checked, part
from recurra.tasks.scores import perplexity
from recurra.tasks.steps import only_steps
from recurra.types import Batch, Lengths, Output, Sizes


@part("task", "generate")
class Generate(nn.Module):
    """The distribution of the next symbol: ŷ_t = softmax(V h_t + c), loss −Σ_t log ŷ_t[target_t].

    Reads the fields "input" and "target" [B, T]. `dropout` zeroes entries of the core's output h, with `variational`
    those of the same units at all time steps of a sequence (Gal & Ghahramani 2016). With `tied`, V is the embedder's
    matrix (Press & Wolf 2017) and c alone is the task's own; the embedder then wants an `init_range`, since
    vectors from N(0, 1) make the first predictions far too sure. `softmax` is "full", as above, or adaptive, for large
    vocabularies: `{"kind": "adaptive", "cutoffs": [2000, 10000], "factor": 4}` (Grave et al. 2017). Weights start from
    U(−init_range, init_range); without one V starts from U(−1/√H, 1/√H) and c from 0.
    In training α = `activation_penalty` and β = `slowness_penalty` add to the loss of a token, means over all entries,
    α mean (m ⊙ h_t)² + β mean (h_{t+1} − h_t)², m ⊙ h being h after its dropout. That is the output's `penalty`: the
    loss is without it, and so are all logs and scores.
    Source of the two: Merity, McCann & Socher 2017, Revisiting activation regularization for language RNNs.
    """

    needs = ("text",)
    baselines = ("kneser-ney",)
    main_metric = ("nats_per_symbol", "min")
    unit = "symbols"
    """What its targets are."""
    causal = True
    """The core may not see what it is to predict."""

    weight: nn.Parameter | None
    bias: nn.Parameter

    def __init__(
        self,
        dropout: float = 0.0,
        tied: bool = False,
        init_range: float | None = None,
        softmax: str | dict = "full",
        variational: bool = False,
        activation_penalty: float = 0.0,
        slowness_penalty: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ConfigError(f"task.dropout = {dropout}, expected 0 or more and less than 1.")
        if init_range is not None and init_range <= 0:
            raise ConfigError(f"task.init_range = {init_range}, expected more than 0, or none for the default.")
        for name, factor in (("activation_penalty", activation_penalty), ("slowness_penalty", slowness_penalty)):
            if not 0 <= factor < math.inf:
                raise ConfigError(f"task.{name} = {factor}, expected a finite number from 0, which is none.")
        self.dropout, self.variational = dropout, variational
        self.activation_penalty, self.slowness_penalty = activation_penalty, slowness_penalty
        self.tied = tied
        self.init_range = init_range
        self.adaptive = _adaptive(softmax)
        if tied and self.adaptive is not None:
            raise ConfigError(
                "task.tied makes the embedder's matrix the output's, which an adaptive softmax has not. "
                'Set task.tied = false, or task.softmax = "full".'
            )

    @property
    def by_frequency(self) -> bool:
        """Whether symbols must be numbered by falling frequency; known before `build`."""
        return self.adaptive is not None

    def build(self, sizes: Sizes) -> Self:
        """Make the output layer from `sizes.core` units to `sizes.vocabulary` symbols."""
        if self.tied and sizes.embedding != sizes.core:
            raise ConfigError(
                f"task.tied wants embedder and core of one size, but the embedder's is {sizes.embedding} and the "
                f"core's {sizes.core}. Set embedder.size = {sizes.core}, or task.tied = false."
            )
        if self.adaptive is not None:
            self.adaptive.build(sizes.core, sizes.vocabulary, self.init_range)
            return self
        self.bias = nn.Parameter(torch.zeros(sizes.vocabulary))
        self.weight = None if self.tied else nn.Parameter(torch.empty(sizes.vocabulary, sizes.core))
        if self.init_range is not None:
            nn.init.uniform_(self.bias, -self.init_range, self.init_range)
        if self.weight is not None:
            r = 1 / math.sqrt(sizes.core) if self.init_range is None else self.init_range
            nn.init.uniform_(self.weight, -r, r)
        return self

    def forward(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss of a batch and the core's final state. Padded steps count for nothing."""
        y, state = core(embedder(batch), batch.structure, state)
        h = y.transpose(0, 1)  # [T, B, H], as it lies in memory
        y = dropout(h, self.dropout, self.training, self.variational)
        target, sequences = _targets(batch)
        loss = self._loss(embedder, y.flatten(0, 1), target.t().reshape(-1))
        targets = int((target != IGNORED).sum())
        penalty = self._penalty(h, y, batch.structure.values)
        return Output(loss, targets, sequences, state, penalty=None if penalty is None else targets * penalty)

    def step_loss(self, embedder: nn.Module, core: nn.Module, batch: Batch, steps: Tensor) -> Tensor:
        """The loss of one target a sequence, that of its step `steps` [B], summed over the sequences."""
        return self.forward(embedder, core, only_steps(batch, "target", steps)).loss

    def step(self, embedder: nn.Module, core: nn.Module, state: Any, token: Tensor) -> tuple[Tensor, Any]:
        """Read one symbol of each sequence; give the log-probabilities of the next, and the new state.

        Shapes: token [B], log-probabilities [B, V].
        """
        y, state = core(embedder(Batch({"input": token[:, None]})), Lengths(), state)
        return self._next(embedder, y[:, 0]), state

    def follow(self, embedder: nn.Module, y: Tensor, memory: None = None) -> tuple[dict[str, Tensor], None]:
        """What is said once a symbol is read whose core output is y [B, H]: "next" [B, V], the log-probabilities of
        the symbol behind it. Nothing is remembered beside the core's state."""
        return {"next": self._next(embedder, y)}, None

    @torch.no_grad()
    def predictions(
        self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None
    ) -> tuple[Tensor, Tensor, Any]:
        """What each symbol's score is made of: log p of the targets [T, B], 0 where there is none; the core's outputs
        h [T, B, H] they were predicted from; and the core's final state. Dropout is off only after `eval()`."""
        y, state = core(embedder(batch), batch.structure, state)
        y, target = y.transpose(0, 1), _targets(batch)[0].t().reshape(-1)
        rows = dropout(y, self.dropout, self.training, self.variational).flatten(0, 1)
        if self.adaptive is not None:
            log_p = self.adaptive.log_probability(rows, target)
        else:
            log_p = linear_log_probability(rows, self._weight(embedder), self.bias, target)
        return log_p.view(y.shape[:2]), y, state

    def metrics(self, loss_sum: float, targets: int) -> dict[str, float]:
        """Perplexity, bits and nats per symbol of a loss summed over `targets` symbols."""
        if targets < 1:
            raise DataError(f"a score over {targets} target symbols means nothing. Evaluate on two symbols or more.")
        nats = loss_sum / targets
        return {"perplexity": perplexity(nats), "bits_per_symbol": nats / math.log(2), "nats_per_symbol": nats}

    def _penalty(self, h: Tensor, dropped: Tensor, lengths: Tensor | None) -> Tensor | None:
        """What training adds to the loss of each token, for h [T, B, H] before and after its dropout; None: nothing."""
        penalty = None
        if self.training and self.activation_penalty:
            penalty = self.activation_penalty * mean_square(dropped, lengths)
        if self.training and self.slowness_penalty:
            slowness = self.slowness_penalty * mean_square_change(h, lengths)
            penalty = slowness if penalty is None else penalty + slowness
        return penalty

    def _loss(self, embedder: nn.Module, y: Tensor, target: Tensor) -> Tensor:
        if self.adaptive is not None:
            return self.adaptive.loss(y, target)
        return linear_cross_entropy(y, self._weight(embedder), self.bias, target)

    def _next(self, embedder: nn.Module, y: Tensor) -> Tensor:
        """Log-probabilities [B, V] of the symbols behind y [B, H]."""
        if self.adaptive is not None:
            return self.adaptive.log_probabilities(y)
        return F.log_softmax(F.linear(y, self._weight(embedder), self.bias), 1)

    def _weight(self, embedder: nn.Module) -> Tensor:
        weight = getattr(embedder, "weight", None) if self.tied else self.weight
        if not isinstance(weight, Tensor):
            raise ConfigError(
                f"task.tied wants an embedder with a matrix `weight` [V, D], but {type(embedder).__name__} has none. "
                'Set embedder.kind = "symbols", or task.tied = false.'
            )
        return weight


def _adaptive(softmax: str | dict) -> AdaptiveSoftmax | None:
    """The adaptive softmax that `task.softmax` asks for; None: the full one."""
    settings = {"kind": softmax} if isinstance(softmax, str) else dict(softmax)
    kind = settings.pop("kind", None)
    if kind == "adaptive":
        return AdaptiveSoftmax(**checked(AdaptiveSoftmax, settings, where="task.softmax"))
    if kind != "full":
        raise UnknownName("softmax", str(kind), ("adaptive", "full"))
    if settings:
        raise ConfigError(
            f'task.softmax.{min(settings)} is for the adaptive softmax. Set task.softmax.kind = "adaptive".'
        )
    return None


def _targets(batch: Batch) -> tuple[Tensor, int]:
    """Targets [B, T], `IGNORED` where the batch is padded, and the number of sequences that are not all padding."""
    target, lengths = batch.fields["target"], batch.structure.values
    if lengths is None:
        return target, len(target)
    padded = torch.arange(target.shape[1], device=target.device) >= lengths[:, None]
    return target.masked_fill(padded, IGNORED), int((lengths > 0).sum())
