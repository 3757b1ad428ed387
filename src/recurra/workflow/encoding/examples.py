"""Many examples into a corpus: read once into lines of JSON, cut by a shuffle, counted and encoded part by part."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra import storage
from recurra.config import Data
from recurra.data import shuffled
from recurra.data.pieces import pieces_of
from recurra.data.readers.sniff import AutoReader
from recurra.data.sets import DataSet, find_set
from recurra.data.sides import has_empty_side
from recurra.errors import ConfigError, DataError
from recurra.registry import construct
from recurra.tasks.contract import Settles
from recurra.types import Example
from recurra.workflow.doubts import check_fields
from recurra.workflow.encoding.folded import folded
from recurra.workflow.encoding.groups import (
    KEPT,
    TEST,
    TRAIN,
    VALID,
    Chunk,
    Source,
    content,
    count,
    encode,
    hashed,
    learned_from,
    prepared,
    read,
    select,
)
from recurra.workflow.encoding.making import HELD_EXAMPLES, KEPT_EXAMPLES, Making
from recurra.workflow.encoding.pool import Worker

PIECE = 1 << 24
"""Bytes of a file that are read at once, where its reader can."""


def encode_examples(making: Making, data: Data) -> None:
    """Make a corpus of the examples that `[data]` names."""
    known = find_set(data.set) if data.set and not data.train else DataSet("files", ())
    if not all(isinstance(each, Path) for each in known.train):
        raise ConfigError(
            f"the data set {known.name!r} is cut in a way of its own. Name its files on the command line, or train "
            f"from it without a corpus: --set data.set={known.name}"
        )
    paths = [*map(Path, data.train)] or [each for each in known.train if isinstance(each, Path)]
    reader = _settled_reader(making, known, paths)
    scored: dict[str, list[Example]] = {
        part: shuffled.read([*map(Path, named)] or getattr(known, part), reader)
        for part, named in (("valid", data.valid), ("test", data.test))
    }
    chunks = _read(making, reader, paths)
    shares = {
        "valid": 0.0 if scored["valid"] else data.valid_fraction,
        "test": 0.0 if scored["test"] or known.split else data.test_fraction,
    }
    uses, said = _uses(chunks, shares, data, bool(getattr(reader, "ordered", False)))
    making.split = "; ".join([*([f"{known.name}: {known.split}"] if known.split else []), *said]) or "files as given"
    ends = np.cumsum([chunk["lines"] for chunk in chunks])[:-1]
    names = [str(making.work / chunk["name"]) for chunk in chunks]
    parted: list[Chunk] = [*zip(names, np.split(uses, ends), strict=True)]
    train, without = _keep(making, parted, scored, data.drop_repeats)
    _settle(making, train)
    counts = _count(making, parted, train, scored, without)
    making.learn(counts, prepared(Worker(making.job), train))
    tasks = [chunk for chunk in parted if _trains(chunk)]
    making.write(encode, tasks, "examples", _trains)


def _settled_reader(making: Making, known: DataSet, paths: Sequence[Path]) -> Any:
    """The reader, found out where that was left to the files."""
    reader = making.reader()
    chosen = shuffled.reader_of(reader, known)
    if chosen is None and isinstance(reader, AutoReader):
        reader.choose(*paths)
        chosen = reader.chosen
        making.notes.append(f"{reader.reason}.")
    if chosen is None:
        return reader
    making.found = chosen
    making.settle({**making.config, "reader": chosen})
    return construct("reader", chosen)


def _read(making: Making, reader: Any, paths: Iterable[Path]) -> list[dict[str, Any]]:
    """The files of groups that all examples are read into."""
    sources: list[Source] = []
    together = len(reader.sample.files) > 1 and not reader.sample.folder  # a source and a target, say
    for files in [tuple(map(str, paths))] if together else [(str(path),) for path in paths]:
        cuts = None if together else pieces_of(reader, Path(files[0]), PIECE)
        for cut in [None] if cuts is None else cuts:
            sources.append(Source(len(sources), files, str(making.work), cut))
    found: list[dict[str, Any]] = folded(
        making.pool,
        making.job,
        read,
        sources,
        [],
        lambda state, result: state.extend(result),
        making.work / "read.json",
        "reading",
        "bytes",
        lambda source: source.size,
    )
    if not found:
        raise DataError("there are no training examples in what was read. Name another file, or another reader.")
    return found


def _uses(
    chunks: Sequence[dict[str, Any]], shares: dict[str, float], data: Data, ordered: bool
) -> tuple[NDArray[np.uint8], list[str]]:
    """What each group is for, and how they were cut."""
    total = sum(chunk["lines"] for chunk in chunks)
    group_of, grouped = np.arange(total), data.by_group and any(chunk["keys"] for chunk in chunks)
    if grouped:
        group_of = _by_group(chunks)
        total = int(group_of.max()) + 1
    uses, said = np.zeros(total, np.uint8), list[str]()
    if any(shares.values()):
        counts = shuffled.counts_of(shares, total, any(chunk["tagged"] for chunk in chunks), HELD_EXAMPLES)
        for part, rows in shuffled.rows_of(total, counts, ordered, data.valid_from).items():
            uses[rows] = {"train": TRAIN, "valid": VALID, "test": TEST}[part]
        what = shuffled.what_of(grouped, any(chunk["stories"] for chunk in chunks))
        said.append(shuffled.described(counts, what, ordered))
    found = uses[group_of]
    train = np.flatnonzero(found == TRAIN)
    found[train[:: -(-len(train) // KEPT_EXAMPLES) or 1]] = KEPT
    return found, said


def _by_group(chunks: Sequence[dict[str, Any]]) -> NDArray[np.int64]:
    """The number of each line's group; a line without one is a group of its own."""
    numbers: dict[Any, int] = {}
    found, line = [], 0
    for chunk in chunks:
        for key in chunk["keys"] or [None] * chunk["lines"]:
            found.append(numbers.setdefault(line if key is None else json.dumps(key), len(numbers)))
            line += 1
    return np.array(found, np.int64)


