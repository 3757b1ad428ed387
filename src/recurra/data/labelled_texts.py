"""The texts of labelled examples as one long text, a line each: what a language model learns from a labelled set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from recurra.config import Data
from recurra.data.corpus import Corpus, Form, gather, read_text
from recurra.data.examples import gather_examples, read_examples
from recurra.data.files import counted
from recurra.data.sets import Reader, Source
from recurra.errors import DataError
from recurra.types import Example


def gather_texts(data: Data, reader: Reader) -> Corpus:
    """The text that `[data]` names; of a reader that gives more than texts, those of its examples, a line each.

    Examples are cut into parts as a model that labels them cuts them, by the same shuffle: with the same fractions, or
    files of its own, it never sees the test of the other one.
    Raises as `gather` and `gather_examples` do, and `DataError` for pairs, which are no text.
    """
    if not gives_examples(reader):
        return gather(data, reader)
    parts = gather_examples(data, reader)
    if "source" in parts.train[0]:
        raise DataError(
            f"{parts.train[0].get('place', 'an example')}: a pair of a source and a target, expected a text. To write "
            "targets for sources: recurra train translate …"
        )
    blank = _blank(parts.train)
    train, valid, test = (_lines(part, blank) for part in (parts.train, parts.valid, parts.test))
    notes = (
        f"The texts of the {counted(len(parts.train), 'training example')}, a line each, make one long text; what they "
        "are labelled with is left out.",
        *parts.notes,
    )
    form: Form = "tokens" if blank and "tokens" in parts.train[0] else "texts"
    return Corpus(train, valid, test, parts.split, notes, parts.reader, form)


def read_texts(sources: Sequence[Source], reader: Reader) -> str:
    """The text of files, of a reader that gives more than texts a line an example."""
    if not gives_examples(reader):
        return read_text(sources, reader)
    examples = read_examples(sources, reader)
    return _lines(examples, _blank(examples))


def gives_examples(reader: Any) -> bool:
    """Whether a reader gives more than texts: examples with labels, tags or targets."""
    fields: Mapping[str, str] = getattr(reader, "fields", {})
    return bool(fields.keys() - {"text"})


def _blank(examples: Sequence[Example]) -> str:
    """What stands between two tokens of a line: nothing where every token is one character."""
    single = all(len(token) == 1 for example in examples for token in example.get("tokens", ()))
    return "" if single else " "


def _lines(examples: Iterable[Example], blank: str) -> str:
    """A line for each example, but for phrases from inside of a tree; line ends inside a text become blanks."""
    whole = (example for example in examples if example.get("phrase") != "inner")
    return "".join(" ".join(_text(example, blank).splitlines()) + "\n" for example in whole)


def _text(example: Example, blank: str) -> str:
    text: str = blank.join(example["tokens"]) if "tokens" in example else example["text"]
    return text
