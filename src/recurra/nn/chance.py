"""What is drawn at random for each example by itself, by a seed of its own: the same alone and among others."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

LEVELS = 255


def seeds_of(pictures: Tensor) -> list[int]:
    """A seed for each of some pictures [B, …] of 0 to 1, made of its pixels in eight bits."""
    levels = (pictures.detach().clamp(0, 1) * LEVELS).round().to(torch.uint8).cpu().numpy()
    return [zlib.crc32(np.ascontiguousarray(each).tobytes()) for each in levels]


def normal(seeds: Sequence[int], shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Numbers from N(0, 1), those of each seed [B, *shape], on the device of `like`, of its type."""
    found = [np.random.default_rng((seed, 0)).standard_normal(shape, np.float32) for seed in seeds]
    return _stacked(found, shape, like)


def uniform(seeds: Sequence[int], shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Numbers from U[0, 1), those of each seed [B, *shape], others than `normal` takes."""
    found = [np.random.default_rng((seed, 1)).random(shape, np.float32) for seed in seeds]
    return _stacked(found, shape, like)


def _stacked(found: list[np.ndarray], shape: tuple[int, ...], like: Tensor) -> Tensor:
    held = np.stack(found) if found else np.zeros((0, *shape), np.float32)
    return torch.from_numpy(held).to(like.device, like.dtype)
