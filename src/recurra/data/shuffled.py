"""Examples that come one by one, cut into parts by a shuffle that is always the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from recurra.config import Data
from recurra.data import fingerprint
from recurra.data.files import counted
from recurra.data.readers.sniff import AutoReader
from recurra.data.sets import DataSet, Reader, Source, find_set, read_sources
from recurra.data.sides import has_empty_side, source_of
from recurra.data.sound import Sound
from recurra.data.sources import check_sources
from recurra.errors import ConfigError, DataError
from recurra.progress import steps
from recurra.registry import construct
from recurra.types import Example

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEED = 0
"""Of the shuffle that parts are cut by: always the same, so that runs of all seeds are tested on the same examples."""


@dataclass(frozen=True)
class Parts:
    """The examples of each part, in the order of their files, of one long text one each; none where a part is not
    there."""

    train: list[Example]
    valid: list[Example]
    test: list[Example]
    split: str
    """In words: what was cut, or whose split it is."""
    notes: list[str]
    """What else there is to know of the data, a sentence each."""
    fingerprint: str
    """A number that changes with the training examples; a run goes on only with those it was started with."""
    reader: dict[str, Any] | None = None
    """The settings of the reader that "auto" found, for later files of the same kind; None where a reader was named."""
    lines_of: Literal["texts", "tokens"] | None = None
    """What the lines of one long text are made of, where it was put together from examples."""


def gather(data: Data, reader: Reader) -> Parts:
    """Read the examples that `[data]` names, and cut what is missing off the training examples by a fixed shuffle.

    Of a reader that says that its examples are `ordered`, they are cut in their order, as those of a series that is
    read in windows: the last are the test, and those before them validate, or the first with `valid_from = "start"`.
    A set's own split is kept: only validation examples are cut off where it has none. Without it `test_fraction` and
    `valid_fraction` of the examples are. A reader "auto" gives way to the set's own reader. Phrases from inside of
    trees train only, and stay with their tree; questions about one story stay together, and so do, with `by_group`,
    examples of one group, which are then what parts are counted in. Pairs of which a side is empty
    are left out of training, and counted in a note; they stay where they are scored. With `drop_repeats` so are
    examples of which the very text is scored later.

    Raises `ConfigError` where nothing is named, or what is named is one long text; `DataError` where a file cannot be
    read or holds too few examples.
    """
    check_sources(data, folders=True)
    ordered = bool(getattr(reader, "ordered", False))
    if data.valid_from != "end" and not ordered:
        raise ConfigError(
            f"data.valid_from = {data.valid_from!r} is for one long text; examples are shuffled before the validation "
            "examples are cut off. Leave it away."
        )
    known = find_set(data.set) if data.set and not data.train else DataSet("files", ())
    if known.fractions:
        raise ConfigError(f"the data set {known.name!r} is one long text, expected labelled examples. Name another.")
    notes = []
    chosen = reader_of(reader, known)
    if chosen is not None:
        reader = construct("reader", chosen)
    named = {"train": data.train, "valid": data.valid, "test": data.test}
    sources = {part: [Path(path) for path in paths] or list(getattr(known, part)) for part, paths in named.items()}
    found = {part: list(_read(of, reader)) for part, of in sources.items()}
    if isinstance(reader, AutoReader) and reader.kind is not None:
        chosen = reader.chosen
        notes.append(f"{reader.reason}.")
    done = [f"{known.name}: {known.split}"] if known.split else []
    shares = {
        "valid": 0.0 if sources["valid"] else data.valid_fraction,
        "test": 0.0 if sources["test"] or known.split else data.test_fraction,
    }
    if any(shares.values()):
        grouped = data.by_group and any("group" in group[0] for group in found["train"])
        if grouped:
            found["train"] = _by_group(found["train"])
        counts = counts_of(shares, len(found["train"]), any("tags" in group[0] for group in found["train"]))
        cut, whole = rows_of(len(found["train"]), counts, ordered, data.valid_from), found["train"]
        for part, rows in cut.items():
            found[part] = [whole[row] for row in rows.tolist()]
        stories = any("story" in group[0] for group in whole)
        done.append(described(counts, what_of(grouped, stories), ordered))
    read = [example for group in found["train"] for example in group]
    train = [example for example in read if not has_empty_side(example)]
    notes += left_out(len(read) - len(train), len(read))
    valid, test = ([example for group in found[part] for example in whole_of(group)] for part in ("valid", "test"))
    if data.drop_repeats:
        train, valid, note = _without_repeats(train, valid, test)
        notes += [note] if note else []
    if not train:
        but = f", but for {counted(len(read), 'pair')} with an empty side" if read else ""
        raise DataError(f"there are no training examples in what was read{but}. Name another file, or another reader.")
    notes += _notes(train, {"validation": valid, "test": test})
    return Parts(train, valid, test, "; ".join(done) or "files as given", notes, fingerprint.of_examples(train), chosen)


def reader_of(reader: Reader, known: DataSet) -> dict[str, Any] | None:
    """The settings of a set's own reader, where the reader is to be found out; else None."""
    if not isinstance(reader, AutoReader) or known.reader is None:
        return None
    chosen = dict(known.reader)
    if reader.gives == "sentences" and chosen["kind"] == "text":
        chosen["kind"] = "lines"
    return chosen


