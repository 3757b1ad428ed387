"""The `[training]` section of a recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from recurra import registry, signatures
from recurra.config import check_seed
from recurra.errors import ConfigError, did_you_mean
from recurra.limits import check_threads
from recurra.training.optimisers import OptimiserPart
from recurra.training.schedules import Schedule


@dataclass(frozen=True)
class Triggered:
    """A mean of the weights that begins once validation stops getting better: `average = {kind = "triggered"}`.

    Until then the weights themselves are validated. After the validation that is worse than the best of those more than
    `patience` validations ago, the mean of the weights of all steps from there on is validated and kept.
    Source: NT-ASGD, Merity, Keskar & Socher 2017, algorithm 1; the mean is that of Polyak & Juditsky 1992.
    """

    patience: int = 5

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise ConfigError(f"training.average.patience = {self.patience}, expected a whole number from 1.")

    def now(self, history: Sequence[float]) -> bool:
        """Whether the latest of these validation losses sets it off."""
        before = history[: -self.patience - 1]
        return bool(before) and history[-1] > min(before)


@dataclass(frozen=True)
class Training:
    """How a model is trained. Raises `ConfigError` for a value out of range and for wrong keys of its two parts.

    A run is a function of its settings, its data and its weights at the start, to the last bit on one CPU with one
    number of threads, unless `max_minutes` is set: then schedules follow the clock, which no two runs share.
    """

    optimiser: str | dict = "adamw"
    """`"adamw"`, or with keywords `{kind = "adamw", weight_decay = 0.01}`; `sgd`, `momentum`, `adam`, `adamw`."""
    learning_rate: float = 0.002
    """Size of a step; the schedule multiplies it."""
    embedder_rate: float = 1.0
    """What `learning_rate` is multiplied by for the embedder: below 1 ready word vectors stay closer to what they
    were, above all those of rare words."""
    schedule: str | dict = "constant"
    """`constant`, `staircase`, `exponential`, `inverse-time`, `plateau` or `warmup-cosine`, or a table."""
    clip_norm: float | None = 1.0
    """Largest norm of the whole gradient; a longer one is shortened to it. "none": never."""
    clip_value: float | None = None
    """Largest absolute value of a gradient's entry, clipped before the norm. "none": never."""
    accumulate: int = 1
    """Batches whose gradients are summed for one step; the sum is normalised over all of them."""
    epochs: int = 10
    """Times through the training data, at most."""
    max_minutes: float | None = None
    """Wall time for training and validation together; the schedule then spans this time."""
    fit_budget: bool | None = None
    """Whether widths, layers, batches, dropout and schedule are chosen for `max_minutes`. "none": where a recipe of the
    package would make too few updates of them. A run that was fitted says true."""
    patience: int | None = None
    """Stop after so many validations in a row without a new best. "none": never."""
    average: float | dict = 0.0
    """Decay per step of the running mean of the weights, which is then validated and kept. 0: no mean. Or a plain mean
    that begins when validation stops getting better, `{kind = "triggered", patience = 5}`; see `Triggered`."""
    loss_per: Literal["token", "sequence"] = "token"
    """What the summed loss of a step is divided by: the targets, or the sequences."""
    evaluate_every: float = 1.0
    """Epochs from one validation to the next; a fraction is allowed."""
    log_every: int = 50
    """Steps from one line of metrics.jsonl to the next."""
    record_gradients: int = 0
    """Updates from one record of ‖∂L/∂h_k‖ in the recurrent layers of the core to the next, in gradients.jsonl. 0:
    never."""
    record_spectrum: bool = False
    """Whether each validation also writes the spectra of the recurrent weights, to spectrum.jsonl."""
    seed: int = 0
    """Seed of everything drawn at random."""
    threads: int | None = None
    """Processor threads. "none": as many as torch takes."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1` …"""
    precision: Literal["float32", "bf16", "auto"] = "float32"
    """`bf16`: matrix products in bfloat16; weights and their updates stay in float32. `auto`: where the device
    multiplies bfloat16 by itself, else `float32`; the report says which."""

    def __post_init__(self) -> None:
        for key in ("learning_rate", "embedder_rate", "clip_norm", "clip_value", "max_minutes", "evaluate_every"):
            self._require(key, "a number above 0", lambda value: value > 0)
        for key in ("accumulate", "epochs", "patience", "log_every", "threads"):
            self._require(key, "a whole number from 1", lambda value: value >= 1)
        if self.threads is not None:
            check_threads("training.threads", self.threads)
        if not isinstance(self.average, dict):
            self._require("average", "a decay such as 0.999, 0 ≤ value < 1", lambda value: 0 <= value < 1)
        self._require("record_gradients", "a whole number of updates, or 0 for never", lambda value: value >= 0)
        self._require("learning_rate", "a finite number", math.isfinite)
        self._require("embedder_rate", "a finite number", math.isfinite)
        check_seed(self.seed, "training.seed")
        self.optimiser_part()
        self.schedule_part()
        self.triggered()

    def _require(self, key: str, expected: str, holds: Any) -> None:
        value = getattr(self, key)
        if value is not None and not holds(value):
            raise ConfigError(f"training.{key} = {value!r}, expected {expected}.")

    def triggered(self) -> Triggered | None:
        """When the mean of the weights begins, where that is for validation to say."""
        if not isinstance(self.average, dict):
            return None
        keywords = dict(self.average)
        kind = keywords.pop("kind", None)
        if kind != "triggered":
            raise ConfigError(
                f"training.average.kind = {kind!r}{did_you_mean(str(kind), ['triggered'])} Expected 'triggered'; a "
                "running mean is a number, its decay: average = 0.999."
            )
        return Triggered(**signatures.checked(Triggered, keywords, where="training.average"))

    def optimiser_part(self) -> OptimiserPart:
        """The optimiser's settings as its part."""
        made: OptimiserPart = _construct("optimiser", self.optimiser)
        return made

    def schedule_part(self) -> Schedule:
        """The schedule."""
        made: Schedule = _construct("schedule", self.schedule)
        return made


def _construct(kind: str, settings: str | Mapping[str, Any]) -> Any:
    """A part named by a word, or by a table with its `kind` and keywords."""
    keywords = {"kind": settings} if isinstance(settings, str) else dict(settings)
    if "kind" not in keywords:
        raise ConfigError(f"training.{kind} names no kind. Known: {', '.join(registry.names(kind))}.")
    maker = registry.find(kind, keywords.pop("kind"))
    return maker(**signatures.checked(maker, keywords, where=f"training.{kind}"))
