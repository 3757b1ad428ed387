"""Predict the next step: language models, by character, byte or word; notes, moves of a pen, numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from recurra import registry
from recurra.answers import Drawing, Roll, series_of
from recurra.data.fields import Codecs
from recurra.decoding.sample import Sampling, StepSampling
from recurra.errors import ConfigError, DataError, UnknownName
from recurra.nn.activations import mean_square, mean_square_change
from recurra.nn.dropout import dropout
from recurra.nn.emissions.adaptive import AdaptiveSoftmax
from recurra.nn.emissions.bernoulli import Bernoulli
from recurra.nn.emissions.categorical import Categorical
from recurra.nn.frequencies import begin_at_frequencies
from recurra.nn.softmax import IGNORED
from recurra.registry import part
from recurra.tasks.contract import Card
from recurra.tasks.naming import likeliest_symbols
from recurra.tasks.scores import Scores, perplexity
from recurra.tasks.steps import only_steps
from recurra.types import Batch, Field, Output, Sizes

SYMBOLS = Field(("text", "tokens"), {"kind": "character"})
NUMBERS = Field(("notes", "moves", "vectors"), {"kind": "scaled"})


@part("task", "generate")
class Generate(nn.Module):
    """The distribution of the next symbol: ŷ_t = softmax(V h_t + c), loss −Σ_t log ŷ_t[target_t]; or of the next step
    of numbers, as an `emission` says: p(x_t | h_{t−1}).

    With an `emission` of bits or numbers the input is pieces, each read by itself: a step of zeros stands before the
    first, so that this is predicted, too.
    Reads the fields "input" and "target" [B, T]. `dropout` zeroes entries of the core's output h, with `variational`
    those of the same units at all time steps of a sequence (Gal & Ghahramani 2016). With `tied`, V is the embedder's
    matrix (Press & Wolf 2017) and c alone is the task's own; the embedder then wants an `init_range`, since
    vectors from N(0, 1) make the first predictions far too sure. `softmax` is "full", as above, or adaptive, for large
    vocabularies: `{"kind": "adaptive", "cutoffs": [2000, 10000], "factor": 4}` (Grave et al. 2017), or any other
    registered emission of a symbol. Weights start from U(−init_range, init_range); without one V starts from
    U(−1/√H, 1/√H) and c from 0.
    In training α = `activation_penalty` and β = `slowness_penalty` add to the loss of a token, means over all entries,
    α mean (m ⊙ h_t)² + β mean (h_{t+1} − h_t)², m ⊙ h being h after its dropout. That is the output's `penalty`: the
    loss is without it, and so are all logs and scores.
    Source of the two: Merity, McCann & Socher 2017, Revisiting activation regularization for language RNNs.
    """

    fields: Mapping[str, Field] = {"input": SYMBOLS}
    baselines: tuple[str, ...] = ("kneser-ney",)
    main_metric: tuple[str, Literal["min", "max"]] = ("nats_per_symbol", "min")
    client = "continuation"
    """The module of `recurra.export.clients` that asks its export."""
    unit = "symbols"
    causal = True
    card: Card = Card("Write", "The beginning of a text; without one, a line begins.", "")
    Options: type = Sampling

    def __init__(
        self,
        dropout: float = 0.0,
        tied: bool = False,
        init_range: float | None = None,
        softmax: str | dict = "full",
        variational: bool = False,
        activation_penalty: float = 0.0,
        slowness_penalty: float = 0.0,
        emission: dict | None = None,
        by_line: bool = False,
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
        self.init_range, self.by_line = init_range, by_line
        chosen = _emission(softmax) if emission is None else _of_numbers(emission)
        if isinstance(chosen, AdaptiveSoftmax):
            self.adaptive = chosen  # the name its weights have in a run's file
        self.emission, self.of_numbers = chosen, emission is not None
        if by_line:
            self.main_metric = ("nats_per_line", "min")
        if self.of_numbers:
            self.fields, self.unit, self.main_metric = {"input": NUMBERS}, "steps", ("nats_per_step", "min")
            self.Options, bits = StepSampling, self.emission.target == "bits"
            some = "The notes of some steps, 60 64 67 | C4 F4 A4" if bits else "Some steps of numbers, a line each"
            self.card = Card("Write", f"{some}, to begin with; without any a piece begins.", "")
            self.baselines = ("notes",) if bits else ("single-gaussian",)
        if self.of_numbers and (softmax != "full" or by_line):
            name = "by_line" if by_line else "softmax"
            raise ConfigError(
                f"task.{name} is for symbols, task.emission for steps of numbers. Leave one of them away."
            )
        if tied and not isinstance(self.emission, Categorical):
            raise ConfigError(
                "task.tied makes the embedder's matrix the output's, which an adaptive softmax has not. "
                'Set task.tied = false, or task.softmax = "full".'
            )

    @property
    def by_frequency(self) -> bool:
        """Whether symbols must be numbered by falling frequency; known before `build`."""
        return bool(self.emission.target == "ranked symbol")

    def build(self, sizes: Sizes) -> Self:
        """Make the output layer from `sizes.core` units to `sizes.vocabulary` symbols, or `sizes.width` numbers."""
        if self.tied and sizes.embedding != sizes.core:
            raise ConfigError(
                f"task.tied wants embedder and core of one size, but the embedder's is {sizes.embedding} and the "
                f"core's {sizes.core}. Set embedder.size = {sizes.core}, or task.tied = false."
            )
        self.line_end = sizes.line_end
        if self.of_numbers and not sizes.width:
            raise ConfigError(
                "task.emission is of steps of numbers, but the input is symbols. Leave it away, or set input.kind, "
                "such as 'roll' or 'pen'."
            )
        if not self.of_numbers and not sizes.vocabulary:
            raise ConfigError(
                "the input is numbers, whose distribution an emission says. Set task.emission.kind, such as "
                "'bernoulli' of bits, 'mixture' of numbers or 'pen' of a pen's moves."
            )
        if isinstance(self.emission, Categorical):
            self.emission.build(sizes.core, sizes.vocabulary, self.init_range, self.tied)
            # Registered here too: the names they have in a run's file.
            self.bias, self.weight = self.emission.bias, self.emission.weight
        else:
            self.emission.build(sizes.core, sizes.width or sizes.vocabulary, self.init_range)
        return self

    def check_examples(self, encoded: Sequence[Mapping[str, Any]]) -> None:
        """Refuse a score by the line where no symbol ends one."""
        if self.by_line and self.line_end is None:
            raise ConfigError(
                "task.by_line scores lines, but the input has no symbol that ends one. Set vocabulary.kind = 'word' or "
                "'character', train on text with lines, or set task.by_line = false."
            )

    def begin_from(self, encoded: Sequence[Mapping[str, Any]]) -> str:
        """Let c begin at how often each symbol is, or each bit is 1, where it has one for each."""
        if isinstance(self.emission, Bernoulli):
            self.emission.begin_at(torch.from_numpy(np.concatenate([each["input"] for each in encoded]).mean(0)))
        if isinstance(self.emission, Categorical):
            begin_at_frequencies([self.bias], (each["input"] for each in encoded))
        return ""

    def forward(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss of a batch and the core's final state. Padded steps count for nothing."""
        batch = self._read(batch)
        y, state = core(*embedder(batch), state)
        h = y.transpose(0, 1)  # [T, B, H], as it lies in memory
        y = dropout(h, self.dropout, self.training, self.variational)
        target, sequences = _targets(batch)
        loss = self.emission.loss(y, target.transpose(0, 1), **self._tied_to(embedder))
        targets = self._count(target)
        penalty = self._penalty(h, y, batch.structure.values)
        lines = self.by_line and self.line_end is not None and not self.training
        details = {"lines": target.eq(self.line_end or 0).sum()} if lines else {}
        return Output(loss, targets, sequences, state, details, None if penalty is None else targets * penalty)

    def _read(self, batch: Batch) -> Batch:
        """The batch with what is predicted as "target", where it has none yet: pieces, a step of zeros before each."""
        if "target" in batch.fields:
            return batch
        x = batch.fields["input"]
        before = torch.cat((torch.zeros_like(x[:, :1]), x[:, :-1]), 1)
        return replace(batch, fields={**batch.fields, "input": before, "target": x})

    def _count(self, target: Tensor) -> int:
        """How many targets count."""
        there = ~target[..., 0].isnan() if self.of_numbers else target != IGNORED
        return int(there.sum())

    def step_loss(self, embedder: nn.Module, core: nn.Module, batch: Batch, steps: Tensor) -> Tensor:
        """The loss of one target a sequence, that of its step `steps` [B], summed over the sequences."""
        return self.forward(embedder, core, only_steps(self._read(batch), "target", steps)).loss

    def step(self, embedder: nn.Module, core: nn.Module, state: Any, token: Tensor) -> tuple[Tensor, Any]:
        """Read one symbol of each sequence; give the log-probabilities of the next, and the new state.

        Shapes: token [B], log-probabilities [B, V]; of numbers token [B, D], and the emission's parameters by name.
        """
        y, state = core(*embedder(Batch({"input": token[:, None]})), state)
        return (self.emission.distribution(y[:, 0]) if self.of_numbers else self._next(embedder, y[:, 0])), state

    def follow(self, embedder: nn.Module, y: Tensor, memory: None = None) -> tuple[dict[str, Tensor], None]:
        """What is said once a symbol is read whose core output is y [B, H]: "next" [B, V], the log-probabilities of
        the symbol behind it; of numbers the emission's parameters. Nothing is remembered beside the core's state."""
        return (self.emission.distribution(y) if self.of_numbers else {"next": self._next(embedder, y)}), None

    @torch.no_grad()
    def predictions(
        self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None
    ) -> tuple[Tensor, Tensor, Any]:
        """What each symbol's score is made of: log p of the targets [T, B], 0 where there is none; the core's outputs
        h [T, B, H] they were predicted from; and the core's final state. Dropout is off only after `eval()`."""
        batch = self._read(batch)
        y, state = core(*embedder(batch), state)
        y = y.transpose(0, 1)
        dropped = dropout(y, self.dropout, self.training, self.variational)
        target = _targets(batch)[0].transpose(0, 1)
        return self.emission.log_p(dropped, target, **self._tied_to(embedder)), y, state

    def ask(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> dict[str, Tensor]:
        """Log-probabilities [B, T, V] of the symbol behind each; of numbers the emission's parameters."""
        y, _ = core(*embedder(batch), state)
        if self.of_numbers:
            found: dict[str, Tensor] = self.emission.distribution(y)
            return found
        return {"log_probabilities": self._next(embedder, y.flatten(0, 1)).unflatten(0, y.shape[:2])}

    def followed(
        self,
        symbol: str,
        number: int,
        before: Mapping[str, Tensor] | None,
        now: Mapping[str, Tensor],
        codecs: Codecs,
        top: int,
    ) -> dict[str, Any]:
        """`{"symbol", "log_p", "next": [{"symbol", "p"}]}`: the natural log-probability the symbol had before it was
        read, None for the first, and the likeliest behind it; of numbers `{"read", "next"}`, the emission's mean."""
        if self.of_numbers:
            mean = codecs["input"].decode(self.emission.mean(now)[:1].float().cpu())
            return {"read": symbol, "next": np.asarray(mean[0]).tolist()}
        log_p = None if before is None else float(before["next"][0, number])
        return {"symbol": symbol, "log_p": log_p, "next": likeliest_symbols(now["next"][0], codecs["input"], top)}

    def continuation(self, given: Any, drawn: Any, codecs: Codecs) -> tuple[Any, ...]:
        """The parts of an answer of numbers, drawn behind those given: a roll of notes, a drawing, or series."""
        codec = codecs["input"]
        if "notes" in codec.forms:
            steps = [[note - codec.lowest for note in step] for step in (*given, *drawn)]
            pitches = tuple(range(codec.lowest, codec.highest + 1))
            return (Roll(codec.rows, steps, len(given), codec.seconds, pitches),)
        if "moves" in codec.forms:
            return (Drawing(np.concatenate((np.reshape(given, (-1, 3)), drawn)), len(given)),)
        return tuple(series_of(given, drawn))

    def measure(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss of a batch; `metrics` needs nothing else."""
        return self.forward(embedder, core, batch, state)

    def measured(self, asked: Mapping[str, Tensor], batch: Batch) -> Output:
        """The same of log-probabilities [B, T, V]. Raises `ConfigError` for numbers."""
        if self.of_numbers:
            raise ConfigError("what an export says of numbers is not scored. Score the run that it was made of.")
        target, sequences = _targets(batch)
        kept = target != IGNORED
        log_p = asked["log_probabilities"].gather(2, target.clamp(min=0)[:, :, None])[:, :, 0]
        return Output(-log_p[kept].double().sum(), int(kept.sum()), sequences)

    def metrics(self, loss: float, targets: int, details: Mapping[str, float] | None = None) -> Scores:
        """Perplexity, bits and nats per symbol of a loss summed over `targets` symbols; of numbers nats per step."""
        if targets < 1:
            raise DataError(
                f"a score over {targets} target {self.unit} means nothing. Evaluate on two {self.unit} or more."
            )
        nats = loss / targets
        if self.of_numbers:
            return Scores({"nats_per_step": nats})
        if self.by_line and details and details.get("lines"):
            return Scores({"nats_per_line": loss / details["lines"], "nats_per_symbol": nats})
        return Scores({"perplexity": perplexity(nats), "bits_per_symbol": nats / math.log(2), "nats_per_symbol": nats})

    def beside(
        self, embedder: nn.Module, core: nn.Module, targets: int, details: Mapping[str, float]
    ) -> list[dict[str, Any]]:
        """Nothing."""
        return []

    def _penalty(self, h: Tensor, dropped: Tensor, lengths: Tensor | None) -> Tensor | None:
        """What training adds to the loss of each token, for h [T, B, H] before and after its dropout; None: nothing."""
        penalty = None
        if self.training and self.activation_penalty:
            penalty = self.activation_penalty * mean_square(dropped, lengths)
        if self.training and self.slowness_penalty:
            slowness = self.slowness_penalty * mean_square_change(h, lengths)
            penalty = slowness if penalty is None else penalty + slowness
        return penalty

    def _next(self, embedder: nn.Module, y: Tensor) -> Tensor:
        """Log-probabilities [B, V] of the symbols behind y [B, H]."""
        log_p: Tensor = self.emission.distribution(y, **self._tied_to(embedder))["log_probabilities"]
        return log_p

    def _tied_to(self, embedder: nn.Module) -> dict[str, Tensor]:
        """The matrix that a tied output is the embedder's; nothing for another."""
        if not self.tied:
            return {}
        weight = getattr(embedder, "weight", None)
        if not isinstance(weight, Tensor):
            raise ConfigError(
                f"task.tied wants an embedder with a matrix `weight` [V, D], but {type(embedder).__name__} has none. "
                'Set embedder.kind = "symbols", or task.tied = false.'
            )
        return {"weight": weight}


def _emission(softmax: str | dict) -> Any:
    """The emission that `task.softmax` asks for."""
    settings = {"kind": softmax} if isinstance(softmax, str) else dict(softmax)
    kind = settings.get("kind")
    if kind == "full":
        if len(settings) > 1:
            raise ConfigError(
                f"task.softmax.{min(settings.keys() - {'kind'})} is for the adaptive softmax. "
                'Set task.softmax.kind = "adaptive".'
            )
        return Categorical()
    if kind in registry.names("emission"):
        emission = registry.construct("emission", settings, where="task.softmax")
        if "symbol" in emission.target:
            return emission
    raise UnknownName("softmax", str(kind), ("adaptive", "full"))


def _of_numbers(settings: Mapping[str, Any]) -> Any:
    """The emission of `task.emission`."""
    emission = registry.construct("emission", settings, where="task.emission")
    if "symbol" in emission.target:
        raise ConfigError(
            f"task.emission.kind = {settings['kind']!r} is of symbols, expected one of bits or numbers. For "
            "symbols set task.softmax."
        )
    return emission


def _targets(batch: Batch) -> tuple[Tensor, int]:
    """Targets [B, T], `IGNORED`, or NaN of numbers [B, T, D], where the batch is padded, and the number of sequences
    that are not all padding."""
    target, lengths = batch.fields["target"], batch.structure.values
    if lengths is None:
        return target, len(target)
    padded = torch.arange(target.shape[1], device=target.device) >= lengths[:, None]
    if target.ndim == 3:
        return target.masked_fill(padded[..., None], math.nan), int((lengths > 0).sum())
    return target.masked_fill(padded, IGNORED), int((lengths > 0).sum())
