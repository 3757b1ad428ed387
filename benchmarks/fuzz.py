"""A million odd inputs: files that readers read, word vectors, recipes, codecs, equations, requests and files of runs.

    python benchmarks/fuzz.py --out build/fuzz.json

Each kind runs in a process of its own, which is watched: one that dies, or that no alarm wakes, leaves its last input
as a finding and is started again behind it. What is found is written beside the result, FOLDER.findings/KIND-NUMBER.bin
and its trace; `--again KIND NUMBER` does one input again. A result that is there already is gone on with. A crash is
anything but a result or a RecurraError: an exception, more than 5 seconds of the processor, more memory than
--memory, a dead process.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import platform
import resource
import signal
import struct
import sys
import tempfile
import time
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

KINDS = {
    "readers": ("files", "Readers", 220_000),
    "vectors": ("files", "Vectors", 480_000),
    "codecs": ("files", "Codecs", 30_000),
    "recipes": ("recipes", "Recipes", 20_000),
    "equations": ("recipes", "Equations", 235_000),
    "bodies": ("bodies", "Bodies", 15_000),
    "runs": ("runs", "Runs", 5_000),
    "exports": ("exports", "Exports", 3_000),
}
"""Kind → module, class, and its share of a million inputs."""
ROUND = 1_000
"""Inputs between two writings of the result."""
STUCK = 150.0
"""Seconds without a new input after which a process is ended."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--inputs", type=int, help="of each kind; without it a million of all together")
    parser.add_argument("--scale", type=float, default=1.01, help="times the usual number of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory", type=int, default=2048, help="MiB that an input may need, of address space")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--again", nargs=2, metavar=("KIND", "NUMBER"))
    arguments = parser.parse_args()
    if arguments.again:
        again(arguments.again[0], int(arguments.again[1]), arguments.seed)
        return
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    result = stored(arguments.out, arguments.seed)
    for kind in arguments.kinds:
        watch(kind, arguments.inputs or int(KINDS[kind][2] * arguments.scale), arguments, result)
    shown(result)


def stored(path: Path, seed: int) -> dict[str, Any]:
    """The result so far; begun anew where none is there."""
    if path.exists():
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if result["seed"] == seed:
            return result
        sys.exit(f"{path} is of seed {result['seed']}. Name another file, or that seed.")
    return {"seed": seed, "machine": platform.processor() or platform.machine(), "kinds": {}}


def watch(kind: str, inputs: int, arguments: argparse.Namespace, result: dict[str, Any]) -> None:
    """All inputs of a kind, in processes that are started again behind an input that ended one."""
    place = mmap.mmap(-1, 16)  # the input's number and when it was begun, shared with the process
    context = get_context("fork")
    while counted(result, kind) < inputs:
        begin = counted(result, kind)
        store(place, begin)
        process = context.Process(target=work, args=(kind, begin, inputs, arguments, place))
        process.start()
        while process.is_alive():
            process.join(1.0)
            number, since = load(place)
            if time.monotonic() - since > STUCK + (120 if number == begin else 0):  # the first one is built for
                os.kill(process.pid or 0, signal.SIGKILL)
        result.update(stored(arguments.out, arguments.seed))
        if process.exitcode != 0:
            number, _ = load(place)
            died(kind, number, process.exitcode, arguments, result)


def died(kind: str, number: int, code: int | None, arguments: argparse.Namespace, result: dict[str, Any]) -> None:
    """Count an input that ended its process, and all before it that were not counted yet as done."""
    found = result["kinds"].setdefault(kind, empty())
    signature = f"the process ended with {code}"
    found["findings"][signature] = found["findings"].get(signature, 0) + 1
    lost = number - found["inputs"]  # tried since the result was written
    found["inputs"], found["uncounted"] = number + 1, found.get("uncounted", 0) + lost
    write(arguments.out, result)
    print(f"{kind} {number}: {signature}", flush=True)


