"""The CRF: sums and best paths against enumeration, gradients against autograd, lengths, extreme scores, errors."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from recurra.errors import ConfigError
from recurra.nn import crf as crf_file
from recurra.nn.crf import CRF, log_partition, marginals, negative_log_likelihood, viterbi
from recurra.types import IGNORED

Parts = tuple[Tensor, Tensor, Tensor]

LENGTHS = ((4, 4, 4), (2, 0, 4), (1, 3, 0), (0, 0, 0))
SPREADS = (1.0, 60.0, 2000.0)
"""Of the transitions: within float32's reach, within float64's, within neither's."""


def drawn(T: int, B: int, K: int, spread: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor, Parts]:
    """Emissions [T, B, K] and parts in float64, tags [T, B]; entries of the order of `spread`."""
    g = torch.Generator().manual_seed(seed)
    e = torch.randn(T, B, K, generator=g, dtype=torch.float64) * spread
    parts = tuple(torch.randn(s, generator=g, dtype=torch.float64) * spread for s in ((K, K), (K,), (K,)))
    return e, torch.randint(K, (T, B), generator=g), parts  # type: ignore[return-value]


def score(e: Tensor, path: tuple[int, ...], parts: Parts) -> Tensor:
    """The score of one path over the emissions [T, K] of one sequence."""
    A, start, end = parts
    total = start[path[0]] + end[path[-1]] + sum(e[t, k] for t, k in enumerate(path))
    return total + sum(A[i, j] for i, j in itertools.pairwise(path))


def paths(T: int, K: int) -> list[tuple[int, ...]]:
    return list(itertools.product(range(K), repeat=T))


def plain(e: Tensor, tags: Tensor, parts: Parts, lengths: tuple[int, ...]) -> Tensor:
    """The loss in logarithms, step by step, one sequence at a time; its gradients are autograd's."""
    A, start, end = parts
    total = e.nan_to_num().sum() * 0
    for b, n in enumerate(lengths):
        if n:
            a = start + e[0, b]
            for t in range(1, n):
                a = torch.logsumexp(a[:, None] + A, 0) + e[t, b]
            total = total + torch.logsumexp(a + end, 0) - score(e[:n, b], tuple(tags[:n, b].tolist()), parts)
    return total


