"""The ONNX files of a run: what torch makes of which inputs, named, and inputs to record and to compare it with.

What a file gives is what the task gives: the tensors of its `ask`, or, of a task that writes for a source, its `start`;
and its `step`. States go in and come out by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.data.codecs.contract import Bounded, Computes, Lays
from recurra.decoding.state import leaves, rebuilt
from recurra.errors import ConfigError
from recurra.model import Model
from recurra.tasks.contract import Arranges, NotExported, follows
from recurra.tasks.writing import Continues, Starts
from recurra.types import Batch, Lengths

Feeds = dict[str, NDArray[Any]]
"""Inputs or outputs by name."""
Axes = Mapping[str, tuple[str | int, ...]]
"""Inputs by name: their shapes, a word where an axis has any length."""
NEXT = "_next"
"""Ends the name of a state after a step: `state_h_next` is what `state_h` takes next."""
INPUTS: Axes = {"input": ("batch", "time"), "lengths": ("batch",)}
FEW, MORE = (3, 16), (4, 48)
"""Sizes (batch, time) at which states are looked at: an axis that differs has any length. Apart and long enough that
they differ behind an embedder that shortens time too."""


@dataclass(frozen=True, eq=False)
class Part:
    """`draw(random, batch, time)` makes inputs of these sizes, `answer` is what torch makes of inputs."""

    file: str
    model: Model
    axes: Axes
    draw: Callable[[np.random.Generator, int, int], Feeds]
    answer: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


@torch.no_grad()
def parts(model: Model) -> list[Part]:
    """The files of a run: `model`, which reads whole sequences, and where it writes `step`, which reads one symbol; and
    `features`, where its input is computed of samples. Raises `ConfigError` for a task that has none."""
    if isinstance(model.task, NotExported):
        raise ConfigError(f"{model.name} cannot be written as ONNX: {model.task.not_exported}")
    found = _writer(model) if isinstance(model.task, Starts) else _reader(model)
    codec = model.codecs["input"]
    return [*found, _features(model, codec)] if isinstance(codec, Computes) else found


def _features(model: Model, codec: Computes) -> Part:
    """Samples [N] of one recording to frames [T, D]."""
    computed = codec.computed()

    def draw(random: np.random.Generator, batch: int, time: int) -> Feeds:
        return {"samples": random.normal(0, 0.1, computed.window + batch * computed.hop * time).astype(np.float32)}

    def answer(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"frames": computed(tensors["samples"])}

    return Part("features", model, {"samples": ("samples",)}, draw, answer)


@dataclass(frozen=True)
class States:
    """The tensors of a nested state by name; a step leaves what is `shared` by all hypotheses of a source as it is."""

    like: Any
    names: tuple[str, ...]
    axes: Axes = field(default_factory=dict)
    shared: int = 0

    def named(self, state: Any, end: str = NEXT) -> dict[str, Tensor]:
        """As outputs."""
        return {f"{name}{end}": tensor for name, tensor in zip(self.names, leaves(state), strict=True)}

    def moved(self, state: Any) -> dict[str, Tensor]:
        """Those that a step makes anew."""
        found = zip(self.names, leaves(state), strict=True)
        return {f"{name}{NEXT}": tensor for name, tensor in list(found)[self.shared :]}

    def nested(self, tensors: Mapping[str, Tensor]) -> Any:
        """As the model takes it; None where there is none."""
        return rebuilt(self.like, [tensors[name] for name in self.names]) if self.names else None


def _states(part: Any, make: Callable[[int, int], Any]) -> States:
    """The states of a core or a decoder; `make(batch, time)` gives one."""
    few, more = make(*FEW), make(*MORE)
    tensors, others = leaves(few), leaves(more)
    shared = len(tensors) - len(leaves(few, shared=False))
    own = getattr(part, "state_names", None) or tuple(map(str, range(len(tensors))))
    names = tuple(f"{'source' if k < shared else 'state'}_{name}" for k, name in enumerate(own))
    axes = {
        name: tuple(
            a if a == b else "batch" if k == a_.ndim - 2 else "source" if n < shared else "past"
            for k, (a, b) in enumerate(zip(a_.shape, b_.shape, strict=True))
        )
        for n, (name, a_, b_) in enumerate(zip(names, tensors, others, strict=True))
    }
    return States(few, names, axes, shared)


def _reader(model: Model) -> list[Part]:
    """A task that is asked of whole sequences, and goes on from a state where it streams; it may write, too."""
    task, embedder, core = model.task, model.embedder, model.core
    ask = task.ask
    states = States(None, ())
    if core.causal and follows(model):
        states = _states(core, lambda *sizes: _read(model, _draw(model, np.random.default_rng(0), *sizes)))

    def draw(random: np.random.Generator, batch: int, time: int) -> Feeds:
        feeds = _draw(model, random, batch, time)
        if isinstance(task, Arranges):
            made: Batch = task.arrange(_batch({name: torch.from_numpy(value) for name, value in feeds.items()}))
            lengths = made.structure.values
            assert lengths is not None
            arranged = {**made.fields, "lengths": lengths}
            given = {name: arranged[name].numpy() for name in axes if name in arranged}
            return given | draw_states(random, batch)
        return feeds | draw_states(random, batch)

    def draw_states(random: np.random.Generator, batch: int) -> Feeds:
        before = _read(model, _draw(model, random, batch, FEW[1])) if states.names else None
        return {name: tensor.numpy() for name, tensor in states.named(before, "").items()} if states.names else {}

    def answer(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        going = Continued(core, states.nested(tensors))
        found = dict(ask(embedder, going, _batch(tensors)))
        return found | (states.named(going.after) if states.names else {})

    axes = {**_inputs(model), **(task.inputs if isinstance(task, Arranges) else {}), **states.axes}
    whole = Part("model", model, axes, draw, answer)
    if not isinstance(task, Continues):
        return [whole]

    def draw_step(random: np.random.Generator, batch: int, time: int) -> Feeds:
        return {"input": _draw_input(model, random, (batch,))} | draw_states(random, batch)

    def answer_step(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        said, state = task.step(embedder, core, states.nested(tensors), tensors["input"])
        found = said if isinstance(said, Mapping) else {"log_probabilities": said}
        return {**found, **states.named(state)}

    step: Axes = {"input": ("batch", *_width(model)), **states.axes}
    return [whole, Part("step", model, step, draw_step, answer_step)]


def _writer(model: Model) -> list[Part]:
    """A task that writes for a source: it starts, and makes a step for each symbol."""
    task, embedder, core = model.task, model.embedder, model.core

    def started(random: np.random.Generator, batch: int, time: int, steps: int) -> Any:
        tensors = {name: torch.from_numpy(value) for name, value in _draw(model, random, batch, time).items()}
        state = task.start(embedder, core, _batch(tensors))
        for _ in range(steps):
            state = task.step(embedder, core, state, torch.zeros(batch, dtype=torch.int64))[1]
        return state

    log_p, _ = task.step(embedder, core, started(np.random.default_rng(0), 1, 1, 0), torch.zeros(1, dtype=torch.int64))
    symbols = log_p.shape[1]
    states = _states(task.decoder, lambda batch, time: started(np.random.default_rng(0), batch, time, time))

    def answer(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return states.named(task.start(embedder, core, _batch(tensors)), "")

    def answer_step(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        said, state = task.look(embedder, core, states.nested(tensors), tensors["input"])
        return {**said, **states.moved(state)}

    @torch.no_grad()
    def draw_step(random: np.random.Generator, batch: int, time: int) -> Feeds:
        state = started(random, batch, time, time % 3)
        feeds = {name: tensor.numpy() for name, tensor in states.named(state, "").items()}
        return {"input": random.integers(0, symbols, batch)} | feeds

    def draw(random: np.random.Generator, batch: int, time: int) -> Feeds:
        return _draw(model, random, batch, time)

    step = Part("step", model, {"input": ("batch",), **states.axes}, draw_step, answer_step)
    return [Part("model", model, _inputs(model), draw, answer), step]


def _inputs(model: Model) -> Axes:
    steps = _fixed(model) or "time"
    given: dict[str, tuple[str | int, ...]] = {"input": ("batch", steps, *_width(model)), "lengths": INPUTS["lengths"]}
    given |= {name: axes for codec in _laying(model) for name, axes in codec.axes.items()}
    return given | {name: _axes(model, name) for name in _beside(model)}


def _fixed(model: Model) -> int:
    """Steps of an input of which all have as many, a picture's rows; 0 of another."""
    shape = model.codecs["input"].shape
    return shape[0] or 0 if shape else 0


