"""What stands behind a convolution over pictures whose columns are the steps: norm, rectifier, the largest pixels.

On the CPU it is native code where that can be compiled, one pass over memory instead of twenty; else, on a GPU, in
programs that are recorded, and for derivatives of derivatives, torch's own operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.engine.bptt import readable
from recurra.engine.demands import stored
from recurra.engine.native import build, pictures
from recurra.engine.padded import traced
from recurra.errors import ConfigError
from recurra.limits import check_layers, check_size


def normed(
    x: Tensor,
    ends: Tensor,
    weight: Tensor,
    bias: Tensor,
    epsilon: float,
    pooled: tuple[int, int] = (1, 1),
    added: Tensor | None = None,
) -> Tensor:
    """The largest of each `pooled` pixels of relu(norm(x)) + `added`, zero behind the end of a picture.

    norm: γ_c (x − mean) / √(var + ε) + β_c, mean and variance of all pixels of a picture in all channels up to its end:
    one picture's do not depend on others', in training neither.
    Shapes: x and `added` [B, C, T, rows], `ends` [B] the columns that are there, γ `weight` and β `bias` [C]; `pooled`
    are columns and rows, 1 × 1, 1 × 2 or 2 × 2; gives [B, C, ⌊T / columns⌋, ⌊rows / rows⌋].
    Source: Wu & He 2018, Group normalization, with one group.
    """
    given = [x, ends, weight, bias, *([] if added is None else [added])]
    if not traced(x) and all(map(stored, given)):
        if pictures.refuses(x) is None:
            try:
                return _Native.apply(x, ends, weight, bias, added, epsilon, pooled)
            except build.BuildError as error:
                _slower(str(error))
        elif x.is_cpu and (reason := build.no_compiler()) is not None:
            _slower(reason)
    return rectified(_norm(x, ends, weight, bias, epsilon), ends, pooled, added)


def rectified(x: Tensor, ends: Tensor, pooled: tuple[int, int] = (1, 1), added: Tensor | None = None) -> Tensor:
    """As `normed`, of what is normed already or not at all."""
    x = x.relu() if added is None else x.relu() + added
    x = x * until(ends, x.shape[2], x.dtype)[:, None, :, None]
    return x if pooled == (1, 1) else F.max_pool2d(x, pooled)


def until(ends: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    """1 for the columns of each picture that are there, 0 behind its end: [B, T]."""
    return (torch.arange(steps, device=ends.device) < ends[:, None]).to(dtype)


def _norm(x: Tensor, ends: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> Tensor:
    valid = until(ends, x.shape[2], x.dtype)[:, None, :, None]
    n = (ends * (x.shape[1] * x.shape[3])).clamp(min=1)[:, None, None, None]
    mean = (x * valid).sum((1, 2, 3), keepdim=True) / n
    x = (x - mean) * valid
    scale = (x.square().sum((1, 2, 3), keepdim=True) / n + epsilon).rsqrt() * weight[:, None, None]
    return torch.addcmul(bias[:, None, None], x, scale)


def _slower(reason: str) -> None:
    first = reason.partition("\n")[0].rstrip(".")
    build.notify_once(f"{first}; nets over columns run on torch's operations, which is slower")


class _Native(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        ends: Tensor,
        weight: Tensor,
        bias: Tensor,
        added: Tensor | None,
        epsilon: float,
        pooled: tuple[int, int],
    ) -> Tensor:
        y, statistics = pictures.forward(pictures.laid_out(x, added, ends, weight, bias, pooled), epsilon)
        ctx.save_for_backward(x, ends, weight, bias, added, statistics)
        ctx.epsilon, ctx.pooled = epsilon, pooled
        ctx.set_materialize_grads(False)
        return y.detach()  # not as a view, which nobody could change in place

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> Any:
        if grad is None:
            return (None,) * 7
        x, ends, weight, bias, added, statistics = ctx.saved_tensors
        if torch.is_grad_enabled() or not readable([grad]):
            return _again(ctx, x, ends, weight, bias, added, grad)
        given = pictures.laid_out(x, added, ends, weight, bias, ctx.pooled)
        x_grad, added_grad, weight_grad, bias_grad = pictures.backward(given, statistics, grad)
        return x_grad, None, weight_grad, bias_grad, added_grad, None, None


def _again(
    ctx: Any, x: Tensor, ends: Tensor, weight: Tensor, bias: Tensor, added: Tensor | None, grad: Tensor
) -> tuple[Tensor | None, ...]:
    """The gradients by torch's own operations: they can be differentiated again, and taken of many at once."""
    graph = torch.is_grad_enabled()
    needs = [need for k, need in enumerate(ctx.needs_input_grad[:5]) if k != 1]
    with torch.enable_grad():
        x, weight, bias = (t if need else t.detach() for t, need in zip((x, weight, bias), needs, strict=False))
        added = added if added is None or needs[3] else added.detach()
        y = rectified(_norm(x, ends, weight, bias, ctx.epsilon), ends, ctx.pooled, added)
        wanted = [t for t, need in zip((x, weight, bias, added), needs, strict=True) if need and t is not None]
        found = iter(torch.autograd.grad(y, wanted, grad, create_graph=graph))
    x_grad, weight_grad, bias_grad, added_grad = (next(found) if need else None for need in needs)
    return x_grad, None, weight_grad, bias_grad, added_grad, None, None


