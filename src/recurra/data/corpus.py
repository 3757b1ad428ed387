"""The texts a language model is trained, validated and tested on, and how they were cut."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from recurra.config import Data
from recurra.data.files import check_file
from recurra.data.sets import DataSet, Reader, Source, check_set, find_set, read_sources
from recurra.data.split import cut
from recurra.errors import ConfigError, DataError
from recurra.types import Example

Form = Literal["whole", "texts", "tokens"]


@dataclass(frozen=True)
class Corpus:
    """One long text a part; "" where a part is not there."""

    train: str
    valid: str
    test: str
    split: str
    """In words: what was cut, or whose split it is."""
    notes: tuple[str, ...] = ()
    """What else there is to know of the data, a sentence each."""
    reader: dict[str, Any] | None = None
    """The settings of the reader that "auto" found; None where a reader was named."""
    form: Form = "whole"
    """Whether it was one long text before, or is made of the texts of examples, or of their tokens."""

    @property
    def fingerprint(self) -> str:
        """A number that changes with the training text; a run goes on only with the text it was started with."""
        return hashlib.sha256(self.train.encode("utf-8", errors="surrogatepass")).hexdigest()[:16]


def check_files(paths: Iterable[str | Path], folders: bool = False) -> None:
    """Raise `DataError` for a path that is no file, before anything is read. `folders`: some readers read them."""
    for path in map(Path, paths):
        if not (folders and path.is_dir()):
            check_file(path)


def check_sources(data: Data, folders: bool = False) -> None:
    """Raise `ConfigError` where no training data or an unknown set is named, `DataError` for a path that is no file."""
    if data.set:
        check_set(data.set)
    elif not data.train:
        raise ConfigError(
            "there are no training data. Name files after the recipe, or a data set: --set data.set=pydoc (a text) …"
        )
    check_files((*data.train, *data.valid, *data.test), folders)


def gather(data: Data, reader: Reader) -> Corpus:
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
    said = [f"{known.name}: {known.split}"] if known.split else []
    if known.fractions and not test:
        train, test = cut(train, known.fractions, exact=True)
    fractions = {
        "valid": 0.0 if valid else data.valid_fraction,
        "test": 0.0 if test or known.split else data.test_fraction,
    }
    shares = {"train": 1 - sum(fractions.values()), **fractions}
    order = ("valid", "train", "test") if data.valid_from == "start" else ("train", "valid", "test")
    wanted = {name: shares[name] for name in order if shares[name]}
    if len(wanted) > 1:
        parts = cut(train, list(wanted.values()), names=list(wanted))
        texts = dict(zip(parts.names, parts.parts, strict=True))
        train, valid, test = texts["train"], valid or texts.get("valid", ""), test or texts.get("test", "")
        said.append(str(parts))
    return Corpus(train, valid, test, "; ".join(said) or "files as given")


def read_text(sources: Sequence[Source], reader: Reader) -> str:
    """The texts of files or examples, one after the other, each ended by a line end."""
    *before, last = [_text(example) for example in read_sources(sources, reader)] or [""]
    return "".join(text if text.endswith("\n") else text + "\n" for text in before) + last


def _text(example: Example) -> str:
    if "text" not in example:
        raise DataError(
            f"{example.get('place', 'an example')}: no text in this example, only "
            f"{', '.join(name for name in example if name != 'place')}. To write texts like the file's, read it as it "
            "is: --set reader.kind=text. To learn its tags: recurra train tagger …; `recurra recipes` lists more."
        )
    text: str = example["text"]
    return text


def _paths(names: Iterable[str]) -> list[Path]:
    return [Path(name) for name in names]
