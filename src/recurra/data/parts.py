"""The data a model is trained, validated and tested on, and how they were cut: by a shuffle, or by time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from recurra.config import Data
from recurra.data import fingerprint, shuffled, timed
from recurra.data.corpus.reading import parts_of
from recurra.data.files import counted
from recurra.data.sets import Reader, Source
from recurra.data.shuffled import Parts
from recurra.errors import DataError
from recurra.types import Example

Cut = Literal["shuffle", "time"]
"""Which of the examples train: any of them, by a shuffle that is always the same; or those that come first, where
each is a long sequence, such as a text, that is read piece by piece."""


def gather(data: Data, reader: Reader, cut: Cut) -> Parts:
    """Read what `[data]` names, and cut what is missing off the training data.

    By time, a text ends where its test begins, and so does each series of numbers. Of a reader that gives examples with
    labels, the texts are joined, a line each: cut into parts as a model that labels them cuts them, by the same
    shuffle, so that with the same fractions, or files of its own, it never sees the test of the other one. Of a corpus
    they are what it keeps as it was read.

    Raises `ConfigError` where nothing is named, or what is named is not to be cut so; `DataError` where a file cannot
    be read or holds too little, and for pairs that are to be one text.
    """
    if data.corpus:
        return parts_of(data.corpus)
    if cut == "shuffle":
        return shuffled.gather(data, reader)
    if timed.gives_series(reader):
        return timed.gather_series(data, reader)
    if not gives_examples(reader):
        return timed.gather_text(data, reader)
    parts = shuffled.gather(data, reader)
    if "source" in parts.train[0]:
        raise DataError(
            f"{parts.train[0].get('place', 'an example')}: a pair of a source and a target, expected a text. To write "
            "targets for sources: recurra train translate …"
        )
    blank = _blank(parts.train)
    texts = [_lines(part, blank) for part in (parts.train, parts.valid, parts.test)]
    train, valid, test = map(timed.part_of, texts)
    count = counted(len(parts.train), "training example")
    made = f"The texts of the {count}, a line each, make one long text; what they are labelled with is left out."
    if any("notes" in example for example in parts.train):
        made = f"The notes of the {count}, a step a line, make one long text."
    notes = [made, *parts.notes]
    lines_of: Literal["texts", "tokens"] = "tokens" if blank and "tokens" in parts.train[0] else "texts"
    return Parts(train, valid, test, parts.split, notes, fingerprint.of_text(texts[0]), parts.reader, lines_of)


def read(sources: Sequence[Source], reader: Reader, cut: Cut) -> list[Example]:
    """The examples of files, to be scored or answered, as those of parts that are cut so: of trees, whole ones only."""
    if cut == "shuffle":
        return shuffled.read(sources, reader)
    if timed.gives_series(reader):
        return timed.read_series(sources, reader)
    if not gives_examples(reader):
        return [{"text": timed.read_text(sources, reader)}]
    examples = shuffled.read(sources, reader)
    return [{"text": _lines(examples, _blank(examples))}]


def gives_examples(reader: Any) -> bool:
    """Whether a reader gives more than texts: examples with labels, tags or targets."""
    fields: Mapping[str, str] = getattr(reader, "fields", {})
    return bool(fields.keys() - {"text"})


def text_of(examples: Sequence[Example]) -> str:
    """The text of a part of one long text; "" where there is no such part."""
    return "".join(example["text"] for example in examples)


def _blank(examples: Sequence[Example]) -> str:
    """What stands between two tokens of a line: nothing where every token is one character."""
    single = all(len(token) == 1 for example in examples for token in example.get("tokens", ()))
    return "" if single else " "


def _lines(examples: Sequence[Example], blank: str) -> str:
    """A line for each example, but for phrases from inside of a tree; line ends inside a text become blanks. Music has
    a line for each of its steps."""
    whole = (example for example in examples if example.get("phrase") != "inner")
    return "".join(
        example["text"] if "notes" in example else " ".join(_text(example, blank).splitlines()) + "\n"
        for example in whole
    )


def _text(example: Example, blank: str) -> str:
    text: str = blank.join(example["tokens"]) if "tokens" in example else example["text"]
    return text
