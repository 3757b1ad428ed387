"""Small distortions of pictures, drawn anew each time in training, so that no picture comes twice."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.errors import ConfigError
from recurra.signatures import group

COARSE = 8
"""Pixels between two points of the grid that moves pixels one by one."""


@group
@dataclass(frozen=True)
class Distortions:
    """How far pictures may be changed; 0 leaves out. Every picture of a batch draws its own, from torch's generator."""

    shift: float = 0.0
    """It moves by up to this share of its height, along and across."""
    shrink: float = 0.0
    """It shrinks along and across by up to this share each, and lies anywhere in the room that leaves."""
    rotation: float = 0.0
    """It turns by up to so many degrees either way."""
    slant: float = 0.0
    """Its upright strokes lean by up to this share of their height either way."""
    elastic: float = 0.0
    """Its parts move by about this share of its height, each with its neighbours."""
    stroke: float = 0.0
    """Its strokes grow or shrink by up to this share of a pixel on each side."""
    blur: float = 0.0
    """Up to this share of it is the mean of the pixels around."""
    shade: float = 0.0
    """Beyond each of two straight edges across it everything is lighter or darker by up to this, where ink is 1."""
    invert: float = 0.0
    """So large a share of pictures has ink for ground and ground for ink."""
    noise: float = 0.0
    """The spread of what is added to each pixel, where ink is 1."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value, most = getattr(self, each.name), 45 if each.name == "rotation" else 1
            if not 0 <= value <= most or (each.name == "shrink" and value == 1):
                less = "less than " if each.name == "shrink" else ""
                raise ConfigError(f"embedder.{each.name} = {value}, expected 0 to {less}{most}.")

    def applied(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Pictures [B, T, H], T columns of which `lengths` [B] are there, distorted; the others are to be zeroed."""
        B, T, _ = x.shape
        widths = x.new_full((B,), T) if lengths is None else lengths.to(x)
        if self.shift or self.shrink or self.rotation or self.slant or self.elastic:
            x = self._moved(x, widths)
        if self.stroke:
            x = self._thicker(x)
        if self.blur:
            share = self.blur * torch.rand(B, 1, 1, dtype=x.dtype, device=x.device)
            x = torch.lerp(x, F.avg_pool2d(x[:, None], 3, 1, 1)[:, 0], share)
        if self.shade:
            x = x + self._shades(x, widths) + self._shades(x, widths)
        if self.invert:
            inverted = torch.rand(B, 1, 1, dtype=x.dtype, device=x.device) < self.invert
            x = torch.where(inverted, 1 - x, x)
        return x + self.noise * torch.randn_like(x) if self.noise else x

    def _moved(self, x: Tensor, widths: Tensor) -> Tensor:
        """Each pixel taken from where it lay before."""
        B, T, H = x.shape
        room = torch.stack((widths, x.new_full((B,), H)), 1)  # [B, 2]: along and across
        size = 1 - self.shrink * _drawn(x, B, 2).abs()
        angle, slant = math.radians(self.rotation) * _drawn(x, B), self.slant * _drawn(x, B)
        shift = self.shift * H * _drawn(x, B, 2) + 0.5 * (1 - size) * room * _drawn(x, B, 2)
        along = torch.arange(T, dtype=x.dtype, device=x.device)[None, :, None] - (widths[:, None, None] - 1) / 2
        across = torch.arange(H, dtype=x.dtype, device=x.device)[None, None] - (H - 1) / 2
        along, across = along - shift[:, 0, None, None], across - shift[:, 1, None, None]  # [B, T, 1], [B, 1, H]
        cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
        a = (cos * along + sin * across) / size[:, 0, None, None]
        b = (cos * across - sin * along) / size[:, 1, None, None]
        a = a + slant[:, None, None] * b
        if self.elastic:
            coarse = torch.randn(B, 2, T // COARSE + 2, H // COARSE + 2, dtype=x.dtype, device=x.device)
            moves = F.interpolate(coarse, (T, H), mode="bilinear", align_corners=True) * (self.elastic * H)
            a, b = a + moves[:, 0], b + moves[:, 1]
        last = (widths[:, None, None] - 1).clamp(min=0)
        a = (a + last / 2).clamp(min=0).minimum(last)  # beyond its edges a picture goes on as it ends there
        b = (b + (H - 1) / 2).clamp(0, H - 1)
        grid = torch.stack((2 * b / max(1, H - 1) - 1, 2 * a / max(1, T - 1) - 1), 3)  # [B, T, H, 2]
        return F.grid_sample(x[:, None], grid, mode="bilinear", align_corners=True)[:, 0]

    def _shades(self, x: Tensor, widths: Tensor) -> Tensor:
        """What is added on one side of an edge that goes through a point of each picture in any direction."""
        B, T, H = x.shape
        angle = (math.pi * _drawn(x, B))[:, None, None]
        along = torch.arange(T, dtype=x.dtype, device=x.device)[None, :, None]
        across = torch.arange(H, dtype=x.dtype, device=x.device)[None, None]
        point = torch.rand(B, 2, dtype=x.dtype, device=x.device) * torch.stack((widths, x.new_full((B,), H)), 1)
        beyond = angle.cos() * (along - point[:, :1, None]) + angle.sin() * (across - point[:, 1:, None]) > 0
        return self.shade * _drawn(x, B)[:, None, None] * beyond

    def _thicker(self, x: Tensor) -> Tensor:
        share = self.stroke * _drawn(x, len(x))[:, None, None]
        grown, shrunk = (_of_neighbours(_of_neighbours(x, 1, of), 2, of) for of in (torch.maximum, torch.minimum))
        return x + share.clamp(min=0) * (grown - x) + (-share).clamp(min=0) * (shrunk - x)


def _drawn(like: Tensor, *shape: int) -> Tensor:
    """Numbers between −1 and 1."""
    return torch.rand(shape, dtype=like.dtype, device=like.device) * 2 - 1


def _of_neighbours(x: Tensor, dim: int, of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """`of` each entry and those before and behind it, along a dimension. One dimension after the other it is the
    largest of 3 × 3 pixels, which torch's pooling takes several times as long for."""
    n = x.shape[dim]
    if n < 2:
        return x
    pairs = of(x.narrow(dim, 0, n - 1), x.narrow(dim, 1, n - 1))
    inner = of(pairs.narrow(dim, 0, n - 2), pairs.narrow(dim, 1, n - 2))
    return torch.cat((pairs.narrow(dim, 0, 1), inner, pairs.narrow(dim, n - 2, 1)), dim)
