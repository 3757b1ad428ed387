"""One ONNX file of a run: its graph, and how torch answers the same question, to compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.decoding.state import leaves, rebuilt
from recurra.export.cores import CORES
from recurra.export.embedders import EMBEDDERS, inputs
from recurra.export.graph import INT64, Graph
from recurra.export.slots import NEXT, Slot
from recurra.model import Model
from recurra.types import Batch, Lengths

Feeds = dict[str, NDArray[Any]]
"""Inputs or outputs by name."""
INPUT, LENGTHS = Slot("input", ("batch", "time"), INT64), Slot("lengths", ("batch",), INT64)
PREFIX = 3
"""Steps that were read before, where a state is compared."""


@dataclass(frozen=True, eq=False)
class Part:
    """`draw(random, batch, time)` makes inputs of these sizes, `answer` is what torch makes of inputs."""

    file: str
    graph: Graph
    draw: Callable[[np.random.Generator, int, int], Feeds]
    answer: Callable[[Feeds], Mapping[str, Tensor]]


@dataclass(frozen=True, eq=False)
class Sequences:
    """What the graph of a whole-sequence model begins with."""

    graph: Graph
    x: str
    y: str
    lengths: str
    final: Sequence[str]
    """The core's last states."""
    slots: tuple[Slot, ...]
    """Those of them that are inputs and outputs; none where the core cannot go on, or nobody asked."""


def read_sequences(model: Model, name: str, stateful: bool) -> Sequences:
    """Inputs, embedder and core, all time first."""
    graph, form = Graph(name), CORES[model.config["core"]["kind"]]
    slots = form.slots(model.core) if stateful else ()
    given = {s.name: graph.input(s.name, s.kind, s.shape) for s in (INPUT, LENGTHS, *inputs(model.embedder), *slots)}
    lengths = given["lengths"]
    for each in ("input", "spelling"):
        if each in given:
            given[each] = graph.transpose(given[each], 1, 0)
    x = EMBEDDERS[model.config["embedder"]["kind"]](graph, model.embedder, given)
    states = [given[s.name] for s in slots] if slots else None
    y, final = form.write(graph, model.core, x, lengths, states, False)
    return Sequences(graph, x, y, lengths, final, slots)


def give_states(graph: Graph, slots: Sequence[Slot], values: Sequence[str]) -> None:
    """The last states as outputs."""
    for slot, value in zip(slots, values, strict=True):
        # An axis that grows is not as long behind as before.
        shape = [f"{axis}{NEXT}" if axis == "past" else axis for axis in slot.shape]
        graph.output(slot.name + NEXT, value, slot.kind, shape)


def named_states(slots: Sequence[Slot], state: Any) -> dict[str, Tensor]:
    """A torch state as outputs."""
    return {slot.name + NEXT: tensor for slot, tensor in zip(slots, leaves(state), strict=True)}


def draw_sequences(model: Model, random: np.random.Generator, batch: int, time: int) -> Feeds:
    """Random symbols in sequences of random lengths, an empty one among them where there are several."""
    lengths = random.integers(1, time + 1, batch)
    lengths[0] = time
    if batch > 1:
        lengths[-1] = 0
    feeds = {"input": random.integers(0, symbols(model), (batch, time)), "lengths": lengths}
    if inputs(model.embedder):
        V = len(model.vocabularies["characters"])
        words = max(1, batch * time // 2)
        feeds |= {
            "spellings": random.integers(0, V, (words, time + 2)),
            "spelling_lengths": random.integers(1, time + 3, words),
            "spelling": random.integers(0, words, (batch, time)),
        }
    return feeds


def symbols(model: Model) -> int:
    """How many symbols the input has, those of the task's own among them."""
    return len(model.vocabulary) + getattr(model.task, "marks", 0)


@torch.no_grad()
def state_after(model: Model, random: np.random.Generator, batch: int) -> Any:
    """The core's state behind a few random symbols."""
    feeds = draw_sequences(model, random, batch, PREFIX)
    del feeds["lengths"]
    return model.core(model.embedder(as_batch(feeds)), Lengths(), None)[1]


def draw_states(model: Model, slots: Sequence[Slot], random: np.random.Generator, batch: int) -> Feeds:
    """States as they are behind a few random symbols."""
    if not slots:
        return {}
    tensors = leaves(state_after(model, random, batch))
    return {slot.name: tensor.numpy() for slot, tensor in zip(slots, tensors, strict=True)}


def as_batch(feeds: Feeds) -> Batch:
    """Inputs as torch reads them."""
    fields = {n: torch.from_numpy(v) for n, v in feeds.items() if n != "lengths" and not n.startswith("state_")}
    return Batch(fields, Lengths(torch.from_numpy(feeds["lengths"]) if "lengths" in feeds else None))


def torch_state(model: Model, slots: Sequence[Slot], feeds: Feeds) -> Any:
    """The states among the inputs, nested as the core's."""
    if not slots:
        return None
    like = state_after(model, np.random.default_rng(0), 1)
    return rebuilt(like, [torch.from_numpy(feeds[slot.name]) for slot in slots])


class Continued:
    """A core that goes on from a state, whatever it is told, and keeps the one after."""

    def __init__(self, core: Any, state: Any) -> None:
        self._core, self._before, self.after = core, state, state
        self.halves, self.causal = core.halves, core.causal

    def __call__(self, x: Tensor, structure: Lengths, state: Any = None) -> tuple[Tensor, Any]:
        y, self.after = self._core(x, structure, self._before)
        return y, self.after
