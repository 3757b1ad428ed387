"""Layers of every cell beside torch.nn's with the same weights: training step, inference, share of the sgemm rate."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

from recurra.bench.interleaved import turns
from recurra.equations.language import Cell
from recurra.errors import RecurraError
from recurra.limits import check_threads
from recurra.nn import Recurrent
from recurra.progress import steps
from recurra.registry import find
from recurra.testing import check_cell

PEERS: dict[str, Any] = {"rnn-tanh": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
SGEMM = 1024
"""Side of the square matrices whose product gives the sgemm rate."""


@dataclass(frozen=True)
class Shape:
    """A layer's sizes: T steps, B sequences, I inputs, H units; `ragged`: lengths uniform from T / 10 to T."""

    T: int
    B: int
    I: int
    H: int
    ragged: bool = False

    def __str__(self) -> str:
        return f"{self.T},{self.B},{self.I},{self.H}{' ragged' if self.ragged else ''}"


SHAPES = (
    Shape(100, 32, 256, 256),
    Shape(35, 20, 200, 200),
    Shape(100, 64, 512, 512),
    Shape(784, 64, 1, 128),
    Shape(100, 1, 128, 128),
    Shape(50, 128, 64, 64),
    Shape(100, 32, 256, 256, ragged=True),
)


def measure(names: Sequence[str], shapes: Sequence[Shape], threads: Sequence[int], seconds: float) -> Iterator[dict]:
    """A row for every cell, shape and number of threads; `seconds` is about what each row may take.

    A cell that does not pass the conformance suite raises `RecurraError` before any figure of it is given.
    Row: "cell", "shape", "threads", "training ms", "inference ms", "share of sgemm" (of the products of a training
    step), "bf16" (our float32 training time over our bfloat16's); beside a peer "training", "inference": medians over
    the rounds of its time over ours.
    """
    before = torch.get_num_threads()
    try:
        for name in steps(names, "checking", "cells"):
            try:
                check_cell(name)
            except AssertionError as error:
                raise RecurraError(
                    f"no figures for {name!r}, it does not pass the conformance suite: {error}"
                ) from error
        for count in threads:
            check_threads("threads", count)
        for count, shape, name in steps([*product(threads, shapes, names)], "timing", "rows"):
            torch.set_num_threads(count)
            figures = _row(find("cell", name), shape, seconds)
            yield {"cell": name, "shape": str(shape), "threads": count, **figures}
    finally:
        torch.set_num_threads(before)


def _row(cell: Cell, shape: Shape, seconds: float) -> dict[str, Any]:
    torch.manual_seed(0)
    inputs = shape.H if cell.reads_input else shape.I
    layer = Recurrent(cell, inputs, shape.H)
    x = torch.randn(shape.T, shape.B, inputs, requires_grad=True)
    lengths = torch.randint(shape.T // 10, shape.T + 1, (shape.B,)) if shape.ragged else None
    a, b = torch.randn(2, SGEMM, SGEMM)
    sides: dict[str, Callable[[], Any]] = {
        "ours": _training(layer, x, lambda: layer(x, None, lengths)[0]),
        "ours, inference": _inference(lambda: layer(x, None, lengths)[0]),
        "bf16": _training(layer, x, _in_bf16(lambda: layer(x, None, lengths)[0])),
        "sgemm": lambda: torch.mm(a, b),
    }
    if cell.name in PEERS:
        peer = PEERS[cell.name](inputs, shape.H)
        peer.load_state_dict(layer.state_dict())
        call = _peer_call(peer, x, lengths)
        sides |= {"peer": _training(peer, x, call), "peer, inference": _inference(call)}
    times = turns(sides, _rounds(sides, seconds))
    median = {name: statistics.median(each) for name, each in times.items()}

    def ratio(above: str, below: str) -> float:
        return statistics.median(p / q for p, q in zip(times[above], times[below], strict=True))

    rows = shape.T * shape.B if lengths is None else int(lengths.sum())
    rate = 2 * SGEMM**3 / median["sgemm"]
    found = {
        "training ms": 1e3 * median["ours"],
        "inference ms": 1e3 * median["ours, inference"],
        "share of sgemm": 3 * 2 * rows * multiplications(cell.lowest, inputs, shape.H) / median["ours"] / rate,
        "bf16": ratio("ours", "bf16"),
    }
    if "peer" in times:
        found |= {"training": ratio("peer", "ours"), "inference": ratio("peer, inference", "ours, inference")}
    return found


def multiplications(cell: Cell, inputs: int, hidden: int) -> int:
    """Of all products of one step of one sequence, forward; the backward has twice as many."""
    square = len(cell.recurrent_gates) + sum(node.op == "project" for node in cell.nodes)
    return hidden * (len(cell.input_gates) * inputs + square * hidden)


def _training(module: torch.nn.Module, x: Tensor, call: Callable[[], Tensor]) -> Callable[[], None]:
    def step() -> None:
        module.zero_grad(set_to_none=True)
        x.grad = None
        call().sum().backward()

    return step


def _inference(call: Callable[[], Tensor]) -> Callable[[], None]:
    def step() -> None:
        with torch.no_grad():
            call()

    return step


def _in_bf16(call: Callable[[], Tensor]) -> Callable[[], Tensor]:
    def inside() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return call()

    return inside


def _peer_call(peer: torch.nn.RNNBase, x: Tensor, lengths: Tensor | None) -> Callable[[], Tensor]:
    if lengths is None:
        return lambda: peer(x)[0]
    return lambda: peer(pack_padded_sequence(x, lengths, enforce_sorted=False))[0].data


def _rounds(sides: dict[str, Callable[[], Any]], seconds: float) -> int:
    begun = time.perf_counter()
    for side in sides.values():
        side()
    for side in sides.values():
        side()
    return max(7, min(60, int(2 * seconds / (time.perf_counter() - begun))))


__all__ = ["PEERS", "SHAPES", "Shape", "measure", "multiplications"]
