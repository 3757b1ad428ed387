"""A core that reads its own outputs: nonlinear autoregression with exogenous inputs (NARX)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra import registry
from recurra.errors import ConfigError
from recurra.limits import check_layers
from recurra.nn.attention import places
from recurra.registry import part
from recurra.types import Lengths, Sizes

MOST_PRODUCTS = 20_000
"""Products of lags that there may be."""
SMALLEST = 1e-12
"""Of the sum of squares of what is explained: errors below are roundings, and no degree is chosen by them."""
AT_ONCE = 4096
"""Steps whose products are held in memory at a time."""


@part("core", "narx")
class Narx(nn.Module):
    """ŷ_t = A φ(v_t) + c + B net(v_t), where v_t = (y_{t−1} … y_{t−output_lags}, x_t … x_{t−input_lags+1}).

    φ(v) are the entries of v and their products of up to `degree` of them. `net` is a causal core of any kind, such as
    a layer of tanh, `{kind = "tdnn", delays = 0, num_layers = 1, hidden_size = 16}`; without one the model is linear in
    its weights. y_t is the core's own output ŷ_t, between ±`bound` so that no simulation runs away; or what it is
    given.

    Shapes: x [B, T, D] → y [B, T, W], state. W is how many numbers the target has, else D. With W columns more x holds
    outputs that are taken for y, NaN where there are none. Where all are given nothing waits for a step before it, and
    ŷ_t is a prediction of one step (series-parallel, teacher forcing); where none is, the core is simulated in
    parallel: in free run. Behind the end of a sequence y is zero.
    State: the last y [output_lags, B, W] and x [input_lags − 1, B, D], oldest first and zeros before the first step,
    and the state of the net.
    Source: Leontaritis & Billings 1985, Input-output parametric models for non-linear systems; Narendra & Parthasarathy
    1990, Identification and control of dynamical systems using neural networks, for the two ways of training.
    """

    causal: ClassVar[bool] = True
    halves: ClassVar[bool] = False
    feeds_back: ClassVar[bool] = True
    """What it says is what it reads later: a task puts no layer above it."""

    def __init__(
        self,
        output_lags: int = 2,
        input_lags: int = 3,
        degree: int = 1,
        net: dict | None = None,
        bound: float = 10.0,
    ) -> None:
        super().__init__()
        for name, number in (("output_lags", output_lags), ("input_lags", input_lags), ("degree", degree)):
            check_layers(f"core.{name}", number)
            if number < 1:
                raise ConfigError(f"core.{name} = {number}, expected 1 or more.")
        if not bound > 0:
            raise ConfigError(f"core.bound = {bound}, expected more than 0.")
        self.output_lags, self.input_lags, self.degree, self.bound = output_lags, input_lags, degree, bound
        self.net: Any = None
        if net is not None:
            self.net = registry.construct("core", net, where="core.net")
            if not self.net.causal:
                raise ConfigError(
                    "core.net also reads from the end, where nothing has been said yet. Take a causal one."
                )

    def build(self, sizes: Sizes) -> Self:
        """Make the weights for inputs of width `sizes.embedding`, and outputs as wide as the target."""
        self.width, self.output_size = sizes.embedding, sizes.fields.get("target") or sizes.embedding
        entries = self.output_lags * self.output_size + self.input_lags * self.width
        products = math.comb(entries + self.degree, self.degree) - 1
        if products > MOST_PRODUCTS:
            raise ConfigError(
                f"core.degree = {self.degree} makes {products:,} products of {entries} lagged numbers, expected "
                f"{MOST_PRODUCTS:,} at most. Set core.degree, core.output_lags or core.input_lags to less."
            )
        shorter: dict[tuple[int, ...], int] = {(k,): k for k in range(entries)}
        for d in range(2, self.degree + 1):  # a product of d is one of d − 1 times the last of its entries
            rows = [*combinations_with_replacement(range(entries), d)]
            self.register_buffer(f"shorter_{d}", torch.tensor([shorter[row[:-1]] for row in rows]), persistent=False)
            self.register_buffer(f"entry_{d}", torch.tensor([row[-1] for row in rows]), persistent=False)
            shorter = {row: k for k, row in enumerate(rows)}
        self.linear = nn.Linear(products, self.output_size)
        nn.init.uniform_(self.linear.weight, -(r := 0.1 / entries), r)
        nn.init.zeros_(self.linear.bias)
        if self.net is not None:
            self.net.build(Sizes(embedding=entries))
            self.head = nn.Linear(self.net.output_size, self.output_size, bias=False)
            nn.init.zeros_(self.head.weight)
        return self

    def forward(self, x: Tensor, structure: Lengths, state: Any = None) -> tuple[Tensor, Any]:
        rows, lengths = x.transpose(0, 1), structure.values  # [T, B, D (+ W)]
        there = None if lengths is None else places(lengths, rows)  # [T, B, 1]
        if there is not None:
            rows = rows.masked_fill(~there, 0)
        given = rows[..., self.width :] if x.shape[2] > self.width else None
        rows = rows[..., : self.width]
        past, before, inner = self._state(rows) if state is None else state
        window = torch.cat((before, rows))
        lagged = torch.cat([window[self.input_lags - 1 - k :][: rows.shape[0]] for k in range(self.input_lags)], 2)
        if given is not None and not torch.compiler.is_exporting() and not bool(given.isnan().any()):
            y, past, inner = self._all_given(lagged, given, past, inner, structure)
        else:
            y, past, inner = self._step_by_step(lagged, given, there, past, inner)
        if there is not None:
            y = y.masked_fill(~there, 0)
        return y.transpose(0, 1), (past, last_rows(window, self.input_lags - 1, lengths), inner)

    def _state(self, rows: Tensor) -> tuple[Tensor, Tensor, Any]:
        """The state before the first step; that of the net as it is after none, where it has one."""
        B = rows.shape[1]
        past = rows.new_zeros(self.output_lags, B, self.output_size)
        before = rows.new_zeros(self.input_lags - 1, B, self.width)
        if self.net is None:
            return past, before, ()
        nothing = rows.new_zeros(B, 1, self.net_inputs)
        _, inner = self.net(nothing, Lengths(torch.zeros_like(rows[0, :, 0], dtype=torch.int64)), None)
        return past, before, inner

    @property
    def net_inputs(self) -> int:
        """Entries of v."""
        return self.output_lags * self.output_size + self.input_lags * self.width

    def products(self, v: Tensor) -> Tensor:
        """φ(v): the entries of v [..., K] and their products of two, of three … up to `degree`."""
        found = [v]
        for d in range(2, self.degree + 1):
            found.append(found[-1][..., getattr(self, f"shorter_{d}")] * v[..., getattr(self, f"entry_{d}")])
        return torch.cat(found, -1)

    def _all_given(
        self, lagged: Tensor, given: Tensor, past: Tensor, inner: Any, structure: Lengths
    ) -> tuple[Tensor, Tensor, Any]:
        """All steps at once, since what was said before each is known."""
        T, whole = lagged.shape[0], torch.cat((past, given))
        v = torch.cat((*(whole[self.output_lags - k :][:T] for k in range(1, self.output_lags + 1)), lagged), 2)
        y = self.linear(self.products(v))
        if self.net is not None:
            h, inner = self.net(v.transpose(0, 1), structure, inner)
            y = y + self.head(h.transpose(0, 1))
        return y, last_rows(whole, self.output_lags, structure.values), inner

    def _step_by_step(
        self, lagged: Tensor, given: Tensor | None, there: Tensor | None, past: Tensor, inner: Any
    ) -> tuple[Tensor, Tensor, Any]:
        """One step after the other, each reading what those before it said."""
        T, B, W = lagged.shape[0], lagged.shape[1], self.output_size
        flat = torch.cat([*past.flip(0)], 1)  # [B, output_lags · W], the newest first
        rows = (
            lagged,
            lagged.new_full((T, B, W), torch.nan) if given is None else given,
            lagged.new_ones((T, B, 1), dtype=torch.bool) if there is None else there,
        )

        def step(carry: tuple[Tensor, ...], row: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], Tensor]:
            return self._step(carry, row, inner)

        carry = (flat, *_tensors(inner))
        if torch.compiler.is_exporting():
            from torch._higher_order_ops.scan import scan  # what torch's exporter writes as a Scan

            if hasattr(self.net, "packed"):
                raise ConfigError(
                    "a NARX whose core.net is recurrent cannot be exported: torch's exporter writes no such layer "
                    "inside a loop. Train with core.net.kind = tdnn, or core.kind = recurrent."
                )
            carry, y = scan(step, carry, rows)
        else:
            ys = []
            for row in zip(*(each.unbind(0) for each in rows), strict=True):
                carry, said = step(carry, row)
                ys.append(said)
            y = torch.stack(ys) if ys else lagged.new_zeros(0, B, W)
        flat, *tensors = carry
        return y, flat.unflatten(1, (self.output_lags, W)).transpose(0, 1).flip(0), _nested(inner, iter(tensors))

    def _step(self, carry: Sequence[Tensor], row: Sequence[Tensor], inner: Any) -> tuple[tuple[Tensor, ...], Tensor]:
        (flat, *tensors), (lagged, given, alive) = carry, row
        v = torch.cat((flat, lagged), 1)
        y = self.linear(self.products(v))
        after: Sequence[Tensor] = ()
        if self.net is not None:
            h, state = self.net(v[:, None], Lengths(), _nested(inner, iter(tensors)))
            y, after = y + self.head(h[:, 0]), _tensors(state)
        said = torch.where(given.isnan(), y.clamp(-self.bound, self.bound), given)
        moved = torch.cat((said, flat[:, : flat.shape[1] - self.output_size]), 1)
        kept = (torch.where(alive, new, old) for new, old in zip((moved, *after), carry, strict=True))
        return tuple(kept), y

    @torch.no_grad()
    def solve(self, pieces: Sequence[tuple[Tensor, Tensor]], ridge: float = 0.0) -> tuple[int, float]:
        """Set A and c by least squares, so that y [T, W] is predicted of x [T, D] and the y before it, over all pieces
        and without the net; gives the degree of the products that are used, and the root of the mean squared error.

        The degree is that of the least AIC, corrected for few rows, n log(RSS / n) + 2 k n / (n − k − 1) of n = N W
        numbers and k weights, at most `degree`: weights of longer products are 0. `ridge`, of the mean square of a
        product, keeps products that are nearly alike apart. Raises `ConfigError` where no piece is longer than lags.
        Source of the correction: Hurvich & Tsai 1989, Regression and time series model selection in small samples.
        """
        moments = self._moments(pieces)
        count = float(moments[-1]) * self.output_size
        if not count:
            raise ConfigError(
                f"no training series is longer than the {self.longest_lag} steps of core.output_lags and "
                "core.input_lags."
            )
        found = []
        for degree in range(1, self.degree + 1):
            kept = [*range(math.comb(self.net_inputs + degree, degree) - 1), self.linear.in_features]
            weights, rest = _least_squares(moments, torch.tensor(kept), ridge)
            criterion = count * math.log(max(rest, SMALLEST * float(moments[2])) / count)
            free = count - weights.numel() - 1
            penalty = 2 * weights.numel() * (count / free) if free > 0 else math.inf
            found.append((criterion + penalty, degree, weights, rest))
        _, degree, weights, rest = min(found, key=lambda each: each[0])
        self.linear.weight.zero_()
        self.linear.weight[:, : len(weights) - 1] = weights[:-1].t().to(self.linear.weight.dtype)
        self.linear.bias.copy_(weights[-1])
        return degree, math.sqrt(max(0.0, rest) / count)

    @property
    def longest_lag(self) -> int:
        """Steps before the first one whose lags are all there."""
        return max(self.output_lags, self.input_lags - 1)

    def _moments(self, pieces: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """XᵀX, XᵀY, Σ y² and the number of rows, X the products of all steps and a 1."""
        L, size, W = self.longest_lag, self.linear.in_features + 1, self.output_size
        gram, cross, total, count = (torch.zeros(s, dtype=torch.float64) for s in ((size, size), (size, W), (), ()))
        for x, y in pieces:
            T = max(0, len(y) - L)
            lags = [y[L - k :][:T] for k in range(1, self.output_lags + 1)]
            lags += [x[L - k :][:T] for k in range(self.input_lags)]
            parts = torch.cat(lags, 1).double().split(AT_ONCE), y[L:].double().split(AT_ONCE)
            for v, target in zip(*parts, strict=True) if T else ():
                rows = F.pad(self.products(v), (0, 1), value=1.0)
                gram += rows.t() @ rows
                cross += rows.t() @ target
                total += target.square().sum()
                count += len(target)
        return gram, cross, total, count


def _least_squares(moments: Sequence[Tensor], kept: Tensor, ridge: float) -> tuple[Tensor, float]:
    """The weights [len(kept), W] of some columns, the constant the last of them, and the sum of squares they leave."""
    gram, cross, total, _ = moments
    gram, cross = gram[kept][:, kept], cross[kept]
    penalty = torch.full((len(gram),), ridge * float(gram.diagonal()[:-1].mean()), dtype=gram.dtype)
    penalty[-1] = 0
    weights = torch.linalg.lstsq(gram + penalty.diag(), cross, driver="gelsd").solution
    return weights, float(total - 2 * (weights * cross).sum() + (weights * (gram @ weights)).sum())


def last_rows(window: Tensor, count: int, lengths: Tensor | None) -> Tensor:
    """The last `count` rows of each sequence before its own end, [count, B, ·]; window [count + T, B, ·]."""
    if lengths is None:
        return window[window.shape[0] - count :]
    steps = lengths.to(window.device) + torch.arange(count, device=window.device)[:, None]
    return window.gather(0, steps[..., None].expand(-1, -1, window.shape[2]))


def _tensors(state: Any) -> list[Tensor]:
    """The tensors of a state, a nest of tuples, but for those that hold nothing."""
    if isinstance(state, Tensor):
        return [state] if state.shape[0] else []
    return [] if state is None else [tensor for each in state for tensor in _tensors(each)]


def _nested(like: Any, tensors: Iterator[Tensor]) -> Any:
    """A state nested like another, of other tensors; what holds nothing stays."""
    if isinstance(like, Tensor):
        return next(tensors) if like.shape[0] else like
    return None if like is None else tuple(_nested(each, tensors) for each in like)
