"""`RNN`, `LSTM` and `GRU` in place of torch.nn's: the same constructor, call, attributes and state_dict.

docs/torch-nn.md lists what differs.
"""

from __future__ import annotations

from typing import Literal, TypedDict, Unpack

import torch
from torch import Tensor

from recurra.errors import WrongValue
from recurra.nn.call import Call
from recurra.nn.recurrent import Recurrent


class Further(TypedDict, total=False):
    """The options of `Recurrent` that torch.nn's layers do not have."""

    merge: Literal["concat", "sum"]
    variational: bool
    recurrent_dropout: float
    weight_dropout: float
    zoneout: float
    truncate: int
    backend: str


class LSTM(Recurrent):
    """`Recurrent("lstm", …)` with the arguments of torch.nn.LSTM, and the further ones of `Recurrent`."""

    mode = "LSTM"
    __call__: Call[tuple[Tensor, Tensor]]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **further: Unpack[Further],
    ) -> None:
        super().__init__(
            "lstm",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device=device,
            dtype=dtype,
            **further,
        )

    def extra_repr(self) -> str:
        """As torch.nn's."""
        return self._described()


class GRU(Recurrent):
    """`Recurrent("gru", …)` with the arguments of torch.nn.GRU, and the further ones of `Recurrent`."""

    mode = "GRU"
    __call__: Call[Tensor]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        proj_size: int = 0,
        **further: Unpack[Further],
    ) -> None:
        _no_projection("gru", proj_size)
        super().__init__(
            "gru",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
            **further,
        )

    def extra_repr(self) -> str:
        """As torch.nn's."""
        return self._described()


class RNN(Recurrent):
    """`Recurrent("rnn-tanh", …)` with the arguments of torch.nn.RNN, and the further ones of `Recurrent`.

    `nonlinearity`: "tanh", "relu", or "identity", which torch.nn does not have.
    """

    __call__: Call[Tensor]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: Literal["tanh", "relu", "identity"] = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        proj_size: int = 0,
        **further: Unpack[Further],
    ) -> None:
        if nonlinearity not in ("tanh", "relu", "identity"):
            raise WrongValue(f"Unknown nonlinearity {nonlinearity!r}, expected 'tanh', 'relu' or 'identity'.")
        _no_projection(f"rnn-{nonlinearity}", proj_size)
        super().__init__(
            f"rnn-{nonlinearity}",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
            **further,
        )
        self.nonlinearity = nonlinearity

    @property
    def mode(self) -> str:
        """torch.nn's name of the layer: RNN_TANH or RNN_RELU; RNN_IDENTITY is ours."""
        return f"RNN_{self.nonlinearity.upper()}"

    def extra_repr(self) -> str:
        """As torch.nn's, which says nothing of relu."""
        return self._described() + (", nonlinearity='identity'" if self.nonlinearity == "identity" else "")


def _no_projection(cell: str, proj_size: int) -> None:
    """Refuse what torch.nn refuses; its words come first, since programs look for them."""
    if proj_size:
        raise WrongValue(
            f"proj_size argument is only supported for LSTM, not RNN or GRU. Where the cell allows one, "
            f"Recurrent({cell!r}, …, proj_size={proj_size}) has it."
        )