def check_net(channels: Sequence[int], depth: int, size: int, dropout: float) -> None:
    """Raise `ConfigError` for settings out of range of an embedder with such blocks and a linear layer behind them."""
    for name, value in (("size", size), ("depth", depth), *(("channels", each) for each in channels)):
        check_size(f"embedder.{name}", value)
        if value < 1:
            raise ConfigError(f"embedder.{name} = {value}, expected 1 or more.")
    check_layers("embedder.depth", depth * len(channels))
    if not 0 <= dropout < 1:
        raise ConfigError(f"embedder.dropout = {dropout}, expected 0 or more and less than 1.")


def blocks(before: int, channels: Sequence[int], depth: int, norm: str) -> nn.ModuleList:
    """A block for each number of channels, the first over `before`."""
    return nn.ModuleList(
        Block(inside, outside, depth, norm) for inside, outside in zip((before, *channels), channels, strict=False)
    )


class Block(nn.Module):
    """`depth` convolutions, from the second on added to what they read, and the largest of each `pooled` pixels.

    Reads and gives [B, C, T, rows], zero behind the `ends` [B] of pictures.
    """

    def __init__(self, before: int, channels: int, depth: int, norm: str) -> None:
        super().__init__()
        self.first = _Convolution(before, channels, norm)
        self.others = nn.ModuleList(_Convolution(channels, channels, norm) for _ in range(depth - 1))

    def forward(self, x: Tensor, ends: Tensor, pooled: tuple[int, int]) -> Tensor:
        sizes = [(1, 1)] * len(self.others) + [pooled]
        x = self.first(x, ends, sizes[0])
        for convolution, size in zip(self.others, sizes[1:], strict=True):
            x = convolution(x, ends, size, x)
        return x


class _Convolution(nn.Module):
    """relu(norm(w ∗ x)), with what is `added`, pooled: as `normed` says."""

    def __init__(self, before: int, channels: int, norm: str) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, channels, 3, padding=1, bias=norm == "none")
        self.norm = _PictureNorm(channels) if norm == "picture" else None

    def forward(self, x: Tensor, ends: Tensor, pooled: tuple[int, int], added: Tensor | None = None) -> Tensor:
        x = self.convolution(x)
        if self.norm is None:
            return rectified(x, ends, pooled, added)
        return normed(x, ends, self.norm.weight, self.norm.bias, self.norm.eps, pooled, added)


class _PictureNorm(nn.Module):
    """The weights of `normed`."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.eps = eps