def _keep(
    making: Making, chunks: Sequence[Chunk], scored: dict[str, list[Example]], drop_repeats: bool
) -> tuple[list[Example], int]:
    """Keep the examples that are scored, adding them to `scored`, and some of training, which it gives; and how many
    validation examples are left out as repeats."""
    train: list[Example] = []
    for found in making.pool.map(making.job, select, [chunk for chunk in chunks if chunk[1].any()]):
        train += [example for example in found[KEPT] if not has_empty_side(example)]
        scored["valid"] += found[VALID]
        scored["test"] += found[TEST]
    left = len(scored["valid"])
    if drop_repeats:
        tested, valid = ([shuffled.unspaced(example) for example in scored[part]] for part in ("test", "valid"))
        path = making.work / "dropped.json"
        storage.write_text(path, json.dumps(sorted({*map(hashed, tested), *map(hashed, valid)})))
        making.drop(path)
        later = {*tested}
        scored["valid"] = [each for each, text in zip(scored["valid"], valid, strict=True) if text not in later]
        train = learned_from(Worker(making.job), train)
    task = making.task()
    for examples in (train, scored["valid"], scored["test"]):
        check_fields(examples, task.fields)
    making.keep({"train": train, **scored})
    return train, left - len(scored["valid"])


def _settle(making: Making, train: Sequence[Example]) -> None:
    """Settle what the task leaves to the data."""
    task = making.task()
    if isinstance(task, Settles):
        settled = dict(task.settled(train))
        making.notes += settled.pop("notes", ())
        making.settled = settled
        making.settle({**making.config, "task": {**making.config["task"], **settled}})


def _count(
    making: Making, chunks: Sequence[Chunk], train: Sequence[Example], scored: dict[str, list[Example]], without: int
) -> dict[str, Counter[str]]:
    """What the codecs count in all training examples; notes what is to be said of these, and of so many validation
    examples that were left out."""
    contents = {part: [content(example) for example in examples] for part, examples in scored.items()}
    path = making.work / "scored.json"
    storage.write_text(path, json.dumps(sorted({*contents["valid"], *contents["test"]})))
    found = folded(
        making.pool,
        making.job,
        count,
        [(chunk, str(path)) for chunk in chunks],
        {"counts": {}, "examples": 0, "read": 0, "dropped": 0, "empty": 0, "again": []},
        _add,
        making.work / "counts.json",
        "counting",
        "examples",
        lambda task: len(task[0][1]),
    )
    making.kept, making.whole = len(train), found["examples"]
    making.notes += shuffled.left_out(found["read"] - found["examples"] - found["dropped"], found["read"])
    making.notes += filter(None, [shuffled.dropped(found["dropped"], without)])
    again = {*found["again"]}
    for part, called in (("valid", "validation"), ("test", "test")):
        number = sum(each in again for each in contents[part])
        making.notes += shuffled.repeated(called, number, len(contents[part]), train[0])
    making.notes += shuffled.empty(found["empty"])
    return {name: Counter(held) for name, held in found["counts"].items()}


def _add(state: Any, result: dict[str, Any]) -> None:
    for name in ("examples", "read", "dropped", "empty"):
        state[name] += result[name]
    state["again"] = sorted({*state["again"], *result["again"]})
    for name, held in result["counts"].items():
        known = state["counts"].setdefault(name, {})
        for symbol, number in held.items():
            known[symbol] = known.get(symbol, 0) + number


def _trains(chunk: Chunk) -> int:
    """How many groups of a file are trained on."""
    return int(((chunk[1] == TRAIN) | (chunk[1] == KEPT)).sum())
