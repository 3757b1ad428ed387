"""A window into a picture: a grid of Gaussian filters that an attention moves, widens and sharpens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SMALLEST = 1e-8
"""A sum of a filter's weights that is less, of a filter far outside the picture, counts as so much."""


@dataclass(frozen=True)
class Filters:
    """The filters of a window of N × N over pictures of B rows and A columns, one window a picture.

    Each row of `vertical` and `horizontal` sums to 1, unless it lies far outside the picture.
    """

    vertical: Tensor
    """F_Y [batch, N, B]"""
    horizontal: Tensor
    """F_X [batch, N, A]"""
    intensity: Tensor
    """γ [batch, 1]"""

    def read(self, picture: Tensor) -> Tensor:
        """γ F_Y x F_Xᵀ, flat: pictures [batch, B, A] → [batch, N²].

        Source: Gregor et al. 2015, equation 27, for one of the two pictures.
        """
        patch = self.vertical @ picture @ self.horizontal.transpose(1, 2)  # [batch, N, N]
        return self.intensity * patch.flatten(1)

    def write(self, patch: Tensor) -> Tensor:
        """F_Yᵀ w F_X / γ, flat: patches [batch, N²] → pictures [batch, B · A].

        Source: Gregor et al. 2015, equation 29.
        """
        N = self.vertical.shape[1]
        picture = self.vertical.transpose(1, 2) @ patch.unflatten(1, (N, N)) @ self.horizontal
        return picture.flatten(1) / self.intensity


def filters(parameters: Tensor, window: int, rows: int, columns: int) -> tuple[Filters, Tensor]:
    """The filters that (g̃_X, g̃_Y, log σ², log δ̃, log γ) [batch, 5] stand for, and where they lie [batch, 4].

    g_X = (A + 1) / 2 · (g̃_X + 1), g_Y = (B + 1) / 2 · (g̃_Y + 1), δ = (max(A, B) − 1) / (N − 1) · δ̃ (22 to 24); the
    filter at (i, j) has its mean at μ_X = g_X + (i − N/2 − 0.5) δ, μ_Y = g_Y + (j − N/2 − 0.5) δ (19, 20), i and j from
    1; F_X[i, a] = exp(−(a − μ_X)² / 2σ²) / Z_X, F_Y[j, b] likewise (25, 26), pixels numbered from 1. Of a window of one
    filter δ says nothing. Where it lies, in pixels: g_X and g_Y, the window's middle; (N − 1) δ, from its first filter
    to its last; σ.
    Source: Gregor et al. 2015, section 3.2.
    """
    across, down, log_variance, log_stride, log_intensity = parameters.split(1, 1)  # [batch, 1] each
    g_x = (columns + 1) / 2 * (across + 1)
    g_y = (rows + 1) / 2 * (down + 1)
    delta = (max(rows, columns) - 1) / max(1, window - 1) * log_stride.exp()
    offsets = torch.arange(1, window + 1, dtype=parameters.dtype, device=parameters.device) - window / 2 - 0.5
    precision = (-log_variance).exp()[:, :, None] / 2  # 1 / 2σ²
    vertical = _gaussians(g_y + offsets * delta, precision, rows)
    horizontal = _gaussians(g_x + offsets * delta, precision, columns)
    where = torch.cat((g_x, g_y, (window - 1) * delta, (log_variance / 2).exp()), 1)
    return Filters(vertical, horizontal, log_intensity.exp()), where


def _gaussians(means: Tensor, precision: Tensor, pixels: int) -> Tensor:
    """exp(−(a − μ)² · `precision`), rows that sum to 1: means [batch, N] → [batch, N, pixels]."""
    places = torch.arange(1, pixels + 1, dtype=means.dtype, device=means.device)
    weights = torch.exp(-(places - means[:, :, None]).square() * precision)
    return weights / weights.sum(2, keepdim=True).clamp(min=SMALLEST)
