"""The square matrices that a network's states are multiplied by from step to step, and their spectra."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recurra.nn.recurrent import Recurrent


@dataclass(frozen=True, eq=False)
class Block:
    """The rows of a recurrent weight that belong to one gate, or all of them."""

    layers: str
    """The module's name in the model: core.layers."""
    weight: str
    """weight_hh_l0, …"""
    gate: str
    """The gate, the number of a product's part, or "whole"."""
    matrix: Tensor

    @property
    def name(self) -> str:
        return f"{self.layers}.{self.weight} {self.gate}".lstrip(".")


def recurrent_blocks(module: nn.Module) -> Iterator[Block]:
    """Of all recurrent layers in a module: W_hh gate by gate, and whole where it has several gates; and the parts of
    the products inside the step that take H units to H units (GRU with the reset before the product, Mogrifier)."""
    for name, layers in module.named_modules():
        if not isinstance(layers, Recurrent):
            continue
        H = layers.hidden_size
        for key, parameter in layers.named_parameters():
            weight, _, layer = key.removesuffix("_reverse").rpartition("_l")
            cell = layers.cell if layer != "0" else layers.cell.lowest
            gates: tuple[str, ...] = ()
            if weight == "weight_hh":
                gates = cell.recurrent_gates
            elif weight.removeprefix("weight_") in cell.products and parameter.shape[1] == H:
                product = cell.products[weight.removeprefix("weight_")]
                gates = tuple(map(str, range(product.parts))) if not product.wide else ()
            parts = parameter.detach().split(H) if gates else ()
            yield from (Block(name, key, gate, part) for gate, part in zip(gates, parts, strict=True))
            if len(gates) > 1:
                yield Block(name, key, "whole", parameter.detach())


def singular_values(matrix: Tensor) -> Tensor:
    """All of them, the largest first, in float64."""
    found: Tensor = torch.linalg.svdvals(matrix.double())
    return found


def eigenvalues(matrix: Tensor) -> Tensor:
    """All of a square matrix, complex, the largest in absolute value first; none where it is not square."""
    if matrix.shape[0] != matrix.shape[1]:
        return torch.zeros(0, dtype=torch.complex128)
    found = torch.linalg.eigvals(matrix.double())
    return found[found.abs().argsort(descending=True)]
