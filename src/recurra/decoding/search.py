"""How a run finds what to write for a source: the `[search]` section of its recipe. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from recurra import signatures
from recurra.config import check_seed
from recurra.errors import ConfigError

DRAWS = ("temperature", "top_k", "top_p", "seed")
LENGTHENING, MORE = 3, 10
"""A target may have so many symbols for each of its source's, and so many more: German takes about one for a symbol of
English, a spelt-out letter up to seven phonemes."""
SEEKS = ("beam", "n_best", "top", "length_penalty", "no_repeat")


@dataclass(frozen=True)
class Search:
    """Beam search; where a `temperature`, `top_k`, `top_p` or `seed` is said, the target is drawn at random instead.

    Raises `ConfigError` for a value out of range, and for a beam and a drawing at once.
    """

    of_recipes: ClassVar[tuple[str, ...]] = ("valid",)
    """Settings of a recipe that nobody is to change in a question."""
    beam: int = 5
    """Hypotheses kept beside each other; 1 takes the likeliest symbol always."""
    n_best: int = 1
    """Hypotheses given for a source, the best first."""
    top: int | None = None
    """So many of the likeliest to give with their log-probabilities, as `n_best`, by a beam of as many at least."""
    length_penalty: float = 0.6
    """α of score = log p / ((5 + n) / 6)^α for n symbols: 0 prefers short targets, more prefers longer ones."""
    no_repeat: int = 0
    """No run of so many symbols stands in a target twice; 0: nothing is ruled out."""
    temperature: float | None = None
    """Below 1 the likely becomes likelier; 0 takes the likeliest symbol always."""
    top_k: int | None = None
    """Draw among the so many likeliest symbols only."""
    top_p: float | None = None
    """Draw among the likeliest symbols that together have this probability."""
    seed: int | None = None
    """The same seed draws the same; 0 where something else says that targets are drawn."""
    form: bool = False
    """Write poems in exactly the form asked for: no symbol is taken that breaks it."""
    longest: int | None = None
    """Symbols of a target, at most; "none": three times as many as its source has, and ten more."""
    valid: int = 2000
    """Sources written for in each validation, at most: evenly spaced among them, by greedy search."""
    n: int = 1
    """How often to write for each input: drawn at random, each time is another."""
    alignment: bool = False
    """Say which part of the input each part of what is written comes from."""
    attention: bool = False
    """Say how much each symbol of the best looks at each of the input."""

    def __post_init__(self) -> None:
        least_of = {**dict.fromkeys(("beam", "n_best", "top", "top_k", "longest", "valid", "n"), 1), "no_repeat": 0}
        for key, least in least_of.items():
            value = getattr(self, key)
            if value is not None and value < least:
                raise ConfigError(f"search.{key} = {value}, expected {least} or more.")
        if self.seed is not None:
            check_seed(self.seed, "search.seed")
        if not 0 <= self.length_penalty <= 10:
            raise ConfigError(f"search.length_penalty = {self.length_penalty}, expected 0 (none) to 10; 0.6 is usual.")
        if self.temperature is not None and not 0 <= self.temperature < math.inf:
            raise ConfigError(
                f"search.temperature = {self.temperature}, expected 0 (always the likeliest symbol) or more."
            )
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ConfigError(f"search.top_p = {self.top_p}, expected a share above 0 and up to 1.")
        if self.draws and self.n_best > 1:
            raise ConfigError(
                f"search.n_best = {self.n_best} is for a beam, but the targets are drawn at random. Leave n_best away, "
                "or temperature, top_k, top_p and seed."
            )
        if not self.draws and self.n_best > self.beam:
            raise ConfigError(
                f"search.n_best = {self.n_best} of a beam of {self.beam}, expected {self.beam} at most. Widen the "
                f"beam: search.beam = {self.n_best}."
            )

    @property
    def draws(self) -> bool:
        """Whether targets are drawn at random."""
        return any(getattr(self, name) is not None for name in DRAWS)

    @property
    def words(self) -> str:
        """In words, for the line above a score."""
        formed = ", form kept" if self.form else ""
        if self.draws:
            chosen = (("temperature", self.temperature), ("top k", self.top_k), ("top p", self.top_p))
            named = [f"{name} {value:g}" for name, value in chosen if value is not None]
            return ", ".join(["drawn at random", *named, f"seed {self.seed or 0}"]) + formed
        if self.beam == 1:
            return "greedy" + formed
        ruled_out = f", no {self.no_repeat} symbols twice" if self.no_repeat else ""
        return f"beam {self.beam}, length penalty {self.length_penalty:g}{ruled_out}{formed}"

    @property
    def quick(self) -> Search:
        """How targets are found in a validation: it is to say which weights are better, not how good they are."""
        return Search(beam=1, valid=self.valid)

    @classmethod
    def combined(cls, recipe: Mapping[str, Any], given: Mapping[str, Any]) -> Search:
        """The search of a `[search]` section with what a caller says in the place of its own; who draws wants no beam.

        Raises `ConfigError` where both is said, and for an unknown key.
        """
        drawing, seeking = ([name for name in names if given.get(name) is not None] for names in (DRAWS, SEEKS))
        if drawing and seeking:
            raise ConfigError(
                f"search.{seeking[0]} is for a beam, search.{drawing[0]} draws targets at random. Leave one of them "
                "out."
            )
        dropped = SEEKS if drawing else DRAWS if seeking else ()
        kept = {name: value for name, value in recipe.items() if name not in dropped}
        top = signatures.checked(cls, {"top": given["top"]}, where="search")["top"] if given.get("top") else None
        if top is not None and top >= 1:
            if "n_best" in given:
                raise ConfigError("search.top and search.n_best say the same: how many hypotheses. Leave one away.")
            beam = max(top, int(given.get("beam", kept.get("beam", cls.beam))))
            given = {**given, "n_best": top, "beam": beam}
        return cls(**signatures.checked(cls, {**kept, **given}, where="search"))


def cut_at(search: Search) -> str:
    """Where a target that does not end is cut, in words."""
    if search.longest is not None:
        return f"after {search.longest:,} symbol{'' if search.longest == 1 else 's'}"
    return f"{LENGTHENING} times as long as the source and {MORE} symbols more"


def cut_notes(cut: int, targets: int, search: Search) -> list[str]:
    """A sentence about targets that were cut off, where there are any."""
    what = f"{cut:,} of {targets:,} target{'' if targets == 1 else 's'}"
    return [f"{what} cut off without an end, {cut_at(search)}."] if cut else []


def longest_of(search: Search, source: Any) -> Any:
    """The most symbols of a target for a source of so many, or for each of several."""
    return search.longest or LENGTHENING * source + MORE
