"""Encodes what a plan says into a corpus, or goes on where a former process was stopped."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recurra import config as configuration
from recurra import signatures, storage
from recurra.config import Data
from recurra.data.corpus.index import BEGUN, Index, read_index
from recurra.data.corpus.writing import JOURNAL
from recurra.data.sets import find_set
from recurra.errors import ConfigError, DataError, RecurraError, Stopped
from recurra.limits import cores
from recurra.model import make_parts
from recurra.training.interrupt import Interrupt
from recurra.training.lock import locked
from recurra.workflow.agreement import check_agreement, with_implied
from recurra.workflow.doubts import looks_labelled
from recurra.workflow.encoding.examples import encode_examples
from recurra.workflow.encoding.making import Making, check_free, clear, sections_of
from recurra.workflow.encoding.pool import Pool
from recurra.workflow.encoding.texts import encode_text
from recurra.workflow.plan import Plan

WORK = "encoding"
"""The folder inside of a corpus that holds what is known while it is made."""


def execute(plan: Plan, *, processes: int | None = None, say: Callable[[str], None] = lambda sentence: None) -> Index:
    """Encode the data of a plan into its folder, by so many processes, or one a core.

    Ctrl-C and SIGTERM raise `Stopped`; the same call goes on, and so after a kill. Raises `ConfigError` for a folder
    that is a corpus already or holds something else, and for settings or data other than those that it was begun with.
    """
    for note in plan.notes:
        say(note)
    configuration.check(plan.config)
    if plan.config["data"].get("corpus"):
        raise ConfigError(
            f"data.corpus = {plan.config['data']['corpus']!r} is encoded already. Name the files to encode, or train "
            "from it: recurra train …"
        )
    check_free(plan.out, BEGUN)
    with locked(plan.out, say, "encoded into"), Interrupt(at_once=True) as interrupt:
        try:
            return _encode(plan, processes or cores(), say)
        except KeyboardInterrupt as stopped:
            raise Stopped(
                f"stopped; what is encoded stands in {plan.out}: the same command goes on",
                interrupt.signal or signal.SIGINT,
            ) from stopped


def _encode(plan: Plan, processes: int, say: Callable[[str], None]) -> Index:
    embedder, core, task = make_parts(plan.config)
    config = with_implied(plan.config, task)
    check_agreement(config, embedder, core, task, False)
    data = Data(**signatures.checked(Data, config["data"], where="data"))
    work = plan.out / WORK
    going_on = _begin(plan.out, {"settings": sections_of(config), "files": _files(data)})
    storage.make_folder(work)
    if going_on:
        say(f"{plan.out} was begun before: it goes on where that was stopped.")
    try:
        with Pool(processes) as pool:
            making = Making(plan.out, work, config, [str(path) for path in plan.plugins], pool)
            making.check(data)
            making.notes += looks_labelled(config)
            if making.long:
                encode_text(making, data)
            else:
                encode_examples(making, data)
    except RecurraError:
        if not any(work.iterdir()):  # nothing is lost: other settings may be tried
            clear(plan.out, work, [BEGUN])
        raise
    clear(plan.out, work, [BEGUN, JOURNAL])
    return read_index(plan.out)


def _begin(folder: Path, wanted: dict[str, Any]) -> bool:
    """Write down what a folder is begun with, or compare it with what it was begun with; gives whether it was."""
    path = folder / BEGUN
    wanted = json.loads(json.dumps(wanted))
    if not path.is_file():
        storage.write_text(path, json.dumps(wanted, indent=1) + "\n")
        return False
    try:
        found = json.loads(storage.read_text(path))
        before, files = found["settings"], found["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read ({error}). Delete {folder}, and encode anew.") from error
    for name in sorted({*before, *wanted["settings"]}):
        if before.get(name) != wanted["settings"].get(name):
            raise ConfigError(
                f"{name} was {before.get(name)!r} when {folder} was begun, now it is {wanted['settings'].get(name)!r}. "
                "Give the former one, or name another folder with --out."
            )
    if files != wanted["files"]:
        changed = next((a[0] for a, b in zip(files, wanted["files"], strict=False) if a != b), "their number")
        raise DataError(
            f"the files are others than when {folder} was begun: {changed} was changed. Put the former ones back, or "
            "name another folder with --out."
        )
    return True


def _files(data: Data) -> list[list[Any]]:
    """The files that are read, with what tells them from others."""
    named = [*data.train, *data.valid, *data.test]
    if data.set and not data.train:
        known = find_set(data.set)
        named += [
            str(each) for part in (known.train, known.valid, known.test) for each in part if isinstance(each, Path)
        ]
    return [[name, about.st_size, about.st_mtime_ns] for name in named if (about := Path(name).stat())]
