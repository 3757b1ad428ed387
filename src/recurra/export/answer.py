"""Answers to questions about stories, as ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from recurra.export.graph import FLOAT, INT64, Graph
from recurra.export.parts import Feeds, Part, read_sequences, symbols
from recurra.model import Model
from recurra.nn.memory import SHUT
from recurra.types import Batch, Lengths


def answer(model: Model) -> list[Part]:
    """`model`: "label" [stories, answers], log-probabilities. "input" [batch, time] are sentences and questions, each a
    row of its own; "sentences" [stories, places] names the rows of each story, "counts" [stories] says how many it has,
    and "questions" [stories] names the row of its question."""
    task, core = model.task, cast("Any", model.core)
    whole = read_sequences(model, "model", stateful=False)
    graph = whole.graph
    sentences = graph.input("sentences", INT64, ("stories", "places"))
    counts, questions = (graph.input(name, INT64, ("stories",)) for name in ("counts", "questions"))
    of_words = _in_order(graph, whole.x, whole.lengths, model.embedder.output_size)
    of_core = _in_order(graph, whole.y, whole.lengths, core.output_size)
    read = graph.op("Add", of_words, graph.matmul(of_core, task.read.weight))  # [N, D]
    o = _memory(graph, task.memory, graph.take(read, sentences), graph.take(read, questions), counts)
    log_p = graph.softmax(graph.linear(o, task.answer), log=True)
    graph.output("label", log_p, FLOAT, ("stories", task.answer.out_features))

    def torch_says(feeds: Feeds) -> Mapping[str, Tensor]:
        found: Mapping[str, Tensor] = task.ask(model.embedder, model.core, _stories(feeds))
        return found

    def draw(random: np.random.Generator, batch: int, time: int) -> Feeds:
        counts = random.integers(0, 4, batch)
        counts[0] = 3
        places = np.zeros((batch, 3), np.int64)
        rows = 0
        for story, count in enumerate(counts):
            places[story, :count] = rows + np.arange(count)
            rows += count
        lengths = random.integers(1, time + 1, rows + batch)
        return {
            "input": random.integers(0, symbols(model), (rows + batch, time)),
            "lengths": lengths,
            "sentences": places,
            "counts": counts,
            "questions": rows + np.arange(batch),
        }

    return [Part("model", graph, draw, torch_says)]


def _stories(feeds: Feeds) -> Batch:
    """The same stories as torch reads them: words one behind the other, and the number of each one's sentence."""
    stories = []
    for places, count, question in zip(feeds["sentences"], feeds["counts"], feeds["questions"], strict=True):
        rows = [*places[:count], question]
        each = [feeds["input"][row, : feeds["lengths"][row]] for row in rows]
        numbers = np.repeat(np.arange(len(rows)), [len(words) for words in each])
        stories.append((np.concatenate(each), numbers))
    lengths = [len(words) for words, _ in stories]
    fields = np.zeros((2, len(stories), max(lengths)), np.int64)
    for k, (words, numbers) in enumerate(stories):
        fields[:, k, : len(words)] = words, numbers
    both = {name: torch.from_numpy(field) for name, field in zip(("input", "segments"), fields, strict=True)}
    return Batch(both, Lengths(torch.tensor(lengths)))


def _in_order(graph: Graph, y: str, lengths: str, M: int) -> str:
    """Vectors of words [W, N, M] → [N, M]: their sum, weighed by where they stand; see `recurra.nn.memory.in_order`."""
    j = graph.cast(graph.unsqueeze(graph.arange(graph.size(y, 0)), 1), FLOAT)
    j = graph.op("Add", j, graph.constant(1.0))
    share = graph.unsqueeze(graph.op("Div", j, graph.cast(lengths, FLOAT)), 2)  # [W, N, 1]
    entry = graph.weight(torch.arange(1, M + 1, dtype=torch.float32) / M)
    one, two = graph.constant(1.0), graph.constant(2.0)
    turned = graph.op("Mul", entry, graph.op("Sub", one, graph.op("Mul", two, share)))
    weights = graph.op("Sub", graph.op("Sub", one, share), turned)
    weighed = graph.where(graph.there(lengths, y), graph.op("Mul", y, weights), graph.constant(0.0))
    return graph.reduce("ReduceSum", weighed, 0)


def _memory(graph: Graph, memory: Any, m: str, q: str, counts: str) -> str:
    """A `Memory`: sentences m [B, S, M], questions q [B, M] → [B, M]."""
    steps = graph.arange(graph.size(m, 1))
    there = graph.unsqueeze(graph.op("Less", graph.unsqueeze(steps, 0), graph.unsqueeze(counts, 1)), 2)
    m = graph.where(there, m, graph.constant(0.0))
    met = graph.op("Expand", graph.unsqueeze(q, 1), graph.op("Shape", m))
    for k, forwards in enumerate(memory.forwards):
        now = _direction(graph, forwards, m, met, there, steps)
        if k < len(memory.backwards):
            now = graph.op("Add", now, _direction(graph, memory.backwards[k], m, met, there, steps))
        met = now
    zero = graph.constant(0, np.int64)
    last = graph.op("Max", graph.op("Sub", counts, graph.constant(1, np.int64)), zero)
    found = graph.squeeze(graph.pick(graph.transpose(met, 1, 0, 2), graph.unsqueeze(last, 0)), 0)
    return graph.where(graph.unsqueeze(graph.op("Greater", counts, zero), 1), found, q)


def _direction(graph: Graph, hop: Any, m: str, q: str, there: str, steps: str) -> str:
    common = graph.op("Mul", m, q)
    g = graph.where(there, graph.linear(common, hop.gate), graph.constant(SHUT))
    seen = graph.op("Tanh", graph.linear(graph.concat([m, q], 2), hop.candidate))
    c = graph.op("Mul", graph.op("Sigmoid", graph.linear(common, hop.reset)), seen)
    passed = graph.op("Neg", graph.op("Softplus", g))
    total = graph.op("CumSum", passed, graph.constant(1, np.int64), attributes={"reverse": int(hop.backwards)})
    own = graph.op("Neg", graph.op("Softplus", graph.op("Neg", g)))
    log_a = graph.op("Add", total, graph.transpose(graph.op("Sub", own, total), 0, 2, 1))  # [B, t, i]
    t, i = graph.unsqueeze(steps, 1), graph.unsqueeze(steps, 0)
    met = graph.op("LessOrEqual", t, i) if hop.backwards else graph.op("GreaterOrEqual", t, i)
    a = graph.where(met, graph.op("Exp", log_a), graph.constant(0.0))
    return graph.op("MatMul", a, c)
