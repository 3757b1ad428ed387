"""What a process does with groups of examples: reads them into files, picks some, counts, encodes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra import storage
from recurra.data import shuffled
from recurra.data.corpus import kept
from recurra.data.sides import has_empty_side
from recurra.runs.scoring import sizes
from recurra.tasks.contract import Prepares
from recurra.types import Example
from recurra.workflow.doubts import check_fields
from recurra.workflow.encoding.pool import Worker
from recurra.workflow.material import one_each, varied

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
    examples = learned_from(worker, train)
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
    examples = prepared(worker, learned_from(worker, _training(chunk)))
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
    return hashed("\0".join(shuffled.content_of(example)))


def hashed(text: str) -> str:
    """What tells a text from others."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _training(chunk: Chunk) -> list[Example]:
    """The training examples of a file."""
    return [example for group, use in _groups(chunk) if use in (TRAIN, KEPT) for example in group]


def learned_from(worker: Worker, examples: Iterable[Example]) -> list[Example]:
    """Those that are learned from: of pairs with two sides, and none that is scored, too, where these are left out."""
    found, left = [example for example in examples if not has_empty_side(example)], worker.dropped
    return [example for example in found if hashed(shuffled.unspaced(example)) not in left] if left else found


def _groups(chunk: Chunk) -> Iterator[tuple[list[Example], int]]:
    """The groups of a file, and what each is for."""
    path = Path(chunk[0])
    return zip(kept.lines(storage.read_text(path), path), chunk[1].tolist(), strict=True)
