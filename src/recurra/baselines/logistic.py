"""Logistic regression on a few numbers, without a library: least loss with an L2 penalty, by L-BFGS."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

STRENGTHS = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
"""The L2 strengths λ tried, from strong to weak."""
FEW = 20
"""Fewer rows than this are too few to hold out a tenth: λ is then 1."""
STEPS = 200
"""Of L-BFGS, at most."""

Floats = NDArray[np.float64]


def probabilities(X: Floats, Y: Floats, asked: Floats, strength: float, several: bool = False) -> Floats:
    """The probabilities [M, L] of labels for `asked` [M, F], learned from X [N, F] and Y [N, L] of 0 and 1.

    Minimises Σ_n L_n + λ/2 ‖W‖², of one label each, or with `several` a decision for every label; the bias is free.
    """
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    weight = torch.zeros(X.shape[1], Y.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(Y.shape[1], dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([weight, bias], max_iter=STEPS, tolerance_grad=1e-4, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        search.zero_grad()
        z = x @ weight + bias
        if several:
            loss = F.binary_cross_entropy_with_logits(z, y, reduction="sum")
        else:
            loss = F.cross_entropy(z, y, reduction="sum")
        loss = loss + strength / 2 * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        search.step(closure)
    with torch.no_grad():
        z = torch.from_numpy(asked) @ weight + bias
        p: Floats = (z.sigmoid() if several else z.softmax(1)).numpy()
    return p


def choose_strength(X: Floats, Y: Floats, several: bool = False) -> tuple[float, str]:
    """The strength of `STRENGTHS` with the least squared error of the probabilities on a seeded tenth, and how it was
    found; from strong to weak, twice worse in a row ends it."""
    N = len(Y)
    if N < FEW:
        return 1.0, f"strength 1: {N} training windows are too few to choose it by"
    held = np.zeros(N, bool)
    held[np.random.default_rng(0).permutation(N)[: N // 10]] = True
    errors: list[float] = []
    for strength in STRENGTHS:
        p = probabilities(X[~held], Y[~held], X[held], strength, several)
        errors.append(float(np.square(p - Y[held]).sum()))
        if len(errors) > 2 and min(errors[-2:]) > min(errors):
            break
    strength = STRENGTHS[int(np.argmin(errors))]
    return strength, f"strength {strength:g}, chosen on a held-out tenth of the training windows"
