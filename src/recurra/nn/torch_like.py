"""`RNN`, `LSTM` and `GRU` in place of torch.nn's: same constructor, call and state_dict."""

from __future__ import annotations

from typing import Any

from recurra.errors import ConfigError
from recurra.nn.recurrent import Recurrent


def LSTM(input_size: int, hidden_size: int, *args: Any, **options: Any) -> Recurrent:
    """`Recurrent("lstm", …)`; arguments as torch.nn.LSTM, and the further ones of `Recurrent`."""
    return Recurrent("lstm", input_size, hidden_size, *args, **options)


def GRU(input_size: int, hidden_size: int, *args: Any, **options: Any) -> Recurrent:
    """`Recurrent("gru", …)`; arguments as torch.nn.GRU, and the further ones of `Recurrent`."""
    return Recurrent("gru", input_size, hidden_size, *args, **options)


def RNN(
    input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", *args: Any, **options: Any
) -> Recurrent:
    """`Recurrent("rnn-tanh" or "rnn-relu", …)`; arguments as torch.nn.RNN, and the further ones of `Recurrent`."""
    if nonlinearity not in ("tanh", "relu", "identity"):
        raise ConfigError(f"nonlinearity = {nonlinearity!r}, expected 'tanh', 'relu' or 'identity'.")
    return Recurrent(f"rnn-{nonlinearity}", input_size, hidden_size, num_layers, *args, **options)
