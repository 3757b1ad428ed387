"""An ONNX file beside torch, before it is written and where it lies: same inputs at several sizes, same outputs."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from recurra.errors import RecurraError
from recurra.export.parts import Feeds, Part, parts

SIZES = ((1, 1), (3, 5), (4, 11))
"""(batch, time) at which files are compared."""
TOLERANCE = 1e-5
"""The largest difference of an output, as a share of its largest entry where that is above 1."""
NORMALISED = 1e-3
"""So far from 1 may probabilities sum up, for an output to be taken for their logarithms."""
ROUNDING = 4.0
"""A file may be so many times as far from torch as torch's float32 is from its float64, where that is more: a network
that makes much of little differences rounds so, on inputs that are noise."""
ROUNDED = 0.2
"""The same of a file whose weights are rounded to eight bits."""


def session(model: bytes | str) -> Any:
    """onnxruntime's, on one thread, without its warnings."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def difference(part: Part, model: bytes | str, sizes: Sequence[tuple[int, int]] = SIZES) -> float:
    """The largest difference between what onnxruntime and torch say, over all outputs and sizes; `model` is a file's
    bytes, or its path."""
    opened = session(model)
    return max(_at(part, opened, *size) for size in sizes)


@torch.no_grad()
def own_rounding(part: Part, sizes: Sequence[tuple[int, int]] = SIZES) -> float:
    """The same difference between torch in float32 and in float64, on the same inputs."""
    (exact,) = (each for each in parts(copy.deepcopy(part.model).double()) if each.file == part.file)
    worst = 0.0
    for size in sizes:
        feeds = {name: torch.from_numpy(value) for name, value in part.draw(np.random.default_rng(size), *size).items()}
        doubled = {name: value.double() if value.is_floating_point() else value for name, value in feeds.items()}
        said = {name: tensor.numpy() for name, tensor in part.answer(feeds).items()}
        worst = max(worst, distance(said, exact.answer(doubled)))
    return worst


def check(part: Part, model: bytes | str, rounded: bool = False) -> float:
    """The difference; raises `RecurraError` where it is above `TOLERANCE` and more than torch's own rounding explains,
    above `ROUNDED` of `rounded` weights."""
    found, limit = difference(part, model), ROUNDED if rounded else TOLERANCE
    if not found <= limit and not rounded:
        limit = max(limit, ROUNDING * own_rounding(part))
    if not found <= limit:
        move = "Export it without --int8." if rounded else "Please report this with the run's config.toml."
        raise RecurraError(
            f"{part.file}.onnx{' with weights in eight bits' if rounded else ''} answers otherwise than the run: by "
            f"{found:.2g}, expected {limit:g} at most. Nothing was written. {move}"
        )
    return found


@torch.no_grad()
def answers_apart(part: Part, model: bytes | str, sizes: Sequence[tuple[int, int]] = SIZES) -> float | None:
    """The largest difference between the log-probabilities that onnxruntime and torch give torch's likeliest answers,
    over all inputs that files are compared at; None where no output is a distribution."""
    opened, worst = session(model), None
    for size in sizes:
        said, expected = _both(part, opened, *size)
        for name, tensor in expected.items():
            log_p = tensor.double().numpy()
            if log_p.ndim > 1 and log_p.size and np.abs(np.exp(np.minimum(log_p, 1)).sum(-1) - 1).max() < NORMALISED:
                best = log_p.argmax(-1)[..., None]
                pair = (np.take_along_axis(np.asarray(each, np.float64), best, -1) for each in (said[name], log_p))
                worst = max(worst or 0.0, float(np.abs(np.subtract(*pair)).max()))
    return worst


@torch.no_grad()
def _at(part: Part, opened: Any, batch: int, time: int) -> float:
    return distance(*_both(part, opened, batch, time))


def _both(part: Part, opened: Any, batch: int, time: int) -> tuple[Feeds, Mapping[str, Tensor]]:
    """What onnxruntime and torch say of the same inputs."""
    feeds = part.draw(np.random.default_rng((batch, time)), batch, time)
    names = [output.name for output in opened.get_outputs()]
    said = dict(zip(names, opened.run(None, feeds), strict=True))
    return said, part.answer({name: torch.from_numpy(value) for name, value in feeds.items()})


def distance(said: Feeds, expected: Mapping[str, Tensor]) -> float:
    """The largest difference of outputs by name; raises where names or shapes differ."""
    if said.keys() != expected.keys():
        raise RecurraError(f"outputs {sorted(said)}, expected {sorted(expected)}.")
    worst = 0.0
    for name, tensor in expected.items():
        a, b = np.asarray(said[name], np.float64), tensor.double().numpy()
        if a.shape != b.shape:
            raise RecurraError(f"output {name!r} has shape {a.shape}, expected {b.shape}.")
        if a.size:
            apart = np.abs(a - b).max() / max(1.0, np.abs(b).max())
            worst = max(worst, float(apart) if np.isfinite(apart) else np.inf)
    return worst
