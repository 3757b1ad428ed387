"""Sizes of a core's output and of its changes, which training may keep small."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.engine.time import check_lengths
from recurra.nn.attention import places


def mean_square(y: Tensor, lengths: Tensor | None = None) -> Tensor:
    """mean_{t, b, j} y[t, b, j]², over the steps that are no padding: activation regularisation.

    Shapes: y [T, B, H], zero behind a sequence's end; lengths [B]; result [], 0 where there is no step.
    Source: Merity, McCann & Socher 2017, Revisiting activation regularization for language RNNs, section 3.
    """
    T, B = y.shape[:2]
    steps = T * B if lengths is None else int(check_lengths(lengths, T, B).sum())
    return _squares(y) / max(1, steps * y.shape[2])


def mean_square_change(y: Tensor, lengths: Tensor | None = None) -> Tensor:
    """mean_{t, b, j} (y[t+1, b, j] − y[t, b, j])², over neighbouring steps that are no padding: temporal activation
    regularisation, the slowness of Hinton 1989.

    Shapes and source as for `mean_square`.
    """
    changes = y[1:] - y[:-1]
    pairs = changes.shape[0] * changes.shape[1]
    if lengths is not None:
        later = places(lengths, y)[1:]  # [T − 1, B, 1]
        changes, pairs = changes * later, int(later.sum())
    return _squares(changes) / max(1, pairs * y.shape[2])


def _squares(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32)).square().sum()
