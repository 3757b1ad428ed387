"""Several opinions of the same labels as one, each counted as much as held-out examples say."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CalibratedSum(nn.Module):
    """z = Σ_k s_k z_k of `count` logits z_k [B, L]; the scales s_k > 0 are no weights that training moves."""

    scales: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        self.register_buffer("scales", torch.ones(count))

    def forward(self, logits: Sequence[Tensor]) -> Tensor:
        return torch.stack([scale * each for scale, each in zip(self.scales, logits, strict=True)]).sum(0)

    @torch.enable_grad()
    def calibrate(self, logits: Sequence[Tensor], Y: Tensor, several: bool) -> None:
        """Choose the scales for logits, each [N, L], of examples that were not learnt from and their labels Y [N, L], 0
        or 1: minimises Σ_n L_n + Σ_k (ln s_k)², the second so that few examples move them little. Dividing by a
        temperature, s = 1/T, is the same for one k (Guo et al. 2017, On calibration of modern neural networks).
        """
        each = torch.stack([one.detach().double().cpu() for one in logits])  # [k, N, L]
        Y = Y.double().cpu()
        exponents = torch.zeros(len(each), dtype=torch.float64, requires_grad=True)
        search = torch.optim.LBFGS([exponents], max_iter=50, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            search.zero_grad()
            z = torch.einsum("k,knl->nl", exponents.exp(), each)
            told = (
                F.binary_cross_entropy_with_logits(z, Y, reduction="sum") if several else -(Y * z.log_softmax(1)).sum()
            )
            loss = told + exponents.square().sum()
            loss.backward()
            return loss

        search.step(closure)
        if bool(exponents.isfinite().all()):  # else the training says that its loss is not
            self.scales.copy_(exponents.detach().exp())
