"""What training changes in spectra, so that no recording comes twice: bands and stretches left out, other voices."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.errors import ConfigError
from recurra.signatures import group


@group
@dataclass(frozen=True)
class Spectral:
    """Changes of sequences whose steps are spectra [W], drawn anew for each sequence of a batch.

    Raises ConfigError for a number out of range.
    """

    bands: int = 0
    """Numbers of a step that are one spectrum, side by side; the others beside them, such as deltas, are changed alike.
    0: all of them."""
    stretch: float = 0.0
    """The frequency axis is multiplied by exp(stretch · N(0, 1)), between bands on a straight line: another length of
    the vocal tract (Jaitly & Hinton 2013)."""
    frequency_masks: int = 0
    """How often bands that lie side by side are set to 0, their mean."""
    frequency_width: int = 8
    """So many bands at most, drawn evenly from 0 on."""
    time_masks: int = 0
    """How often steps that follow each other are set to 0."""
    time_width: float = 0.1
    """Such a share of all steps at most (Park et al. 2019, SpecAugment)."""

    def __post_init__(self) -> None:
        for name in ("bands", "stretch", "frequency_masks", "frequency_width", "time_masks"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"embedder.{name} = {getattr(self, name)}, expected 0 or more.")
        if not 0 <= self.time_width <= 1:
            raise ConfigError(f"embedder.time_width = {self.time_width}, expected a share of 0 to 1.")

    def check(self, width: int) -> None:
        """Raise ConfigError for bands that do not make up a step of so many numbers."""
        if self.bands and width % self.bands:
            raise ConfigError(
                f"embedder.bands = {self.bands}, but a step has {width} numbers, expected a multiple of the bands: "
                "with deltas two or three times as many."
            )

    def changed(self, given: Tensor, lengths: Tensor | None) -> Tensor:
        """[T, B, W] with what is drawn; what is behind the `lengths` [B] stays."""
        if not (self.stretch or self.frequency_masks or self.time_masks) or not given.numel():
            return given
        T, B, W = given.shape
        bands = self.bands or W
        x = given.reshape(T, B, W // bands, bands)
        if self.stretch:
            x = _stretched(x, self.stretch)
        places = torch.arange(bands, device=x.device)
        for _ in range(self.frequency_masks):
            wide = torch.rand(B, 1, device=x.device) * (min(self.frequency_width, bands) + 1)
            x = x * ~_within(places, wide.floor(), bands)[:, None]  # [B, 1, bands]
        steps = torch.arange(T, device=x.device)
        ends = torch.full((B, 1), T, device=x.device) if lengths is None else lengths[:, None]
        for _ in range(self.time_masks):
            wide = torch.rand(B, 1, device=x.device) * self.time_width * ends
            x = x * ~_within(steps, wide.floor(), ends).t()[:, :, None, None]  # [T, B, 1, 1]
        return x.reshape(T, B, W)


def _within(places: Tensor, wide: Tensor, ends: Tensor | int) -> Tensor:
    """Which places [N] are in a stretch `wide` [B, 1] that lies anywhere before `ends`: [B, N]."""
    begin = (torch.rand_like(wide) * (ends - wide + 1)).floor()
    return (places >= begin) & (places < begin + wide)


def _stretched(x: Tensor, stretch: float) -> Tensor:
    """[T, B, G, bands], each sequence's bands by a factor of its own."""
    B, bands = x.shape[1], x.shape[3]
    factor = (stretch * torch.randn(B, 1, dtype=x.dtype, device=x.device)).exp()
    place = (torch.arange(bands, dtype=x.dtype, device=x.device) * factor).clamp(max=bands - 1)  # [B, bands]
    low = place.long()
    high = (low + 1).clamp(max=bands - 1)
    low, high, part = (each[None, :, None].expand(x.shape) for each in (low, high, place - low))
    return torch.lerp(x.gather(3, low), x.gather(3, high), part)
