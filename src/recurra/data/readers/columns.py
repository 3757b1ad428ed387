"""Tagged words in columns, one word a line, a blank line after each sentence (CoNLL)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from sys import intern
from typing import ClassVar, Literal

from recurra.data.column import check_column, from_left
from recurra.data.files import blank_split, check_encoding, counted, head_lines, nearly_all, read_lines, shortened, some
from recurra.data.sample import Sample
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Example

DOCUMENT = "-DOCSTART-"
COMMENT = "# "
_KEYED = re.compile(r"# *(?:[\w.:-]+ *=(?: |$)|(?:newdoc|newpar)(?: id = |$))")
"""As CoNLL-U writes what it knows of a sentence: `# sent_id = 3`."""
_POSITIONED = re.compile(r"(.[^0-9]*)[0-9]+")
_HEADER = ({"token", "tokens", "word", "words", "form"}, {"tag", "tags", "label", "labels", "ner", "pos", "upos"})
"""What the columns of tokens and tags are called where there is a header."""
_CHUNK_TAG = re.compile(r"O|[BIESMLU](-.+)?")


@part("reader", "columns")
class ColumnsReader:
    """One example a sentence: its `tokens` and `tags`, and the `place` where it begins.

    A line's columns are parted at each tab where it holds one, else by spaces. Every line of a file has as many as its
    first. `token` and `tag` are column numbers from 1, or from -1 backwards. Lines that begin with `-DOCSTART-` end a
    sentence and are no words. With `strip_position` a token is a character and its position in a word,
    which is left out (`科0` is `科`, `310` the 3 of a long number).

    `comments`: whether lines that begin with `# ` before a sentence's first word are left out. "auto": those of the
    form `# key = value` are, and those with another number of columns; where there are as many, the line is a word if
    its tag is that of another word, and refused if it is not.

    Raises `DataError` for another number of columns, a column that is not there, an empty token or tag, and a line that
    may be a comment or a word. Whether the
    tags make sense is not asked here: see `recurra.data.spans`.
    """

    recipe = "tagger"
    fields: ClassVar[Mapping[str, str]] = {"tokens": "tokens", "tags": "tags"}
    sample: ClassVar[Sample] = Sample({"a": "EU B-ÓRG\n. O\n\nits O\n"}, 2)

    def __init__(
        self,
        encoding: str = "utf-8",
        token: int = 1,
        tag: int = -1,
        strip_position: bool = False,
        comments: bool | Literal["auto"] = "auto",
    ) -> None:
        check_column("token", token)
        check_column("tag", tag)
        if token == tag:
            raise ConfigError(f"reader.token and reader.tag are both column {tag}. Set one of them to another column.")
        self.encoding = check_encoding(encoding)
        self.token = token
        self.tag = tag
        self.strip_position = strip_position
        self.comments = comments

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The sentences of the files, in the order given."""
        for path in map(Path, paths):
            yield from some(self._sentences(path), path, "lines of a token and its tag")

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None if its lines differ in their columns or the last hold no tags."""
        lines = head_lines(Path(path), self.encoding)
        sure = [line for line in lines if not line.startswith(COMMENT)]
        lines = sure if any(line.strip(" \t") for line in sure) else lines
        blank = [not line.strip(" \t") for line in lines]
        rows = [_cells(line) for line, b in zip(lines, blank, strict=True) if not b and not line.startswith(DOCUMENT)]
        width = max(Counter(map(len, rows)).items(), key=itemgetter(1), default=(0, 0))[0]
        if width <= _needed(self.token, self.tag) or not nearly_all(len(row) == width for row in rows):
            return None
        tags = {row[from_left(self.tag, width)] for row in rows if len(row) == width}
        if all(_CHUNK_TAG.fullmatch(tag) for tag in tags):
            return f"lines of {width} columns, the tag column with tags like {_typical(tags)}"
        parted = any(b and not after for b, after in pairwise(blank))
        if parted and len(tags) <= len(rows) // 2 and not any(" " in tag for tag in tags):
            return f"lines of {width} columns, blank lines between sentences"
        return None

    def _sentences(self, path: Path) -> Iterator[Example]:
        lines = list(read_lines(path, self.encoding))
        first, form = _form(lines)
        width = len(_cells(form))
        token, tag = self._wanted(width, f"{path}:{first}") if width else (0, 0)
        tokens: list[str] = []
        tags: list[str] = []
        begin, known = 0, self._known(lines, width, tag)
        for number, line in lines:
            if not line.strip(" \t") or line.startswith(DOCUMENT):
                if tokens:
                    yield {"tokens": tokens, "tags": tags, "place": f"{path}:{begin}"}
                    tokens, tags = [], []
                continue
            cells = _cells(line)
            if not tokens and line.startswith(COMMENT):
                other = len(cells) != width or ("\t" in form and "\t" not in line)
                if self._is_comment(line, other, other or not known or cells[tag] in known, f"{path}:{number}"):
                    continue
            if number == first and cells[token].lower() in _HEADER[0] and cells[tag].lower() in _HEADER[1]:
                raise DataError(
                    f"{path}:{number}: {shortened(line)} looks like a header, expected a token and its tag. "
                    "Leave this line out of the file."
                )
            if len(cells) != width:
                raise DataError(
                    f"{path}:{number}: {counted(len(cells), 'column')}, expected {width} as in line {first}: "
                    f"{shortened(line)}. "
                    + (
                        "A comment, '# …', may stand before a sentence, not in it: take it out of the file."
                        if line.startswith("#")
                        else "Is a token or tag missing, or a blank line between sentences?"
                    )
                )
            if not cells[token] or not cells[tag]:
                what, column = ("token", token) if not cells[token] else ("tag", tag)
                raise DataError(f"{path}:{number}: column {column + 1}, the {what}, is empty. Write one there.")
            if not tokens:
                begin = number
            # equal strings are kept once: a file has millions of tokens and few distinct ones
            tokens.append(intern(self._written(cells[token], path, number)))
            tags.append(intern(cells[tag]))
        if tokens:
            yield {"tokens": tokens, "tags": tags, "place": f"{path}:{begin}"}

    def _known(self, lines: list[tuple[int, str]], width: int, tag: int) -> frozenset[str]:
        """The tags of words that do not begin like a comment; where it is asked for and there may be comments."""
        if self.comments != "auto" or not any(line.startswith(COMMENT) for _, line in lines):
            return frozenset()
        rows = (_cells(line) for _, line in lines if line.strip(" \t") and not line.startswith((COMMENT, DOCUMENT)))
        return frozenset(row[tag] for row in rows if len(row) == width)

    def _is_comment(self, line: str, other: bool, known: bool, place: str) -> bool:
        """Whether a line before a sentence's first word, one that begins with `# `, is none of its words. `other`: it
        has not the form of a word; `known`: its tag is one."""
        if self.comments != "auto":
            return self.comments
        if _KEYED.match(line) or other:
            return True
        if known:
            return False
        raise DataError(
            f"{place}: {shortened(line)} may be a comment, or a word with a tag that no other word has. Say "
            "which: --set reader.kind=columns --set reader.comments=true (or false)"
        )

    def _wanted(self, width: int, place: str) -> tuple[int, int]:
        """The places of the token and the tag in a line's cells."""
        wanted = {"token": self.token, "tag": self.tag}
        for name, column in wanted.items():
            if abs(column) > width:
                raise DataError(
                    f"{place}: {counted(width, 'column')}, expected more: reader.{name} = {column}. Columns are "
                    f"counted from 1, or from -1 backwards. Name another: --set reader.kind=columns --set "
                    f"reader.{name}=…"
                )
        token, tag = (from_left(column, width) for column in wanted.values())
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
                f"{path}:{number}: token {shortened(token)}, expected a character and its position, like '科0'. "
                "Leave out --set reader.strip_position=true."
            )
        return match[1]


def _form(lines: list[tuple[int, str]]) -> tuple[int, str]:
    """Number and text of the first line that is a word for sure; if none is, of the first that may be; else 0, ""."""
    written = [(number, line) for number, line in lines if line.strip(" \t") and not line.startswith(DOCUMENT)]
    sure = (one for one in written if not one[1].startswith(COMMENT))
    return next(sure, next((one for one in written if not _KEYED.match(one[1])), (0, "")))


def _cells(line: str) -> list[str]:
    return [cell.strip(" ") for cell in line.split("\t")] if "\t" in line else blank_split(line)


def _needed(*columns: int) -> int:
    """The largest number of columns that is too few."""
    return max(1, *(abs(column) - 1 for column in columns))


def _typical(tags: set[str]) -> str:
    return " ".join(sorted(tags - {"O"})[:2]) or "O"
