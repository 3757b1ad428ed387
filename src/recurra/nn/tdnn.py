"""The time-delay network: a core that sees a window of its input and has no recurrence."""

from __future__ import annotations

import math
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import ConfigError
from recurra.limits import check_layers, check_size
from recurra.nn.attention import places
from recurra.nn.watch import LayerTrace
from recurra.registry import part
from recurra.types import Lengths, Sizes

State = tuple[Tensor, ...]


@part("core", "tdnn")
class Tdnn(nn.Module):
    """Layers of y_t = f(Σ_k x_{t − k d} W_k + b), k = 0 … delays (Waibel et al. 1989).

    Shapes: x [B, T, D] → y [B, T, H], state.
    The step d between delays is dilation^layer, so that with `dilation` 2 the window doubles with every layer. Not
    causal, k goes from −delays: the window reaches as far ahead as back. Before the beginning and behind the end of a
    sequence all layers read zeros, and y is zero behind its end.
    Parameters of layer l: `weight_ll` [taps, inputs, H], the tap of the newest step first, and `bias_ll` [H].
    State: for each layer its last delays · d inputs [delays · d, B, inputs], oldest first; None where not causal, since
    such a layer cannot go on. In memory time comes first: [B, T, …] are views.
    """

    halves: ClassVar[bool] = False
    """A delay line looks at both sides at once."""

    def __init__(
        self,
        hidden_size: int = 256,
        num_layers: int = 2,
        delays: int = 3,
        dilation: int = 1,
        causal: bool = True,
        dropout: float = 0.0,
        activation: Literal["tanh", "relu"] = "tanh",
    ) -> None:
        super().__init__()
        named = (("hidden_size", hidden_size), ("num_layers", num_layers), ("dilation", dilation))
        for name, number in named:
            (check_layers if name == "num_layers" else check_size)(f"core.{name}", number)
            if number < 1:
                raise ConfigError(f"core.{name} = {number}, expected 1 or more.")
        check_layers("core.delays", delays)
        if delays < 0:
            raise ConfigError(f"core.delays = {delays}, expected 0 (the present step alone) or more.")
        if not 0 <= dropout < 1:
            raise ConfigError(f"core.dropout = {dropout}, expected 0 or more and less than 1.")
        if activation not in ("tanh", "relu"):
            raise ConfigError(f"core.activation = {activation!r}, expected 'tanh' or 'relu'.")
        self.hidden_size, self.num_layers, self.delays, self.dilation = hidden_size, num_layers, delays, dilation
        self.dropout, self.activation = dropout, activation
        self.causal = causal
        """Whether y at t depends on x up to t only; known before `build`."""
        self.output_size = hidden_size

    def build(self, sizes: Sizes) -> Self:
        """Make the weights for inputs of width `sizes.embedding`, uniform in ±1/√(taps · inputs)."""
        taps = self.delays + 1 if self.causal else 2 * self.delays + 1
        for layer in range(self.num_layers):
            width = self._width(layer, sizes.embedding)
            bound = 1 / math.sqrt(taps * width)
            for name, shape in (("weight", (taps, width, self.hidden_size)), ("bias", (self.hidden_size,))):
                parameter = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
                self.register_parameter(f"{name}_l{layer}", parameter)
        return self

    def _width(self, layer: int, inputs: int) -> int:
        return self.hidden_size if layer else inputs

    def forward(
        self,
        x: Tensor,
        structure: Lengths,
        state: State | None = None,
        trace: list[LayerTrace] | None = None,
    ) -> tuple[Tensor, State | None]:
        rows, lengths = x.transpose(0, 1), structure.values  # [T, B, D]
        behind = None
        if lengths is not None:
            behind = ~places(lengths, rows)
            lengths = lengths.to(x.device)
            rows = rows.masked_fill(behind, 0)
        states = self._initial(rows, state)
        kept = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                rows = F.dropout(rows, self.dropout, self.training)
            before = states[layer]
            if self.causal:
                window = torch.cat((before, rows))
                kept.append(_last(window, before.shape[0], lengths))
            else:
                window = torch.cat((before, rows, before))
            rows = self._layer(layer, window, rows.shape[0])
            if trace is not None:
                trace.append(LayerTrace(layer, rows))
            if behind is not None:
                rows = rows.masked_fill(behind, 0)
        return rows.transpose(0, 1), tuple(kept) if self.causal else None

    def _layer(self, layer: int, window: Tensor, T: int) -> Tensor:
        """One product for each tap: time first, a shifted window is a view without a copy."""
        weight, bias = getattr(self, f"weight_l{layer}"), getattr(self, f"bias_l{layer}")
        step, B = self.dilation**layer, window.shape[1]
        z = bias
        for k, W in enumerate(weight):
            newest = len(weight) - 1 - k
            shifted = window[newest * step : newest * step + T].reshape(T * B, -1)
            z = torch.addmm(z, shifted, W)
        return (torch.tanh(z) if self.activation == "tanh" else torch.relu(z)).view(T, B, -1)

    def _initial(self, rows: Tensor, state: State | None) -> State:
        """What each layer reads before the first step: zeros, or the inputs that came before."""
        B, D = rows.shape[1:]
        shapes = [(self.delays * self.dilation**n, B, self._width(n, D)) for n in range(self.num_layers)]
        if state is None or not self.causal:
            return tuple(rows.new_zeros(shape) for shape in shapes)
        if [tuple(s.shape) for s in state] != shapes:
            raise ConfigError(f"state of 'tdnn' has shapes {[tuple(s.shape) for s in state]}, expected {shapes}.")
        return state


def _last(window: Tensor, count: int, lengths: Tensor | None) -> Tensor:
    """The last `count` inputs of each sequence before its own end; window [count + T, B, D]."""
    if lengths is None:
        return window[window.shape[0] - count :]
    steps = lengths + torch.arange(count, device=window.device)[:, None]  # [count, B]
    return window[steps, torch.arange(lengths.shape[0], device=window.device)]
