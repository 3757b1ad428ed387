"""Long sequences, cut by time: what comes first trains, what comes last is the test."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from recurra.config import Data
from recurra.data import fingerprint
from recurra.data.files import counted
from recurra.data.sets import PARTS, DataSet, Reader, Source, find_set, read_sources
from recurra.data.shuffled import Parts
from recurra.data.sources import check_sources
from recurra.data.split import cut
from recurra.errors import ConfigError, DataError
from recurra.progress import steps
from recurra.types import Example

NUMBERS = ("numbers", "vectors")
"""The forms of what is measured at each step."""
STEPWISE = (*NUMBERS, "tags", "tokens", "integers", "times")
"""The forms of fields with a value a step."""
WHOLE = 1 << 40
"""A `data.context` of all that there is."""
SHORTEST = 2
"""Steps of a part of a series: one that is read, and one to predict."""


def gather_text(data: Data, reader: Reader) -> Parts:
    """Read the texts that `[data]` names and cut what is missing off the training text's end.

    A set's own split is kept: only a validation text is cut off where it has none. Without it, the test is the last
    `test_fraction`, and before it the last `valid_fraction` validates, or the first with `valid_from = "start"`.

    Raises `ConfigError` where nothing is named, `DataError` where a file cannot be read or is too short to be cut.
    """
    check_sources(data)
    known = find_set(data.set) if data.set and not data.train else DataSet("files", ())
    train = read_text(_paths(data.train) or known.train, reader)
    valid = read_text(_paths(data.valid) or known.valid, reader)
    test = read_text(_paths(data.test) or known.test, reader)
    done = [f"{known.name}: {known.split}"] if known.split else []
    if known.fractions and not test:
        train, test = cut(train, known.fractions, exact=True)
    wanted = shares_of(data, bool(valid), bool(test or known.split))
    if len(wanted) > 1:
        parts = cut(train, list(wanted.values()), names=list(wanted))
        texts = dict(zip(parts.names, parts.parts, strict=True))
        train, valid, test = texts["train"], valid or texts.get("valid", ""), test or texts.get("test", "")
        done.append(str(parts))
    split = "; ".join(done) or "files as given"
    return Parts(part_of(train), part_of(valid), part_of(test), split, [], fingerprint.of_text(train))


def gather_series(data: Data, reader: Any) -> Parts:
    """Read the series that `[data]` names, and cut what is missing off the end of each training series, by time.

    The order of the parts is that of `gather_text`. Raises `ConfigError` where nothing is named, `DataError` where a
    file cannot be read, for a series too short to be cut, and for fields of one series that differ in length.
    """
    check_sources(data, folders=True)
    known = find_set(data.set) if data.set and not data.train else DataSet("files", ())
    named = {"train": data.train, "valid": data.valid, "test": data.test}
    found: dict[str, list[Example]] = {
        part: read_series(_paths(paths) or list(getattr(known, part)), reader) for part, paths in named.items()
    }
    done = [f"{known.name}: {known.split}"] if known.split else []
    if (data.continues or known.continues) and data.context:
        found["test"] = _joined(found["train"], found["test"], reader.fields, data.context)
        done.append(f"the test begins with the last {data.context:,} steps of training, which are looked back on alone")
    wanted: Mapping[str, float] = shares_of(data, bool(found["valid"]), bool(found["test"] or known.split))
    if known.steps:
        wanted = dict(zip(PARTS, known.steps, strict=True))
    if len(wanted) > 1:
        fixed = {"valid": data.valid_steps, "test": data.test_steps}
        pieces = [
            _cut(each, reader.fields, _with(wanted, fixed, each, reader), data.context) for each in found["train"]
        ]
        found |= {part: [piece[part] for piece in pieces] for part in wanted}
        counts = {
            part: sum(_steps(example, reader.fields) - context_of(example) for example in found[part])
            for part in wanted
        }
        total = sum(counts.values())
        shares = ", ".join(f"{part} {count:,} ({count / max(1, total):.1%})" for part, count in counts.items())
        if usual := {example["step"] for example in found["train"] if "step" in example}:
            done.append(f"steps of {', '.join(sorted(usual))}")
        series = "one series" if len(pieces) == 1 else f"each of {counted(len(pieces), 'series').removesuffix('s')}"
        done.append(f"cut {series} by time, {total:,} steps in all, into {shares}")
        if data.context:
            done.append(f"each part but the first begins {data.context:,} steps early, which are looked back on alone")
    if not found["train"]:
        raise DataError("there is no training series in what was read. Name another file, or another reader.")
    split = "; ".join(done) or "files as given"
    trained = fingerprint.of_examples(found["train"])
    return Parts(found["train"], found["valid"], found["test"], split, [], trained)


def gives_series(reader: Any) -> bool:
    """Whether a reader gives sequences of numbers."""
    return any(form in NUMBERS for form in getattr(reader, "fields", {}).values())


def read_series(sources: Iterable[Source], reader: Reader) -> list[Example]:
    """The series of files."""
    return list(steps(read_sources(sources, reader), "reading", "series"))


def part_of(text: str) -> list[Example]:
    """A text as a part: one example, none where it is empty."""
    return [{"text": text}] if text else []


def read_text(sources: Iterable[Source], reader: Reader) -> str:
    """The texts of files or examples, one after the other, each ended by a line end."""
    *before, last = [text_in(example) for example in steps(read_sources(sources, reader), "reading", "texts")] or [""]
    return "".join(text if text.endswith("\n") else text + "\n" for text in before) + last


def shares_of(data: Data, valid: bool, test: bool) -> dict[str, float]:
    """The share of each part in the training data, in their order; of parts that are not there yet."""
    fractions = {"valid": 0.0 if valid else data.valid_fraction, "test": 0.0 if test else data.test_fraction}
    for name, (there, fixed) in {"valid": (valid, data.valid_steps), "test": (test, data.test_steps)}.items():
        if fixed is not None and not there:  # a share of its own, whose steps are counted series by series
            fractions[name] = fractions[name] or 0.1
    shares = {"train": 1 - sum(fractions.values()), **fractions}
    order = ("valid", "train", "test") if data.valid_from == "start" else ("train", "valid", "test")
    return {name: shares[name] for name in order if shares[name]}


def _with(
    shares: Mapping[str, float], fixed: Mapping[str, int | None], example: Example, reader: Any
) -> Mapping[str, float]:
    """The shares of a series as numbers of its steps, where some are fixed as such."""
    given = {name: steps for name, steps in fixed.items() if steps is not None and name in shares}
    if not given:
        return shares
    n = _steps(example, reader.fields)
    found = {name: given.get(name, int(share * n)) for name, share in shares.items() if name != "train"}
    rest = n - sum(found.values())
    if rest < SHORTEST or min(found.values()) < SHORTEST:
        raise DataError(
            f"{example.get('place', 'an example')}: a series of {n:,} steps cannot be cut into "
            f"{', '.join(f'{name} {steps:,}' for name, steps in {'train': rest, **found}.items())}, of {SHORTEST} "
            "steps at least. Change data.valid_steps and data.test_steps, or leave the series out."
        )
    return {name: rest if name == "train" else found[name] for name in shares}


def _cut(
    example: Example, fields: Mapping[str, str], shares: Mapping[str, float], context: int = 0
) -> dict[str, Example]:
    """The parts of a series, by shares, or by numbers of steps from 1; fields without a value a step are in all of
    them. Each but the first begins `context` steps early."""
    if min(shares.values()) <= 0:
        raise ConfigError(
            f"a series cannot be cut by the fractions {', '.join(f'{share:g}' for share in shares.values())}: expected "
            "positive numbers. Change data.valid_fraction and data.test_fraction."
        )
    place, steps = str(example.get("place", "an example of no known place")), _steps(example, fields)
    sums = [math.fsum([*shares.values()][: k + 1]) for k in range(len(shares))]
    if all(isinstance(share, int) for share in shares.values()):
        if sums[-1] > steps:
            raise DataError(
                f"{place}: a series of {steps:,} steps, expected {sums[-1]:,.0f} as the set's own split says."
            )
        ends = [int(each) for each in sums]
    else:
        ends = [*(int(each * steps) for each in sums[:-1]), steps]
    found: dict[str, Example] = {}
    for name, (begin, end) in zip(shares, pairwise([0, *ends]), strict=True):
        if end - begin < SHORTEST:
            raise DataError(
                f"{place}: a series of {steps:,} steps is too short to be cut into {', '.join(shares)}, of "
                f"{SHORTEST} steps at least. Use longer ones, or name files with --valid and --test."
            )
        early = max(0, begin - context)
        about = {"place": f"{place}, steps {early:,} to {end - 1:,}", "context": begin - early}
        found[name] = {**piece(example, fields, early, end), **about}
    return found


def piece(example: Example, fields: Mapping[str, str], begin: int, end: int) -> Example:
    """The steps of a series from `begin` to before `end`; fields without a value a step are whole in it."""
    return {key: value[begin:end] if fields.get(key) in STEPWISE else value for key, value in example.items()}


def context_of(example: Example) -> int:
    """How many steps at the beginning of a part of a series are looked back on alone."""
    steps: int = example.get("context", 0)
    return steps


def _joined(
    before: Sequence[Example], after: Sequence[Example], fields: Mapping[str, str], context: int
) -> list[Example]:
    """Series with the last steps in front of what they go on from: that of the same "id", or the only one."""
    ends = {example.get("id"): example for example in before}
    joined: list[Example] = []
    for example in after:
        name = example.get("id") if len(ends) > 1 else next(iter(ends))
        if name not in ends:
            raise DataError(
                f"{example.get('place', 'an example')}: a series {name!r} is not among the training's, which it should "
                "go on from. Give the same names in both files, or leave data.continues out."
            )
        end = ends[name]
        joined.append(
            {
                key: np.concatenate((np.asarray(end[key])[-context:], np.asarray(value)))
                if fields.get(key) in NUMBERS and key in end
                else [*end[key][-context:], *value]
                if fields.get(key) in STEPWISE and key in end
                else value
                for key, value in example.items()
            }
            | {"context": len(np.asarray(end["series"])[-context:]) if "series" in end else 0}
        )
    return joined


def _steps(example: Example, fields: Mapping[str, str]) -> int:
    """How long a series is. Raises `DataError` where its fields do not agree."""
    lengths = {name: len(value) for name, value in example.items() if fields.get(name) in STEPWISE}
    if len(set(lengths.values())) > 1:
        raise DataError(
            f"{example.get('place', 'an example')}: fields of different lengths, "
            f"{', '.join(f'{name} {length:,}' for name, length in lengths.items())}, expected a value a step in each."
        )
    return next(iter(lengths.values()), 0)


def text_in(example: Example) -> str:
    """The text of an example. Raises `DataError` for one without."""
    if "text" not in example:
        raise DataError(
            f"{example.get('place', 'an example')}: no text in this example, only "
            f"{', '.join(name for name in example if name != 'place')}. To write texts like the file's, read it as it "
            "is: --set reader.kind=text. To learn its tags: recurra train tagger …; `recurra recipes` lists more."
        )
    text: str = example["text"]
    return text


def _paths(names: Sequence[str]) -> list[Path]:
    return [Path(name) for name in names]