def work(kind: str, begin: int, end: int, arguments: argparse.Namespace, place: mmap.mmap) -> None:
    """Inputs of a kind from one number to another, in this process."""
    from recurra.testing.fuzzing import Counts, fuzz

    findings = arguments.out.with_suffix(".findings")
    result = stored(arguments.out, arguments.seed)
    before = {**result["kinds"].get(kind, empty())}
    uncounted = before.pop("uncounted")
    counts = Counts(**before)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        made = kind_of(kind, Path(folder))
        limit(arguments.memory)
        for first in range(begin, end, ROUND):
            numbers = range(first, min(first + ROUND, end))
            for found in fuzz(made, arguments.seed, numbers, counts, begun=lambda number: store(place, number)):
                findings.mkdir(exist_ok=True)
                (findings / f"{kind}-{found.number}.bin").write_bytes(found.given)
                (findings / f"{kind}-{found.number}.txt").write_text(found.trace, encoding="utf-8", errors="replace")
                print(f"{kind} {found.number}: {found.signature}", flush=True)
            result["kinds"][kind] = {**asdict(counts), "uncounted": uncounted}
            write(arguments.out, result)
            if first // ROUND % 10 == 0:
                done = counts.inputs / end
                print(f"{kind}: {counts.inputs:,} of {end:,} ({done:.0%}), {counts.crashes} crashes", flush=True)
    os._exit(0)  # threads of a server need not end in order


def kind_of(name: str, folder: Path) -> Any:
    """A kind of input, with its files in a folder."""
    import importlib

    import torch

    torch.set_num_threads(1)
    module, called, _ = KINDS[name]
    return getattr(importlib.import_module(f"recurra.testing.fuzzing.{module}"), called)(folder)


def again(kind: str, number: int, seed: int) -> None:
    """One input, and the traceback of what it ends in."""
    from recurra.testing.fuzzing import made

    with tempfile.TemporaryDirectory() as folder:
        one = kind_of(kind, Path(folder))
        given = made(one, seed, number)
        print(repr(given[:2000]))
        print("accepted" if one.take(given) else "refused")


def limit(megabytes: int) -> None:
    """So much more address space than the process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        most = pages * os.sysconf("SC_PAGE_SIZE") + (megabytes << 20)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def counted(result: dict[str, Any], kind: str) -> int:
    return int(result["kinds"].get(kind, empty())["inputs"])


def empty() -> dict[str, Any]:
    return {"inputs": 0, "accepted": 0, "refused": 0, "seconds": 0.0, "slowest": 0.0, "findings": {}, "uncounted": 0}


def store(place: mmap.mmap, number: int) -> None:
    place[:16] = struct.pack("<qd", number, time.monotonic())


def load(place: mmap.mmap) -> tuple[int, float]:
    number, since = struct.unpack("<qd", place[:16])
    return number, since


def write(path: Path, result: dict[str, Any]) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)


def shown(result: dict[str, Any]) -> None:
    """The table of docs/reliability.md."""
    print("\n| inputs of | inputs | refused in a sentence | accepted | crashes | slowest, s | inputs a second |")
    print("|---|---|---|---|---|---|---|")
    rows = [(kind, found, sum(found["findings"].values())) for kind, found in result["kinds"].items()]
    for kind, found, crashes in rows:
        rate = found["inputs"] / max(found["seconds"], 1e-9)
        print(
            f"| {kind} | {found['inputs']:,} | {found['refused']:,} | {found['accepted']:,} | {crashes} | "
            f"{found['slowest']:.1f} | {rate:,.0f} |"
        )
    whole = {name: sum(found[name] for _, found, _ in rows) for name in ("inputs", "refused", "accepted")}
    crashes = sum(each for _, _, each in rows)
    print(f"| all | {whole['inputs']:,} | {whole['refused']:,} | {whole['accepted']:,} | {crashes} | | |")


if __name__ == "__main__":
    main()
