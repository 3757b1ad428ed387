"""Tasks as ONNX files: what each gives, and the layers above the core."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.decoding.state import leaves, rebuilt
from recurra.export import heads
from recurra.export.answer import answer
from recurra.export.cores import CORES
from recurra.export.decoders import DECODERS, Source
from recurra.export.embedders import EMBEDDERS
from recurra.export.graph import FLOAT, INT64, Graph
from recurra.export.parts import (
    Continued,
    Feeds,
    Part,
    as_batch,
    draw_sequences,
    draw_states,
    give_states,
    named_states,
    read_sequences,
    torch_state,
)
from recurra.export.slots import NEXT, Slot
from recurra.model import Model


def generate(model: Model) -> list[Part]:
    """`model`: log-probabilities [batch, time, symbols] of what follows each symbol. `step`: the same one symbol at a
    time, [batch, symbols]. The state goes in and comes out of both."""
    task, embedder, core = model.task, model.embedder, model.core
    form, V = CORES[model.config["core"]["kind"]], len(model.vocabulary)

    def head(graph: Graph, y: str) -> str:
        return heads.EMISSIONS[type(task.emission)](graph, y, task.emission, embedder.weight if task.tied else None)

    whole = read_sequences(model, "model", stateful=True)
    graph, slots = whole.graph, whole.slots
    log_p = graph.transpose(head(graph, whole.y), 1, 0, 2)
    graph.output("log_probabilities", log_p, FLOAT, ("batch", "time", V))
    give_states(graph, slots, whole.final)

    one = Graph("step")
    token = one.input("input", INT64, ("batch",))
    states = [one.input(s.name, s.kind, s.shape) for s in slots]
    x = EMBEDDERS[model.config["embedder"]["kind"]](one, embedder, {"input": one.unsqueeze(token, 0)})
    y, final = form.write(one, core, x, None, states, True)
    one.output("log_probabilities", head(one, one.squeeze(y, 0)), FLOAT, ("batch", V))
    give_states(one, slots, final)

    def answer_whole(feeds: Feeds) -> Mapping[str, Tensor]:
        batch = as_batch(feeds)
        y, state = core(embedder(batch), batch.structure, torch_state(model, slots, feeds))
        following, _ = task.follow(embedder, y.flatten(0, 1))
        log_p = following["next"].unflatten(0, y.shape[:2])
        return {"log_probabilities": log_p, **named_states(slots, state)}

    def answer_step(feeds: Feeds) -> Mapping[str, Tensor]:
        token = torch.from_numpy(feeds["input"])
        log_p, state = task.step(embedder, core, torch_state(model, slots, feeds), token)
        return {"log_probabilities": log_p, **named_states(slots, state)}

    def draw(random: np.random.Generator, batch: int, time: int) -> Feeds:
        return draw_sequences(model, random, batch, time) | draw_states(model, slots, random, batch)

    def draw_step(random: np.random.Generator, batch: int, time: int) -> Feeds:
        return {"input": random.integers(0, V, batch)} | draw_states(model, slots, random, batch)

    return [Part("model", graph, draw, answer_whole), Part("step", one, draw_step, answer_step)]


def _labels(model: Model, outputs: Callable[[Graph, str, str], None]) -> list[Part]:
    """A model whose outputs are a task's `ask`, and the state of a core that can go on."""
    whole = read_sequences(model, "model", stateful=bool(model.core.causal))
    outputs(whole.graph, whole.y, whole.lengths)
    give_states(whole.graph, whole.slots, whole.final if whole.slots else [])

    def torch_says(feeds: Feeds) -> Mapping[str, Tensor]:
        core = Continued(model.core, torch_state(model, whole.slots, feeds))
        potentials = model.task.ask(model.embedder, core, as_batch(feeds))
        return {**potentials, **(named_states(whole.slots, core.after) if whole.slots else {})}

    def draw(random: np.random.Generator, batch: int, time: int) -> Feeds:
        return draw_sequences(model, random, batch, time) | draw_states(model, whole.slots, random, batch)

    return [Part("model", whole.graph, draw, torch_says)]


