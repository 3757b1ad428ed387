"""recurra predict RUN FILES --out FOLDER: many files answered, by one process or by several."""

from __future__ import annotations

import json as json_format
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recurra import workflow
from recurra.cli.progress import Watch
from recurra.data.files import counted
from recurra.errors import ConfigError, DataError, Stopped, TrainingError
from recurra.jobs.asked import check_place, check_workers
from recurra.jobs.job import Job
from recurra.jobs.local import Local
from recurra.jobs.shard import parse_shard, within
from recurra.training.interrupt import Interrupt

TOLD = 30.0
"""Seconds from one sentence about how far all processes are to the next."""


@dataclass(frozen=True)
class How:
    """Where and by how many processes files are answered."""

    out: Path
    shard: str | None = None
    workers: int | None = None
    on: str = "here"
    address: str | None = None
    device: str = "cpu"
    threads: int = 1
    plugins: Sequence[Path] = ()


def check(how: How) -> tuple[int, int]:
    """The shard. Raises `ConfigError` for words that cannot be, before torch is loaded."""
    check_workers(how.workers)
    check_place(how.on, how.address)
    return parse_shard(how.shard)


def answer(
    run: Path,
    files: Sequence[Path],
    how: How,
    settings: Mapping[str, Any],
    options: Mapping[str, Any],
    json: bool,
) -> None:
    """Answer files into a folder, and say how many and how fast."""
    shard = check(how)
    with Watch(sys.stderr) as watch:
        found = _answered(run, files, how, shard, settings, options, watch)
    if json:
        print(json_format.dumps(found, ensure_ascii=False))
    else:
        before = f"; {found['before']:,} were answered before" if found["before"] else ""
        print(
            f"{found['files']:,} files answered in {found['seconds']:,.1f} s, {found['answers']:,} answers, "
            f"{found['per_second']:,.1f} a second{before}: {how.out}"
        )
    if found["broken"]:
        raise DataError(
            f"{counted(len(found['broken']), 'file')} could not be read, the others are answered. The first: "
            f"{found['broken'][0]}"
        )


def _answered(
    run: Path,
    files: Sequence[Path],
    how: How,
    shard: tuple[int, int],
    settings: Mapping[str, Any],
    options: Mapping[str, Any],
    watch: Watch,
) -> dict[str, Any]:
    from recurra.runs import batch as batches  # which loads torch
    from recurra.training.lock import locked

    opened = workflow.load(run, how.plugins, how.device)
    batch = batches.reopen(how.out) if not files else batches.Batch(how.out, batches.listed(files), settings, options)
    if not files and (settings or options):
        raise ConfigError(f"{how.out} knows how its files are answered. Leave --set and options away, or name files.")
    opened.options(batch.options)
    batches.settle(opened, batch)
    several = how.on == "ray" or (how.workers or 1) > 1
    interrupt = Interrupt(at_once=not several)
    try:
        with ExitStack() as stack:
            held = how.out if shard == (1, 1) else how.out / "shards" / f"{shard[0]}-of-{shard[1]}"
            stack.enter_context(locked(held, watch.say, "written to"))
            stack.enter_context(interrupt)
            if several:
                return _by_several(run, how, batches.pieces(batch, opened.of_files), shard, interrupt, watch, stack)
            encoding = str(batch.settings.get("reader.encoding", opened.config["reader"].get("encoding", "utf-8")))
            found = batches.answer_files(opened, batch, encoding, shard, how.threads, watch.say)
    except KeyboardInterrupt as stopped:
        raise Stopped(_again(run, how), interrupt.signal or signal.SIGINT) from stopped
    return {
        "out": str(how.out),
        **{name: getattr(found, name) for name in ("files", "before", "answers", "seconds", "per_second")},
        "broken": [*found.broken],
    }


def _again(run: Path, how: How) -> str:
    """How to go on."""
    part = f" --shard {how.shard}" if how.shard else ""
    return f"stopped; what is answered stands in {how.out}. Go on: recurra predict {run} --out {how.out}{part}"


def _by_several(
    run: Path,
    how: How,
    pieces: Sequence[Any],
    shard: tuple[int, int],
    interrupt: Interrupt,
    watch: Watch,
    stack: ExitStack,
) -> dict[str, Any]:
    """Answer the pieces of a shard by processes, each of which answers a shard of these."""
    number, of = shard
    mine = pieces[number - 1 :: of]
    begun, told = time.monotonic(), [time.monotonic()]
    todo = [piece for piece in mine if not piece.out.exists()]

    def tick() -> None:
        if time.monotonic() - told[0] > TOLD:
            told[0] = time.monotonic()
            done = sum(piece.out.exists() for piece in mine)
            watch.say(f"{done:,} of {len(mine):,} files of answers are there")

    out = how.out.resolve()
    if how.on == "ray":
        from recurra.jobs.on_ray import OnRay

        mark = out / "predict.json"
        where: Any = stack.enter_context(OnRay(mark, how.address, how.workers, how.threads, interrupt, watch.say, tick))
        workers = where.workers
    else:
        workers = how.workers or 1
        where = Local(workers, interrupt, tick)
    watch.say(f"{workers} processes, {counted(how.threads, 'thread')} each; they tell in {out / 'logs'}.")
    (out / "logs").mkdir(exist_ok=True)
    plugins = [word for path in how.plugins for word in ("--plugin", str(path.resolve()))]
    rest = ["--threads", str(how.threads), "--device", how.device, *plugins, "--json"]
    jobs = [
        Job(
            k,
            ("predict", str(run.resolve()), "--out", str(out), "--shard", part, *rest),
            out / "logs" / f"{part.replace('/', '-of-')}.txt",
            how.threads,
            gpus=int(how.device.startswith("cuda")),
        )
        for k, part in enumerate(within(shard, workers))
    ]
    failed = [each for each in where(jobs) if each.code]
    if interrupt.requested:
        raise KeyboardInterrupt
    if failed:
        raise TrainingError(f"{len(failed)} of {workers} processes failed, the others are done: {failed[0].said}")
    seconds, done = time.monotonic() - begun, [piece for piece in todo if piece.out.exists()]
    answers, files = sum(_lines(piece.out) for piece in done), sum(len(piece.files) for piece in done)
    return {
        "out": str(how.out),
        "files": files,
        "before": sum(len(piece.files) for piece in mine) - sum(len(piece.files) for piece in todo),
        "answers": answers,
        "seconds": seconds,
        "per_second": answers / seconds,
        "broken": [],
    }


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
