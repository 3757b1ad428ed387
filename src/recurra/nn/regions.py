"""A convolutional net over a picture whose regions are the steps."""

from __future__ import annotations

from typing import Literal, Self

import torch
from torch import Tensor, nn

from recurra.data.squares import COLOURS
from recurra.errors import ConfigError
from recurra.nn.dropout import dropout
from recurra.nn.pictures import blocks, check_net
from recurra.nn.views import Views
from recurra.registry import part
from recurra.types import Batch, Lengths, Sizes


@part("embedder", "regions")
class RegionEmbedder(nn.Module):
    """x_k = W v_k + b, v_k [channels] what a net of convolutions makes of the k-th region of a picture, row by row from
    the top left.

    Each `patch` × `patch` pixels become one place first, all their colours beside each other. The net is a block for
    each number in `channels`: `depth` convolutions of 3 × 3, each normed and rectified, from the second on added to
    what they read; then, but for the last block, the largest of each 2 × 2 places. So a region is `region_pixels` =
    patch · 2^(blocks − 1) pixels high and wide. `norm` "picture" norms all places and channels of a picture together.
    `dropout` zeroes entries of x. `views` are drawn in training.

    Reads the field "input" [B, side, 3 · side], colours 0 to 255; gives [B, (side / region_pixels)², D], time first in
    memory.
    Raises ConfigError for a size or a share out of range, `build` for an input of symbols and for a side that has no
    whole number of regions.
    Source: Xu et al. 2015, Show, attend and tell, section 3.1.1, with a net of its own.
    """

    like: Tensor
    """Of the type that weights have: a model in float64 reads numbers in float64."""

    def __init__(
        self,
        channels: tuple[int, ...] = (32, 64, 128, 192),
        depth: int = 2,
        patch: Literal[1, 2, 4] = 2,
        size: int = 256,
        norm: Literal["picture", "none"] = "picture",
        dropout: float = 0.0,
        views: Views = Views(),
    ) -> None:
        super().__init__()
        check_net(channels, depth, size, dropout)
        if not channels:
            raise ConfigError("embedder.channels = [], expected a number for each block, one at least.")
        self.channels, self.depth, self.patch, self.size = channels, depth, patch, size
        self.norm, self.dropout, self.views = norm, dropout, views
        self.register_buffer("like", torch.empty(0), persistent=False)

    @property
    def region_pixels(self) -> int:
        """How high and wide a region is; known before `build`."""
        return self.patch << (len(self.channels) - 1)

    @property
    def changes_time(self) -> bool:
        """The core reads regions, not rows."""
        return True

    @property
    def output_size(self) -> int:
        return self.size

    def build(self, sizes: Sizes) -> Self:
        """Make the layers for pictures whose rows are `sizes.width` numbers."""
        side, rest = divmod(sizes.width, COLOURS)
        if not sizes.width or rest:
            raise ConfigError(
                "embedder.kind = 'regions' reads coloured pictures, but the input is "
                f"{f'{sizes.width} numbers a step' if sizes.width else 'symbols'}. Name a reader of pictures and "
                "input.kind = 'picture', or another embedder.kind."
            )
        if side % self.region_pixels:
            raise ConfigError(
                f"the regions of embedder.channels and embedder.patch are {self.region_pixels} pixels wide, but "
                f"input.side = {side} is no multiple of that. Set input.side = {side - side % -self.region_pixels}, or "
                "name fewer channels."
            )
        self.blocks = blocks(COLOURS * self.patch**2, self.channels, self.depth, self.norm)
        self.linear = nn.Linear(self.channels[-1], self.size)
        return self

    def forward(self, batch: Batch) -> tuple[Tensor, Lengths]:
        rows = batch.fields["input"]
        B, H, _ = rows.shape
        x = rows.to(self.like.dtype).reshape(B, H, -1, COLOURS) / 127.5 - 1  # [B, H, W, 3]
        if self.training:
            x = self.views.applied(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        p = self.patch
        x = x.reshape(B, H // p, p, x.shape[2] // p, p, COLOURS).transpose(2, 3).flatten(3)  # [B, H/p, W/p, 3 p²]
        x = x.contiguous().permute(0, 3, 1, 2)  # in the strides of channels side by side
        for k, block in enumerate(self.blocks):
            ends = torch.full((B,), x.shape[2], device=x.device)
            x = block(x, ends, (1, 1) if k + 1 == len(self.blocks) else (2, 2))
        x = x.flatten(2).permute(2, 0, 1)  # [R, B, C]
        lengths = batch.structure.values
        there = Lengths(None if lengths is None else torch.full_like(lengths, x.shape[0]))
        return dropout(self.linear(x), self.dropout, self.training).transpose(0, 1), there
