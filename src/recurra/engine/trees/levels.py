"""The derived backward over trees, in torch operations: all nodes of one height at once, gathered by their rows.

Forward, height by height from the leaves: a product a kind of child for all nodes of the height, then the pointwise
equations. Backward, from the highest down: the derived pointwise backward gives the local errors, the products'
transposes carry them to the children. Weight gradients are one product a weight for all nodes, as through time.

Row N of the states is 0: the child that is missing where a node has fewer than its cell has places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.engine.trees import reference
from recurra.engine.trees.plan import Plan
from recurra.engine.trees.write import Level, level


def run(plan: Plan, x: Tensor, weights: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    """All nodes from their inputs x [M, I], in the order of `Tree.word`: each state [N, H] in the order of rows."""
    found: tuple[Tensor, ...] = OverTrees.apply(
        plan, tuple(weights), tuple(masks), x, *weights.values(), *masks.values()
    )
    return found


class OverTrees(torch.autograd.Function):
    """x [M, I] → each state [N, H]."""

    @staticmethod
    def forward(
        ctx: Any, plan: Plan, own: tuple[str, ...], names: tuple[str, ...], x: Tensor, *rest: Tensor
    ) -> tuple[Tensor, ...]:
        with torch.autocast(x.device.type, enabled=False):
            given = (x, *rest)
            x, *tensors = (t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for t in given)
            w = dict(zip(own, tensors[: len(own)], strict=True))
            masks = dict(zip(names, tensors[len(own) :], strict=True))
            walk = _Walk(plan, x, w, masks)
            saved = walk.forward()
        ctx.plan, ctx.own, ctx.names = plan, own, names
        ctx.counts = [len(each) for each in saved]
        ctx.save_for_backward(*given, *walk.states, *(t for each in saved for t in each))
        ctx.set_materialize_grads(False)
        return tuple(state[:-1] for state in walk.states)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        plan, own, names = ctx.plan, ctx.own, ctx.names
        count = 1 + len(own) + len(names)
        inputs, kept = ctx.saved_tensors[:count], list(ctx.saved_tensors[count:])
        if torch.is_grad_enabled():
            return (None, None, None, *_again(plan, ctx, inputs, grads))
        states = tuple(kept[: len(plan.cell.state)])
        del kept[: len(plan.cell.state)]
        saved = []
        for length in ctx.counts:
            saved.append(tuple(kept[:length]))
            del kept[:length]
        with torch.autocast(states[0].device.type, enabled=False):
            x, *tensors = (t.to(states[0].dtype) for t in inputs)
            w = dict(zip(own, tensors[: len(own)], strict=True))
            walk = _Walk(plan, x, w, dict(zip(names, tensors[len(own) :], strict=True)), states)
            found = walk.backward(saved, grads, ctx.needs_input_grad[3])
        back = [found.get(name) for name in ("x", *own)]
        return (
            None,
            None,
            None,
            *(g if g is None else g.to(t.dtype) for g, t in zip(back, inputs, strict=False)),
            *(None for _ in names),
        )


class _Walk:
    """One pass over the heights of a batch, from the leaves or to them."""

    def __init__(
        self,
        plan: Plan,
        x: Tensor,
        w: Mapping[str, Tensor],
        masks: Mapping[str, Tensor],
        states: tuple[Tensor, ...] | None = None,
    ) -> None:
        self.plan, self.x, self.w, self.masks = plan, x, w, masks
        self.cell = plan.cell
        self.H = w["weight_ih"].shape[0] // len(self.cell.input_gates)
        self.leaf, self.inner = level(self.cell.leaf), level(self.cell)
        self.N, self.n0 = plan.tree.nodes, plan.leaves
        self.states = states or tuple(x.new_zeros(self.N + 1, self.H) for _ in self.cell.state)
        by_place = () if plan.each else tuple(w[f"weight_{name}"] for name in self.cell.children)
        self.side_by_side = torch.cat(by_place, 1) if by_place else None  # [gates · H, places · H]

    def gates(self, name: str, wanted: Sequence[str]) -> Tensor:
        """The rows of `weight_ih` or `bias_ih` that some gates have: a view where they are neighbours."""
        number = self.cell.input_gates.index
        rows = [number(gate) for gate in wanted]
        if rows == list(range(rows[0], rows[0] + len(rows))):
            return self.w[name][rows[0] * self.H : (rows[-1] + 1) * self.H]
        return torch.cat([self.w[name][k * self.H : (k + 1) * self.H] for k in rows])

    def base(self, wanted: Sequence[str]) -> Tensor:
        """What the input and the bias make of the pre-activations of nodes with children: [N - leaves, ·], or a single
        row [1, ·] where none of them has an input of its own."""
        bias, later = self.gates("bias_ih", wanted)[None], self.plan.tree.word[self.n0 :]
        if not len(later):
            return bias
        found = bias.repeat(self.N - self.n0, 1)
        found[later - self.n0] = torch.addmm(bias, self.x[self.n0 :], self.gates("weight_ih", wanted).t())
        return found

    def forward(self) -> list[tuple[Tensor, ...]]:
        """Fills `states`; gives what the backward wants of each height."""
        x0, leaf = self.x[: self.n0], self.leaf.cell.node_gates
        S0 = torch.addmm(self.gates("bias_ih", leaf), x0, self.gates("weight_ih", leaf).t()) if leaf else x0
        saved = [self.level(self.leaf, 0, S0, None, {})]
        if len(self.plan.levels) == 1:
            return saved
        node, each = self.cell.node_gates, self.cell.child_gates
        bases = self.base(node) if node else None, self.base(each) if each else None
        for k in range(1, len(self.plan.levels)):
            S, E, children = self.all_alike(k, *bases) if self.plan.each else self.by_position(k, bases[0])
            saved.append(self.level(self.inner, k, S, E, children))
        return saved

    def level(
        self, code: Level, k: int, S: Tensor | None, E: Tensor | None, children: Mapping[str, Tensor]
    ) -> tuple[Tensor, ...]:
        """The nodes of one height from their pre-activations."""
        first, end = self.plan.levels[k]
        masks = {name: self.masks[name][first:end] for name in code.masks}
        states = [state[first:end] for state in self.states]
        saved: tuple[Tensor, ...] = code.forward(S, E, children, masks, self.w, states, self.parents(k), self.H)
        return saved

    def parents(self, k: int) -> Tensor:
        """The row of each child's parent within a height; asked for where children are all alike."""
        if not self.plan.each:
            return self.plan.tree.parent
        first, end = self.plan.edges[k]
        return self.plan.tree.parent[first:end] - self.plan.levels[k][0]

    def by_position(self, k: int, base: Tensor | None) -> tuple[Tensor | None, None, dict[str, Tensor]]:
        """Pre-activations of the nodes of a height, and the states of their children that the equations read."""
        first, end = (row - self.n0 for row in self.plan.levels[k])
        S = None if base is None else base if base.shape[0] == 1 else base[first:end]
        h = self.below(0, first, end)
        if S is not None and self.side_by_side is not None:
            S = torch.addmm(S, h, self.side_by_side.t())
        return S, None, self.named(first, end, h)

    def below(self, number: int, first: int, end: int) -> Tensor:
        """A state of the children of some nodes, those of one node side by side [n, places · H]; nodes with children
        are counted from 0."""
        rows = self.plan.placed[first:end]
        return self.states[number].index_select(0, rows.flatten()).view(rows.shape[0], rows.shape[1] * self.H)

    def named(self, first: int, end: int, h: Tensor | None = None) -> dict[str, Tensor]:
        """The states of children that the equations read, by name; `h` where it is at hand."""
        found: dict[str, Tensor] = {}
        for number, s in enumerate(self.cell.state):
            names = [name for name in self.cell.children if f"child_{s}_{name}" in self.inner.children]
            if not names:
                continue
            beside = h if number == 0 and h is not None else self.below(number, first, end)
            parts = dict(zip(self.cell.children, beside.chunk(len(self.cell.children), 1), strict=True))
            found |= {f"child_{s}_{name}": parts[name] for name in names}
        return found

    def all_alike(
        self, k: int, base: Tensor | None, base_each: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, dict[str, Tensor]]:
        """The same of children that are summed, and the pre-activations that each of them has."""
        (first, end), (begin, stop) = self.plan.levels[k], self.plan.edges[k]
        rows, parent = self.plan.tree.child[begin:stop], self.parents(k)
        h = self.states[0].index_select(0, rows)
        S = E = None
        if base is not None:
            together = h.new_zeros(end - first, self.H).index_add_(0, parent, h)
            own = base if base.shape[0] == 1 else base[first - self.n0 : end - self.n0]
            S = torch.addmm(own, together, self.w["weight_sum"].t())
        if base_each is not None:
            own = base_each if base_each.shape[0] == 1 else base_each.index_select(0, parent + (first - self.n0))
            E = torch.addmm(own, h, self.w["weight_each"].t())
        children = {
            f"child_{s}": h if number == 0 else self.states[number].index_select(0, rows)
            for number, s in enumerate(self.cell.state)
            if f"child_{s}" in self.inner.children
        }
        return S, E, children

    def backward(
        self, saved: Sequence[tuple[Tensor, ...]], arriving: Sequence[Tensor | None], wants_x: bool
    ) -> dict[str, Tensor]:
        """The gradients of x and of every weight, by name."""
        H, cell, n0 = self.H, self.cell, self.n0
        grads = [torch.zeros_like(state) for state in self.states]
        for whole, one in zip(grads, arriving, strict=True):
            if one is not None:
                whole[:-1] = one
        D0 = self.x.new_empty(n0, len(self.leaf.cell.node_gates) * H)
        D = self.x.new_empty(self.N - n0, len(cell.node_gates) * H)
        DE = self.x.new_empty(len(self.plan.tree.child), len(cell.child_gates) * H)
        found = {name: torch.zeros_like(tensor) for name, tensor in self.w.items()}
        for k in reversed(range(1, len(self.plan.levels))):
            (first, end), (begin, stop) = self.plan.levels[k], self.plan.edges[k]
            here, there = D[first - n0 : end - n0], DE[begin:stop]
            children = self.gathered(k)
            below = self.down(self.inner, k, grads, saved[k], children, here, there, found)
            self.to_children(k, grads, here, there, below)
        self.down(self.leaf, 0, grads, saved[0], {}, D0, self.x.new_empty(0, 0), found)
        if self.plan.record is not None:
            self.plan.record.add(0, grads[0][:-1])
        return self.weights(D0, D, DE, found, wants_x)

    def gathered(self, k: int) -> dict[str, Tensor]:
        """The states of children that the equations read, once more."""
        if self.plan.each:
            begin, stop = self.plan.edges[k]
            rows = dict.fromkeys(self.inner.children, self.plan.tree.child[begin:stop])
        else:
            first, end = (row - self.n0 for row in self.plan.levels[k])
            return self.named(first, end)
        return {
            name: self.states[self.cell.state.index(name.split("_")[1])].index_select(0, of)
            for name, of in rows.items()
        }

    def down(
        self,
        code: Level,
        k: int,
        grads: Sequence[Tensor],
        saved: tuple[Tensor, ...],
        children: Mapping[str, Tensor],
        D: Tensor,
        DE: Tensor,
        found: dict[str, Tensor],
    ) -> dict[str, Tensor]:
        """The pointwise backward of one height; gives the gradients of the children's states by name."""
        first, end = self.plan.levels[k]
        masks = {name: self.masks[name][first:end] for name in code.masks}
        states = [state[first:end] for state in self.states]
        arriving = [grad[first:end] for grad in grads]
        below: dict[str, Tensor]
        below, own = code.backward(arriving, states, saved, children, masks, self.w, D, DE, self.parents(k), self.H)
        for name, gradient in own.items():
            found[name] += gradient.sum(0) if len(found[name]) > 1 else gradient.sum()
        return below

    def to_children(self, k: int, grads: Sequence[Tensor], D: Tensor, DE: Tensor, below: Mapping[str, Tensor]) -> None:
        """What the nodes of a height hand to their children: added to what already arrives there."""
        if self.plan.each:
            begin, stop = self.plan.edges[k]
            rows, parent = self.plan.tree.child[begin:stop], self.parents(k)
            h = torch.mm(DE, self.w["weight_each"]) if self.cell.child_gates else None
            if self.cell.node_gates:
                summed = torch.mm(D, self.w["weight_sum"]).index_select(0, parent)
                h = summed if h is None else h.add_(summed)
            if h is not None:
                grads[0].index_add_(0, rows, h)
            for number, s in enumerate(self.cell.state):
                if f"child_{s}" in below:
                    grads[number].index_add_(0, rows, below[f"child_{s}"])
            return
        first, end = (row - self.n0 for row in self.plan.levels[k])
        if self.side_by_side is not None:
            rows = self.plan.placed[first:end].flatten()
            grads[0].index_add_(0, rows, torch.mm(D, self.side_by_side).view(rows.shape[0], self.H))
        for name, slots in zip(self.cell.children, self.plan.slots, strict=True):
            rows = slots[first:end]
            for number, s in enumerate(self.cell.state):
                if f"child_{s}_{name}" in below:
                    grads[number].index_add_(0, rows, below[f"child_{s}_{name}"])

    def weights(self, D0: Tensor, D: Tensor, DE: Tensor, found: dict[str, Tensor], wants_x: bool) -> dict[str, Tensor]:
        """One product a weight, over all nodes."""
        cell, tree, n0 = self.cell, self.plan.tree, self.n0
        h = self.states[0]
        later = tree.word[n0:] - n0
        dx = self.x.new_zeros(self.x.shape) if wants_x else None
        self.of_input(self.leaf.cell.node_gates, D0, slice(0, n0), D0, found, dx)
        if cell.node_gates:
            self.of_input(cell.node_gates, D, slice(n0, None), D[later], found, dx)
        if not self.plan.each:
            of_all = torch.mm(D.t(), self.below(0, 0, self.N - n0))
            for name, part in zip(cell.children, of_all.chunk(len(cell.children), 1), strict=True):
                found[f"weight_{name}"] += part
        else:
            below = h.index_select(0, tree.child)
            parent = tree.parent - n0
            if cell.node_gates:
                together = h.new_zeros(self.N - n0, self.H).index_add_(0, parent, below)
                found["weight_sum"].addmm_(D.t(), together)
            if cell.child_gates:
                found["weight_each"].addmm_(DE.t(), below)
                summed = h.new_zeros(self.N - n0, DE.shape[1]).index_add_(0, parent, DE)
                self.of_input(cell.child_gates, summed, slice(n0, None), summed[later], found, dx)
        if dx is not None:
            found["x"] = dx
        return found

    def of_input(
        self,
        wanted: Sequence[str],
        D: Tensor,
        inputs: slice,
        with_input: Tensor,
        found: dict[str, Tensor],
        dx: Tensor | None,
    ) -> None:
        """The gradients of the rows of `weight_ih` and `bias_ih` that some gates have, and of x: `D` are the local
        errors of all nodes, `with_input` those of nodes that have the inputs."""
        if not wanted:
            return
        H, x = self.H, self.x[inputs]
        whole, bias = torch.mm(with_input.t(), x), D.sum(0)
        for k, gate in enumerate(wanted):
            row = self.cell.input_gates.index(gate) * H
            found["weight_ih"][row : row + H] += whole[k * H : (k + 1) * H]
            found["bias_ih"][row : row + H] += bias[k * H : (k + 1) * H]
        if dx is not None:
            dx[inputs] += torch.mm(with_input, self.gates("weight_ih", wanted))


def _again(plan: Plan, ctx: Any, inputs: Sequence[Tensor], grads: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The gradients by torch's own operations, the forward once more by the reference: they can be differentiated
    again."""
    own, names = ctx.own, ctx.names
    with torch.enable_grad():
        fresh = [t if n else t.detach() for t, n in zip(inputs, ctx.needs_input_grad[3:], strict=True)]
        weights = dict(zip(own, fresh[1 : 1 + len(own)], strict=True))
        outputs = reference.run(plan, fresh[0], weights, dict(zip(names, fresh[1 + len(own) :], strict=True)))
        pairs = [(o, g) for o, g in zip(outputs, grads, strict=True) if g is not None and o.requires_grad]
        wanted = [t for t, n in zip(fresh, ctx.needs_input_grad[3:], strict=True) if n]
        found = iter(
            torch.autograd.grad(
                [o for o, _ in pairs], wanted, [g for _, g in pairs], create_graph=True, allow_unused=True
            )
        )
        return [next(found) if n else None for n in ctx.needs_input_grad[3:]]
