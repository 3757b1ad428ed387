"""All that is to be known of a GPU in one call of eight minutes at most; a call that is cut off leaves what it has.

    python benchmarks/gpu.py --minutes 8 --out benchmarks/results/gpu.json

In this order, each part with a share of the time: the Triton engine against the reference, for every cell; NCCL with
one process; layers beside cuDNN and beside a loop in Python at six shapes; mixed precision; trainings of three recipes
(data sets from RECURRA_DATA, left out where it is not set). The file is written after every row.

`--device cpu` rehearses it where there is no GPU: the engine "native" stands in for Triton and torch's CPU layers for
cuDNN, and no figure of it is worth anything.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from recurra import registry, storage
from recurra.bench.cells import PEERS, SHAPES
from recurra.bench.interleaved import machine
from recurra.engine.device import find_device
from recurra.engine.triton import kernels
from recurra.errors import RecurraError
from recurra.nn import Recurrent
from recurra.testing.cells import CONFIGURATIONS, check_equal, check_float32

SHARES = {"conformance": 0.35, "nccl": 0.05, "layers": 0.25, "mixed precision": 0.1, "training": 0.25}
"""Of the time, for each part; what a part leaves, the later ones have."""
LONGEST_ROW = 4.0
"""Seconds that a row of a timing takes at most."""
RECIPES = {"char-lm": "tinyshakespeare", "translate": "multi30k", "tagger": "ud-english-ewt"}
UPDATES = 200
Row = dict[str, Any]


class Clock:
    """The time that is left, for all and for a part."""

    def __init__(self, minutes: float) -> None:
        self._end = time.monotonic() + 60 * minutes
        self._minutes = minutes

    def begin(self, part: str) -> None:
        """Give a part its share of what is left by those that come."""
        coming = [name for name in SHARES if list(SHARES).index(name) >= list(SHARES).index(part)]
        left = self._end - time.monotonic()
        self._part = time.monotonic() + left * SHARES[part] / sum(SHARES[name] for name in coming)

    def left(self) -> float:
        """Seconds of the part."""
        return self._part - time.monotonic()


def waited(device: torch.device) -> None:
    """Wait until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def medians(sides: dict[str, Callable[[], Any]], device: torch.device, seconds: float) -> dict[str, float]:
    """Median milliseconds of each side, which take turns for so many seconds, three rounds at least."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    end = time.monotonic() + seconds
    for k in range(1000):
        for name, side in sides.items():
            waited(device)
            begun = time.perf_counter()
            side()
            waited(device)
            if k >= 2:  # kernels are compiled and captured before
                taken[name].append(1000 * (time.perf_counter() - begun))
        if k >= 4 and time.monotonic() > end:
            break
    return {name: round(statistics.median(each), 4) for name, each in taken.items()}


def conformance(device: torch.device, clock: Clock) -> Iterator[Row]:
    """A row for every cell: what the engine for the GPU has against the reference."""
    engine = "triton" if device.type == "cuda" else "native"
    for name in registry.names("cell"):
        if clock.left() < 0:
            yield {"cell": name, "unchecked": "no time left"}
            continue
        row: Row = {"cell": name, "engine": engine}
        begun = time.monotonic()
        try:
            for configuration in CONFIGURATIONS:
                check_equal(registry.find("cell", name), configuration, ["torch", engine], str(device))
            check_float32(registry.find("cell", name), ["torch", engine], str(device))
        except Exception as error:  # whatever goes wrong on a GPU that nobody has seen is what is to be known
            row["failed"] = f"{type(error).__name__}: {str(error)[:500]}"
        yield row | {"seconds": round(time.monotonic() - begun, 2)}


def nccl(device: torch.device, clock: Clock) -> Iterator[Row]:
    """One process of a group: what a sum over a group of one costs, by numbers."""
    import torch.distributed as dist

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29531", RANK="0", WORLD_SIZE="1")
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend)
    try:
        for count in (1, 10**4, 10**6, 10**7):
            held = torch.zeros(count, device=device)
            taken = medians({"sum": partial(dist.all_reduce, held)}, device, 1)
            yield {"backend": backend, "numbers": count, "ms": taken["sum"]}
    finally:
        dist.destroy_process_group()
        for name in ("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE"):
            del os.environ[name]


CELLS: dict[type, Any] = {torch.nn.RNN: torch.nn.RNNCell, torch.nn.GRU: torch.nn.GRUCell}
CELLS[torch.nn.LSTM] = torch.nn.LSTMCell


def looped(step: Any, x: torch.Tensor) -> torch.Tensor:
    """A cell of torch's carried over time by Python."""
    state, out = None, []
    for each in x:
        state = step(each, state)
        out.append(state[0] if isinstance(state, tuple) else state)
    return torch.stack(out)


def learns(call: Callable[[], torch.Tensor]) -> None:
    """Forward and backward."""
    call().square().mean().backward()


