"""The linear-chain conditional random field: the loss of whole tag sequences, the best one, and marginals.

The score of tags y for emissions e is start[y_1] + Σ_t e_t[y_t] + Σ_t transitions[y_t−1, y_t] + end[y_T]; its
probability is exp(score) / Z. Emissions are [T, B, K], time first, `lengths` [B] or None where all sequences are full;
a sequence of no steps counts nothing. What stands behind the end of a sequence is never read.

Scores of −∞ forbid a tag or a transition. Where they leave a sequence no path, log Z is −∞, −log p of any tags ∞, all
marginals 0, and so is what it adds to gradients; the search for the best path refuses it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from recurra.engine.time import Time
from recurra.errors import ConfigError
from recurra.types import IGNORED

TOGETHER = 16
"""Sequences whose [K, K] sums the search for the best path holds at once, as measured."""


class CRF(nn.Module):
    """A linear-chain conditional random field over K tags (Lafferty, McCallum & Pereira 2001).

    Parameters: `transitions` [K, K] from one tag (row) to the next (column), `start` [K], `end` [K]; all begin at 0,
    where the loss is the softmax's own. Sums are taken in scaled probability space, one matrix product a step: in
    float64 where transitions lie so far apart that float32 would lose probabilities, in logarithms where float64 would.
    Raises ConfigError for shapes and tags that do not fit.
    """

    def __init__(self, K: int) -> None:
        super().__init__()
        if K < 1:
            raise ConfigError(f"CRF: K = {K} tags, expected 1 or more.")
        self.transitions = nn.Parameter(torch.zeros(K, K))
        self.start = nn.Parameter(torch.zeros(K))
        self.end = nn.Parameter(torch.zeros(K))

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """transitions, start, end: what the functions of this module take behind the emissions."""
        return self.transitions, self.start, self.end

    def forward(self, emissions: Tensor, tags: Tensor, lengths: Tensor | None = None) -> Tensor:
        """−log p(tags), summed over the sequences; tags [T, B], `IGNORED` where a step may bear any tag."""
        return negative_log_likelihood(emissions, tags, *self.parts, lengths).sum()

    def log_partition(self, emissions: Tensor, lengths: Tensor | None = None) -> Tensor:
        """log Z of each sequence, [B]; differentiable."""
        return log_partition(emissions, *self.parts, lengths)

    def marginals(self, emissions: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The probability of each tag at each step, [T, B, K]; zeros behind the ends. Not differentiable."""
        return marginals(emissions, *self.parts, lengths)

    def viterbi(self, emissions: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The most probable tags, int64 [B, T]; `IGNORED` behind the ends."""
        return viterbi(emissions, *self.parts, lengths)


def negative_log_likelihood(
    emissions: Tensor, tags: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor | None = None
) -> Tensor:
    """−log p(tags) of each sequence, [B]: log Z less the score. `IGNORED` tags are summed over."""
    time, K = _time(emissions, transitions, lengths), len(transitions)
    if tags.shape != emissions.shape[:2]:
        raise ConfigError(
            f"CRF: tags have shape {tuple(tags.shape)}, expected {tuple(emissions.shape[:2])}, one for each step and "
            "sequence of the emissions [T, B, K]. Is it [B, T]? Then turn it: tags.t()."
        )
    gold = time.pack(tags[:, :, None])[:, 0]
    if bool((((gold < 0) & (gold != IGNORED)) | (gold >= K)).any()):
        raise ConfigError(
            f"CRF: tags go from {int(gold.min())} to {int(gold.max())}, expected 0 to {K - 1}, "
            f"or {IGNORED} for any tag."
        )
    if bool((gold == IGNORED).any()):
        other = (tags[:, :, None] != torch.arange(K, device=tags.device)) & (tags != IGNORED)[:, :, None]
        allowed = emissions.masked_fill(other, -math.inf)
        everything = _Chain.apply(emissions, transitions, start, end, None, time)
        some = _Chain.apply(allowed, transitions, start, end, None, time)
        return (everything - some).masked_fill(some == -math.inf, math.inf)
    return _Chain.apply(emissions, transitions, start, end, gold, time)


def log_partition(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor | None = None
) -> Tensor:
    """log Z of each sequence, [B]; 0 for a sequence of no steps, −∞ for one that every path is forbidden to."""
    return _Chain.apply(emissions, transitions, start, end, None, _time(emissions, transitions, lengths))


def marginals(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor | None = None
) -> Tensor:
    """p(y_t = k) [T, B, K] in the type of the emissions: the derivative of log Z by each emission. Detached."""
    time = _time(emissions, transitions, lengths)
    with torch.no_grad(), torch.autocast(emissions.device.type, enabled=False):
        rows, A, logs = _scores(emissions, transitions, start, end, time)
        sums = _forward(rows, A, _finite(A.max()), time, logs)
        shares, _ = _backward(sums, sums.alpha.new_ones(time.alive), time)
    return time.unpack(shares, len(emissions)).to(emissions.dtype)


@torch.no_grad()
def viterbi(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor | None = None
) -> Tensor:
    """The tags of the highest score, int64 [B, T]; `IGNORED` behind the ends.

    Best scores are kept without the tags they came from; those are found again for the best path alone. Raises
    ConfigError for a sequence that every path is forbidden to.
    """
    time = _time(emissions, transitions, lengths)
    T, B, _ = emissions.shape
    best = _rows(emissions, start, end, time, _exact(emissions, transitions))
    into = transitions.to(best.dtype).t().contiguous()  # [K to, K from]
    least = torch.finfo(best.dtype).min  # in the place of −∞, from which −∞ cannot be taken
    starts = time.starts.tolist()
    for t, n in enumerate(time.sizes):
        rows = best[starts[t] : starts[t] + n]
        if t:
            before = best[starts[t - 1] : starts[t - 1] + n]
            rows += torch.cat([(part[:, None] + into).amax(2) for part in before.split(TOGETHER)])
        rows -= rows.amax(1, keepdim=True).clamp_(min=least)  # long sequences keep their precision
    _check_allowed(best, time)
    tags = emissions.new_zeros(time.rows, dtype=torch.int64)
    ahead = 0  # sequences that go on after this step
    for t in range(len(time.sizes) - 1, -1, -1):
        scores = best[starts[t] : starts[t] + time.sizes[t]]
        if ahead:
            follower = tags[starts[t + 1] : starts[t + 1] + ahead]
            scores[:ahead] += into.index_select(0, follower)
        ahead = time.sizes[t]
        torch.argmax(scores, 1, out=tags[starts[t] : starts[t] + ahead])
    found = tags.new_full((T * B,), IGNORED)
    found[slice(None) if time.lengths is None else time.padded_rows.to(tags.device)] = tags
    return found.view(T, B).t()


def _time(emissions: Tensor, transitions: Tensor, lengths: Tensor | None) -> Time:
    """The rows of the emissions; raises ConfigError where shapes do not fit."""
    K = len(transitions)
    if emissions.ndim != 3 or emissions.shape[2] != K:
        raise ConfigError(f"CRF: emissions have shape {tuple(emissions.shape)}, expected [time, batch, {K} tags].")
    T, B, _ = emissions.shape
    return Time.full(T, B) if lengths is None else Time.of(lengths, T, B)


def _finite(largest: Tensor) -> Tensor:
    """What may be taken off: nothing of scores that are −∞ all."""
    return largest.masked_fill(largest == -math.inf, 0)


def _check_allowed(best: Tensor, time: Time) -> None:
    """Refuse sequences without a path, by the best scores [N, K] of their rows."""
    last, _, position = _bounds(time, best.device)
    closed = best[last].amax(1) == -math.inf if time.alive else best.new_zeros(0, dtype=torch.bool)
    if bool(closed.any()):
        none = torch.zeros(time.batch, dtype=torch.bool, device=best.device)
        none[position[last[closed]]] = True
        numbers = time.unsort(none).nonzero()[:, 0].tolist()
        raise ConfigError(
            f"CRF: no tags are allowed for sequence {', '.join(map(str, numbers[:6]))} of {time.batch}: each way "
            "through it meets a score of −inf. Allow a transition, a start or an end more, or mend the emissions."
        )


def _exact(emissions: Tensor, transitions: Tensor) -> torch.dtype:
    """The type sums are taken in: never below float32."""
    return torch.promote_types(torch.promote_types(emissions.dtype, transitions.dtype), torch.float32)


def _bounds(time: Time, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """For each sorted sequence that has steps its last row; for each row after step 0 the row before; and each row's
    sequence."""
    N, alive = time.rows, time.alive
    if time.lengths is None:
        rows = torch.arange(N, device=device)
        return rows[N - alive :], rows[: N - alive], rows % max(alive, 1)
    # `last` and `previous` count behind the initial states, of which there are `alive`.
    return (time.last - alive).to(device), (time.previous[alive:] - alive).to(device), time.place[1].to(device)


def _rows(emissions: Tensor, start: Tensor, end: Tensor, time: Time, wide: torch.dtype) -> Tensor:
    """A packed copy [N, K] of the emissions, with start in the first rows and end in the last.

    So nothing else needs to know of start and end, and scores that cancel are added before exp.
    """
    rows = time.pack(emissions.detach())
    rows = rows.clone() if time.lengths is None and rows.dtype == wide else rows.to(wide)
    rows[: time.alive] += start.detach()
    return rows.index_add_(0, _bounds(time, rows.device)[0], end.detach().to(wide).expand(time.alive, -1))


def _scores(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, time: Time
) -> tuple[Tensor, Tensor, bool]:
    """The packed rows and the transitions in the type that the sums are taken in, and whether it is by logarithms."""
    wide, K = _exact(emissions, transitions), len(transitions)
    spread = float(transitions.max() - transitions.min())
    inner = torch.float64 if spread > _reach(wide, K) else wide
    return _rows(emissions, start, end, time, inner), transitions.to(inner), spread > _reach(torch.float64, K)


class _Sums(NamedTuple):
    """What the forward recursion leaves, over packed rows; logarithms of these where `logs`.

    α_t[j] = factor_t[j] Σ_i α_t−1[i] P[i, j], scaled to Σ_j α_t[j] = 1; P = exp(transitions − their largest).
    """

    alpha: Tensor  # [N, K]
    factor: Tensor  # [N, K], exp(e_t) over the scale of its row
    P: Tensor  # [K, K]
    log_scale: Tensor  # [N], so that log Z is their sum over a sequence and (T − 1) · the largest transition
    logs: bool


def _reach(dtype: torch.dtype, K: int) -> float:
    """How far transitions may lie apart, so that what underflows is below the type's rounding.

    With spread S a sum of products loses at most K · tiny of a total of at least exp(−S) / K, and the next transition
    can favour what was lost by exp(S): K² · tiny · exp(2 S) ≤ eps. About 30 in float32 and 325 in float64 for K = 300.
    """
    info = torch.finfo(dtype)
    return (math.log(info.eps) - math.log(info.tiny) - 2 * math.log(K)) / 2


def _forward(rows: Tensor, transitions: Tensor, largest: Tensor, time: Time, logs: bool) -> _Sums:
    """The forward recursion; `rows` is used up. A row that nothing is allowed in has log_scale −∞, and what follows it
    no share."""
    peak = _finite(rows.amax(1, keepdim=True))
    P = transitions - largest
    factor = rows.sub_(peak)
    if not logs:
        P, factor = P.exp_(), factor.exp_()
    alpha, scale = torch.empty_like(factor), torch.empty_like(peak)
    least = torch.finfo(factor.dtype).tiny  # far below any sum that is not 0
    starts = time.starts.tolist()
    for t, n in enumerate(time.sizes):
        here = slice(starts[t], starts[t] + n)
        now, e, s = alpha[here], factor[here], scale[here]
        before = alpha[starts[t - 1] : starts[t - 1] + n] if t else None
        if logs:
            now.copy_(e if before is None else (before[:, :, None] + P).logsumexp(1).add_(e))
            torch.logsumexp(now, 1, keepdim=True, out=s)
            now.sub_(_finite(s))
            continue
        if before is None:
            now.copy_(e)
        else:
            torch.mm(before, P, out=now).mul_(e)
        torch.sum(now, 1, keepdim=True, out=s)
        now.div_(s.clamp(min=least))
    log_scale = (peak + (scale if logs else scale.log()))[:, 0]
    factor = factor.sub_(_finite(scale)) if logs else factor.div_(scale.masked_fill(scale == 0, 1))
    return _Sums(alpha, factor, P, log_scale, logs)


def _backward(sums: _Sums, grad: Tensor, time: Time) -> tuple[Tensor, Tensor]:
    """Σ_b grad[b] · ∂ log Z_b by the rows of emissions [N, K] and by the transitions [K, K]; grad [alive].

    v_t[i] = Σ_j P[i, j] q_t+1[j], q_t = factor_t v_t, v = grad in the last row: p(y_t = i) grad = α_t[i] v_t[i], and
    the transitions' are P[i, j] Σ_t α_t−1[i] q_t[j], one product over all rows.
    """
    alpha, factor, P = sums.alpha, sums.factor, sums.P
    last, previous, position = _bounds(time, alpha.device)
    starts, first = time.starts.tolist(), time.alive
    v, q = torch.empty_like(alpha), torch.empty_like(alpha)
    v[last] = grad[:, None].expand(-1, alpha.shape[1]) if not sums.logs else 0.0
    turned, grad_P = P.t(), torch.zeros_like(P)
    for t in range(len(time.sizes) - 1, 0, -1):
        n = time.sizes[t]
        here, there = slice(starts[t], starts[t] + n), slice(starts[t - 1], starts[t - 1] + n)
        if not sums.logs:
            torch.mm(torch.mul(factor[here], v[here], out=q[here]), turned, out=v[there])
            continue
        onward = P + (factor[here] + v[here])[:, None]  # [n, K, K]
        torch.logsumexp(onward, 2, out=v[there])
        # Every exponent is the logarithm of a probability, so that none overflows.
        grad_P += torch.einsum("b,bij->ij", grad[:n], onward.add_(alpha[there][:, :, None]).exp_())
    if sums.logs:
        return v.add_(alpha).exp_().mul_(grad[position][:, None]), grad_P
    before = alpha[: len(alpha) - first] if time.lengths is None else alpha.index_select(0, previous)
    torch.mm(before.t(), q[first:], out=grad_P).mul_(P)
    return v.mul_(alpha), grad_P


class _Chain(torch.autograd.Function):
    """log Z [B], less the score of `gold`, the tags of the packed rows [N], where they are given."""

    @staticmethod
    def forward(
        ctx: Any, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, gold: Tensor | None, time: Time
    ) -> Tensor:
        with torch.autocast(emissions.device.type, enabled=False):
            rows, A, logs = _scores(emissions, transitions, start, end, time)
            largest = _finite(A.max())
            _, previous, position = _bounds(time, rows.device)
            # Differences row by row, summed in float64: log Z and the score are large and nearly the same.
            score = rows.gather(1, gold[:, None])[:, 0] if gold is not None else rows.new_zeros(time.rows)
            sums = _forward(rows, A, largest, time, logs)
            closed = sums.log_scale == -math.inf
            value = (sums.log_scale.masked_fill(closed, 0) - score).double()
            value[time.alive :] += (largest - (0 if gold is None else A[gold[previous], gold[time.alive :]])).double()
            total = value.new_zeros(time.batch).index_add_(0, position, value)
            none = torch.zeros(time.batch, dtype=torch.bool, device=rows.device)
            none[position[closed]] = True  # sequences that no path goes through
            total = total.masked_fill(none, -math.inf if gold is None else math.inf)
        ctx.save_for_backward(sums.alpha, sums.factor, sums.P, gold, none)
        ctx.rest = (time, logs, emissions.shape, tuple(t.dtype for t in (emissions, transitions, start, end)))
        return time.unsort(total).to(_exact(emissions, transitions))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        alpha, factor, P, gold, none = ctx.saved_tensors
        time, logs, (T, _, K), dtypes = ctx.rest
        with torch.autocast(alpha.device.type, enabled=False):
            grad = time.sort(grad).masked_fill(none, 0)[: time.alive].to(alpha.dtype)
            rows, grad_A = _backward(_Sums(alpha, factor, P, alpha, logs), grad, time)
            last, previous, position = _bounds(time, rows.device)
            if gold is not None:
                less = -grad[position]
                rows.scatter_add_(1, gold[:, None], less[:, None])
                pairs = gold[previous] * K + gold[time.alive :]
                grad_A.view(-1).index_add_(0, pairs, less[time.alive :])
            ends = rows[: time.alive].sum(0), rows.index_select(0, last).sum(0)
            gradients = (time.unpack(rows, T), grad_A, *ends)
        return (*(g.to(d) for g, d in zip(gradients, dtypes, strict=True)), None, None)