def _beside(model: Model) -> list[str]:
    """The fields of numbers that are read beside the input."""
    return [
        name
        for name, field in model.codecs.fields.items()
        if name != "input"
        and not field.learned
        and not isinstance(model.codecs[name], Lays)
        and np.issubdtype(model.codecs[name].dtype, np.floating)
    ]


def _axes(model: Model, name: str) -> tuple[str | int, ...]:
    """Of numbers beside the input: as long as it, or of a length of their own."""
    first, *rest = model.codecs[name].shape
    length = model.codecs.fields[name].length or first
    return ("batch", length or "time", *(size or 0 for size in rest))


def _laying(model: Model) -> list[Lays]:
    """The codecs that lay fields of a batch in a way of their own."""
    return [codec for codec in model.codecs.values() if isinstance(codec, Lays)]


def _width(model: Model) -> tuple[int, ...]:
    """How many numbers a step of the input has; nothing where it is a symbol."""
    codec = model.codecs["input"]
    return () if hasattr(codec, "symbols") or len(codec.shape) < 2 else (codec.size,)


def _draw(model: Model, random: np.random.Generator, batch: int, time: int) -> Feeds:
    """Random symbols in sequences of random lengths, an empty one among them where there are several."""
    fixed = _fixed(model)
    time = fixed or time
    lengths = random.integers(1, time + 1, batch)
    lengths[0] = time
    if fixed:
        lengths[:] = time
    elif batch > 1:
        lengths[-1] = 0
    feeds: Feeds = {"input": _draw_input(model, random, (batch, time)), "lengths": lengths}
    for codec in _laying(model):
        arrays = [codec.random(random, steps) for steps in lengths.tolist()]
        feeds |= codec.batched(arrays, time)
    for name, said in model.codecs.fields.items():
        if said.learned or name == "input" or isinstance(model.codecs[name], Lays):
            continue
        if name in _beside(model):
            axes = [axis if isinstance(axis, int) else time for axis in _axes(model, name)[1:]]
            feeds[name] = _draw_numbers(model.codecs[name], random, (batch, *axes))
        elif said.along:
            feeds[name] = np.sort(random.integers(0, 4, (batch, time)), 1)
        else:
            feeds[name] = random.integers(0, time, (batch, time + 1))  # of a length of its own: steps of the input
    return feeds


