"""The bridge: how a decoder starts from what an encoder gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from recurra.engine.time import check_lengths
from recurra.errors import ConfigError
from recurra.nn.attention import places

if TYPE_CHECKING:
    from recurra.nn.decoder import Source

States = tuple[tuple[Tensor, ...], ...]
"""For each layer its states, each [B, H]."""

Kind = Literal["dense", "copy"]


def summary(source: Source) -> Tensor:
    """One vector of a source, [B, H], as wide as its y.

    Of a recurrent encoder the last h of its upmost layer, the one read forwards beside the one read backwards: each
    direction where it has seen everything. Of an encoder without a recurrent state the mean of y over the source.
    """
    y, lengths = source.y, source.lengths
    B, T, H = y.shape
    lengths = torch.full((B,), T) if lengths is None else check_lengths(lengths, T, B)
    lengths = lengths.to(y.device)
    states = recurrent_states(source)
    if states is None:
        there = places(lengths, y.transpose(0, 1)).transpose(0, 1)
        return y.masked_fill(~there, 0).sum(1) / lengths.clamp(min=1)[:, None]
    if states[0].shape[2] != H:
        return torch.cat((states[0][-2], states[0][-1]), 1)
    last = y[torch.arange(B, device=y.device), (lengths - 1).clamp(min=0)]
    return last.masked_fill((lengths == 0)[:, None], 0)


def recurrent_states(source: Source) -> tuple[Tensor, ...] | None:
    """The states [layers · directions, B, E] of a recurrent encoder; None where the source has no such state."""
    given = source.state if isinstance(source.state, tuple) else (source.state,)
    states = tuple(s for s in given if isinstance(s, Tensor) and s.ndim == 3)
    if not states or len(states) < len(given) or any(s.shape != states[0].shape for s in states):
        return None
    count, _, E = states[0].shape
    H = source.y.shape[2]
    return states if E == H or (2 * E == H and count % 2 == 0) else None


class Bridge(nn.Module):
    """The first states of a recurrent decoder's layers.

    - dense: tanh(W s + b), W and b of their own for every layer and state, s a vector of the source; as Bahdanau et
      al. 2015 (section A.2.2), who take the backward half of s alone.
    - copy: the encoder's own states, layer by layer, those of two directions side by side.
    """

    def __init__(self, kind: Kind, source: int, layers: int, states: int, hidden_size: int) -> None:
        super().__init__()
        self.kind, self.layers, self.states, self.hidden_size = kind, layers, states, hidden_size
        if kind == "dense":
            self.dense = nn.Linear(source, layers * states * hidden_size)

    def forward(self, source: Source, vector: Tensor) -> States:
        """From what the encoder returned, and a vector of it [B, S]."""
        if self.kind == "copy":
            return self._copied(source)
        flat = torch.tanh(self.dense(vector)).chunk(self.layers * self.states, 1)
        return tuple(flat[k * self.states : (k + 1) * self.states] for k in range(self.layers))

    def _copied(self, source: Source) -> States:
        states = recurrent_states(source)
        if states is None:
            raise ConfigError(
                f"task.decoder.bridge = 'copy' wants the states of a recurrent encoder, {self._wanted(source)}, but "
                "this one has none. Set bridge = 'dense'."
            )
        if states[0].shape[2] != source.y.shape[2]:
            states = tuple(torch.cat((s[0::2], s[1::2]), 2) for s in states)
        layers, batch, units = states[0].shape
        if (len(states), layers, units) != (self.states, self.layers, self.hidden_size):
            raise ConfigError(
                "task.decoder.bridge = 'copy' wants as many states, layers and units as the decoder has, "
                f"{self._wanted(source)}, but the encoder's are {len(states)} × {(layers, batch, units)}. Set bridge = "
                "'dense'."
            )
        return tuple(zip(*(s.unbind(0) for s in states), strict=True))

    def _wanted(self, source: Source) -> str:
        return f"{self.states} × {(self.layers, len(source.y), self.hidden_size)}"
