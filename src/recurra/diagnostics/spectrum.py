"""Singular values and eigenvalues of recurrent weights: what one step can do at most to a state, and what many do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from recurra.diagnostics.plain import plain
from recurra.errors import ConfigError
from recurra.nn.blocks import eigenvalues, recurrent_blocks, singular_values


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The spectrum of one gate's block of a recurrent weight, or of the whole weight."""

    layers: str
    """The module's name in the model: core.layers."""
    weight: str
    """weight_hh_l0, weight_hh_l0_reverse, …"""
    gate: str
    """The gate, the number of a product's part, or "whole"."""
    singular: NDArray[np.float64]
    """The largest first."""
    eigenvalues: NDArray[np.complex128]
    """The largest in absolute value first; none of a weight that is not square."""

    @property
    def norm(self) -> float:
        """The largest singular value: what one step can multiply a state by at most."""
        return float(self.singular[0])

    @property
    def radius(self) -> float | None:
        """The largest absolute value of an eigenvalue: what many steps multiply by, each; None without eigenvalues."""
        return float(np.abs(self.eigenvalues[0])) if len(self.eigenvalues) else None

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values; an eigenvalue as [real, imaginary]."""
        found: dict[str, Any] = plain(self)
        return found | {"norm": self.norm, "radius": self.radius}


def spectra(model: nn.Module) -> tuple[Spectrum, ...]:
    """Of every recurrent weight of a model, decoders included; in float64. About a second for a block of 1,000 units.

    Raises `ConfigError` for a model without recurrent weights.
    """
    found = []
    for block in recurrent_blocks(model):
        singular, eigen = (
            values.cpu().numpy() for values in (singular_values(block.matrix), eigenvalues(block.matrix))
        )
        found.append(Spectrum(block.layers, block.weight, block.gate, singular, eigen))
    if not found:
        raise ConfigError(
            "this model has no recurrent weights over time, so there is no spectrum to show. Cells such as lstm, gru "
            "and rnn-tanh have."
        )
    return tuple(found)
