"""Processor threads for the length of a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from recurra.limits import check_threads


@contextmanager
def threads_set(count: int | None) -> Iterator[None]:
    """Inside, torch uses so many processor threads; None changes nothing."""
    before = torch.get_num_threads()
    if count is not None:
        check_threads("threads", count)
    torch.set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
