"""Findings as what JSON can hold."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

DIGITS = 6
"""Digits that numbers of arrays keep: as many as a picture or a table can use, in a third of the characters."""


def plain(value: Any) -> Any:
    """Records, arrays and tuples as objects and lists; a number that JSON has not (nan, infinite) as null, a complex
    one as [real, imaginary]."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return plain(_rounded(value).tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, complex):
        return [value.real, value.imag]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _rounded(values: np.ndarray) -> np.ndarray:
    """Floating numbers to so many digits, whatever their size."""
    if values.dtype.kind == "c":
        return np.stack((_rounded(values.real), _rounded(values.imag)), -1)
    if values.dtype.kind != "f":
        return values
    exact = values.astype(np.float64)
    size = np.abs(exact)
    usual = np.isfinite(exact) & (size > 1e-290)
    scale = 10.0 ** (DIGITS - 1 - np.floor(np.log10(np.where(usual, size, 1.0))))
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = np.round(exact * scale) / scale
    return np.where(usual & np.isfinite(rounded), rounded, exact)
