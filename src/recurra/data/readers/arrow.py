"""Texts, and what they are labelled with, in columns of Parquet and Arrow files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

from recurra.data.arrow import blocks_of, format_of, rows_of
from recurra.data.files import some
from recurra.data.sample import ARROW, Sample
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

FORMS = {
    "text": "text",
    "tokens": "tokens",
    "tags": "tags",
    "label": "label",
    "labels": "labels",
    "source": "text",
    "target": "text",
}


@part("reader", "arrow")
class ArrowReader:
    """One example a row of Parquet files, of Arrow files (Feather), and of Arrow streams, as Hugging Face keeps data:
    what the columns called `text`, `tokens`, `tags`, `label`, `source` and `target` hold, and its `place`.

    Only columns that are named are read, the text where none is. A label that is a list gives `labels`; whole numbers
    and truth values are names as JSON writes them. A row whose text is null is left out. The extra `parquet` reads
    them, some rows at a time.

    Raises `DataError` for a file that is none or is cut, a column that is not there, and a value of another type;
    `ConfigError` where pyarrow is missing.
    """

    recipe = "char-lm"
    fields: Mapping[str, str] = {"text": "text"}
    sample: ClassVar[Sample] = Sample({"a.arrow": ARROW}, 2)

    def __init__(
        self,
        text: str | None = None,
        label: str | None = None,
        tokens: str | None = None,
        tags: str | None = None,
        source: str | None = None,
        target: str | None = None,
    ) -> None:
        named = {"text": text, "tokens": tokens, "tags": tags, "label": label, "source": source, "target": target}
        self.columns = {field: column for field, column in named.items() if column is not None}
        if not self.columns.keys() & {"text", "tokens", "source"}:
            self.columns["text"] = "text"
        self.fields = {name: FORMS[name] for name in self.columns}
        if label is not None:
            self.fields = {**self.fields, "labels": "labels"}

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The rows of the files, in the order given."""
        for path in map(Path, paths):
            yield from some(self._examples(path), path, "rows")

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None for what is neither Parquet nor Arrow."""
        return format_of(Path(path))

    def pieces(self, path: Path, size: int) -> list[tuple[int, int]] | None:
        """Blocks of rows, of about so many bytes together; None of a stream."""
        found = blocks_of(path)
        if not found:
            return None
        sums, total = [], 0
        for each in found:
            sums.append(total // size)
            total += each
        cuts = [len([*group]) for _, group in groupby(sums)]
        ends = [sum(cuts[: k + 1]) for k in range(len(cuts))]
        return [*zip([0, *ends[:-1]], ends, strict=True)]

    def read_piece(self, path: Path, begin: int, end: int) -> Iterator[Example]:
        """The rows of the blocks from `begin` to before `end`."""
        return self._examples(path, (begin, end))

    def _examples(self, path: Path, blocks: tuple[int, int] | None = None) -> Iterator[Example]:
        within = f"block {blocks[0] + 1}, " if blocks and blocks[0] else ""
        for number, row in rows_of(path, [*self.columns.values()], blocks):
            place = f"{path}: {within}row {number:,}"
            found = {field: row[column] for field, column in self.columns.items() if row[column] is not None}
            if found.keys() & {"text", "tokens", "source"}:
                example = {}
                for field, value in found.items():
                    several = field == "label" and isinstance(value, list)
                    example["labels" if several else field] = self._value(field, value, place)
                yield {**example, "place": place}

    def _value(self, field: str, value: Any, place: str) -> Any:
        """The value of a cell as a field has it."""
        names = field in ("label", "tags")
        if isinstance(value, list) and field in ("tokens", "tags", "label"):
            return [self._name(field, each, names, place) for each in value]
        if field in ("tokens", "tags"):
            raise self._wrong(field, value, "a list of strings", place)
        return self._name(field, value, names, place)

    def _name(self, field: str, value: Any, names: bool, place: str) -> str:
        if isinstance(value, str):
            return value
        if names and isinstance(value, int):
            return json.dumps(value)
        raise self._wrong(field, value, "a string", place)

    def _wrong(self, field: str, value: Any, expected: str, place: str) -> DataError:
        return DataError(
            f"{place}: {self.columns[field]!r} is {type(value).__name__}, expected {expected}. Name another column: "
            f"--set reader.{field}=COLUMN"
        )
