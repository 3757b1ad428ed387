"""Many examples into a corpus: read once into lines of JSON, cut by a shuffle, counted and encoded part by part."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra import storage
from recurra.config import Data
from recurra.data import shuffled
from recurra.data.corpus import kept
from recurra.data.pieces import pieces_of
from recurra.data.readers.sniff import AutoReader
from recurra.data.sets import DataSet, find_set
from recurra.data.sides import has_empty_side
from recurra.errors import ConfigError, DataError
from recurra.registry import construct
from recurra.runs.scoring import sizes
from recurra.tasks.contract import Prepares, Settles
from recurra.types import Example
from recurra.workflow.doubts import check_fields
from recurra.workflow.encoding.folded import folded
from recurra.workflow.encoding.making import HELD_EXAMPLES, KEPT_EXAMPLES, Making
from recurra.workflow.encoding.pool import Worker
from recurra.workflow.material import one_each, varied

PIECE = 1 << 24
"""Bytes of a file that are read at once, where its reader can."""
LINES = 8192
"""Groups of examples that lie in one file, and make one shard."""
TRAIN, VALID, TEST, KEPT = range(4)
"""What a group is for; the last also trains."""
Chunk = tuple[str, "NDArray[np.uint8]"]
"""A file of groups, and what each of its lines is for."""


@dataclass(frozen=True)
class Source:
    """Files to be read together, most often one, or a piece of one; and the number that the files of their groups
    begin with."""

    number: int
    paths: tuple[str, ...]
    work: str
    cut: tuple[int, int] | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        if self.cut is not None:
            return self.cut[1] - self.cut[0]
        return sum(path.stat().st_size for path in map(Path, self.paths) if path.is_file())


def read(worker: Worker, source: Source) -> list[dict[str, Any]]:
    """Write the groups of examples of a source into files; gives the name of each, and what is asked of its groups."""
    paths, reader = [*map(Path, source.paths)], worker.reader
    examples = reader.read(*paths) if source.cut is None else reader.read_piece(paths[0], *source.cut)
    groups, found = shuffled.groups_of(examples), list[dict[str, Any]]()
    while some := [*islice(groups, LINES)]:
        name = f"{source.number:06}-{len(found):06}.jsonl"
        storage.write_text(Path(source.work) / name, "".join(map(kept.line_of, some)))
        keys = [group[0].get("group") for group in some]
        found.append(
            {
                "name": name,
                "lines": len(some),
                "keys": keys if any(key is not None for key in keys) else None,
                "tagged": any("tags" in group[0] for group in some),
                "stories": any("story" in group[0] for group in some),
            }
        )
    return found


def select(worker: Worker, chunk: Chunk) -> dict[int, list[Example]]:
    """The examples of a file that are kept as they were read, by what they are for."""
    found: dict[int, list[Example]] = {VALID: [], TEST: [], KEPT: []}
    for group, use in _groups(chunk):
        if use != TRAIN:
            found[use] += group if use == KEPT else shuffled.whole_of(group)
    return found


def count(worker: Worker, task: tuple[Chunk, str]) -> dict[str, Any]:
    """What the codecs count in the training examples of a file; how many there are, were left out, are empty; and which
    of those that are scored are among them."""
    chunk, scored = task
    train = _training(chunk)
    whole = [example for example in train if not has_empty_side(example)]
    examples = _learned(worker, train)
    check_fields(examples, worker.task.fields)
    known = {*json.loads(storage.read_text(Path(scored)))}
    return {
        "counts": worker.codecs.count(prepared(worker, examples)),
        "examples": len(examples),
        "read": len(train),
        "dropped": len(whole) - len(examples),
        "empty": sum(not any(shuffled.content_of(example)) for example in examples),
        "again": sorted(known & {*map(content, examples)}),
    }


def encode(worker: Worker, chunk: Chunk) -> Any:
    """The shard of the training examples of a file."""
    examples = prepared(worker, _learned(worker, _training(chunk)))
    codecs = worker.codecs
    encoded = codecs.encode_all(varied(one_each(examples, worker.task.fields), codecs))
    found = sizes(codecs, encoded, in_pieces=False)
    tokens = found["tokens"] if isinstance(found["tokens"], dict) else {"": found["tokens"]}
    symbols = sum(np.size(each["input"]) - codecs.fields["input"].ended for each in encoded)
    unknown = round(found["unknown_share"] * symbols)
    return worker.shard(encoded, {"examples": len(encoded), **tokens, "input symbols": symbols, "unknown": unknown})


def prepared(worker: Worker, examples: Sequence[Example]) -> list[Example]:
    """Examples as the task reads them."""
    if not isinstance(worker.task, Prepares):
        return list(examples)
    return worker.task.prepare([worker.codecs.tokenised(example) for example in examples])[0]


def content(example: Example) -> str:
    """What tells an example's input from others."""
    return _hash("\0".join(shuffled.content_of(example)))


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


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
        for cut in (None if together else pieces_of(reader, Path(files[0]), PIECE)) or [None]:
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
        storage.write_text(path, json.dumps(sorted({*map(_hash, tested), *map(_hash, valid)})))
        making.drop(path)
        later = {*tested}
        scored["valid"] = [each for each, text in zip(scored["valid"], valid, strict=True) if text not in later]
        train = _learned(Worker(making.job), train)
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


def _training(chunk: Chunk) -> list[Example]:
    """The training examples of a file."""
    return [example for group, use in _groups(chunk) if use in (TRAIN, KEPT) for example in group]


def _learned(worker: Worker, examples: Iterable[Example]) -> list[Example]:
    """Those that are learned from: of pairs with two sides, and none that is scored, too, where these are left out."""
    found, left = [example for example in examples if not has_empty_side(example)], worker.dropped
    return [example for example in found if _hash(shuffled.unspaced(example)) not in left] if left else found


def _groups(chunk: Chunk) -> Iterator[tuple[list[Example], int]]:
    """The groups of a file, and what each is for."""
    path = Path(chunk[0])
    return zip(kept.lines(storage.read_text(path), path), chunk[1].tolist(), strict=True)
