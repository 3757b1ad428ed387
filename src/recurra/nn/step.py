"""`Step`: a recurrent layer one time step at a time, its weights packed once."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from recurra.engine.demands import address, describe
from recurra.engine.native.step import LOW, Steps
from recurra.errors import ConfigError, WrongTensor, did_you_mean
from recurra.nn.beside import check_given
from recurra.nn.recurrent import Recurrent


class Step:
    """One step of a causal `Recurrent` layer on the CPU, prepared for speed at small batches; it computes no gradients.

    Call: `y, state = step(x, state)` with x [B, I], y [B, H], and `state` one flat tensor: from `step.start()`, from
    the call before, or from the layer's own states by `step.join(…)`; `step.split(state)` gives those [layers, B, H].
    By keyword what the layer takes beside x: dt [B], seen and since [B, I].
    `weights`: "float32" as they are, "bfloat16", or "int8": integers of eight bits with one scale a row, the other
    factor rounded to eight bits at every step. The weights are those of the layer when the step was made.
    Raises ConfigError for a layer that looks ahead or has no native code, `BuildError` without a compiler.
    """

    def __init__(
        self, layer: Recurrent, batch: int = 1, weights: Literal["float32", "bfloat16", "int8"] = "float32"
    ) -> None:
        some = next(layer.parameters())
        if not layer.causal:
            raise ConfigError("a bidirectional layer cannot go step by step: it reads from the end, too.")
        if weights not in LOW:
            raise ConfigError(f"weights = {weights!r}{did_you_mean(weights, LOW)} Expected one of {', '.join(LOW)}.")
        if some.device.type != "cpu" or some.dtype not in (torch.float32, torch.float64):
            raise ConfigError(
                f"a step is for float32 and float64 on the CPU, the layer is {some.dtype} on {some.device}."
            )
        if some.dtype == torch.float64 and weights != "float32":
            raise ConfigError(f"weights = {weights!r} is for a layer of float32, this one is of float64.")
        if batch < 1:
            raise ConfigError(f"batch = {batch}, expected 1 or more.")
        self.batch, self.input_size = batch, layer.input_size
        self.widths = (layer.hidden_size, layer.proj_size or layer.hidden_size)
        self._shapes = [
            (layer.num_layers, batch, self.widths[1] if k == 0 else self.widths[0])
            for k in range(len(layer.cell.state))
        ]
        self._steps = Steps(layer.step_layers(), batch, layer.input_size, self.widths, weights)
        self._output = torch.zeros(batch, self.widths[1], dtype=some.dtype, device="cpu")
        self._input, self._entries = torch.Size((batch, layer.input_size)), self._steps.entries
        self._dtype, self._call = some.dtype, self._steps.call
        self._cell, self._weight, self._usual = layer.cell, some, True
        """Whether what comes beside x is that of a usual step with nothing missing, as at first."""

    @property
    def takes(self) -> tuple[str, ...]:
        """What the layer takes beside x, by name."""
        return tuple(self._cell.takes)

    def start(self) -> Tensor:
        """States of zeros."""
        return torch.zeros(self._entries, dtype=self._dtype, device="cpu")

    def __call__(
        self,
        x: Tensor,
        state: Tensor,
        *,
        dt: Tensor | None = None,
        seen: Tensor | None = None,
        since: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        here, before = address(x, self._dtype), address(state, self._dtype)
        if not here or x.shape != self._input:
            raise WrongTensor(
                f"x is {describe(x)}, expected {list(self._input)} of {self._dtype}, contiguous, in the CPU's memory: "
                f"convert it with x.to('cpu', {self._dtype}).contiguous()."
            )
        if not before or state.numel() != self._entries:
            raise WrongTensor(
                f"state is {describe(state)}, which is none of this step's ({self._entries} entries of {self._dtype}): "
                "take it from start(), join(…) or the call before."
            )
        if not self._usual or dt is not None or seen is not None or since is not None:
            self._lay(x, {"dt": dt, "seen": seen, "since": since})
        after, y = torch.empty_like(state), torch.empty_like(self._output)
        self._call(here, before, after.data_ptr(), y.data_ptr())
        return y, after

    def _lay(self, x: Tensor, named: dict[str, Tensor | None]) -> None:
        """Put what comes beside x where the call reads it; as `recurra.nn.beside.Beside` says."""
        given = {name: value for name, value in named.items() if value is not None}
        check_given(given, self._cell, x, self._weight)
        for k, layer in enumerate(self._steps.given):
            for name, place in layer.items():
                own = name.removeprefix("given_")
                if own != "dt" and k == 0 and own in given:
                    place.copy_(given[own])
                elif own == "seen" or "dt" not in given:
                    place.fill_(1)
                else:
                    place.copy_(given["dt"][:, None])
        self._usual = not given

    def split(self, state: Tensor) -> tuple[Tensor, ...]:
        """The layer's own states, each [layers, B, H]."""
        sizes = [layers * batch * width for layers, batch, width in self._shapes]
        return tuple(part.view(shape) for part, shape in zip(state.split(sizes), self._shapes, strict=True))

    def join(self, states: Tensor | tuple[Tensor, ...]) -> Tensor:
        """The flat state of the layer's own ones."""
        given = (states,) if isinstance(states, Tensor) else states
        if [tuple(s.shape) for s in given] != self._shapes:
            raise ConfigError(f"states have shapes {[tuple(s.shape) for s in given]}, expected {self._shapes}.")
        return torch.cat([s.detach().reshape(-1) for s in given]).to(self._dtype)
