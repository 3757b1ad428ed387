"""The recurrent core of a model: `Recurrent` under the core contract."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from recurra.engine import Backend, Record, Trace
from recurra.equations.parse import parse
from recurra.errors import ConfigError
from recurra.nn.recurrent import Recurrent
from recurra.nn.step import Step
from recurra.registry import part
from recurra.types import Lengths, Sizes


@part("core", "recurrent")
class RecurrentCore(nn.Module):
    """Layers of one cell. x [B, T, D] → y [B, T, H], state.

    The cell is a registered one, `cell` (lstm where nothing is said), or written out, `equations`, in the language of
    recurra.equations.parse. `dropout` between layers, `variational`, `recurrent_dropout`, `weight_dropout` and
    `zoneout` are those of `Recurrent`, each with its source there.

    In memory time comes first, so that a time step is contiguous: [B, T, …] are views.
    """

    def __init__(
        self,
        cell: str | None = None,
        hidden_size: int = 256,
        num_layers: int = 1,
        dropout: float = 0.0,
        variational: bool = False,
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        zoneout: float = 0.0,
        bidirectional: bool = False,
        merge: Literal["concat", "sum"] = "concat",
        init_range: float | None = None,
        backend: Backend = "auto",
        equations: str | None = None,
    ) -> None:
        super().__init__()
        if cell is not None and equations is not None:
            raise ConfigError(
                f"core.cell = {cell!r} and core.equations both say what the core computes: keep one of them."
            )
        self.settings: dict[str, Any] = {
            "cell": parse(equations) if equations is not None else cell or "lstm",
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "dropout": dropout if num_layers > 1 else 0.0,  # a recipe may vary its layers, and has none between one
            "variational": variational,
            "recurrent_dropout": recurrent_dropout,
            "weight_dropout": weight_dropout,
            "zoneout": zoneout,
            "bidirectional": bidirectional,
            "merge": merge,
            "backend": backend,
        }
        self.init_range = init_range

    def build(self, sizes: Sizes) -> RecurrentCore:
        """Make the layers for inputs of width `sizes.embedding`."""
        self.layers = Recurrent(input_size=sizes.embedding, batch_first=True, **self.settings)
        if self.init_range is not None:
            for parameter in self.layers.parameters():
                nn.init.uniform_(parameter, -self.init_range, self.init_range)
        return self

    @property
    def output_size(self) -> int:
        return self.layers.output_size

    @property
    def causal(self) -> bool:
        """Whether y at t depends on x up to t only; known before `build`."""
        return not self.settings["bidirectional"]

    @property
    def halves(self) -> bool:
        """Whether y is what was read forwards beside what was read backwards; known before `build`."""
        return bool(self.settings["bidirectional"]) and self.settings["merge"] == "concat"

    @property
    def apart(self) -> bool:
        """Whether each half of y has read its own side only, so that no layer has seen both; known before `build`."""
        return self.halves and self.settings["num_layers"] == 1

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
        return self.layers(x, state, structure.values, record, trace)