def read(sources: Iterable[Source], reader: Reader) -> list[Example]:
    """The examples of files, to be scored or labelled: of trees, the whole ones only."""
    return [example for group in _read(sources, reader) for example in whole_of(group)]


def _read(sources: Iterable[Source], reader: Reader) -> Iterator[list[Example]]:
    """The groups of examples in files."""
    return groups_of(steps(read_sources(sources, reader), "reading", "examples"))


def groups_of(examples: Iterable[Example]) -> Iterator[list[Example]]:
    """An example, and with it the phrases inside of it that follow, or the other questions of its story."""
    group: list[Example] = []
    for example in examples:
        if group and example.get("phrase") != "inner" and not _of_one_story(group[-1], example):
            yield group
            group = []
        group.append(example)
    if group:
        yield group


def _of_one_story(one: Example, other: Example) -> bool:
    return "story" in one and one["story"] == other.get("story")


def _by_group(groups: Iterable[list[Example]]) -> list[list[Example]]:
    """All examples of each group together; of those without one as they were."""
    found: dict[Any, list[Example]] = {}
    for number, group in enumerate(groups):
        found.setdefault(group[0].get("group", number), []).extend(group)
    return list(found.values())


def _without_repeats(
    train: list[Example], valid: list[Example], test: list[Example]
) -> tuple[list[Example], list[Example], str]:
    """Training examples that are in no other part, validation examples that are not in the test, and what was left out;
    white space apart. The test stays as it is."""
    tested = {unspaced(example) for example in test}
    kept = [example for example in valid if unspaced(example) not in tested]
    known = tested | {unspaced(example) for example in valid}
    learnt = [example for example in train if unspaced(example) not in known]
    return learnt, kept, dropped(len(train) - len(learnt), len(valid) - len(kept))


def dropped(train: int, valid: int) -> str:
    """A sentence about examples that were left out as repeats; "" where none was."""
    counts = {"training": train, "validation": valid}
    done = " and ".join(counted(count, f"{part} example") for part, count in counts.items() if count)
    return f"{done} left out, whose very text is in a later part, too." if done else ""


def unspaced(example: Example) -> str:
    """What a model is given of an example, without white space."""
    return "".join("".join(content_of(example)).split())


def whole_of(group: Iterable[Example]) -> list[Example]:
    """A group without phrases from inside of a tree."""
    return [example for example in group if example.get("phrase") != "inner"]


