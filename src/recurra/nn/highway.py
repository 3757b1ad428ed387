"""A linear function of a window beside a network: what the network is to say is what that leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from recurra.nn.frame import Frame

STALE = 4
"""From so many steps on it makes no difference how long ago the last value was seen."""
RIDGE = 3e-2
"""Of the mean square of what is regressed on: what keeps the least squares of nearly equal steps apart."""
MOST, AT_ONCE = 10_000, 1000
"""Windows that least squares are made of at most, evenly taken, and so many at a time."""
Beside = Tensor | None


class Highway(nn.Module):
    """x̂_{t+h} = a_{w,h}ᵀ (x_{t−L+1} … x_t) + c_{w,h}, h = 1 … horizon, of each variable w by itself: least squares that
    training leaves as they are.

    Where it is known what was seen, the window ends with the last value that was, k steps ago, and h is counted from
    there: a_{w,h+k}, with k up to `STALE`. What is missing inside of it lies on a straight line between the values seen
    at both sides.

    Shapes: windows [B, L', W], those that are shorter than L with zeros in front → [B, horizon, W].
    Source: Lai, Chang, Yang & Liu 2018, Modeling long- and short-term temporal patterns with deep neural networks,
    eq. 9, for a linear part by variable; it is trained there.
    """

    weight: Tensor
    """[W, horizon, L + 1], with gaps `STALE` more in the place of the horizon."""

    def __init__(self, look_back: int, horizon: int, width: int, gaps: bool) -> None:
        super().__init__()
        self.look_back, self.horizon, self.gaps = look_back, horizon, gaps
        self.register_buffer("weight", torch.zeros(width, horizon + (STALE if gaps else 0), look_back + 1))

    def forward(self, past: Tensor, lengths: Tensor | None, seen: Tensor | None) -> Tensor:
        phi, old = self._regressed(past, lengths, seen)
        said = torch.bmm(phi, self.weight.mT.to(phi.dtype))  # [W, B, horizon], or more
        return said.gather(2, self._ahead(old)).permute(1, 2, 0)

    @torch.no_grad()
    def fit(self, windows: Iterable[tuple[Tensor, Beside, Tensor]]) -> Self:
        """Take the least squares of windows, what of them was seen, and what follows them [B, horizon, W], NaN where it
        does not count."""
        W, G, F = self.weight.shape
        gram = self.weight.new_zeros(W, G, F, F, dtype=torch.float64)
        moment = self.weight.new_zeros(W, G, F, dtype=torch.float64)
        for past, seen, future in windows:
            phi, old = self._regressed(past.double(), None, seen)
            y = phi.new_full((*phi.shape[:2], G), torch.nan)
            y.scatter_(2, self._ahead(old), future.permute(2, 0, 1).double())  # [W, B, G]
            there = ~y.isnan()
            if there.all():
                gram += (phi.mT @ phi)[:, None]
            else:
                for g in range(G):
                    gram[:, g] += (phi * there[:, :, g : g + 1]).mT @ phi
            moment += torch.where(there, y, 0).mT @ phi
        ridge = RIDGE * gram.diagonal(dim1=2, dim2=3).mean(2).clamp(min=torch.finfo(torch.float64).tiny)
        self.weight.copy_(torch.linalg.solve(gram + ridge[..., None, None] * torch.eye(F).to(gram), moment))
        return self

    def _ahead(self, old: Tensor) -> Tensor:
        """Which weights each step to come has, [W, B, horizon]."""
        return old[..., None] + torch.arange(self.horizon, device=old.device)

    def _regressed(self, past: Tensor, lengths: Tensor | None, seen: Tensor | None) -> tuple[Tensor, Tensor]:
        """What is regressed on, with a constant, [W, B, L + 1], and how many steps ago it ends, [W, B]."""
        x, L = self._filled(past, lengths, 0.0), self.look_back
        old = torch.zeros(x.shape[:2], dtype=torch.int64, device=x.device)
        if self.gaps and seen is not None:
            known = self._filled(seen.to(past.dtype), lengths, 1.0) > 0.5
            t = torch.arange(L, device=x.device)
            before = _latest(torch.where(known, t, 0))
            after = L - 1 - _latest(torch.where(known.flip(2), t, -1)).flip(2)  # L where none follows
            share = ((t - before) / (after - before).clamp(min=1) * (after < L)).to(x.dtype)
            x = torch.lerp(x.gather(2, before), x.gather(2, after.clamp(max=L - 1)), share)
            waited = L - 1 - before[..., -1]
            places = t - waited[..., None]
            x = x.gather(2, places.clamp(min=0)).masked_fill(places < 0, 0)
            old = waited.clamp(max=STALE)
        return torch.cat((x, torch.ones_like(x[..., :1])), 2), old

    def _filled(self, given: Tensor, lengths: Tensor | None, value: float) -> Tensor:
        """The last L steps [W, B, L] of windows, `value` in front of those that have fewer."""
        T, L = given.shape[1], self.look_back
        if lengths is None:
            rows = given[:, max(0, T - L) :].permute(2, 0, 1)
            return nn.functional.pad(rows, (L - rows.shape[2], 0), value=value)
        places = lengths[:, None] - L + torch.arange(L, device=given.device)  # [B, L]
        rows = given.gather(1, places.clamp(min=0, max=T - 1)[..., None].expand(-1, -1, given.shape[2]))
        return rows.masked_fill((places < 0)[..., None], value).permute(2, 0, 1)


def _latest(t: Tensor) -> Tensor:
    """The largest up to each place of the last axis; in steps that an export knows, as many as L has bits."""
    L, reach = t.shape[-1], 1
    while reach < L:
        t = torch.cat((t[..., :reach], torch.maximum(t[..., reach:], t[..., :-reach])), -1)
        reach *= 2
    return t


def training_windows(
    encoded: Sequence[Mapping[str, Any]], look_back: int, horizon: int, season: int, floor: float | None
) -> Iterator[tuple[Tensor, Beside, Tensor]]:
    """Windows of encoded series in their frame, as `Highway.fit` takes them."""
    K = look_back + horizon
    stride = max(1, -(-sum(max(0, len(each["input"]) - K + 1) for each in encoded) // MOST))
    for each in encoded:
        fields = {name: torch.from_numpy(each[name]) for name in ("input", "seen") if name in each}
        starts = torch.arange(0, max(0, len(fields["input"]) - K + 1), stride)
        for some in starts.split(AT_ONCE) if len(starts) else ():
            cut = {name: value[some[:, None] + torch.arange(K)] for name, value in fields.items()}  # [B, K, W]
            past, future = cut["input"].split((look_back, horizon), 1)
            frame = Frame.of(past, None, season, floor)
            future = frame.of_future(future)
            if "seen" in cut:
                future = future.masked_fill(cut["seen"][:, look_back:] < 0.5, torch.nan)
            yield frame.of_past(past), cut["seen"][:, :look_back] if "seen" in cut else None, future