def layers(device: torch.device, clock: Clock) -> Iterator[Row]:
    """A row for every shape and cell: milliseconds of a training step of ours, torch's and the loop's."""
    shapes = [shape for shape in SHAPES if not shape.ragged]
    each = min(LONGEST_ROW, clock.left() / (len(shapes) * len(PEERS)))
    for shape in shapes:
        for name, peer in PEERS.items():
            if clock.left() < 0:
                return
            x = torch.randn(shape.T, shape.B, shape.I, device=device, requires_grad=True)
            theirs, step = peer(shape.I, shape.H).to(device), CELLS[peer](shape.I, shape.H).to(device)
            row: Row = {"cell": name, "shape": str(shape)}
            try:
                ours = Recurrent(name, shape.I, shape.H).to(device)
                sides = {
                    "ours": lambda: learns(lambda: ours(x)[0]),  # noqa: B023
                    "torch.nn": lambda: learns(lambda: theirs(x)[0]),  # noqa: B023
                    "loop": lambda: learns(lambda: looped(step, x)),  # noqa: B023
                }
                row["ms"] = medians(sides, device, each)
            except (RuntimeError, RecurraError) as error:
                row["failed"] = f"{type(error).__name__}: {str(error)[:500]}"
            yield row


def mixed(device: torch.device, clock: Clock) -> Iterator[Row]:
    """Training steps of a layer in float32 and with products in bfloat16."""
    for name in ("lstm", "gru"):
        for shape in SHAPES[:3]:
            if clock.left() < 0:
                return
            x = torch.randn(shape.T, shape.B, shape.I, device=device)
            row: Row = {"cell": name, "shape": str(shape)}
            try:
                ours = Recurrent(name, shape.I, shape.H).to(device)

                def short() -> None:
                    with torch.autocast(device.type, torch.bfloat16):
                        y = ours(x)[0]  # noqa: B023
                    y.float().square().mean().backward()

                row["ms"] = medians({"float32": lambda: learns(lambda: ours(x)[0]), "bf16": short}, device, 1)  # noqa: B023
            except (RuntimeError, RecurraError) as error:
                row["failed"] = f"{type(error).__name__}: {str(error)[:500]}"
            yield row


def training(device: torch.device, clock: Clock) -> Iterator[Row]:
    """Targets a second of whole trainings, of which each is ended after so many updates or its share of the time."""
    from recurra.workflow.plan import make_plan
    from recurra.workflow.training import execute

    if "RECURRA_DATA" not in os.environ:
        yield {"left out": "RECURRA_DATA is not set"}
        return
    for k, (recipe, set_) in enumerate(RECIPES.items()):
        times: list[float] = []
        end = time.monotonic() + max(5.0, clock.left() / (len(RECIPES) - k))

        def watch(event: Any) -> None:
            times.append(time.perf_counter()) if event.kind == "step" else None  # noqa: B023
            if event.kind == "step" and (len(times) == UPDATES or time.monotonic() > end):  # noqa: B023
                signal.raise_signal(signal.SIGTERM)

        with tempfile.TemporaryDirectory() as folder:
            settings = {"data.set": set_, "training.device": str(device), "training.evaluate_every": 1e6}
            try:
                plan = make_plan(recipe, out=Path(folder) / "run", settings={**settings, "training.max_minutes": None})
                execute(plan, progress=watch, baseline=False, no_test=True)
            except KeyboardInterrupt:
                pass
            except Exception as error:  # as above
                yield {"recipe": recipe, "failed": f"{type(error).__name__}: {str(error)[:500]}"}
                continue
            lines = (Path(folder) / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        between = [b - a for a, b in pairwise(times[10:])]
        rate = json.loads(lines[-1]).get("symbols_per_second") if lines else None
        update = round(1000 * statistics.median(between), 3) if between else None
        yield {"recipe": recipe, "updates": len(times), "update_ms": update, "targets_per_second": rate}


PARTS: dict[str, Callable[[torch.device, Clock], Iterator[Row]]] = {
    "conformance": conformance,
    "nccl": nccl,
    "layers": layers,
    "mixed precision": mixed,
    "training": training,
}


def main() -> None:
    """Do all parts, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    try:
        device = find_device(asked.device)
    except RecurraError as error:
        raise SystemExit(f"gpu.py: {error}") from error
    about = machine()
    if device.type == "cuda":
        about |= {"gpu": torch.cuda.get_device_name(device), "cuda": torch.version.cuda, "triton": kernels.missing()}
    found: dict[str, Any] = {"machine": about, "what": " ".join(["python", *sys.argv]), "device": str(device)}
    clock = Clock(asked.minutes)
    for part in asked.parts:
        clock.begin(part)
        found[part] = []
        try:
            for row in PARTS[part](device, clock):
                found[part].append(row)
                storage.write_text(asked.out, json.dumps(found, indent=1) + "\n")
                print(part, json.dumps(row), flush=True)
        except Exception as error:  # the other parts are wanted all the same
            found[part].append({"failed": f"{type(error).__name__}: {str(error)[:500]}"})
            print(part, found[part][-1], flush=True)
    storage.write_text(asked.out, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
