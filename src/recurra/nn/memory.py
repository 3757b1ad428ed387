"""Attention over the sentences of a story: what a question comes to as it meets them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.engine.time import check_lengths
from recurra.errors import ConfigError
from recurra.nn.attention import places

GATE = -2.5
"""Where the gates' biases start: a sentence is passed over unless it has to do with the question."""
SHUT = -1e9
"""A gate's logit where there is no sentence; its sigmoid is 0 in every precision."""


class Memory(nn.Module):
    """What a question has come to at the end of a story. m [B, S, M], q [B, M], lengths [B], None: S → [B, M].

    A hop takes sentences m_i and the question as each of them meets it, q_i; the first hop's is q throughout:

        g_i = σ(w · (m_i ∘ q_i) + b),    c_i = σ(r · (m_i ∘ q_i) + d) tanh(W [m_i; q_i] + e)
        a_{t,i} = g_i Π_{i<j≤t} (1 − g_j)  for i ≤ t, else 0
        q'_t = Σ_i a_{t,i} c_i

    The weight a_{t,i} of a sentence is its own gate, less what later sentences take: of several that have to do with
    the question, the latest counts. What a hop makes of the question by sentence t is the next hop's question there;
    the last hop's by the end of the story is the result. With `both`, all hops but the last also read from the end,
    with weights of their own, and q' is the sum of both directions. Of a story without sentences the result is q.

    The attention is the recurrence h_t = (1 − g_t) h_{t−1} + g_t c_t written out: no product is left inside its loop.
    Source: Seo, Min, Farhadi & Hajishirzi 2017, Query-reduction networks for question answering.
    """

    def __init__(self, size: int, hops: int = 2, both: bool = True) -> None:
        super().__init__()
        for name, value in (("size", size), ("hops", hops)):
            if value < 1:
                raise ConfigError(f"memory: {name} = {value}, expected 1 or more.")
        self.forwards = nn.ModuleList(Direction(size, backwards=False) for _ in range(hops))
        self.backwards = nn.ModuleList(Direction(size, backwards=True) for _ in range(hops - 1 if both else 0))

    def forward(self, m: Tensor, q: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self._read(m, q, lengths)[0]

    def weights(self, m: Tensor, q: Tensor, lengths: Tensor | None = None) -> Tensor:
        """How much of each sentence is in the result, by hops: [B, hops, S].

        The last hop's are its a_{n,i}, n the last sentence. A hop before it counts as the next one uses it:
        e_{k,j} = Σ_i e_{k+1,i} a_{k,i,j}, a_k summed over its directions.
        """
        hops = self._read(m, q, lengths)[1]
        B, S = m.shape[:2]
        if not S:
            return m.new_zeros(B, len(self.forwards), 0)
        found = [_last(hops[-1], lengths)]
        for a in reversed(hops[:-1]):
            found.append(torch.einsum("bi,bij->bj", found[-1], a))
        return torch.stack(found[::-1], 1)

    def _read(self, m: Tensor, q: Tensor, lengths: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """The result, and of each hop the weights [B, S, S] of all its sentences (row t) summed over directions."""
        there = None
        if lengths is not None:
            there = places(lengths, m.transpose(0, 1)).transpose(0, 1)  # [B, S, 1]
            m = m.masked_fill(~there, 0)
        if not m.shape[1]:
            return q, []
        met, hops = q[:, None].expand_as(m), []
        for k, forwards in enumerate(self.forwards):
            now, a = forwards(m, met, there)
            if k < len(self.backwards):
                then, b = self.backwards[k](m, met, there)
                now, a = now + then, a + b
            met = now
            hops.append(a)
        result = _last(met, lengths)
        return result if lengths is None else torch.where(lengths.to(m.device)[:, None] > 0, result, q), hops


class Direction(nn.Module):
    """A hop in one direction: m, q [B, S, M], there [B, S, 1] → q' [B, S, M] and a [B, S, S]; see `Memory`."""

    def __init__(self, size: int, backwards: bool) -> None:
        super().__init__()
        self.backwards = backwards
        self.gate = nn.Linear(size, 1)
        self.reset = nn.Linear(size, 1)
        self.candidate = nn.Linear(2 * size, size)
        nn.init.constant_(self.gate.bias, GATE)

    def forward(self, m: Tensor, q: Tensor, there: Tensor | None) -> tuple[Tensor, Tensor]:
        common = m * q
        g = self.gate(common)  # [B, S, 1]
        if there is not None:
            g = g.masked_fill(~there, SHUT)
        c = torch.sigmoid(self.reset(common)) * torch.tanh(self.candidate(torch.cat((m, q), 2)))
        passed = F.logsigmoid(-g)  # log (1 − g)
        total = passed.flip(1).cumsum(1).flip(1) if self.backwards else passed.cumsum(1)
        # log a_{t,i} = log g_i + Σ_{j between i and t, t counted} log (1 − g_j), a difference of sums from one end
        log_a = total + (F.logsigmoid(g) - total).transpose(1, 2)  # [B, t, i]
        met = torch.ones(log_a.shape[1:], dtype=torch.bool, device=m.device)
        a = log_a.masked_fill(~(met.triu() if self.backwards else met.tril()), -torch.inf).exp()
        return a @ c, a


def _last(y: Tensor, lengths: Tensor | None) -> Tensor:
    """y [B, S, …] at the last sentence."""
    if lengths is None:
        return y[:, -1]
    return y[torch.arange(y.shape[0], device=y.device), (lengths.to(y.device) - 1).clamp(min=0)]


@dataclass(frozen=True)
class Segments:
    """Where the N segments of a batch's sequences lie, in the order of sequences, then of their segments."""

    words: Tensor
    """[W, N]: the number t·B + b of each word, 0 behind a segment's end."""
    counts: Tensor
    """[N]: how many words each has, 1 or more."""
    sequence: Tensor
    """[N]: the sequence it belongs to."""
    place: Tensor
    """[N]: the how manieth of its sequence it is, from 0."""
    number: Tensor
    """[B]: segments of each sequence, 0 where it is empty."""

    @property
    def last(self) -> Tensor:
        """bool [N]: whether it is the last of its sequence."""
        return self.place + 1 == self.number[self.sequence]


def find_segments(numbers: Tensor, lengths: Tensor | None) -> Segments:
    """The segments of sequences, numbers [B, T] naming the one each step belongs to: a new one begins where the number
    changes. What is behind the ends given by lengths [B] is in none."""
    B, T = numbers.shape
    device = numbers.device
    starts = torch.ones(B, T, dtype=torch.bool, device=device)
    starts[:, 1:] = numbers[:, 1:] != numbers[:, :-1]
    ends = (torch.full((B,), T) if lengths is None else check_lengths(lengths, T, B)).to(device)
    starts &= torch.arange(T, device=device) < ends[:, None]
    number = starts.sum(1)
    sequence, begin = starts.nonzero(as_tuple=True)  # sequence by sequence, in order
    place = torch.arange(len(sequence), device=device) - (number.cumsum(0) - number)[sequence]
    following = torch.cat((begin[1:], begin[:1]))
    counts = torch.where(place + 1 == number[sequence], ends[sequence], following) - begin
    step = torch.arange(int(counts.max()) if len(counts) else 0, device=device)[:, None]
    words = torch.where(step < counts, (begin + step) * B + sequence, 0)
    return Segments(words, counts, sequence, place, number)


def in_order(y: Tensor, counts: Tensor) -> Tensor:
    """Vectors [W, N, M] of N segments' words → [N, M]: their sum, weighed by where they stand, so that order counts.

    l_{jk} = 1 − j/J − (k/M) (1 − 2 j/J) for word j = 1 … J and entry k = 1 … M.
    Source: Sukhbaatar, Szlam, Weston & Fergus 2015, End-to-end memory networks, section 4.1.
    """
    W, _, M = y.shape
    share = torch.arange(1, W + 1, device=y.device, dtype=y.dtype)[:, None] / counts.to(y.dtype)  # j/J, [W, N]
    entry = torch.arange(1, M + 1, device=y.device, dtype=y.dtype) / M  # k/M
    weights = (1 - share)[:, :, None] - entry * (1 - 2 * share)[:, :, None]
    there = torch.arange(W, device=y.device)[:, None] < counts
    return (y * weights).masked_fill(~there[:, :, None], 0).sum(0)
