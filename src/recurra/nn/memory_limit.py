"""Weights that would not fit in memory are refused before they are made."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from recurra import limits
from recurra.errors import ConfigError

FACTORIES = frozenset({torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn})


class MemoryLimit(TorchFunctionMode):
    """While it is entered, what torch makes anew may have `most` bytes in all.

    `settings` are those of what is built, `where` is their section: the error names the largest of them. Raises
    `ConfigError` before the tensor beyond `most` is allocated.
    """

    def __init__(self, where: str, settings: Mapping[str, Any], most: int | None = None) -> None:
        super().__init__()
        self._where, self._settings = where, settings
        self._most, self._taken = limits.memory() if most is None else most, 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in FACTORIES and self._most is not None:
            first = kwargs.get("size", args[0] if args else ())
            size = tuple(first) if isinstance(first, Sequence) else tuple(a for a in args if isinstance(a, int))
            kind = kwargs.get("dtype") or torch.get_default_dtype()
            self._taken += math.prod(size) * kind.itemsize
            if self._taken > self._most:
                raise self._too_large()
        return func(*args, **kwargs)

    def _too_large(self) -> ConfigError:
        whole = sorted(_whole(self._where, self._settings), key=lambda pair: pair[1])
        largest = f" The largest of its settings is {whole[-1][0]} = {whole[-1][1]}: make it smaller." if whole else ""
        return ConfigError(
            f"[{self._where}] takes {self._taken / 2**30:,.1f} GiB of weights and more, but this machine has "
            f"{(self._most or 0) / 2**30:,.1f} GiB of memory.{largest}"
        )


def _whole(where: str, settings: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The whole numbers among settings, by their dotted names."""
    found: list[tuple[str, int]] = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found += _whole(f"{where}.{key}", value)
        elif isinstance(value, int) and not isinstance(value, bool):
            found.append((f"{where}.{key}", value))
    return found
