"""Pictures as somebody else might have taken them, drawn anew each time in training."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.errors import ConfigError
from recurra.signatures import group

QUARTER = math.pi / 2


@group
@dataclass(frozen=True)
class Views:
    """How pictures may be changed; 0 and false leave out. Every picture draws its own, from torch's generator."""

    mirror: bool = False
    """Half of them are seen in a mirror, left and right changed."""
    turn: bool = False
    """They are turned by 0, 90, 180 or 270 degrees: for pictures without an up."""
    tilt: float = 0.0
    """They are turned by up to so many degrees more, either way."""
    shift: float = 0.0
    """They are moved by up to this share of their side, along and across."""
    zoom: float = 0.0
    """Up to this share of their side is cut off, and the rest fills the square."""
    light: float = 0.0
    """All pixels, and their contrast, change by up to this share, either way."""

    def __post_init__(self) -> None:
        for name, most in (("tilt", 45), ("shift", 0.5), ("zoom", 0.9), ("light", 1)):
            if not 0 <= (value := getattr(self, name)) <= most:
                raise ConfigError(f"embedder.{name} = {value}, expected 0 to {most}.")

    def applied(self, x: Tensor) -> Tensor:
        """Pictures [B, C, H, W] with numbers from −1 to 1, each changed; beyond its edges a picture is mirrored."""
        if self.mirror or self.turn or self.tilt or self.shift or self.zoom:
            x = F.grid_sample(x, self._places(x), mode="bilinear", padding_mode="reflection", align_corners=False)
        if self.light:
            contrast, level = (self.light * _drawn(x, len(x))[:, None, None, None] for _ in range(2))
            x = x * (1 + contrast) + level
        return x

    def _places(self, x: Tensor) -> Tensor:
        """Where each pixel is taken from, [B, H, W, 2]: an affine map of each picture."""
        B = len(x)
        quarters = torch.randint(4, (B,), device=x.device).to(x) if self.turn else x.new_zeros(B)
        angle = QUARTER * quarters + math.radians(self.tilt) * _drawn(x, B)
        cos, sin = angle.cos(), angle.sin()
        size = 1 - self.zoom * torch.rand(B, dtype=x.dtype, device=x.device)
        side = x.new_ones(B)
        if self.mirror:
            side = 1 - 2 * torch.randint(2, (B,), device=x.device).to(x)
        room = 1 - size  # what is cut off lies on any side
        move = 2 * self.shift * _drawn(x, B, 2) + room[:, None] * _drawn(x, B, 2)
        rows = (size * side * cos, -size * sin, move[:, 0], size * side * sin, size * cos, move[:, 1])
        return F.affine_grid(torch.stack(rows, 1).view(B, 2, 3), list(x.shape), align_corners=False).to(x)


def _drawn(like: Tensor, *shape: int) -> Tensor:
    """Numbers between −1 and 1."""
    return torch.rand(shape, dtype=like.dtype, device=like.device) * 2 - 1
