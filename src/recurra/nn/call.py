"""What calling a layer gives, for type checkers: `torch.nn.Module.__call__` says `Any`."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar, overload

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from recurra.engine import Record, Trace

States = TypeVar("States", covariant=True)
"""The states behind the last step: a tensor, or a tuple of them."""


class Call(Protocol[States]):
    """`layer(input, …)`: y is padded or packed as the input is."""

    @overload
    def __call__(
        self,
        input: Tensor,
        hx: Any = None,
        lengths: Tensor | None = None,
        record: list[Record] | None = None,
        trace: list[Trace] | None = None,
        *,
        dt: Tensor | None = None,
        seen: Tensor | None = None,
        since: Tensor | None = None,
    ) -> tuple[Tensor, States]: ...

    @overload
    def __call__(
        self,
        input: PackedSequence,
        hx: Any = None,
        lengths: None = None,
        record: list[Record] | None = None,
        trace: list[Trace] | None = None,
    ) -> tuple[PackedSequence, States]: ...