def tag(model: Model) -> list[Part]:
    """`model`: "tags" [batch, time, tags], log-probabilities, or the emissions of a CRF beside its "transitions",
    "start" and "end", of which whoever asks finds the best path; with an intent "label" [batch, labels]."""
    task = model.task

    def outputs(graph: Graph, y: str, lengths: str) -> None:
        z = graph.transpose(graph.linear(y, task.emissions), 1, 0, 2)
        K = task.emissions.out_features
        if task.crf is None:
            z = graph.softmax(z, log=True)
        graph.output("tags", z, FLOAT, ("batch", "time", K))
        if task.crf is not None:
            for name, values in zip(("transitions", "start", "end"), task.crf.parts, strict=True):
                graph.output(name, graph.weight(values), FLOAT, tuple(values.shape))
        if task.label is not None:
            log_p = graph.softmax(heads.label(graph, task.label, y, lengths, model.core), log=True)
            graph.output("label", log_p, FLOAT, ("batch", task.label.linear.out_features))

    return _labels(model, outputs)


def classify(model: Model) -> list[Part]:
    """`model`: "label" [batch, labels], log-probabilities, or "labels", log ŷ/(1 − ŷ) of each."""
    task = model.task

    def outputs(graph: Graph, y: str, lengths: str) -> None:
        logits, L = heads.label(graph, task.label, y, lengths, model.core), task.label.linear.out_features
        if task.multi_label:
            graph.output("labels", logits, FLOAT, ("batch", L))
        else:
            graph.output("label", graph.softmax(logits, log=True), FLOAT, ("batch", L))

    return _labels(model, outputs)


def fill(model: Model) -> list[Part]:
    """`model`: log-probabilities "both" and "left" [blanks, symbols] of what stands at the blanks, which are given by
    their sequences, "rows" [blanks], and "steps" [blanks]."""
    task, V = model.task, len(model.vocabulary)
    weight = model.embedder.weight if task.tied else task.weight
    whole = read_sequences(model, "model", stateful=False)
    graph, y = whole.graph, whole.y
    rows, steps = (graph.input(name, INT64, ("blanks",)) for name in ("rows", "steps"))
    H, one = len(task.begin), graph.constant(1, np.int64)

    def at(before: str, beyond: Tensor, outside: str, halves: tuple[int, int]) -> str:
        """One half of y at the steps, or a learnt vector where that is outside of the sequence: [blanks, H]."""
        inside = graph.where(outside, graph.constant(0, np.int64), before)
        places = graph.concat([graph.unsqueeze(inside, 1), graph.unsqueeze(rows, 1)], 1)
        found = graph.slice(graph.op("GatherND", y, places), *halves, 1)
        return graph.where(graph.unsqueeze(outside, 1), graph.weight(beyond), found)

    def head(layer: Any, states: str) -> str:
        more = graph.linear(graph.op("Relu", graph.linear(states, layer.inner)), layer.outer)
        z = graph.op("Add", graph.linear(states, layer.straight), more)
        return heads.log_probabilities(graph, z, weight, layer.bias)

    first = graph.op("Equal", steps, graph.constant(0, np.int64))
    left = at(graph.op("Sub", steps, one), task.begin, first, (0, H))
    if task.both is not None:
        after = graph.op("Add", steps, one)
        last = graph.op("GreaterOrEqual", after, graph.take(whole.lengths, rows))
        right = at(after, task.end, last, (H, 2 * H))
        graph.output("both", head(task.both, graph.concat([left, right], 1)), FLOAT, ("blanks", V))
    graph.output("left", head(task.left, left), FLOAT, ("blanks", V))

    def torch_says(feeds: Feeds) -> Mapping[str, Tensor]:
        places = torch.from_numpy(feeds["rows"]), torch.from_numpy(feeds["steps"])
        batch = as_batch({name: value for name, value in feeds.items() if name not in ("rows", "steps")})
        found: Mapping[str, Tensor] = task.ask(model.embedder, model.core, batch, places)
        return found

    def draw(random: np.random.Generator, batch: int, time: int) -> Feeds:
        feeds = draw_sequences(model, random, batch, time)
        some = np.flatnonzero(feeds["lengths"])
        rows = random.choice(some, batch + 1)
        return feeds | {"rows": rows, "steps": random.integers(0, feeds["lengths"][rows])}

    return [Part("model", graph, draw, torch_says)]