def counts_of(shares: Mapping[str, float], total: int, tagged: bool, most: int | None = None) -> dict[str, int]:
    """How many of `total` examples each part gets, of those that are scored `most` at most. Raises `DataError` where
    they are too few, with a hint where they are `tagged`."""
    for part, share in shares.items():
        if share < 0 or sum(shares.values()) >= 1:
            raise ConfigError(
                f"data.{part}_fraction = {share:g}, expected 0 or more, and less than 1 together with the other one."
            )
    hint = " Is the blank line missing that ends a sentence?" if tagged else ""
    counts = {part: max(1, round(share * total)) for part, share in shares.items() if share}
    if most is not None:
        counts = {part: min(count, most) for part, count in counts.items()}
    left = total - sum(counts.values())
    if left < 1:
        raise DataError(
            f"{counted(total, 'training example')}, too few to cut {' and '.join(counts)} off. Use more, or name files "
            f"with --valid and --test.{hint}"
        )
    return {"train": left, **counts}


def rows_of(total: int, counts: Mapping[str, int], ordered: bool, valid_from: str) -> dict[str, NDArray[np.int64]]:
    """Which of so many examples each part gets, rising: chosen by a shuffle, or those that follow each other where they
    are ordered."""
    rows = np.arange(total) if ordered else np.random.default_rng(SEED).permutation(total)
    names = [*counts]
    if ordered:
        names.sort(key=(("valid", "train", "test") if valid_from == "start" else ("train", "valid", "test")).index)
    ends = np.cumsum([counts[name] for name in names])[:-1]
    chosen = zip(names, np.split(rows, ends), strict=True)
    return {part: np.sort(mine) for part, mine in chosen}


def what_of(grouped: bool, stories: bool) -> str:
    """What is cut into parts."""
    what = "stories, each with its questions" if stories else "examples"
    return "groups, each with its examples" if grouped else what


def left_out(count: int, total: int) -> list[str]:
    """A sentence about pairs that no training has, where there are any."""
    return [f"{count:,} of {counted(total, 'training pair')} left out, as a side is empty."] if count else []


def described(counts: Mapping[str, int], what: str, ordered: bool) -> str:
    total = sum(counts.values())
    parts = ", ".join(f"{part} {count:,} ({count / total:.1%})" for part, count in counts.items())
    return f"cut {total:,} {what}, {'in their order' if ordered else f'shuffled with seed {SEED}'}, into {parts}"


def _notes(train: Sequence[Example], others: Mapping[str, Sequence[Example]]) -> list[str]:
    """What scores must be read with: sequences that were seen in training already, and those that hold nothing."""
    notes = []
    seen = {content_of(example) for example in train}
    for part, examples in others.items():
        notes += repeated(part, sum(content_of(example) in seen for example in examples), len(examples), train[0])
    return notes + empty(sum(not any(content_of(example)) for example in train))


def empty(count: int) -> list[str]:
    """A sentence about training examples that hold nothing, where there are any."""
    return [f"{counted(count, 'training example')} {'is' if count == 1 else 'are'} empty."] if count else []


def repeated(part: str, again: int, total: int, example: Example) -> list[str]:
    """A sentence about scored examples that were seen in training, where there are any; they are like `example`."""
    if not again:
        return []
    share = f"{again:,} of {total:,} {part} examples ({again / total:.1%})"
    return [f"{share} have the very {_called(example)} of a training example."]


def _called(example: Example) -> str:
    if "source" in example or {"tokens", "text"} & example.keys():
        return "source" if "source" in example else "words"
    return "sound" if any(isinstance(value, Sound) for value in example.values()) else "numbers"


def content_of(example: Example) -> tuple[str, ...]:
    """What a model is given of an example: its source, tokens or text; of arrays, their fingerprints."""
    if "source" in example:
        source = source_of(example)
        return (source,) if isinstance(source, str) else tuple(source)
    if "tokens" in example or "text" in example:
        return tuple(example["tokens"]) if "tokens" in example else (example["text"],)
    return tuple(
        fingerprint.of_value(value)
        for value in example.values()
        if isinstance(value, (np.ndarray, Sound)) and (value.size if isinstance(value, np.ndarray) else len(value))
    )
