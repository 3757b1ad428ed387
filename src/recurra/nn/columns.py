"""A convolutional net over a picture whose columns are the steps."""

from __future__ import annotations

from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import ConfigError
from recurra.nn.distortions import Distortions
from recurra.nn.dropout import dropout
from recurra.nn.pictures import blocks, check_net, until
from recurra.nn.spectral import Spectral
from recurra.registry import part
from recurra.types import Batch, Lengths, Sizes


@part("embedder", "columns")
class ColumnEmbedder(nn.Module):
    """x_k = W vec(c_k) + b, c_k the k-th column [channels, rows] of what a net of convolutions makes of a picture.

    The net is a block for each number in `channels`: `depth` convolutions of 3 × 3, each normed and rectified, from the
    second on added to what they read; then the largest of each 2 × 2 pixels, in blocks behind the first log₂ `stride`
    of 2 × 1, one column wide: so there are `stride` times fewer columns, and 2^blocks times fewer rows. `norm`
    "picture" norms all pixels and channels of a picture together. What stands behind the end of a picture is zeroed in
    front of every convolution, and no norm counts it, so that a picture is read beside others as it is alone. `dropout`
    zeroes entries of x. `distortions` are drawn in training, of
    columns that are spectra of recordings what `Spectral` says.

    Reads the field "input" [B, T, height], 0 where there is nothing; gives [B, ⌈T / stride⌉, D], time first in memory.
    Raises ConfigError for a size or a share out of range, `build` for an input of symbols and for one of too few rows.
    Source: Shi, Bai & Yao 2017, An end-to-end trainable neural network for image-based sequence recognition.
    """

    like: Tensor
    """Of the type that weights have: a model in float64 reads numbers in float64."""

    def __init__(
        self,
        channels: tuple[int, ...] = (16, 32, 64),
        depth: int = 1,
        stride: Literal[1, 2, 4] = 4,
        size: int = 128,
        norm: Literal["picture", "none"] = "picture",
        dropout: float = 0.0,
        spectral: Spectral = Spectral(),  # noqa: B008
        distortions: Distortions = Distortions(),
    ) -> None:
        super().__init__()
        check_net(channels, depth, size, dropout)
        self.halved = stride.bit_length() - 1
        if len(channels) < max(1, self.halved):
            raise ConfigError(
                f"embedder.channels = {list(channels)}, expected a number for each of {max(1, self.halved)} blocks or "
                f"more, as a stride of {stride} needs."
            )
        self.channels, self.depth, self.segment, self.size = channels, depth, stride, size
        self.norm, self.dropout, self.spectral, self.distortions = norm, dropout, spectral, distortions
        self.register_buffer("like", torch.empty(0), persistent=False)

    @property
    def changes_time(self) -> bool:
        """Whether the core reads other steps than those of the input."""
        return self.segment > 1

    @property
    def output_size(self) -> int:
        return self.size

    def build(self, sizes: Sizes) -> Self:
        """Make the layers for columns of `sizes.width` pixels."""
        H, scale = sizes.width, 2 ** len(self.channels)
        self.spectral.check(H)
        if not H:
            raise ConfigError(
                "embedder.kind = 'columns' reads pictures, but the input is symbols. Set embedder.kind = 'symbols', or "
                "name a reader of pictures and input.kind = 'line-image'."
            )
        if scale >= 2 * H:
            raise ConfigError(
                f"embedder.channels names {len(self.channels)} blocks, each of half as many rows, but the input has "
                f"{H}. Name fewer, or set input.height = {scale}."
            )
        self.rows = -(-H // scale)
        self.blocks = blocks(1, self.channels, self.depth, self.norm)
        self.linear = nn.Linear(self.rows * self.channels[-1], self.size)
        return self

    def forward(self, batch: Batch) -> tuple[Tensor, Lengths]:
        x, lengths = batch.fields["input"].to(self.like.dtype), batch.structure.values
        B, T, H = x.shape
        there = torch.full((B,), T, device=x.device) if lengths is None else lengths
        if self.training:
            x = self.spectral.changed(x.transpose(0, 1), lengths).transpose(0, 1)
            x = self.distortions.applied(x, lengths)
        if lengths is not None:
            x = x * until(there, T, x.dtype)[:, :, None]
        x = F.pad(x, (0, self.rows * 2 ** len(self.channels) - H, 0, self.segment - 1))
        # [B, 1, T, rows] in the strides of channels side by side, so that convolutions give theirs so, too.
        x = x.contiguous()[..., None].permute(0, 3, 1, 2)
        for k, block in enumerate(self.blocks):
            columns = 2 if k < self.halved else 1
            x = block(x, there, (columns, 2))
            there = (there + columns - 1) // columns
        x = x.permute(2, 0, 3, 1).flatten(2)  # [T, B, rows · C]
        x = dropout(self.linear(x), self.dropout, self.training)
        return x.transpose(0, 1), Lengths(None if lengths is None else there)
