"""Calls that a compiled program leaves to Python: torch.compile goes on behind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


@torch.compiler.disable(
    reason="A layer with backend='aten', with a PackedSequence, or with a list for record or trace runs outside of "
    "compiled programs. For fullgraph=True take backend='auto', the padded tensor with lengths=, and no such list."
)
def run_eagerly(call: Callable[..., Any], *given: Any) -> Any:
    """`call(*given)` as it is without torch.compile."""
    return call(*given)
