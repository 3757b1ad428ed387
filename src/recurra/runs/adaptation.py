"""Scoring a language model that adapts to the text it is scored on: what can be said about how. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from recurra import signatures
from recurra.errors import ConfigError, did_you_mean

Choice = bool | Mapping[str, Any] | None
"""Whether to adapt, or settings by name with which to."""
Point = dict[str, Any]
"""A choice of the numbers that were left open, by name."""


@dataclass(frozen=True)
class Dynamic:
    """Dynamic evaluation (Krause et al. 2018): segments are scored, then learned from; see `recurra.training.dynamic`.

    Numbers left at None are chosen on the run's own validation text. Raises `ConfigError` for a value out of range.
    """

    kind: Literal["rms", "sgd"] = "rms"
    """`rms`: steps are divided by the root mean square of the training's gradients; `sgd`: they are not."""
    learning_rate: float | None = None
    """η, the size of a step."""
    decay: float | None = None
    """λ, how far each step draws the weights back to the trained ones: 0 not at all, 1 altogether."""
    steps: int = 20
    """Symbols in a segment."""

    open: ClassVar[tuple[str, str]] = ("learning_rate", "decay")

    def __post_init__(self) -> None:
        if self.learning_rate is not None and not 0 <= self.learning_rate <= 1000:
            raise ConfigError(f"dynamic.learning_rate = {self.learning_rate}, expected 0 to 1000; 0.002 is usual.")
        if self.decay is not None and not 0 <= self.decay <= 1:
            raise ConfigError(f"dynamic.decay = {self.decay}, expected a share from 0 to 1.")
        if self.steps < 1:
            raise ConfigError(f"dynamic.steps = {self.steps}, expected 1 or more symbols in a segment.")

    @property
    def tried(self) -> dict[str, tuple[float, ...]]:
        """The values each number is chosen from; one where it was said."""
        rates = {"rms": (0.0005, 0.001, 0.002, 0.004), "sgd": (0.1, 0.3, 1.0, 3.0)}[self.kind]
        return _tried(self, {"learning_rate": rates, "decay": (0.001, 0.003, 0.01)})


@dataclass(frozen=True)
class Cache:
    """The neural cache (Grave, Joulin & Usunier 2017): see `recurra.nn.neural_cache`.

    Numbers left at None are chosen on the run's own validation text. Raises `ConfigError` for a value out of range.
    """

    size: int = 2000
    """Symbols it holds, the latest."""
    theta: float | None = None
    """θ, how sharply like states are preferred: 0 counts how often a symbol came."""
    weight: float | None = None
    """λ, the cache's share of the probability."""

    open: ClassVar[tuple[str, str]] = ("theta", "weight")

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ConfigError(f"cache.size = {self.size}, expected 1 or more symbols.")
        if self.theta is not None and not 0 <= self.theta < float("inf"):
            raise ConfigError(f"cache.theta = {self.theta}, expected 0 or more.")
        if self.weight is not None and not 0 <= self.weight < 1:
            raise ConfigError(f"cache.weight = {self.weight}, expected a share from 0 to below 1.")

    @property
    def tried(self) -> dict[str, tuple[float, ...]]:
        """The values each number is chosen from; one where it was said."""
        grid = {"theta": (0.1, 0.2, 0.3, 0.5, 0.7, 1.0), "weight": (0.02, 0.05, 0.1, 0.15, 0.2, 0.3)}
        return _tried(self, grid)


def _tried(settings: Any, grid: Mapping[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
    said = {name: getattr(settings, name) for name in settings.open}
    return {name: grid[name] if value is None else (value,) for name, value in said.items()}


@dataclass(frozen=True)
class Adaptation:
    """How a text is scored beside the model as it is."""

    dynamic: Dynamic | None = None
    cache: Cache | None = None

    def __bool__(self) -> bool:
        return self.dynamic is not None or self.cache is not None

    @property
    def left_open(self) -> bool:
        """Whether any number is still to be chosen."""
        ways = [way for way in (self.dynamic, self.cache) if way is not None]
        return any(len(values) > 1 for way in ways for values in way.tried.values())


WAYS: dict[str, Any] = {"dynamic": Dynamic, "cache": Cache}
"""By the option that asks for it."""
SECTIONS = ("reader", "search", *WAYS)
"""What can be set of a finished run."""


def make_adaptation(dynamic: Choice = None, cache: Choice = None) -> Adaptation:
    """What a caller chose. Raises `ConfigError` for an unknown setting too."""
    choices = {"dynamic": dynamic, "cache": cache}
    return Adaptation(**{name: _made(name, choice) for name, choice in choices.items()})


def _made(name: str, choice: Choice) -> Any:
    if choice is None or choice is False:
        return None
    return WAYS[name](**signatures.checked(WAYS[name], {} if choice is True else choice, where=name))


def not_for(run: str) -> str:
    """The sentence about a run that is asked to adapt and cannot."""
    return (
        f"dynamic evaluation and the neural cache are for language models, which predict the next symbol; {run} is "
        "none. Leave --dynamic and --cache out."
    )


def taken_out(settings: Mapping[str, Any], chosen: Mapping[str, bool]) -> tuple[dict[str, Any], dict[str, Choice]]:
    """Settings by dotted name parted: those that are no adaptation's, and the choices of those that are `chosen`.

    Raises `ConfigError` for an adaptation's settings that are wrong or are not asked for, and for a section's name that
    is nearly right.
    """
    rest: dict[str, Any] = {}
    own: dict[str, dict[str, Any]] = {name: {} for name in WAYS}
    for whole, value in settings.items():
        section, _, key = whole.partition(".")
        if section in WAYS:
            if not chosen[section]:
                raise ConfigError(f"{whole} says how a score adapts. Ask for it, --{section}, or leave it out.")
            own[section][key] = value
        elif section not in SECTIONS and (meant := did_you_mean(section, WAYS)) != ".":
            raise ConfigError(f"unknown section {section!r}{meant} Known: {', '.join(SECTIONS)}.")
        else:
            rest[whole] = value
    choices: dict[str, Choice] = {name: own[name] if chosen[name] else None for name in WAYS}
    make_adaptation(**choices)
    return rest, choices
