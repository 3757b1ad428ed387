"""Embedders as ONNX."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from recurra.export import recurrent
from recurra.export.graph import INT64, Graph
from recurra.export.slots import Slot
from recurra.types import NeedsFields

SPELLING = (
    Slot("spellings", ("words", "characters"), INT64),
    Slot("spelling_lengths", ("words",), INT64),
    Slot("spelling", ("batch", "time"), INT64),
)
"""The characters of each distinct word, how many they are, and the word at each place."""


def inputs(embedder: Any) -> tuple[Slot, ...]:
    """What an embedder reads besides "input"."""
    return SPELLING if isinstance(embedder, NeedsFields) and "characters" in embedder.fields else ()


def _symbols(graph: Graph, embedder: Any, given: Mapping[str, str]) -> str:
    return graph.take(graph.weight(embedder.weight), given["input"])


def _words(graph: Graph, embedder: Any, given: Mapping[str, str]) -> str:
    table = embedder.weight
    if not embedder.tune:
        table = torch.where(embedder.fixed[:, None], embedder.vectors, table)
    x = graph.take(graph.weight(table), given["input"])
    if embedder.spelling is None:
        return x
    spelt = SPELLINGS[type(embedder.spelling).__name__](
        graph, embedder.spelling, given["spellings"], given["spelling_lengths"]
    )
    return graph.concat([x, graph.take(spelt, given["spelling"])], 2)


def _convolved(graph: Graph, spelling: Any, spellings: str, lengths: str) -> str:
    """max_c Σ_k W_k e_{c + k} + b over the characters of each word."""
    characters = torch.cat((spelling.characters, spelling.characters.new_zeros(1, spelling.size)))
    steps = graph.unsqueeze(graph.arange(graph.size(spellings, 1)), 0)
    there = graph.op("Less", steps, graph.unsqueeze(lengths, 1))  # [U, C]
    outside = graph.constant(len(characters) - 1, np.int64)
    symbols = graph.take(graph.weight(characters), graph.where(there, spellings, outside))  # [U, C, size]
    before = (spelling.width - 1) // 2
    z = graph.op(
        "Conv",
        graph.transpose(symbols, 0, 2, 1),
        graph.weight(spelling.weight.detach().permute(2, 0, 1)),
        graph.weight(spelling.bias),
        attributes={"pads": [before, spelling.width - 1 - before]},
    )  # [U, filters, C]
    z = graph.where(graph.unsqueeze(there, 1), z, graph.constant(-math.inf))
    some = graph.op("Greater", graph.unsqueeze(lengths, 1), graph.constant(0, np.int64))
    return graph.where(some, graph.reduce("ReduceMax", z, 2), graph.constant(0.0))


def _read_both_ways(graph: Graph, spelling: Any, spellings: str, lengths: str) -> str:
    x = graph.take(graph.weight(spelling.characters), graph.transpose(spellings, 1, 0))
    layer = spelling.layer
    _, final = recurrent.stack(graph, layer, x, recurrent.zeros(graph, layer, x), lengths)
    h = final[layer.cell.state[0]]  # [2, U, H]
    return graph.concat([graph.at(h, 0), graph.at(h, 1)], 1)


SPELLINGS: dict[str, Callable[[Graph, Any, str, str], str]] = {
    "ConvolutionSpelling": _convolved,
    "RecurrentSpelling": _read_both_ways,
}
EMBEDDERS: dict[str, Callable[[Graph, Any, Mapping[str, str]], str]] = {
    "symbols": _symbols,
    "readings": _symbols,
    "words": _words,
}
"""By kind: from the inputs, time first, to x [T, B, D]."""
