"""A core that reads a sequence forwards and backwards, and never lets the two readings see each other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from recurra.engine import Record, Trace
from recurra.engine.padded import turned
from recurra.nn.layers import Layers, Regularisation, cell_of, check_core, make_layers, start_weights
from recurra.registry import part
from recurra.types import Lengths, Sizes


@part("core", "both-ways")
class BothWaysCore(nn.Module):
    """Two stacks of layers of one cell, one for each direction. x [B, T, D] → y [B, T, 2H], state.

    y_t is h→_t, which has read x_1 … x_t, beside h←_t, which has read x_T … x_t; so y_{t−1} and y_{t+1} together hold
    halves, h→_{t−1} and h←_{t+1}, that know all of the sequence but x_t. A bidirectional stack does not have them: from
    its second layer on each direction reads what the other one has said of the same place.

    The settings are those of the core `recurrent`, the same for both directions. Where an initial state is given, it is
    a pair.
    In memory time comes first, so that a time step is contiguous: [B, T, …] are views.
    Source: Melamud, Goldberger & Dagan 2016, context2vec, section 2.1, for two readings of a context that end before
    the place in question.
    """

    causal = False
    halves = True
    apart = True
    """Each half of y has read its own side only."""

    def __init__(
        self,
        layers: Layers = Layers(),
        equations: str | None = None,
        regularisation: Regularisation = Regularisation(),
    ) -> None:
        super().__init__()
        check_core(layers, regularisation)
        self.cell = cell_of(layers, equations)
        self.settings, self.regularisation = layers, regularisation

    def build(self, sizes: Sizes) -> BothWaysCore:
        """Make the layers of both directions for inputs of width `sizes.embedding`."""
        self.forwards, self.backwards = (
            make_layers(self.cell, sizes.embedding, self.settings, self.regularisation) for _ in range(2)
        )
        start_weights(self, self.settings.init_range)
        return self

    @property
    def output_size(self) -> int:
        return self.forwards.output_size + self.backwards.output_size

    def forward(
        self,
        x: Tensor,
        structure: Lengths,
        state: Any = None,
        record: list[Record] | None = None,
        trace: list[Trace] | None = None,
    ) -> tuple[Tensor, Any]:
        x, lengths = x.transpose(0, 1), structure.values  # [T, B, D]
        initial, final = (None, None) if state is None else state
        gaps = {} if structure.gaps is None else structure.gaps.taken(self.forwards.cell.takes)
        gaps = {name: value.transpose(0, 1) for name, value in gaps.items()}
        y, last = self.forwards(x, initial, lengths, record, trace, **gaps)
        seen = (len(record or ()), len(trace or ()))
        gaps = {name: _from_the_end(name, value, lengths) for name, value in gaps.items()}
        z, first = self.backwards(turned(x, lengths), final, lengths, record, trace, **gaps)
        for one in (*(record or ())[seen[0] :], *(trace or ())[seen[1] :]):
            one.reverse = True  # they were read as what was turned round
        return torch.cat((y, turned(z, lengths)), 2).transpose(0, 1), (last, first)


def _from_the_end(name: str, value: Tensor, lengths: Tensor | None) -> Tensor:
    """What comes beside x [T, B, D], turned round; the time since the step before is then that to the step behind."""
    back = turned(value if value.ndim == 3 else value[..., None], lengths)
    if name != "dt":
        return back
    return torch.cat((torch.ones_like(back[:1]), back[:-1]))[..., 0]
