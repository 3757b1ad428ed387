"""The Transformer: every step attends to all others, or to those before it (Vaswani et al. 2017)."""

from __future__ import annotations

import math
from typing import ClassVar, Literal, Self, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import ConfigError, did_you_mean
from recurra.limits import check_layers, check_size
from recurra.nn.attention import places
from recurra.nn.multi_head import MultiHead, Pair, angles, linear, rotation
from recurra.nn.watch import LayerTrace
from recurra.registry import part
from recurra.types import Lengths, Sizes

Positions = Literal["sinusoidal", "rotary"]
State = tuple[tuple[Pair, ...], Tensor]
"""Each layer's keys and values [n, B, H], the newest last, zeros before a sequence's first; how many steps a sequence
has seen [1, B, 1]."""


@part("core", "transformer")
class TransformerCore(nn.Module):
    """Layers of z = x + attention(norm(x)), y = z + W₂ relu(W₁ norm(z)); a norm behind the last (Xiong et al. 2020).

    Shapes: x [B, T, D] → y [B, T, H], state; time first in memory.
    The embedding comes in times √D, so that rows of entries with variance 1/D, init_range = √(3/D), weigh as much as
    the positions; a product follows where D is not H. `positions`: sinusoidal ones are added (Vaswani et al. 2017,
    section 3.5; all sines, then all cosines); rotary ones turn queries and keys (Su et al. 2021). Neither has a longest
    sequence. `dropout` zeroes entries of the first x and of what each attention and each relu layer adds.
    Not causal, a step attends to its whole sequence, and there is no state. Causal, it sees the last `span` steps,
    itself among them; the state is the keys and values of the last span − 1 and how many steps were seen.
    """

    halves: ClassVar[bool] = False
    """A step looks at both sides at once."""

    def __init__(
        self,
        hidden_size: int = 256,
        num_layers: int = 3,
        heads: int = 4,
        feed_forward: int = 1024,
        dropout: float = 0.1,
        causal: bool = False,
        span: int = 256,
        positions: Positions = "sinusoidal",
    ) -> None:
        super().__init__()
        check_settings("core", hidden_size, num_layers, heads, feed_forward, dropout, positions)
        if span < 1:
            raise ConfigError(f"core.span = {span}, expected 1 (the present step alone) or more.")
        self.hidden_size, self.num_layers, self.heads, self.feed_forward = hidden_size, num_layers, heads, feed_forward
        self.dropout, self.span, self.positions = dropout, span, positions
        self.causal = causal
        """Whether y at t depends on x up to t only; known before `build`."""
        self.output_size = hidden_size

    def build(self, sizes: Sizes) -> Self:
        """Make the layers for inputs of width `sizes.embedding`."""
        self.enter = Enter(sizes.embedding, self.hidden_size, self.dropout, self.positions)
        self.layers = nn.ModuleList(
            EncoderLayer(self.hidden_size, self.heads, self.feed_forward, self.dropout) for _ in range(self.num_layers)
        )
        self.norm = nn.LayerNorm(self.hidden_size)
        return self

    @property
    def state_names(self) -> tuple[str, ...]:
        """What the tensors of its state are called, in their order."""
        return (*(f"{what}_{k}" for k in range(self.num_layers) for what in ("keys", "values")), "seen")

    def forward(
        self,
        x: Tensor,
        structure: Lengths,
        state: State | None = None,
        trace: list[LayerTrace] | None = None,
    ) -> tuple[Tensor, State | None]:
        rows = x.transpose(0, 1)  # [T, B, D]
        T, lengths, there = rows.shape[0], structure.values, None
        if lengths is not None:
            there = places(lengths, rows)
            lengths = lengths.to(x.device)
            rows = rows.masked_fill(~there, 0)
        past, seen = self._initial(rows, state)
        steps = torch.arange(T, device=x.device)[:, None]
        if state is not None:
            steps = steps + seen[:, :, 0]  # [T, B]
        h, turn = self.enter(rows, steps, self.heads)
        n = past[0][0].shape[0]
        mask = self._band(T, n, seen) if self.causal else _sources(there)
        kept = []
        for k, (layer, before) in enumerate(zip(self.layers, past, strict=True)):
            h, window, alpha = layer(h, before, mask, self.causal and mask is None, turn, trace is not None)
            kept.append(window)
            if trace is not None:
                trace.append(LayerTrace(k, h, alpha))
        y = self.norm(h)
        if there is not None:
            y = y.masked_fill(~there, 0)
        if not self.causal:
            return y.transpose(0, 1), None
        seen = seen + (T if lengths is None else lengths[:, None])
        return y.transpose(0, 1), (self._last(kept, n, lengths, seen), seen)

    def _initial(self, rows: Tensor, state: State | None) -> State:
        """Keys, values and number of the steps before these: none, or those of the state."""
        B, H, L = rows.shape[1], self.hidden_size, self.num_layers
        if state is None or not self.causal:
            nothing = rows.new_zeros(0, B, H)
            return ((nothing, nothing),) * L, torch.zeros(1, B, 1, dtype=torch.int64, device=rows.device)
        n = state[0][0][0].shape[0]
        shapes = [tuple(t.shape) for pair in state[0] for t in pair] + [tuple(state[1].shape)]
        if n >= self.span or shapes != [(n, B, H)] * (2 * L) + [(1, B, 1)]:
            expected = [(min(n, self.span - 1), B, H)] * (2 * L) + [(1, B, 1)]
            raise ConfigError(f"state of 'transformer' has shapes {shapes}, expected {expected}.")
        return state

    def _band(self, T: int, n: int, seen: Tensor) -> Tensor | None:
        """What a step sees, [·, 1, T, n + T]: the last `span` steps that there were; None: all up to itself."""
        if n == 0 and self.span >= T:
            return None
        queries = torch.arange(T, device=seen.device)[:, None]
        keys = torch.arange(-n, T, device=seen.device)
        band = (keys <= queries) & (keys > queries - self.span)
        return (band & (keys >= -seen[0])[:, None])[:, None] if n else band

    def _last(self, kept: list[Pair], n: int, lengths: Tensor | None, seen: Tensor) -> tuple[Pair, ...]:
        """The newest span − 1 keys and values of each sequence, as of its own end."""
        total = kept[0][0].shape[0]
        count = torch.sym_min(total, self.span - 1)
        if lengths is None:
            return tuple((keys[total - count :], values[total - count :]) for keys, values in kept)
        row = torch.arange(count, device=seen.device)[:, None]
        index = (row + (n + lengths - count)).clamp(min=0)  # [count, B]
        never = row[:, :, None] < count - seen  # [count, B, 1]
        sequence = torch.arange(lengths.shape[0], device=seen.device)
        return tuple(
            (keys[index, sequence].masked_fill(never, 0), values[index, sequence].masked_fill(never, 0))
            for keys, values in kept
        )


