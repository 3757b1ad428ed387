"""A layer that goes over trees, from their words to their roots, with any registered cell over trees."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from recurra.engine.layer import Record
from recurra.engine.trees import Plan, reference, run
from recurra.equations.language import Cell
from recurra.errors import ConfigError, WrongTensor
from recurra.limits import check_size
from recurra.nn.dropout import draw_mask
from recurra.nn.starts import check_starts, draw
from recurra.registry import find
from recurra.types import Tree


class TreeLayer(nn.Module):
    """A recursive network. x [B, T, I], the inputs of the words, and their trees → each state [N + 1, H], a row a node
    in the order of `Tree`, and a row of zeros, which `Tree.row` names where a tree has fewer nodes than others.

    Parameters: `weight_ih` [gates · H, I], `bias_ih`; a matrix of each place that a child has, `weight_left` and
    `weight_right` [gates · H, H]; or, where children are all alike, `weight_sum` [gates · H, H] of the sum of them and
    `weight_each` of the gates that every child has one of. `recurrent_dropout` masks what a node writes, where the cell
    has a mask. Equations and sources: recurra.equations.children. `backend`: "levels", all nodes of a height at once,
    or "reference", node by node.
    """

    def __init__(
        self,
        cell: str | Cell,
        input_size: int,
        hidden_size: int,
        recurrent_dropout: float = 0.0,
        backend: Literal["levels", "reference"] = "levels",
    ) -> None:
        super().__init__()
        check_size("hidden_size", hidden_size)
        if hidden_size < 1:
            raise ConfigError(f"hidden_size = {hidden_size}, expected 1 or more.")
        if not 0 <= recurrent_dropout < 1:
            raise ConfigError(f"recurrent_dropout = {recurrent_dropout}, expected 0 or more and less than 1.")
        self.cell: Cell = find("tree-cell", cell) if isinstance(cell, str) else cell
        if recurrent_dropout and self.cell.unmasked is self.cell:
            raise ConfigError(
                f"recurrent_dropout = {recurrent_dropout}, but the cell {self.cell.name!r} has no mask that it could "
                "draw. Leave it at 0, or take tree-lstm or child-sum-lstm."
            )
        self.input_size, self.hidden_size = input_size, hidden_size
        self.recurrent_dropout, self.backend = recurrent_dropout, backend
        check_starts(self.cell)
        for name, shape in self._shapes():
            self.register_parameter(name, nn.Parameter(torch.empty(shape)))
        self.reset_parameters()

    def _shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        cell, H = self.cell, self.hidden_size
        gates = len(cell.input_gates) * H
        yield from (("weight_ih", (gates, self.input_size)), ("bias_ih", (gates,)))
        yield from ((name, (count * H, H)) for name, count in cell.child_weights.items())
        yield from ((name, cell.parameter_shape(name, H, self.input_size)) for name in cell.parameters)

    def reset_parameters(self) -> None:
        """Uniform in ±1/√H; what the cell names a start for, there."""
        bound = 1 / math.sqrt(self.hidden_size)
        starts = {n: p.start for n, p in self.cell.parameters.items() if p.start is not None} | dict(self.cell.start)
        for name, parameter in self.named_parameters():
            gates = self.cell.input_gates if name in ("weight_ih", "bias_ih") else ()
            draw(parameter, starts.get(name), gates, self.hidden_size, bound)

    def forward(self, x: Tensor, tree: Tree, record: Record | None = None) -> tuple[Tensor, ...]:
        """Raises WrongTensor for inputs of another width, WrongValue for a node with more children than the cell takes.

        `record` gets ‖∂L/∂h‖ of every node on backward, under step 0, in the order of rows.
        """
        if x.dim() != 3 or x.shape[2] != self.input_size:
            raise WrongTensor(f"x has the shape {list(x.shape)}, expected [batch, steps, {self.input_size}].")
        inputs = x.reshape(-1, x.shape[2]).index_select(0, tree.step)
        masked = self.training and self.recurrent_dropout > 0
        plan = Plan(self.cell if masked else self.cell.unmasked, tree, record)
        weights = dict(self.named_parameters())
        masks = {"mask_candidate": draw_mask((tree.nodes, self.hidden_size), self.recurrent_dropout, inputs)}
        engine = reference.run if self.backend == "reference" else run
        states = engine(plan, inputs, weights, masks if masked else {})
        return tuple(torch.cat((state, state.new_zeros(1, self.hidden_size))) for state in states)

    def extra_repr(self) -> str:
        return f"{self.cell.name!r}, {self.input_size}, {self.hidden_size}"
