"""The softmax over a vocabulary in one with its product and its cross-entropy: ŷ is never held whole."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.engine.short import factor
from recurra.errors import ConfigError
from recurra.types import IGNORED

CHUNK_BYTES = 24 * 2**20
"""The most logits held at once, as measured: the products want many rows, the processor's cache few."""

CHUNK_ROWS = 4096
"""The most rows at once, as measured where the vocabulary is small."""

LEAST_ROWS = 128
"""The fewest rows at once, if there are as many: every part reads weight and gradient, which soon costs more than its
products where the vocabulary is large."""

Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]


def linear_cross_entropy(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    target: Tensor,
    *,
    chunk: int | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of a linear layer's softmax, summed over the rows; natural logarithm.

    z = x Vᵀ + c,  ŷ = softmax(z),  L = −Σ_n log ŷ[n, target_n];
    ∂L/∂z = ŷ − y,  ∇x = (ŷ − y) V,  ∇V = (ŷ − y)ᵀ x,  ∇c = Σ_n (ŷ − y)_n.
    With `label_smoothing` ε the target is y = (1 − ε) · 1-of-V + ε / V, and L = −Σ_n Σ_v y[n, v] log ŷ[n, v].

    The gradients are computed with the loss, `chunk` rows at a time, ŷ − y in the place of z: memory for logits is
    chunk · V instead of N · V. Where no gradient is wanted the loss alone is computed. Under autocast the products are
    in its type, the softmax in float32. Differentiating a gradient (`create_graph=True`) computes it anew, all N · V.

    Shapes: x [N, H], weight [V, H], bias [V], target [N] of symbol numbers or `IGNORED`; result [].
    Source of label smoothing: Szegedy et al. 2016, Rethinking the Inception architecture, section 7.
    """
    if chunk is not None and chunk < 1:
        raise ConfigError(f"linear_cross_entropy: chunk = {chunk}, expected 1 or more rows, or None to choose it.")
    if not 0 <= label_smoothing < 1:
        raise ConfigError(f"linear_cross_entropy: label_smoothing = {label_smoothing}, expected from 0 to below 1.")
    kept = target != IGNORED
    if not bool(kept.all()):
        x, target = x[kept], target[kept]
    if chunk is None:
        chunk = _equal_parts(len(x), most=_most_rows(len(weight)))
    device = x.device.type
    product = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    share = 1 - label_smoothing
    if torch.is_grad_enabled() and any(t.requires_grad for t in (x, weight, bias)):
        loss: Tensor = _LinearCrossEntropy.apply(x, weight, bias, target, chunk, product, share)
    else:
        loss = _run(x, weight, bias, target, chunk, product, share, (False, False, False))[0]
    return loss - label_smoothing * _sum_of_means(x, weight, bias) if label_smoothing else loss


@torch.no_grad()
def linear_log_probability(x: Tensor, weight: Tensor, bias: Tensor, target: Tensor) -> Tensor:
    """log ŷ[n, target_n] of every row for itself, 0 where the target is `IGNORED`; see `linear_cross_entropy`.

    Computed a chunk of rows at a time; not differentiable. Shapes: x [N, H], weight [V, H], bias [V], target [N];
    result [N].
    """
    found = x.new_zeros(len(x), dtype=torch.promote_types(x.dtype, torch.float32))
    rows = _most_rows(len(weight))
    for part, x_part, t in zip(found.split(rows), x.split(rows), target.split(rows), strict=True):
        part.copy_(-F.cross_entropy(F.linear(x_part, weight, bias), t, reduction="none", ignore_index=IGNORED))
    return found


def _sum_of_means(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Σ_n mean_v z[n, v]: what smoothed labels add, which wants no z, since the mean of products is a product."""
    with torch.autocast(x.device.type, enabled=False):
        exact = torch.promote_types(x.dtype, torch.float32)
        total: Tensor = x.to(exact).sum(0) @ weight.to(exact).mean(0) + len(x) * bias.to(exact).mean()
        return total


def _most_rows(V: int) -> int:
    """Rows whose logits are held at once."""
    return max(LEAST_ROWS, min(CHUNK_ROWS, CHUNK_BYTES // (4 * V)))


def _equal_parts(N: int, most: int) -> int:
    """Rows of a part when N are cut into equal parts of `most` rows or fewer."""
    parts = max(1, math.ceil(N / most))
    return max(1, math.ceil(N / parts))


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        target: Tensor,
        chunk: int,
        product: torch.dtype,
        share: float,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, bias, target)
        ctx.rest, ctx.share = (chunk, product, share, ctx.needs_input_grad[:3]), share
        loss, ctx.gradients = _run(x, weight, bias, target, *ctx.rest)
        return loss

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph: the gradient is to be differentiated
            x, weight, bias, target = saved
            return (*_differentiable(grad_loss, x, weight, bias, target, ctx.share), None, None, None, None)
        # The first backward scales the gradients in place and gives them away; one more (retain_graph) needs new ones.
        gradients, ctx.gradients = ctx.gradients or _run(*saved, *ctx.rest)[1], None
        return (*(g if g is None else g.mul_(grad_loss) for g in gradients), None, None, None, None)


def _run(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    target: Tensor,
    chunk: int,
    product: torch.dtype,
    share: float,
    wanted: tuple[bool, ...],
) -> tuple[Tensor, Gradients]:
    """The loss −Σ_n (share · z[n, target_n] − log Σ_v exp z[n, v]) and those gradients that are wanted."""
    N, exact = len(x), torch.promote_types(product, torch.float32)
    new = torch.empty_like if N else torch.zeros_like
    grad_x, grad_weight, grad_bias = (new(t) if w else None for t, w in zip((x, weight, bias), wanted, strict=True))
    loss = x.new_zeros((), dtype=exact)
    with torch.autocast(x.device.type, enabled=False):
        x_low, weight_low = (factor(t, product) for t in (x, weight))
        buffer = x.new_empty(min(chunk, N), len(weight), dtype=exact)
        buffer_low = buffer if product == exact else torch.empty_like(buffer, dtype=product)
        wide = x_low.dtype == exact
        for start in range(0, N, chunk):
            rows = slice(start, min(start + chunk, N))
            t = target[rows, None]
            z, z_low = buffer[: len(t)], buffer_low[: len(t)]  # [chunk, V]
            if wide:
                torch.addmm(bias, x_low[rows], weight_low.t(), out=z)
            else:
                z.copy_(torch.mm(x_low[rows], weight_low.t(), out=z_low)).add_(bias)
            z_target, z_largest = z.gather(1, t), z.amax(1, keepdim=True)
            torch.softmax(z, 1, out=z)  # ŷ
            # The largest ŷ is 1 / Σ exp(z − z_largest); unlike ŷ[target] it cannot underflow.
            loss += (z_largest - share * z_target - z.amax(1, keepdim=True).log()).sum()
            if not any(wanted):
                continue
            z.scatter_add_(1, t, z.new_full((1, 1), -share).expand(len(t), 1))  # ŷ − y
            if product != exact:
                z_low.copy_(z)
                if wide:
                    z_low = z.copy_(z_low)
            first = start == 0
            if grad_x is not None:
                _product(grad_x[rows], z_low, weight_low, True)
            if grad_weight is not None:
                _product(grad_weight, z_low.t(), x_low[rows], first)
            if grad_bias is not None:
                grad_bias.copy_(z.sum(0)) if first else grad_bias.add_(z.sum(0))
    return loss, (grad_x, grad_weight, grad_bias)


def _differentiable(
    grad_loss: Tensor, x: Tensor, weight: Tensor, bias: Tensor, target: Tensor, share: float
) -> Gradients:
    """The gradients of x, weight and bias in operations that autograd can differentiate."""
    exact = torch.promote_types(x.dtype, weight.dtype)
    x_exact, weight_exact = x.to(exact), weight.to(exact)
    y_hat = F.linear(x_exact, weight_exact, bias.to(exact)).softmax(1)
    delta = (y_hat - share * F.one_hot(target, len(weight)).to(exact)) * grad_loss
    return (delta @ weight_exact).to(x.dtype), (delta.t() @ x_exact).to(weight.dtype), delta.sum(0).to(bias.dtype)


def _product(out: Tensor, a: Tensor, b: Tensor, first: bool) -> None:
    """out = a b the first time, out += a b afterwards; the factors may be of a lower precision than `out`."""
    if a.dtype == out.dtype:
        torch.addmm(out, a, b, beta=0 if first else 1, out=out)
    elif first:
        out.copy_(torch.mm(a, b))
    else:
        out.add_(torch.mm(a, b))