class Enter(nn.Module):
    """What stands before the first layer: x [T, B, D] at its `steps` [T, B or 1] → [T, B, H], and the turn of rotary
    positions."""

    def __init__(self, inputs: int, size: int, dropout: float, positions: Positions) -> None:
        super().__init__()
        self.scale, self.dropout, self.positions = math.sqrt(inputs), dropout, positions
        self.projection = linear(inputs, size) if inputs != size else nn.Identity()

    def forward(self, x: Tensor, steps: Tensor, heads: int) -> tuple[Tensor, Pair | None]:
        h = self.projection(x * self.scale)
        size, turn = h.shape[-1], None
        if self.positions == "sinusoidal":
            turns = angles(steps, size + size % 2, h)
            h = h + torch.cat((turns.sin(), turns.cos()), -1)[..., :size]
        else:
            turn = rotation(steps, size // heads, h)
        return F.dropout(h, self.dropout, self.training), turn


class EncoderLayer(nn.Module):
    """One layer: attention to its own input, then two products with a relu between, each behind a norm and added."""

    def __init__(self, size: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(size), MultiHead(size, heads, size)
        self.relu = ReluLayer(size, feed_forward)
        self.dropout = dropout

    def forward(
        self, x: Tensor, past: Pair, mask: Tensor | None, causal: bool, turn: Pair | None, weights: bool = False
    ) -> tuple[Tensor, Pair, Tensor | None]:
        """x [T, B, H] and the keys and values before it → y, keys and values of both, α where `weights` asks for it."""
        z = self.norm(x)
        keys, values = self.attention.read(z, turn)
        if past[0].shape[0]:
            keys, values = torch.cat((past[0], keys)), torch.cat((past[1], values))
        found, alpha = self.attention(z, (keys, values), mask, causal=causal, turn=turn, weights=weights)
        x = x + F.dropout(found, self.dropout, self.training)
        return x + F.dropout(self.relu(x), self.dropout, self.training), (keys, values), alpha


class ReluLayer(nn.Module):
    """W₂ relu(W₁ norm(x) + b₁) + b₂."""

    def __init__(self, size: int, feed_forward: int) -> None:
        super().__init__()
        self.norm, self.inner, self.outer = nn.LayerNorm(size), linear(size, feed_forward), linear(feed_forward, size)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.outer(torch.relu(self.inner(self.norm(x))))
        return result


def _sources(there: Tensor | None) -> Tensor | None:
    """Which steps are attended to, [B, 1, 1, T]; all of an empty sequence, whose rows are finite and not used."""
    return None if there is None else (there | ~there[:1]).permute(1, 2, 0)[:, None]


def check_settings(
    where: str, hidden_size: int, num_layers: int, heads: int, feed_forward: int, dropout: float, positions: str
) -> None:
    """Raises ConfigError for settings no Transformer can have."""
    named = {"hidden_size": hidden_size, "num_layers": num_layers, "heads": heads, "feed_forward": feed_forward}
    for name, number in named.items():
        (check_layers if name == "num_layers" else check_size)(f"{where}.{name}", number)
        if number < 1:
            raise ConfigError(f"{where}.{name} = {number}, expected 1 or more.")
    if hidden_size % heads:
        raise ConfigError(
            f"{where}.hidden_size = {hidden_size} is no multiple of {where}.heads = {heads}, and every head takes an "
            "equal share of the units. Change one of them."
        )
    if not 0 <= dropout < 1:
        raise ConfigError(f"{where}.dropout = {dropout}, expected 0 or more and less than 1.")
    if positions not in (known := get_args(Positions)):
        raise ConfigError(
            f"{where}.positions = {positions!r}{did_you_mean(positions, known)} Expected one of {', '.join(known)}."
        )
    if positions == "rotary" and hidden_size // heads % 2:
        raise ConfigError(
            f"{where}.positions = 'rotary' turns pairs of units, but a head has {hidden_size // heads} "
            f"(hidden_size / heads). Make that even, or set positions = 'sinusoidal'."
        )