def transduce(model: Model) -> list[Part]:
    """`model`: from sources that end in their mark to the state before the first symbol. `step`: one symbol each and
    that state to "log_probabilities" [batch, symbols + 1] and what `state_…` is next; "attention" [batch, source]."""
    task, embedder, core = model.task, model.embedder, cast("Any", model.core)
    form, S = DECODERS[model.config["task"]["decoder"]["kind"]], core.output_size
    whole = read_sequences(model, "model", stateful=False)
    graph = whole.graph
    states = whole.final if model.config["core"]["kind"] == "recurrent" else None
    halves = bool(core.halves) and states is not None
    slots = form.slots(task.decoder, S)
    source = Source(whole.y, whole.lengths, states, halves)
    for slot, value in zip(slots, form.start(graph, task.decoder, source), strict=True):
        graph.output(slot.name, value, slot.kind, _as_source(slot))

    one, V = Graph("step"), len(task.bias)
    token = one.input("input", INT64, ("batch",))
    given = {s.name: one.input(s.name, s.kind, s.shape) for s in slots}
    matrix = embedder.weight if task.embedding is None else task.embedding
    after = form.step(one, task.decoder, one.take(one.weight(matrix), token), given)
    projection = task.projection
    h = after.h if projection is None else one.matmul(after.h, projection.weight)
    weight = task.weight if task.weight is not None else matrix
    one.output("log_probabilities", heads.log_probabilities(one, h, weight, task.bias), FLOAT, ("batch", V))
    if after.alpha is not None:
        one.output("attention", after.alpha, FLOAT, ("batch", "source"))
    moving = [s for s in slots if s.name.startswith("state_")]
    give_states(one, moving, [after.states[s.name] for s in moving])

    def torch_starts(feeds: Feeds) -> Mapping[str, Tensor]:
        state = task.start(embedder, core, as_batch(feeds))
        return {slot.name: tensor for slot, tensor in zip(slots, leaves(state), strict=True)}

    def torch_steps(feeds: Feeds) -> Mapping[str, Tensor]:
        random = np.random.default_rng(0)
        like = task.start(embedder, core, as_batch(draw(random, 1, 2)))
        state = rebuilt(like, [torch.from_numpy(feeds[s.name]) for s in slots])
        token = torch.from_numpy(feeds["input"])
        log_p, new = task.step(embedder, core, state, token)
        named = {s.name + NEXT: t for s, t in zip(slots, leaves(new), strict=True) if s.name.startswith("state_")}
        if after.alpha is not None:
            x = F.embedding(token[:, None], matrix)
            named["attention"] = task.decoder(x, state, weights=True)[2][:, 0]
        return {"log_probabilities": log_p, **named}

    def draw(random: np.random.Generator, batch: int, time: int) -> Feeds:
        return draw_sequences(model, random, batch, time)

    def draw_step(random: np.random.Generator, batch: int, time: int) -> Feeds:
        state = task.start(embedder, core, as_batch(draw(random, batch, time)))
        for _ in range(time % 3):
            state = task.step(embedder, core, state, torch.from_numpy(random.integers(0, V, batch)))[1]
        feeds = {slot.name: tensor.numpy() for slot, tensor in zip(slots, leaves(state), strict=True)}
        return feeds | {"input": random.integers(0, V, batch)}

    return [Part("model", graph, draw, torch_starts), Part("step", one, draw_step, torch_steps)]


def _as_source(slot: Slot) -> tuple[int | str, ...]:
    """The shape of a first state, whose source is as long as the input."""
    named: dict[int | str, int | str] = {"source": "time", "past": 0}
    return tuple(named.get(axis, axis) for axis in slot.shape)


TASKS: dict[str, Callable[[Model], list[Part]]] = {
    "generate": generate,
    "tag": tag,
    "classify": classify,
    "fill": fill,
    "transduce": transduce,
    "answer": answer,
}
"""By kind: the files of a run."""
