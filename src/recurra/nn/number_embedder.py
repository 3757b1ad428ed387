"""Vectors of numbers as the core's input."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Self

import torch
from torch import Tensor, nn

from recurra.errors import ConfigError
from recurra.limits import check_size
from recurra.nn.dropout import dropout
from recurra.nn.gaps import gaps_of
from recurra.nn.spectral import Spectral
from recurra.registry import part
from recurra.types import GAPS, Batch, Field, Gaps, Lengths, Sizes

KNOTS = 6
"""Places of a sequence at which a speed is drawn."""


@part("embedder", "numbers")
class NumberEmbedder(nn.Module):
    """x_t = W v_t + b of a vector of numbers v_t at each step; without a `size` v_t as it is.

    Reads the field "input" [B, T, W], as a codec of numbers gives it; gives [B, T, D], time first in memory. `dropout`
    zeroes single entries of x. In training, so that no sequence comes twice, v_t · (1 + `scaling` · s) + `shift` · o +
    `noise` · n_t stands in the place of v_t: s and o drawn for each number of each sequence, n_t for each step besides,
    all from N(0, 1), in the unit that the codec gives the numbers (of "scaled" their spread). With `warp` each sequence
    is gone through at a speed that changes, exp(`warp` · N(0, 1)) at `KNOTS` places with straight lines between them,
    from its first step to its last in as many steps; what lies between two steps is on the line between them.
    Of spectra it changes what `Spectral` says.
    With `steps` every sequence, however long, is read at so many places, evenly from its first step to its last, and
    what lies between two of its steps is on the line between them; then the core has so many steps.
    Where the reader says what was seen (fields "dt", "seen", "since"), and `gaps` does not leave it out, v_t goes on as
    it is with all three beside it, for a core whose cell reads them; with a `size` the layer reads v_t and seen_t side
    by side, and dt goes on beside x_t.
    With `apart` every variable of a series is a sequence of its own, of the same weights: a batch of B series of W
    variables becomes one of B · W, those of a series side by side, whose v_t is one number; x is [B · W, T, D].
    Raises ConfigError for a share or size out of range, `build` for an input of symbols.
    Source: Um et al. 2017, Data augmentation of wearable sensor data, for all four.
    """

    linear: nn.Linear | None
    like: Tensor
    """Of the type that weights have: a model in float64 reads numbers in float64."""

    def __init__(
        self,
        size: int | None = None,
        dropout: float = 0.0,
        noise: float = 0.0,
        shift: float = 0.0,
        scaling: float = 0.0,
        warp: float = 0.0,
        gaps: bool = True,
        apart: bool = False,
        steps: int | None = None,
        spectral: Spectral = Spectral(),  # noqa: B008
    ) -> None:
        super().__init__()
        if steps is not None:
            check_size("embedder.steps", steps)
            if steps < 2:
                raise ConfigError(f'embedder.steps = {steps}, expected 2 or more, or "none" for those of the sequence.')
        if size is not None:
            check_size("embedder.size", size)
        if size is not None and size < 1:
            raise ConfigError(f'embedder.size = {size}, expected 1 or more, or "none" for the numbers as they are.')
        if not 0 <= dropout < 1:
            raise ConfigError(f"embedder.dropout = {dropout}, expected 0 or more and less than 1.")
        for name, spread in (("noise", noise), ("shift", shift), ("scaling", scaling), ("warp", warp)):
            if not 0 <= spread < math.inf:
                raise ConfigError(f"embedder.{name} = {spread}, expected a spread of 0 or more.")
        self.size, self.dropout = size, dropout
        self.noise, self.shift, self.scaling, self.warp = noise, shift, scaling, warp
        self.gaps, self.apart, self.steps, self.spectral = gaps, apart, steps, spectral
        self.register_buffer("like", torch.empty(0), persistent=False)

    @property
    def changes_time(self) -> bool:
        """Whether the core reads other sequences than those of the input."""
        return self.apart or self.steps is not None

    @property
    def fields(self) -> Mapping[str, Field]:
        """What batches may hold for it beside the input."""
        return GAPS if self.gaps else {}

    @property
    def output_size(self) -> int:
        return self.width if self.size is None else self.size

    def build(self, sizes: Sizes) -> Self:
        """Make the layer for vectors of `sizes.width` numbers."""
        if not sizes.width:
            raise ConfigError(
                "embedder.kind = 'numbers' reads numbers, but the input is symbols. Set embedder.kind = 'symbols', or "
                "name a reader of numbers."
            )
        self.spectral.check(sizes.width)
        self.width, self.masked = 1 if self.apart else sizes.width, self.gaps and "seen" in sizes.fields
        for name, moves, none in (("warp", self.warp, "0"), ("steps", self.steps, '"none"')):
            if self.masked and moves:
                raise ConfigError(
                    f"embedder.{name} = {moves} moves values to other steps, of which nobody says what was seen. Set "
                    f"it to {none}, or embedder.gaps = false."
                )
        self.linear = None if self.size is None else nn.Linear(self.width * (1 + self.masked), self.size)
        return self

    def forward(self, batch: Batch) -> tuple[Tensor, Lengths]:
        given = batch.fields["input"].transpose(0, 1)  # [T, B, W]
        given = given.to(self.like.dtype)
        if self.training:
            given = self._changed(given, batch.structure)
        structure, gaps = batch.structure, None
        if self.steps is not None:
            given, structure = _at_steps(given, structure, self.steps)
        if self.masked:
            gaps = gaps_of(batch, self.like)
        if self.apart:
            W = given.shape[2]
            given = given.flatten(1)[..., None]  # [T, B · W, 1]
            lengths = structure.values
            structure = replace(structure, values=None if lengths is None else lengths.repeat_interleave(W))
            gaps = None if gaps is None else _apart(gaps, W)
        if gaps is not None:
            structure = replace(structure, gaps=gaps if self.linear is None else Gaps(gaps.dt))
        if self.linear is None:
            x = given
        else:
            if gaps is not None and gaps.seen is not None:
                given = torch.cat((given, gaps.seen.transpose(0, 1)), 2)
            x = self.linear(given)
        return dropout(x, self.dropout, self.training).transpose(0, 1), structure

    def _changed(self, given: Tensor, structure: Lengths) -> Tensor:
        """[T, B, W] with what training adds."""
        if self.warp and len(given):
            given = _warped(given, structure, self.warp)
        given = self.spectral.changed(given, structure.values)
        if self.scaling:
            given = given * (1 + self.scaling * torch.randn_like(given[:1]))
        if self.shift:
            given = given + self.shift * torch.randn_like(given[:1])
        return given + self.noise * torch.randn_like(given) if self.noise else given


def _at_steps(given: Tensor, structure: Lengths, steps: int) -> tuple[Tensor, Lengths]:
    """[T, B, W] at so many places of each sequence, [steps, B, W]; of empty ones zeros, still of no length."""
    T, B, W = given.shape
    n = given.new_full((B,), T) if structure.values is None else structure.values.to(given)
    share = torch.linspace(0, 1, steps, dtype=given.dtype, device=given.device)[:, None]
    place = share * (n - 1).clamp(min=0)  # [steps, B]
    before = place.long()
    rows, ends = torch.arange(B, device=given.device), (n - 1).clamp(min=0).long()
    padded = torch.cat((given, given.new_zeros(1, B, W)))  # there is a step at least
    read = torch.lerp(padded[before, rows], padded[torch.minimum(before + 1, ends), rows], (place - before)[:, :, None])
    lengths = None if structure.values is None and T else (n > 0).long() * steps
    return read, replace(structure, values=lengths)


def _apart(gaps: Gaps, W: int) -> Gaps:
    """The gaps of B series of W variables as those of B · W series of one."""
    seen, since = (each if each is None else each.mT.flatten(0, 1)[..., None] for each in (gaps.seen, gaps.since))
    return Gaps(gaps.dt.repeat_interleave(W, 0), seen, since)


def _warped(given: Tensor, structure: Lengths, warp: float) -> Tensor:
    """[T, B, W], each sequence at a changing speed; padding stays what it is."""
    T, B, _ = given.shape
    last = (given.new_full((B,), T) if structure.values is None else structure.values.to(given)).sub(1).clamp(min=0)
    steps = torch.arange(T, dtype=given.dtype, device=given.device)[:, None]  # [T, 1]
    share = (steps / last.clamp(min=1)).clamp(max=1)  # [T, B] of each sequence
    speeds = (warp * torch.randn(KNOTS, B, dtype=given.dtype, device=given.device)).exp()
    at = share * (KNOTS - 1)
    knot = at.long().clamp(max=KNOTS - 2)
    low, high = speeds.gather(0, knot), speeds.gather(0, knot + 1)
    gone = (low + (high - low) * (at - knot)).cumsum(0)
    gone = gone - gone[:1]
    end = gone.gather(0, last.long()[None])  # where the last step is
    place = torch.where(steps <= last, gone / end.clamp(min=1e-9) * last, steps)
    before = place.long().clamp(max=T - 1)
    after = (before + 1).clamp(max=T - 1)
    part = (place - before)[:, :, None]
    rows = torch.arange(B, device=given.device)
    return torch.lerp(given[before, rows], given[after, rows], part)
