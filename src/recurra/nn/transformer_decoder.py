"""The Transformer as a decoder: attention to the target so far, then to the source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.nn.attention import places
from recurra.nn.multi_head import MultiHead, Pair
from recurra.nn.transformer import Enter, Positions, ReluLayer, check_settings
from recurra.registry import part
from recurra.types import Shared

if TYPE_CHECKING:
    from recurra.nn.decoder import Source

State = tuple[Shared, tuple[Pair, ...]]
"""Each layer's keys and values of the source [T, B, H] and which places of it count [T, B, 1] (None: all); each layer's
keys and values of the target so far [n, B, H]."""


@part("decoder", "transformer")
class TransformerDecoder(nn.Module):
    """Layers of attention to the steps so far, attention to the source and a relu layer, each x + f(norm(x)), and a
    norm behind the last (Vaswani et al. 2017; norms as Xiong et al. 2020).

    Shapes: x [B, U, D] → h [B, U, H], state, α [B, U, T]; time first in memory.
    `positions`, `dropout` and what comes before the first layer: as recurra.nn.transformer.TransformerCore. The source
    needs no positions but those its encoder gave it. Keys and values of the source are computed once, by `start`.
    α is the mean over the heads of the last layer but one, which aligns best (Garg et al. 2019).
    """

    def __init__(
        self,
        hidden_size: int = 256,
        num_layers: int = 3,
        heads: int = 4,
        feed_forward: int = 1024,
        dropout: float = 0.1,
        positions: Positions = "sinusoidal",
    ) -> None:
        super().__init__()
        check_settings("task.decoder", hidden_size, num_layers, heads, feed_forward, dropout, positions)
        self.hidden_size, self.num_layers, self.heads, self.feed_forward = hidden_size, num_layers, heads, feed_forward
        self.dropout, self.positions = dropout, positions

    aligns: ClassVar[bool] = True

    @property
    def output_size(self) -> int:
        return self.hidden_size

    def build(self, inputs: int, source: int) -> Self:
        """Make the layers for targets embedded in `inputs` entries and an encoder's y of width `source`."""
        H = self.hidden_size
        self.enter = Enter(inputs, H, self.dropout, self.positions)
        self.layers = nn.ModuleList(
            DecoderLayer(H, self.heads, source, self.feed_forward, self.dropout) for _ in range(self.num_layers)
        )
        self.norm = nn.LayerNorm(H)
        return self

    @property
    def state_names(self) -> tuple[str, ...]:
        """What the tensors of its state are called, in their order: those of the source, then its own."""
        pairs = tuple(f"{what}_{k}" for k in range(self.num_layers) for what in ("keys", "values"))
        return *pairs, "mask", *pairs

    def start(self, source: Source) -> State:
        """The state before the first step."""
        memory, mask = source.y.transpose(0, 1), None
        if source.lengths is not None:
            there = places(source.lengths, memory)
            memory = memory.masked_fill(~there, 0)
            mask = there | ~there[:1]  # an empty source is attended to as zeros: its softmax is no 0 / 0
        nothing = memory.new_zeros(0, memory.shape[1], self.hidden_size)
        layers: Any = self.layers
        read = tuple(layer.across.read(memory) for layer in layers)
        return Shared((read, mask)), ((nothing, nothing),) * self.num_layers

    def forward(self, x: Tensor, state: State, weights: bool = False) -> tuple[Tensor, State, Tensor | None]:
        (shared, past), (source, mask) = state, state[0].value
        U, n = x.shape[1], past[0][0].shape[0]
        steps = torch.arange(n, n + U, device=x.device)
        h, turn = self.enter(x.transpose(0, 1), steps[:, None], self.heads)
        # One step sees everything before it, and the first piece is causal as it stands: neither needs a mask.
        seen = None if U == 1 or n == 0 else torch.arange(n + U, device=x.device) <= steps[:, None]
        there = None if mask is None else mask.permute(1, 2, 0)[:, None]  # [B, 1, 1, T]
        aligning, alpha, kept = max(0, self.num_layers - 2), None, []
        for k, layer in enumerate(self.layers):
            ask = weights and k == aligning
            h, window, found = layer(h, past[k], source[k], seen, there, turn, ask)
            kept.append(window)
            alpha = found.mean(1) if found is not None else alpha
        return self.norm(h).transpose(0, 1), (shared, tuple(kept)), alpha


class DecoderLayer(nn.Module):
    """One layer: attention to the target so far, to the source, and a relu layer."""

    def __init__(self, size: int, heads: int, source: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(size), MultiHead(size, heads, size)
        self.norm_across, self.across = nn.LayerNorm(size), MultiHead(size, heads, source)
        self.relu = ReluLayer(size, feed_forward)
        self.dropout = dropout

    def forward(
        self,
        x: Tensor,
        past: Pair,
        source: Pair,
        seen: Tensor | None,
        there: Tensor | None,
        turn: Pair | None,
        weights: bool,
    ) -> tuple[Tensor, Pair, Tensor | None]:
        """x [U, B, H] → y, keys and values of the target up to here, α of the source [B, heads, U, T] if asked for."""
        z = self.norm(x)
        keys, values = self.attention.read(z, turn)
        if past[0].shape[0]:
            keys, values = torch.cat((past[0], keys)), torch.cat((past[1], values))
        causal = x.shape[0] > 1 and keys.shape[0] == x.shape[0]
        found, _ = self.attention(z, (keys, values), seen, causal=causal, turn=turn)
        x = x + F.dropout(found, self.dropout, self.training)
        found, alpha = self.across(self.norm_across(x), source, there, weights=weights)
        x = x + F.dropout(found, self.dropout, self.training)
        return x + F.dropout(self.relu(x), self.dropout, self.training), (keys, values), alpha
