"""A whole sweep as one CUDA graph, captured once for each shape and replayed: a launch for a sequence, not for a step.

Off unless the environment variable RECURRA_CUDA_GRAPHS is 1, and only for sequences of one length: no graph was ever
captured by us, only what goes in and out of one is tested. A graph works on arrays of its own, which are copied to and
from; those of the KEPT latest shapes are kept.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.engine.time import Time

SETTING = "RECURRA_CUDA_GRAPHS"
KEPT = 8
Steps = Callable[[Mapping[str, Tensor]], None]


@dataclass
class _Captured:
    arrays: dict[str, Tensor]
    replay: Callable[[], None]


_captured: OrderedDict[Hashable, _Captured] = OrderedDict()
_lock = threading.Lock()


def wanted(x: Tensor, time: Time) -> bool:
    """Whether a sweep over `x` may run as a graph: it was asked for, and nobody captures what we do already."""
    return (
        os.environ.get(SETTING) == "1"
        and x.is_cuda
        and time.lengths is None
        and not torch.cuda.is_current_stream_capturing()
    )


def run(key: Hashable, steps: Steps, arrays: Mapping[str, Tensor], written: set[str]) -> None:
    """`steps(arrays)` by a graph. `key`: all that `steps` depends on besides the arrays; `written`: what it changes."""
    some = next(iter(arrays.values()))
    stream = torch.cuda.current_stream(some.device) if some.is_cuda else None
    shapes = tuple((name, tuple(t.shape), t.dtype) for name, t in sorted(arrays.items()))
    place = (key, shapes, some.device, stream)
    with _lock:
        if place not in _captured:
            own = {name: torch.empty_like(t, memory_format=torch.contiguous_format) for name, t in arrays.items()}
            _fill(own, arrays, arrays)
            _captured[place] = _Captured(own, capture(lambda: steps(own)))
            if len(_captured) > KEPT:
                _captured.popitem(last=False)
        _captured.move_to_end(place)
        found = _captured[place]
        _fill(found.arrays, arrays, arrays)
        found.replay()
        _fill(arrays, found.arrays, written)


def _fill(to: Mapping[str, Tensor], source: Mapping[str, Tensor], names: Iterable[str]) -> None:
    for name in names:
        to[name].copy_(source[name])


def capture(work: Callable[[], None]) -> Callable[[], None]:
    """A graph's replay; `work` runs once before, on a stream beside, so that everything is compiled and prepared."""
    here, beside = torch.cuda.current_stream(), torch.cuda.Stream()
    beside.wait_stream(here)
    with torch.cuda.stream(beside):
        work()
    here.wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        work()
    return graph.replay
