"""Score a sequence: one number for all of it, such as the mark of an essay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra import registry
from recurra.answers import Answer, Number
from recurra.data.fields import Codecs, place_of
from recurra.errors import ConfigError, DataError, did_you_mean
from recurra.nn.emissions.contract import exact, middle_of
from recurra.nn.matched import MatchedSum
from recurra.nn.ngram_ridge import NgramRidge
from recurra.nn.pooling import Memory, Pooling, has_halves
from recurra.registry import part
from recurra.tasks.classify import Poolings, not_empty
from recurra.tasks.contract import INPUT, Card
from recurra.tasks.number_scores import number_scores
from recurra.tasks.scores import Scores, check_fields
from recurra.types import Batch, Example, Field, Lengths, Output, Sizes

NUMBER = Field(("number",), {"kind": "vectors"}, learned=True)
SCALE = Field(("scale",), {"kind": "label"}, learned=True)
SHARE = 0.8
"""Of the numbers lie in a range, if it is right."""
LONGEST = 5
"""Tokens of an n-gram, at most."""


@dataclass(frozen=True)
class ScoreOptions:
    """What a number for a sequence takes."""

    scale: str | None = None
    """The scale to measure on, of a run that knows several: an essay's prompt. Without it, the number on each."""


@part("task", "score")
class Score(nn.Module):
    """A number of a sequence from its pooled states: z = V pool(h) + c, ŷ = m + s z; L = (z − (y − m) / s)².

    m and s are mean and spread of the training numbers, so that z has no unit. With `by_scale` every scale that
    examples are measured on (the prompts of essays have one each) has its own m, s and row of V above the same core:
    all learn to read together, each number keeps its measure. `loss` "absolute" is |z − …|; an `emission` of numbers
    (gaussian, quantiles) has a loss of its own and gives a range. `with_length` sets ln(1 + steps) beside pool(h), of
    mean 0 and spread 1 in training: a mean over time forgets how long the sequence was. `dropout` zeroes entries of
    pool(h).

    `clip` keeps ŷ between the least and the largest number of training, on its scale; `round` makes it a multiple of
    so much, and the best weights are then those of the largest kappa. `match_spread` stretches z, a scale at a time, to
    the mean and the spread that the truth has on the validation examples: the least squares keep to the middle, but
    kappa is largest where numbers spread as the truth does.

    `ngrams` above 0 sets beside the network a ridge regression on the n-grams of up to so many tokens and the length,
    which is solved before the training. z is the sum of both, each counted as much as the validation examples on
    the scale say; the network learns by itself. See `NgramRidge`, `MatchedSum`.

    Reads the fields "number" [B, 1] and "scale" [B]. Empty sequences, and those on a scale that training never saw, are
    left out of the loss. Source of the mean over time for essays: Taghipour & Ng 2016, A neural approach to automated
    essay scoring.
    """

    baselines = ("ridge",)
    client = "numbers"
    """The module of `recurra.export.clients` that asks its export."""
    unit = "examples"
    causal = False
    card = Card("Score", "A text.", "The quick brown fox", "scorer")
    Options: ClassVar[type] = ScoreOptions

    middle: Tensor
    """m [G]."""
    spread: Tensor
    """s [G]."""
    bounds: Tensor
    """[2, G] the least and the largest number of training."""
    usual: Tensor
    """[2] mean and spread of ln(1 + steps) in training."""

    def __init__(
        self,
        pooling: Poolings = "mean",
        loss: Literal["squared", "absolute"] = "squared",
        emission: dict | None = None,
        by_scale: bool = False,
        with_length: bool = False,
        match_spread: bool = False,
        clip: bool = False,
        round: float | None = None,
        ngrams: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ConfigError(f"task.dropout = {dropout}, expected 0 or more and less than 1.")
        if round is not None and round <= 0:
            raise ConfigError(f'task.round = {round}, expected more than 0, such as 1 or 0.5, or "none".')
        self.pooling, self.loss, self.by_scale, self.with_length = pooling, loss, by_scale, with_length
        if not 0 <= ngrams <= LONGEST:
            raise ConfigError(f"task.ngrams = {ngrams}, expected 0 (none) to {LONGEST} tokens.")
        if ngrams and emission is not None:
            raise ConfigError(
                "task.emission says how numbers are spread around what the network says, but with task.ngrams half of "
                "it is not the network's. Set task.ngrams = 0, or leave the emission away."
            )
        self.match_spread, self.clip, self.round = match_spread, clip, round
        self.ngrams, self.dropout = ngrams, dropout
        self.emission: Any = None
        if emission is not None:
            self.emission = registry.construct("emission", emission, where="task.emission")
            if self.emission.target != "numbers":
                kind = emission["kind"]
                raise ConfigError(f"task.emission.kind = {kind!r}, expected one of numbers: gaussian, quantiles.")

    @property
    def pools(self) -> tuple[str, str]:
        return "pooling", self.pooling

    @property
    def fields(self) -> Mapping[str, Field]:
        counted = {"ngrams": Field((), {"kind": "ngrams", "order": self.ngrams})} if self.ngrams else {}
        return {"input": INPUT, **counted, "number": NUMBER, **({"scale": SCALE} if self.by_scale else {})}

    @property
    def main_metric(self) -> tuple[str, Literal["min", "max"]]:
        if self.round is not None:
            return "kappa", "max"
        return ("mae" if self.loss == "absolute" else "mse"), "min"

    def build(self, sizes: Sizes) -> Self:
        """Make the layer from `sizes.core` units to the number on each scale, `sizes.fields["scale"]` of them."""
        G = sizes.fields["scale"] if self.by_scale else 1
        self.pool = Pooling(self.pooling, sizes.core)
        width = self.pool.output_size + self.with_length
        if self.emission is None:
            self.linear = nn.Linear(width, G)
        else:
            self.emission.build(width, G)
        self.register_buffer("middle", torch.zeros(G))
        self.register_buffer("spread", torch.ones(G))
        self.register_buffer("bounds", torch.zeros(2, G))
        self.register_buffer("usual", torch.tensor([0.0, 1.0]))
        if self.ngrams:
            self.plain = NgramRidge(sizes.fields["ngrams"], G)
        self.together = MatchedSum(2 if self.ngrams else 1, G)
        return self

    def adapt(self, encoded: Sequence[Mapping[str, Any]]) -> None:
        """Take mean, spread and bounds of the training numbers, by scale, and how long the sequences are."""
        numbers, scales = self._learned(encoded)
        for g in range(len(self.middle)):
            own = numbers[scales == g]
            self.middle[g], self.spread[g] = float(own.mean()), _spread(own)
            self.bounds[0, g], self.bounds[1, g] = float(own.min()), float(own.max())
        lengths = np.log1p([len(each["input"]) for each in encoded])
        self.usual[0], self.usual[1] = float(lengths.mean()), _spread(lengths)

    def begin_from(self, encoded: Sequence[Mapping[str, Any]]) -> str:
        """With `ngrams`: solve for what they say of the training numbers."""
        if not self.ngrams:
            return ""
        numbers, scales = self._learned(encoded)
        z = (torch.from_numpy(numbers) - self.middle[scales].cpu()) / self.spread[scales].cpu()
        steps = torch.tensor([len(each["input"]) for each in encoded], dtype=torch.float64)
        chosen = self.plain.start([each["ngrams"] for each in encoded], self._length(steps), z, scales)
        strengths = ", ".join(f"{strength:g}" for strength in dict.fromkeys(chosen))
        return f"N-grams: {self.plain.size:,} of up to {self.ngrams} tokens, ridge regression with λ = {strengths}."

    def _learned(self, encoded: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of encoded examples, and the scale of each."""
        numbers = np.array([float(each["number"][0]) for each in encoded])
        return numbers, np.array([int(each["scale"]) if self.by_scale else 0 for each in encoded])

    def forward(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss of a batch, summed over its sequences, and the core's final state."""
        x, structure = embedder(batch)
        y, state = core(x, structure, state)
        v = self._vector(y, structure, core)
        B, G = len(v), len(self.middle)
        scale = batch.fields["scale"] if self.by_scale else torch.zeros(B, dtype=torch.int64, device=v.device)
        kept = not_empty(batch.structure, B, v.device) & (scale >= 0)
        own = F.one_hot(scale.clamp(min=0), G).bool() & kept[:, None]  # [B, G]
        target = torch.where(own, (batch.fields["number"] - self.middle) / self.spread, torch.nan)
        if self.emission is not None:
            loss = self.emission.loss(v, target)
        else:
            error = torch.where(own, target - exact(self.linear(v)), 0)
            loss = (error.square() if self.loss == "squared" else error.abs()).sum()
        count = int(kept.sum())
        return Output(loss, count, count, state)

    def ask(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> dict[str, Tensor]:
        """ "number" [B, G], that on every scale, and where an emission says them "low" and "high"; where validation
        examples have a say, "network_z" and "ngrams_z", of which it is made."""
        x, structure = embedder(batch)
        y, _ = core(x, structure, None)
        v = self._vector(y, structure, core)
        if not self.ngrams:
            return self._said(v)
        tokens = batch.structure.values
        input_ = batch.fields["input"]
        steps = torch.full((input_.shape[0],), input_.shape[1], device=v.device) if tokens is None else tokens
        counted = batch.fields["ngrams"], batch.fields["ngram_counts"]
        return self._said(v, self.plain(*counted, self._length(steps)))

    def follow(self, embedder: nn.Module, y: Tensor, memory: Memory | None = None) -> tuple[dict[str, Tensor], Memory]:
        """What `ask` says of all that was read up to a step, whose core output is y [B, H]."""
        pooled, held = self.pool.follow(y, memory[:-1] if memory else None)
        steps = (memory[-1] if memory else y.new_zeros(len(y))) + 1
        return self._said(self._beside(pooled, steps)), (*held, steps)

    def _vector(self, y: Tensor, structure: Lengths, core: Any) -> Tensor:
        """What the number is a linear function of, [B, W]."""
        self.pool.both = self.pooling in ("last", "all") and has_halves(core)  # known of the core alone
        lengths = structure.values
        steps = torch.full((y.shape[0],), y.shape[1], device=y.device) if lengths is None else lengths
        return self._beside(self.pool(y, lengths), steps)

    def _beside(self, pooled: Tensor, steps: Tensor) -> Tensor:
        pooled = F.dropout(pooled, self.dropout, self.training)
        if not self.with_length:
            return pooled
        return torch.cat((pooled, self._length(steps)[:, None].to(pooled.dtype)), 1)

    def _length(self, steps: Tensor) -> Tensor:
        """ln(1 + steps) of mean 0 and spread 1 in training."""
        return (steps.to(self.usual).log1p() - self.usual[0]) / self.usual[1]

    def _said(self, v: Tensor, plain: Tensor | None = None) -> dict[str, Tensor]:
        if self.emission is None:
            found = {"number": exact(self.linear(v))}
        else:
            given = self.emission.distribution(v)
            found = {"number": self.emission.sample(given, temperature=0)}
            if (ends := middle_of(self.emission, given, SHARE)) is not None:
                found |= dict(zip(("low", "high"), ends, strict=True))
        if plain is not None:
            opinions = {"network_z": found["number"], "ngrams_z": plain.to(found["number"].dtype)}
        else:
            opinions = {"network_z": found["number"]} if self.match_spread else {}
        if plain is None:
            units = {name: self._in_units(self.together([z])) for name, z in found.items()}
        else:
            units = {"number": self._in_units(self.together([*opinions.values()]))}
        return units | opinions

    def _in_units(self, z: Tensor) -> Tensor:
        """Numbers as files have them, of z [B, G]."""
        number = self.middle + self.spread * z
        return number.maximum(self.bounds[0]).minimum(self.bounds[1]) if self.clip else number

    def calibrate(
        self, asked: Sequence[Mapping[str, Tensor]], examples: Sequence[Sequence[Example]], codecs: Codecs
    ) -> list[Mapping[str, Tensor]]:
        """With `ngrams` and `match_spread`: choose how much each opinion counts, and how numbers are stretched, a scale
        at a time."""
        opinions = [name for name in ("network_z", "ngrams_z") if name in asked[0]]
        if not opinions:
            return list(asked)
        z = torch.stack([torch.cat([each[name] for each in asked]) for name in opinions], 1).cpu()  # [N, K, G]
        every = [example for some in examples for example in some]
        truth = torch.tensor([float(each["number"]) for each in every], dtype=torch.float64)
        names = codecs["scale"].symbols if self.by_scale else [None]
        for g, name in enumerate(names):
            own = [n for n, each in enumerate(every) if name is None or each.get("scale") == name]
            scaled = (truth[own] - float(self.middle[g])) / float(self.spread[g])
            self.together.calibrate(g, z[own, :, g], scaled, self.match_spread)
        return [{**each, "number": self._in_units(self.together([each[name] for name in opinions]))} for each in asked]

    def answers(
        self, asked: Mapping[str, Tensor], examples: Sequence[Example], codecs: Codecs, options: ScoreOptions
    ) -> list[Answer]:
        """The number of each example on its scale; of one whose scale is not told, that on every scale."""
        if options.scale is not None and not self.by_scale:
            raise ConfigError(f"scale = {options.scale!r}, but this run knows no scales (task.by_scale). Leave it out.")
        names = codecs["scale"].symbols if self.by_scale else []
        if options.scale is not None and options.scale not in names:
            known = ", ".join(names)
            raise ConfigError(f"scale = {options.scale!r}{did_you_mean(options.scale, names)} This run knows {known}.")
        rows = {name: asked[name].cpu().tolist() for name in ("number", "low", "high") if name in asked}
        found = []
        for n, example in enumerate(examples):
            scale = example.get("scale", options.scale) if self.by_scale else None
            if scale is not None and scale not in names:
                raise DataError(
                    f"{place_of(example)}: training never saw the scale {scale!r}, expected one of "
                    f"{', '.join(names)}. Name it, or train with examples of it."
                )
            if self.by_scale and scale is None:
                each = (self._number({"number": rows["number"]}, n, g, name) for g, name in enumerate(names))
                found.append(Answer(tuple(each)))
            else:
                found.append(Answer((self._number(rows, n, names.index(scale) if names else 0),)))
        return found

    def _number(self, rows: Mapping[str, list[list[float]]], n: int, g: int, name: str = "number") -> Number:
        """The number of a row on a scale, and its range."""
        low, high = (rows[end][n][g] if end in rows else None for end in ("low", "high"))
        value = rows["number"][n][g]
        return Number(value if self.round is None else round(value / self.round) * self.round, name, "", low, high)

    def followed(
        self,
        symbol: str,
        number: int,
        before: Mapping[str, Tensor] | None,
        now: Mapping[str, Tensor],
        codecs: Codecs,
        top: int,
    ) -> dict[str, Any]:
        """`{"token", "number"}` of all that was read so far, or "numbers" by scale."""
        rows = {"number": now["number"].cpu().tolist()}
        if not self.by_scale:
            return {"token": symbol, "number": self._number(rows, 0, 0).value}
        names = codecs["scale"].symbols
        return {"token": symbol, "numbers": {name: self._number(rows, 0, g).value for g, name in enumerate(names)}}

    def score(
        self, gold: Sequence[Example], predicted: Sequence[Mapping[str, Any]], codecs: Codecs | None = None
    ) -> Scores:
        """ "mse", "mae", "pearson", "spearman", and with `round` "kappa"; of examples with scales each by itself, then
        the mean. Raises DataError for predictions that do not fit."""
        for n, (true, guess) in enumerate(zip(gold, predicted, strict=False), 1):
            check_fields(true, guess, ("number",), n)
        scales = [str(each["scale"]) for each in gold] if gold and all("scale" in each for each in gold) else None
        truth, guesses = ([float(each["number"]) for each in side] for side in (gold, predicted))
        return number_scores(truth, guesses, scales, self.round)


def _spread(numbers: np.ndarray) -> float:
    """The standard deviation; 1 where it is nothing but rounding."""
    spread = float(numbers.std())
    return spread if spread > 1e-9 * max(1.0, float(np.abs(numbers).max())) else 1.0
