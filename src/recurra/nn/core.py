"""The recurrent core of a model: `Recurrent` under the core contract."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from recurra.engine import Record, Trace
from recurra.nn.layers import Layers, Regularisation, cell_of, check_core, make_layers, start_weights
from recurra.nn.step import Step
from recurra.registry import part
from recurra.types import Lengths, Sizes


@part("core", "recurrent")
class RecurrentCore(nn.Module):
    """Layers of one cell. x [B, T, D] → y [B, T, H], state.

    Where the structure has gaps, the cell is given what its equations read of them.
    The cell is a registered one, `cell`, or written out, `equations`, in the language of recurra.equations.parse.
    `bidirectional` layers read from both ends, `merge` says how the two are joined.
    In memory time comes first, so that a time step is contiguous: [B, T, …] are views.
    """

    def __init__(
        self,
        layers: Layers = Layers(),
        equations: str | None = None,
        regularisation: Regularisation = Regularisation(),
        bidirectional: bool = False,
        merge: Literal["concat", "sum"] = "concat",
    ) -> None:
        super().__init__()
        check_core(layers, regularisation)
        self.cell = cell_of(layers, equations)
        self.settings, self.regularisation = layers, regularisation
        self.bidirectional, self.merge = bidirectional, merge

    def build(self, sizes: Sizes) -> RecurrentCore:
        """Make the layers for inputs of width `sizes.embedding`."""
        self.layers = make_layers(
            self.cell,
            sizes.embedding,
            self.settings,
            self.regularisation,
            batch_first=True,
            bidirectional=self.bidirectional,
            merge=self.merge,
        )
        start_weights(self.layers, self.settings.init_range)
        return self

    @property
    def output_size(self) -> int:
        return self.layers.output_size

    @property
    def causal(self) -> bool:
        """Whether y at t depends on x up to t only; known before `build`."""
        return not self.bidirectional

    @property
    def halves(self) -> bool:
        """Whether y is what was read forwards beside what was read backwards; known before `build`."""
        return self.bidirectional and self.merge == "concat"

    @property
    def apart(self) -> bool:
        """Whether each half of y has read its own side only, so that no layer has seen both; known before `build`."""
        return self.halves and self.settings.num_layers == 1

    @property
    def state_names(self) -> tuple[str, ...]:
        """What the tensors of its state are called, in their order; known after `build`."""
        return self.layers.cell.state

    def packed(self, batch: int, weights: Literal["float32", "bfloat16", "int8"]) -> Step:
        """The layers prepared for single steps of `batch` sequences; raises as `Step` does."""
        return Step(self.layers, batch, weights)

    def forward(
        self,
        x: Tensor,
        structure: Lengths,
        state: Any = None,
        record: list[Record] | None = None,
        trace: list[Trace] | None = None,
    ) -> tuple[Tensor, Any]:
        gaps = structure.gaps
        beside = {} if gaps is None else gaps.taken(self.layers.cell.takes)
        return self.layers(x, state, structure.values, record, trace, **beside)
