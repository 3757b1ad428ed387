"""Cells with depth of their own: several layers within one step, or a memory that reaches up from the layer below."""

from __future__ import annotations

from recurra.equations.language import Expression, cell, project, sigmoid, tanh, unit
from recurra.registry import part

E = Expression


@part("cell", "rhn")
@cell(
    gates="n t",
    state="h",
    source="Zilly, Srivastava, Koutník & Schmidhuber 2017, Recurrent highway networks, eq. 6-9; depth 3, c = 1 - t",
)
def rhn(n: E, t: E, h: E) -> E:
    """The recurrent highway network of depth three: x enters the first highway layer of a step, h runs through all."""
    for layer in (1, 2, 3):
        if layer > 1:
            n, t = project(h, f"layer{layer}", 2)
            n, t = n + unit(f"shift_n{layer}"), t + unit(f"shift_t{layer}")
        t = sigmoid(t)
        h = t * tanh(n) + (1 - t) * h
    return h
