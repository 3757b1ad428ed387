"""Tagged words in columns, one word a line, a blank line after each sentence (CoNLL)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from sys import intern
from typing import ClassVar

from recurra.data.files import blank_split, check_encoding, counted, head_lines, nearly_all, read_lines, shortened, some
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Example

DOCUMENT = "-DOCSTART-"
_POSITIONED = re.compile(r"(.[^0-9]*)[0-9]+")
_HEADER = ({"token", "tokens", "word", "words", "form"}, {"tag", "tags", "label", "labels", "ner", "pos", "upos"})
"""What the columns of tokens and tags are called where there is a header."""
_CHUNK_TAG = re.compile(r"O|[BIESMLU](-.+)?")


@part("reader", "columns")
class ColumnsReader:
    """One example a sentence: its `tokens` and `tags`, and the `place` where it begins.

    A line's columns are parted at each tab where it holds one, else by spaces. Every line of a file has as many as its
    first. `token` and `tag` are column numbers from 0, or from -1 backwards. Lines that begin with `-DOCSTART-` end a
    sentence and are no words. With `strip_position` a token is a character and its position in a word,
    which is left out (`科0` is `科`, `310` the 3 of a long number).

    Raises `DataError` for another number of columns, a column that is not there, and an empty token or tag. Whether the
    tags make sense is not asked here: see `recurra.data.spans`.
    """

    fields: ClassVar[Mapping[str, str]] = {"tokens": "tokens", "tags": "tags"}

    def __init__(self, encoding: str = "utf-8", token: int = 0, tag: int = -1, strip_position: bool = False) -> None:
        if token == tag:
            raise ConfigError(f"reader.token and reader.tag are both column {tag}. Set one of them to another column.")
        self.encoding = check_encoding(encoding)
        self.token = token
        self.tag = tag
        self.strip_position = strip_position

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The sentences of the files, in the order given."""
        for path in map(Path, paths):
            yield from some(self._sentences(path), path, "lines of a token and its tag")

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None if its lines differ in their columns or the last hold no tags."""
        lines = head_lines(Path(path), self.encoding)
        blank = [not line.strip(" \t") for line in lines]
        rows = [_cells(line) for line, b in zip(lines, blank, strict=True) if not b and not line.startswith(DOCUMENT)]
        width = max(Counter(map(len, rows)).items(), key=itemgetter(1), default=(0, 0))[0]
        if width <= _needed(self.token, self.tag) or not nearly_all(len(row) == width for row in rows):
            return None
        tags = {row[self.tag] for row in rows if len(row) == width}
        if all(_CHUNK_TAG.fullmatch(tag) for tag in tags):
            return f"lines of {width} columns, the tag column with tags like {_typical(tags)}"
        parted = any(b and not after for b, after in pairwise(blank))
        if parted and len(tags) <= len(rows) // 2 and not any(" " in tag for tag in tags):
            return f"lines of {width} columns, blank lines between sentences"
        return None

    def _sentences(self, path: Path) -> Iterator[Example]:
        tokens: list[str] = []
        tags: list[str] = []
        begin = width = first = 0
        commented = False
        token = tag = 0
        for number, line in read_lines(path, self.encoding):
            if not line.strip(" \t") or line.startswith(DOCUMENT):
                if tokens:
                    yield {"tokens": tokens, "tags": tags, "place": f"{path}:{begin}"}
                    tokens, tags = [], []
                continue
            cells = _cells(line)
            if not width:
                width, first, commented = len(cells), number, line.startswith("# ")
                token, tag = self._wanted(width, f"{path}:{number}")
                if cells[token].lower() in _HEADER[0] and cells[tag].lower() in _HEADER[1]:
                    raise DataError(
                        f"{path}:{number}: {shortened(line)} looks like a header, expected a token and its tag. "
                        "Leave this line out of the file."
                    )
            elif len(cells) != width:
                comment = line.startswith("#") or commented
                raise DataError(
                    f"{path}:{number}: {counted(len(cells), 'column')}, expected {width} as in line {first}: "
                    f"{shortened(line)}. "
                    + (
                        "Lines of comment, '# …', are not left out: take them out of the file."
                        if comment
                        else "Is a token or tag missing, or a blank line between sentences?"
                    )
                )
            if not cells[token] or not cells[tag]:
                what, column = ("token", token) if not cells[token] else ("tag", tag)
                raise DataError(f"{path}:{number}: column {column}, the {what}, is empty. Write one there.")
            if not tokens:
                begin = number
            # equal strings are kept once: a file has millions of tokens and few distinct ones
            tokens.append(intern(self._written(cells[token], path, number)))
            tags.append(intern(cells[tag]))
        if tokens:
            yield {"tokens": tokens, "tags": tags, "place": f"{path}:{begin}"}

    def _wanted(self, width: int, place: str) -> tuple[int, int]:
        """The token's and the tag's columns, counted from the left."""
        wanted = {"token": self.token, "tag": self.tag}
        for name, column in wanted.items():
            if not -width <= column < width:
                raise DataError(
                    f"{place}: {counted(width, 'column')}, expected more: reader.{name} = {column}. Columns are "
                    f"counted from 0, or from -1 backwards. Name another: --set reader.kind=columns --set "
                    f"reader.{name}=…"
                )
        token, tag = (column % width for column in wanted.values())
        if token == tag:
            raise DataError(
                f"{place}: {counted(width, 'column')}, so that reader.token = {self.token} and reader.tag = {self.tag} "
                "are the same; expected a token and a tag. Is the tag missing, or are they parted by something else?"
            )
        return token, tag

    def _written(self, token: str, path: Path, number: int) -> str:
        if not self.strip_position:
            return token
        match = _POSITIONED.fullmatch(token)
        if not match:
            raise DataError(
                f"{path}:{number}: token {token!r}, expected a character and its position, like '科0'. "
                "Leave out --set reader.strip_position=true."
            )
        return match[1]


def _cells(line: str) -> list[str]:
    return [cell.strip(" ") for cell in line.split("\t")] if "\t" in line else blank_split(line)


def _needed(*columns: int) -> int:
    """The largest number of columns that is too few."""
    return max(1, *(column if column >= 0 else -column - 1 for column in columns))


def _typical(tags: set[str]) -> str:
    return " ".join(sorted(tags - {"O"})[:2]) or "O"
