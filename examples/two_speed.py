"""A cell of one's own: what a plugin is. examples/custom_cell.py checks it and trains with it."""

from recurra.equations.language import cell, sigmoid, tanh, unit
from recurra.registry import part


@part("cell", "two-speed")
@cell(name="two-speed", gates="f n", state="h m", source="made up for this example")
def two_speed(f, n, h, m):
    """A gate writes the memory h; m follows h slowly, every unit at a pace of its own, and is seen by both."""
    f = sigmoid(f + unit("f_sees") * m)
    n = tanh(n + unit("n_sees") * m)
    pace = sigmoid(unit("pace", -2.0))
    m = m + pace * (h - m)
    h = f * h + (1 - f) * n
    return h, m