def gradients(loss: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(loss, leaves, allow_unused=True)
    return [torch.zeros_like(leaf) if g is None else g for g, leaf in zip(found, leaves, strict=True)]


def both(
    e: Tensor, tags: Tensor, parts: Parts, lengths: tuple[int, ...], dtype: torch.dtype
) -> tuple[list[Tensor], list[Tensor]]:
    """Loss and gradients: ours in `dtype`, the plain one's in float64."""
    exact = [v.detach().clone().requires_grad_() for v in (e, *parts)]
    oracle = plain(exact[0], tags, (exact[1], exact[2], exact[3]), lengths)
    leaves = [v.detach().to(dtype).requires_grad_() for v in (e, *parts)]
    bound = None if lengths == (len(e),) * e.shape[1] else torch.tensor(lengths)
    ours = negative_log_likelihood(leaves[0], tags, *leaves[1:], bound).sum()  # type: ignore[arg-type]
    return [ours, *gradients(ours, leaves)], [oracle, *gradients(oracle, exact)]


def close(values: list[Tensor], oracles: list[Tensor], tolerance: float) -> None:
    for k, (value, oracle) in enumerate(zip(values, oracles, strict=True)):
        error = float((value.detach().double() - oracle.detach()).abs().max())
        assert error <= tolerance * max(1.0, float(oracle.detach().abs().max())), f"tensor {k}: {error:.1e}"


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("lengths", LENGTHS)
def test_partition_and_marginals_by_enumeration(lengths: tuple[int, ...], spread: float) -> None:
    e, _, parts = drawn(4, 3, 3, spread)
    e[3, 0] = e[3, 0] if lengths[0] == 4 else math.nan  # what stands behind an end is not read
    log_z, p = log_partition(e, *parts, torch.tensor(lengths)), marginals(e, *parts, torch.tensor(lengths))
    for b, n in enumerate(lengths):
        assert not p[n:, b].any()
        if n == 0:
            assert log_z[b] == 0
            continue
        all_paths = paths(n, 3)
        scores = torch.stack([score(e[:n, b], path, parts) for path in all_paths])
        truth = torch.logsumexp(scores, 0)
        assert abs(log_z[b] - truth) <= 1e-10 * max(1.0, abs(truth))
        expected = torch.zeros(n, 3, dtype=torch.float64)
        for path, weight in zip(all_paths, (scores - truth).exp(), strict=True):
            expected[torch.arange(n), torch.tensor(path)] += weight
        assert (p[:n, b] - expected).abs().max() < 1e-10


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("lengths", LENGTHS)
def test_viterbi_by_enumeration(lengths: tuple[int, ...], spread: float) -> None:
    for seed in range(5):
        e, _, parts = drawn(4, 3, 3, spread, seed)
        found = viterbi(e, *parts, torch.tensor(lengths))
        assert found.shape == (3, 4)
        for b, n in enumerate(lengths):
            assert (found[b, n:] == IGNORED).all()
            if n:
                best = max(paths(n, 3), key=lambda path: float(score(e[:n, b], path, parts)))
                assert tuple(found[b, :n].tolist()) == best


def test_viterbi_without_lengths_and_long() -> None:
    e, _, parts = drawn(100, 40, 7)  # more sequences than are searched together
    found = viterbi(e.float(), *(p.float() for p in parts))
    assert torch.equal(found, viterbi(e, *parts, torch.full((40,), 100)))
    kept = score(e[:, 0], tuple(found[0].tolist()), parts)
    changed = found[0].clone()
    for t in range(100):  # no single change makes the best path better
        for k in range(7):
            changed[t] = k
            assert score(e[:, 0], tuple(changed.tolist()), parts) <= kept
        changed[t] = found[0, t]


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("lengths", [(9,) * 5, (4, 0, 9, 1, 9), (1, 1, 1, 1, 1), (0,) * 5])
def test_loss_and_gradients_are_those_of_the_plain_recursion(lengths: tuple[int, ...], spread: float) -> None:
    e, tags, parts = drawn(9, 5, 6, spread)
    ours, oracle = both(e, tags, parts, lengths, torch.float64)
    close(ours, oracle, 1e-11)


@pytest.mark.parametrize("spread", SPREADS)
def test_float32_in_every_reach(spread: float) -> None:
    e, tags, parts = drawn(30, 4, 20, spread)
    e, parts = e.float().double(), tuple(p.float().double() for p in parts)  # type: ignore[assignment]
    ours, oracle = both(e, tags, parts, (30, 7, 0, 29), torch.float32)
    close(ours, oracle, 3e-6)


def test_the_reach_of_float32_loses_nothing() -> None:
    """Transitions as far apart as scaled float32 is given, emissions against them: what underflows must not matter."""
    K = 12
    reach = crf_file._reach(torch.float32, K)
    for seed in range(5):
        e, tags, parts = drawn(12, 3, K, 1.0, seed)
        e *= 60
        A = parts[0]
        A.sub_(A.min()).mul_(0.999 * reach / A.max())
        parts = (A.float().double(), parts[1].float().double() * 30, parts[2].float().double() * 30)
        parts = (parts[0], parts[1].float().double(), parts[2].float().double())
        ours, oracle = both(e.float().double(), tags, parts, (12, 12, 5), torch.float32)
        assert float(parts[0].max() - parts[0].min()) < reach
        close(ours, oracle, 1e-5)


@pytest.mark.parametrize("apart", [1.0, 1e3])
def test_extreme_scores_in_float32(apart: float) -> None:
    e, tags, parts = drawn(25, 6, 9)
    e = (e.sign() * 1e3).float().double()
    parts = tuple((p.sign() * apart).float().double() for p in parts)  # type: ignore[assignment]
    ours, oracle = both(e, tags, parts, (25, 1, 0, 13, 25, 2), torch.float32)
    for value in ours:
        assert value.isfinite().all()
    close(ours, oracle, 1e-6)


def test_forbidden_transitions() -> None:
    """−inf forbids a transition: probability 0, no NaN."""
    e, tags, parts = drawn(6, 2, 4)
    parts[0][1, 2] = -math.inf
    tags[tags == 2] = 0
    ours, oracle = both(e, tags, parts, (6, 6), torch.float64)
    assert all(v.isfinite().all() for v in ours)
    close([*ours[:2], ours[3], ours[4]], [*oracle[:2], oracle[3], oracle[4]], 1e-11)
    pairs = viterbi(e * 0, parts[0], *parts[1:])
    assert all((i, j) != (1, 2) for row in pairs.tolist() for i, j in itertools.pairwise(row))


@pytest.mark.parametrize("spread", SPREADS)
def test_unknown_tags_are_summed_over(spread: float) -> None:
    e, tags, parts = drawn(3, 2, 4, spread)
    tags[1, 0] = IGNORED
    loss = negative_log_likelihood(e, tags, *parts)
    any_tag = []
    for k in range(4):
        tags[1, 0] = k
        any_tag.append(-negative_log_likelihood(e, tags, *parts)[0])
    truth = -torch.logsumexp(torch.stack(any_tag), 0)
    assert torch.allclose(loss[0], truth, rtol=1e-10, atol=1e-10)
    assert torch.allclose(loss[1], negative_log_likelihood(e, tags, *parts)[1], rtol=1e-10, atol=1e-10)


def test_gradients_of_the_partition_are_the_marginals_weighed_by_what_arrives() -> None:
    e, _, parts = drawn(5, 3, 4)
    lengths, weights = torch.tensor((5, 0, 2)), torch.tensor((2.0, 3.0, -0.5), dtype=torch.float64)
    e.requires_grad_()
    (log_partition(e, *parts, lengths) * weights).sum().backward()
    assert e.grad is not None
    expected = marginals(e, *parts, lengths) * weights[:, None]
    assert torch.allclose(e.grad, expected, atol=1e-12)
    assert torch.allclose(marginals(e, *parts, lengths)[:2, 2].sum(1), torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("spread", SPREADS)
def test_finite_differences(spread: float) -> None:
    e, tags, parts = drawn(3, 3, 3)
    parts[0].copy_(parts[0].sign() * spread / 2)
    leaves = [v.requires_grad_() for v in (e, *parts)]
    lengths = torch.tensor((3, 0, 2))
    assert torch.autograd.gradcheck(lambda e, *p: negative_log_likelihood(e, tags, *p, lengths), leaves)
    assert torch.autograd.gradcheck(lambda e, *p: log_partition(e, *p, lengths), leaves)


def test_module_starts_as_a_softmax_and_gives_every_parameter_a_gradient() -> None:
    crf = CRF(5)
    e, tags, _ = drawn(4, 3, 5)
    e = e.float().requires_grad_()
    lengths = torch.tensor((4, 2, 3))
    loss = crf(e, tags, lengths)
    steps = torch.arange(4)[:, None] < lengths
    plain_loss = torch.nn.functional.cross_entropy(e[steps], tags[steps], reduction="sum")
    assert torch.allclose(loss, plain_loss)
    loss.backward()
    assert all(p.grad is not None and p.grad.any() for p in (e, *crf.parameters()))
    assert torch.allclose(crf.log_partition(e, lengths), log_partition(e, *crf.parts, lengths))
    assert torch.equal(crf.marginals(e, lengths), marginals(e, *crf.parts, lengths))
    assert torch.equal(crf.viterbi(e, lengths), viterbi(e, *crf.parts, lengths))


def test_batch_major_memory_and_low_precision() -> None:
    e, tags, parts = drawn(6, 4, 5)
    lengths = torch.tensor((6, 3, 1, 6))
    turned = e.transpose(0, 1).contiguous().transpose(0, 1)
    for bound in (None, lengths):
        kept = turned.clone()
        assert torch.equal(log_partition(e, *parts, bound), log_partition(turned, *parts, bound))
        assert torch.equal(kept, turned)  # the caller's emissions are left alone
    narrow = tuple(p.float() for p in parts)
    low = e.bfloat16().requires_grad_()
    loss = negative_log_likelihood(low, tags, *narrow, lengths)  # type: ignore[arg-type]
    assert loss.dtype == torch.float32
    loss.sum().backward()
    assert low.grad is not None and low.grad.dtype == torch.bfloat16
    assert torch.allclose(loss, negative_log_likelihood(low.float(), tags, *narrow, lengths))  # type: ignore[arg-type]


def test_what_does_not_fit_is_refused() -> None:
    crf = CRF(5)
    e = torch.randn(4, 3, 5)
    with pytest.raises(ConfigError, match=r"K = 0 tags, expected 1 or more"):
        CRF(0)
    with pytest.raises(ConfigError, match=r"emissions have shape \(4, 3, 6\), expected \[time, batch, 5 tags\]"):
        crf.viterbi(torch.randn(4, 3, 6))
    with pytest.raises(ConfigError, match=r"tags have shape \(3, 4\), expected \(4, 3\).*tags.t\(\)"):
        crf(e, torch.zeros(3, 4, dtype=torch.int64))
    with pytest.raises(ConfigError, match=r"tags go from 0 to 5, expected 0 to 4, or -100 for any tag"):
        crf(e, torch.arange(12).view(4, 3) % 6)
    with pytest.raises(ConfigError, match=r"lengths have shape \(2,\), expected \[3\]"):
        crf.log_partition(e, torch.tensor((1, 2)))
    with pytest.raises(ConfigError, match=r"lengths must be one number from 0 to 4"):
        crf.log_partition(e, torch.tensor((1, 2, 5)))


def forbidding(seed: int) -> tuple[Tensor, Tensor, Parts, tuple[int, ...]]:
    """Random scores, many of them −∞, of every part or of the emissions alone; every fourth time no transition is
    allowed."""
    e, tags, parts = drawn(4, 3, 3, seed=seed)
    g = torch.Generator().manual_seed(seed)
    for scores in (e, *(parts if seed % 2 else ())):
        scores[torch.rand(scores.shape, generator=g) < 0.35] = -math.inf
    if seed % 4 == 3:
        parts[0].fill_(-math.inf)
    return e, tags, parts, LENGTHS[seed % 4]


@pytest.mark.parametrize("wide", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(16))
def test_where_nothing_is_allowed_log_z_is_minus_infinity_and_gradients_are_zeros(seed: int, wide: torch.dtype) -> None:
    e, tags, parts, lengths = forbidding(seed)
    expected = []
    for b, n in enumerate(lengths):
        scores = [score(e[:n, b], path, parts) for path in paths(n, 3) if n]
        expected.append(torch.logsumexp(torch.stack(scores), 0) if n else torch.zeros((), dtype=torch.float64))
    none = torch.stack(expected) == -math.inf
    leaves = [t.to(wide).requires_grad_() for t in (e, *parts)]
    given = torch.tensor(lengths)
    z = log_partition(*leaves, given)
    torch.testing.assert_close(z.double(), torch.stack(expected), rtol=1e-5, atol=1e-5)
    found = gradients(z.sum(), leaves)
    assert all(g.isfinite().all() for g in found) and not found[0][:, none].any()
    assert not marginals(*leaves, given)[:, none].any() and marginals(*leaves, given).isfinite().all()
    for known in (tags, tags.masked_fill(torch.rand(tags.shape) < 0.5, IGNORED)):
        loss = negative_log_likelihood(leaves[0], known, *leaves[1:], given)
        assert not loss.isnan().any() and (loss[none] == math.inf).all()
        assert all(g.isfinite().all() for g in gradients(loss.sum(), leaves))
    if not none.any():
        assert (viterbi(*leaves, given) >= 0).sum() == sum(lengths)
        return
    first = int(none.nonzero()[0])
    with pytest.raises(ConfigError, match=rf"no tags are allowed for sequence {first}.* of 3: each way through it"):
        viterbi(*leaves, given)


def test_the_scores_that_are_drawn_allow_some_sequences_and_others_not() -> None:
    every = map(forbidding, range(16))
    closed = [log_partition(e, *parts, torch.tensor(lengths)) == -math.inf for e, _, parts, lengths in every]
    assert 3 < sum(int(each.sum()) for each in closed) < 30
