"""Write in a form: so many lines of so many characters, a mark behind each, and then the end."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recurra.decoding.hypothesis import Step
from recurra.errors import ConfigError

WITHIN, MARK, END, NEVER = range(4)
"""What a symbol is for: within a line, the end of one, the end of all, or nothing that a form has room for."""


def in_form(step: Step, state: Any, form: Tensor, kinds: Tensor) -> tuple[Step, Any]:
    """A step that allows only what keeps the form, and its state; any search works over them.

    After n symbols of a form of L lines of W characters,
        log p = −∞  but for  END where n ≥ L (W + 1),  MARK where n mod (W + 1) = W,  WITHIN else.
    What is allowed keeps the log-probability the model gives it: nothing is made likelier, a search that draws shares
    out what is left.

    Shapes: form [B, 2], characters of a line and lines of each source; kinds [V], one of `WITHIN`, `MARK`, `END` and
    `NEVER` for each symbol.
    Raises ConfigError where the symbols have none of a kind that is needed.
    """
    for kind, what in ((WITHIN, "a character"), (MARK, "a mark that ends a line"), (END, "an end mark")):
        if not (kinds == kind).any():
            raise ConfigError(f"no symbol is {what}: nothing can be written in a form. Leave search.form out.")

    def formed(state: Any, token: Tensor) -> tuple[Tensor, Any]:
        inner, form, written = state
        log_p, inner = step(inner, token)
        width, lines = form[:, :1], form[:, 1:]
        wanted = torch.where(written % (width + 1) == width, MARK, WITHIN)
        wanted = torch.where(written >= lines * (width + 1), END, wanted)  # [N, 1]
        return log_p.masked_fill(kinds != wanted, -torch.inf), (inner, form, written + 1)

    return formed, (state, form, form.new_zeros(len(form), 1))
