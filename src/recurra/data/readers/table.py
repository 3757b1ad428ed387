"""Texts and their labels, or numbers, in a table: CSV or TSV."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import ClassVar, Literal

from recurra.data.column import check_column, from_left
from recurra.data.files import check_encoding, counted, head_lines, numbered, read_text, shortened, some
from recurra.data.numbers import number_in
from recurra.data.sample import Sample
from recurra.errors import ConfigError, DataError, did_you_mean
from recurra.registry import part
from recurra.types import Example

_SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";"}
_QUOTING = ",;"
_BY_NAME = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
LINES = 40
"""Of a quoted cell, at most, where nobody said that cells are quoted: a '"' that is not closed swallows rows."""
_QUOTES = (
    'Is a \'"\' inside a text? Write it as "" in a quoted cell, or read quotes as they are: --set reader.kind=table '
    "--set reader.quoted=false; if the cell is right: --set reader.quoted=true"
)
Row = tuple[int, list[str]]
_QUOTED = re.compile(r'"([^"]*+(?:""[^"]*+)*+)"')


@part("reader", "table")
class TableReader:
    """One example a row: its `text`, its `label`, and the `place` where it begins.

    `text` and `label` are columns by the name in the header, or by number from 1 (from -1 backwards). `separator` is
    told by the file's name (.csv, .tsv), else by its first line, where a tab goes before a comma, a comma before a
    semicolon. `quoted` cells begin and end with `"`, hold `""` for `"`, and may hold separators and line ends; "auto":
    those of a CSV do, in a TSV a `"` is a character like any other, unless all cells of the first line are quoted;
    and a cell of more than 40 lines, or one that holds what looks like rows, is refused: "true" takes it. "outer": no
    cell holds a separator, and a `"` at both its ends is left out whatever stands between, for files whose inner `"`
    are not all doubled.
    White space around the names in the header is left out. With `label_separator` a cell of labels gives `labels`,
    maybe none. Where `number` names a column, a row has that `number` in the place of a label, and where `scale` does
    the name of the `scale` that it is measured on; `id` is the column of what an example is called, and `group` that of
    what it shares with others, which a cut of the examples then never parts; that may be the text's own: texts that
    come twice.

    Raises `DataError` for a column that is not there, a row with more or fewer cells than the first, an empty label or
    scale, a number that is missing, none or not finite, and a quoted cell that is not closed.
    """

    recipe = "classifier"
    fields: ClassVar[Mapping[str, str]] = {
        "text": "text",
        "label": "label",
        "labels": "labels",
        "number": "number",
        "scale": "label",
    }
    sample: ClassVar[Sample] = Sample({"a.csv": "text,label\né,x\nb,y\n"}, 2)

    def __init__(
        self,
        encoding: str = "utf-8",
        text: str | int = "text",
        label: str | int = "label",
        separator: Literal["auto", "tab", "comma", "semicolon"] = "auto",
        header: bool = True,
        quoted: bool | Literal["auto", "outer"] = "auto",
        label_separator: str | None = None,
        number: str | int | None = None,
        scale: str | int | None = None,
        id: str | int | None = None,
        group: str | int | None = None,
    ) -> None:
        target: tuple[str, str | int] = ("label", label) if number is None else ("number", number)
        optional = {name: column for name, column in (("scale", scale), ("id", id)) if column is not None}
        self.columns: dict[str, str | int] = dict((("text", text), target), **optional)
        wanted = self.columns if group is None else {**self.columns, "group": group}
        for name, column in wanted.items():
            if not header and isinstance(column, str):
                raise ConfigError(
                    f"reader.{name} = {column!r}, expected a column number, as there is no header. "
                    f"Say which: --set reader.{name}=1"
                )
            if not isinstance(column, str):
                check_column(name, column)
        if twice := _twice(self.columns, self.columns):
            one, other, column = *twice, self.columns[twice[0]]
            raise ConfigError(
                f"reader.{one} and reader.{other} are both {column!r}. Set one of them to another column."
            )
        if label_separator is not None and number is not None:
            raise ConfigError(
                "reader.label_separator parts labels, but reader.number stands in their place. Leave one."
            )
        if label_separator == "":
            raise ConfigError("reader.label_separator is empty, expected what parts labels, such as ';'.")
        self.columns = wanted
        self.encoding = check_encoding(encoding)
        self.text = text
        self.label = label
        self.target = target[0]
        self.separator = separator
        self.header = header
        self.quoted = quoted
        self.label_separator = label_separator

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The rows of the files, in the order given."""
        for path in map(Path, paths):
            yield from some(self._examples(path), path, "rows of a text and its label")

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None if neither its name nor its header says that it is a table."""
        path = Path(path)
        first = next((line for line in head_lines(path, self.encoding) if line.strip()), "")
        separator = self._separator(path, first)
        names = [_unquoted(cell.strip()) for cell in first.split(separator)] if separator else []
        if len(names) < 2:
            return None
        target = self.columns[self.target]
        if self.header and self.text in names and target in names:
            return f"a table with the columns {self.text} and {target}"
        return f"a table by its name, *{_suffix(path)}" if _suffix(path) in _BY_NAME else None

    def _examples(self, path: Path) -> Iterator[Example]:
        separator, rows = self._rows(path)
        columns: dict[str, int] = {}
        width = 0
        names: list[str] = []
        for number, cells in rows:
            place = f"{path}:{number}"
            if not columns:
                cells = [cell.strip() for cell in cells] if self.header else cells
                width, names = len(cells), cells if self.header else []
                columns = {name: _column(name, column, cells, place) for name, column in self.columns.items()}
                if twice := _twice(columns, self.columns):
                    one, other = twice
                    raise DataError(
                        f"{place}: reader.{one} = {self.columns[one]!r} and reader.{other} = {self.columns[other]!r} "
                        "are the same column. Set one of them to another."
                    )
                if self.quoted == "auto":
                    _check_swallowed(path, separator, rows[self.header :], width, columns[self.target])
                if self.header:
                    continue
            if len(cells) != width:
                raise DataError(f"{place}: {self._miscounted(len(cells), width, names)}")
            target = cells[columns[self.target]]
            found = self._labels(target, place) if self.target == "label" else self._number(target, place)
            own = [name for name in ("scale", "id", "group") if name in columns]
            named: Example = {name: self._name(name, cells[columns[name]], place) for name in own}
            yield {"text": cells[columns["text"]], **found, **named, "place": place}

    def _number(self, cell: str, place: str) -> dict[str, float]:
        return {"number": number_in(cell, place, f"in the column {self.columns['number']!r}")}

    def _name(self, name: str, cell: str, place: str) -> str:
        if not cell.strip():
            raise DataError(
                f"{place}: no {name}, expected one in the column {self.columns[name]!r}. Write one there, or leave the "
                "row out."
            )
        return cell.strip()

    def _labels(self, cell: str, place: str) -> dict[str, str | list[str]]:
        if self.label_separator is not None:
            labels = [label.strip() for label in cell.split(self.label_separator)]
            return {"labels": list(dict.fromkeys(label for label in labels if label))}
        if not cell.strip():
            raise DataError(
                f"{place}: no label, expected one in the column {self.label!r}. Write one there, or leave the row out."
            )
        return {"label": cell.strip()}

    def _miscounted(self, found: int, width: int, names: list[str]) -> str:
        expected = f"{width} ({', '.join(names)})" if names else f"{width} as in the first row"
        text = f"{counted(found, 'column')}, expected {expected}. "
        if found < width:
            text += "Is there a line end inside the text, or a column missing?"
        else:
            text += "Is there a separator (tab or comma) inside the text?"
        return text + ' Cells in "…": --set reader.kind=table --set reader.quoted=true'

    def _rows(self, path: Path) -> tuple[str, list[Row]]:
        """What parts the columns, and the rows that are not blank, each with the line it begins in."""
        text = read_text(path, self.encoding)
        text = text if "\n" in text else text.replace("\r", "\n")
        first = next((line for _, line in numbered(text) if line.strip()), "")
        separator = self._separator(path, first)
        if separator is None:
            raise DataError(
                f"{path}:1: no tab, comma or semicolon in {shortened(first)}, expected columns of a text and its "
                "label. For text alone: --set reader.kind=text"
            )
        all_quoted = all(_QUOTED.fullmatch(cell) for cell in first.split(separator))
        if (separator in _QUOTING or all_quoted) if self.quoted == "auto" else self.quoted is True:
            rows = _quoted_rows(text, separator, path, LINES if self.quoted == "auto" else None)
        elif self.quoted == "outer":
            rows = ((number, [_bare(cell) for cell in line.split(separator)]) for number, line in numbered(text))
        else:
            rows = ((number, line.split(separator)) for number, line in numbered(text))
        return separator, [(number, cells) for number, cells in rows if len(cells) > 1 or cells[0].strip()]

    def _separator(self, path: Path, first: str) -> str | None:
        if self.separator != "auto":
            return _SEPARATORS[self.separator]
        by_name = _BY_NAME.get(_suffix(path))
        if by_name is not None and by_name in first:
            return by_name
        return next((separator for separator in ("\t", ",", ";") if separator in first), None)


def _quoted_rows(text: str, separator: str, path: Path, most: int | None) -> Iterator[Row]:
    """Rows whose cells may be in `"…"`, of `most` lines, with the lines they begin in (RFC 4180)."""
    bare = re.compile(f"[^{separator}\n]*")
    cells: list[str] = []
    at, line, begin = 0, 1, 1
    while at <= len(text):
        match = None
        if text.startswith('"', at):
            match = _QUOTED.match(text, at)
            if match is None:
                raise DataError(
                    f"{path}:{line}: the quoted cell {shortened(text[at : at + 60])} is never closed, expected a "
                    "'\"' at its end. Close it, or read quotes as they are: --set reader.kind=table --set "
                    "reader.quoted=false"
                )
            cells.append(match[1].replace('""', '"'))
            breaks = match[1].count("\n")
            if most is not None and breaks >= most:
                raise DataError(
                    f"{path}:{line}: the quoted cell {shortened(text[at : at + 60])} goes on for {breaks + 1} lines, "
                    f"expected {most} at most. {_QUOTES}"
                )
            line += breaks
        else:
            match = bare.match(text, at)
            assert match is not None  # it may be empty
            cells.append(match[0])
        end = match.end()
        if end < len(text) and text[end] not in (separator, "\n"):
            raise DataError(
                f"{path}:{line}: {shortened(text[end : end + 60])} after the quoted cell {shortened(match[0])}, "
                'expected a separator or a line end. Write quotes inside as "", or: --set reader.kind=table '
                "--set reader.quoted=false"
            )
        if end == len(text) or text[end] == "\n":
            yield begin, cells
            cells = []
            line += 1
            begin = line
        at = end + 1


def _check_swallowed(path: Path, separator: str, rows: Sequence[Row], width: int, label: int) -> None:
    """Raise `DataError` for a cell of several lines that look like rows, with a label that other rows have: its `"` was
    opened inside a text, and closed by one that another row opened."""
    labels = {cells[label].strip() for _, cells in rows if len(cells) == width and not any("\n" in c for c in cells)}

    def is_row(line: str, first: int, last: int) -> bool:
        """Whether a line holds the cells first … last, its label among them."""
        cells = line.split(separator)
        return len(cells) == last - first + 1 and first <= label <= last and cells[label - first].strip() in labels

    for begin, cells in rows:
        line = begin
        for column, cell in enumerate(cells):
            top, *between = cell.split("\n")
            if between:
                bottom = between.pop()
                held = [is_row(top, column, width - 1), *(is_row(each, 0, width - 1) for each in between)]
                if any((*held, is_row(bottom, 0, column))):
                    raise DataError(
                        f"{path}:{line}: the quoted cell {shortened(cell)} goes on for {cell.count(chr(10)) + 1} lines "
                        f"that look like rows of their own. {_QUOTES}"
                    )
            line += cell.count("\n")


def _column(name: str, wanted: str | int, cells: list[str], place: str) -> int:
    """The place of the column wanted in a row; `cells` is the first row."""
    if isinstance(wanted, str):
        if wanted in cells:
            return cells.index(wanted)
        raise DataError(
            f"{place}: no column {wanted!r} in the header{did_you_mean(wanted, cells)} Found "
            f"{', '.join(map(shortened, cells[:8]))}. Name it: --set reader.kind=table --set reader.{name}=COLUMN, "
            "or by number with --set reader.header=false"
        )
    if abs(wanted) > len(cells):
        raise DataError(
            f"{place}: {counted(len(cells), 'column')}, expected more: reader.{name} = {wanted}. They are counted "
            f"from 1. Name another: --set reader.kind=table --set reader.{name}=…"
        )
    return from_left(wanted, len(cells))


def _twice(columns: Mapping[str, str | int], names: Mapping[str, str | int]) -> tuple[str, str] | None:
    """The first two of `names` that are one column; None where all differ, but for a group, which may be any."""
    single = [name for name in names if name != "group"]
    return next(((a, b) for a, b in combinations(single, 2) if columns[a] == columns[b]), None)


def _suffix(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _bare(cell: str) -> str:
    """A cell without the quotation marks around it."""
    around = len(cell) > 1 and cell[0] == cell[-1] == '"'
    return cell[1:-1].replace('""', '"') if around else cell


def _unquoted(cell: str) -> str:
    match = _QUOTED.fullmatch(cell)
    return match[1].replace('""', '"') if match else cell