def _draw_input(model: Model, random: np.random.Generator, leading: tuple[int, ...]) -> NDArray[Any]:
    """Random symbols, or numbers as a codec encodes them."""
    codec, field = model.codecs["input"], model.codecs.fields["input"]
    if hasattr(codec, "symbols"):
        return random.integers(0, codec.size + field.ended, leading)
    return _draw_numbers(codec, random, (*leading, *_width(model)))


def _draw_numbers(codec: Any, random: np.random.Generator, shape: tuple[Any, ...]) -> NDArray[np.float32]:
    """Random numbers such as a codec gives: what is beyond them, a network may take ill."""
    drawn = random.uniform(*codec.bounds, shape) if isinstance(codec, Bounded) else random.normal(size=shape)
    return drawn.astype(np.float32)


@torch.no_grad()
def _read(model: Model, feeds: Feeds) -> Any:
    """The core's state behind sequences that are all full."""
    tensors = {name: torch.from_numpy(value) for name, value in feeds.items() if name != "lengths"}
    return model.core(*model.embedder(_batch(tensors)), None)[1]


def _batch(tensors: Mapping[str, Tensor]) -> Batch:
    """Inputs as torch reads them."""
    fields = {name: value for name, value in tensors.items() if name != "lengths" and not name.startswith("state_")}
    return Batch(fields, Lengths(tensors.get("lengths")))


class Continued:
    """A core that goes on from a state where it is told none, and keeps the one after."""

    def __init__(self, core: Any, state: Any) -> None:
        self._core, self._before, self.after = core, state, state

    def __call__(self, x: Tensor, structure: Lengths, state: Any = None) -> tuple[Tensor, Any]:
        y, self.after = self._core(x, structure, self._before if state is None else state)
        return y, self.after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)
