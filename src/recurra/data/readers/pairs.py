"""Pairs in one file, a line each, source and target parted by a tab."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from recurra.data.files import check_encoding, counted, head_lines, nearly_all, read_lines, shortened
from recurra.data.pieces import cut_at_lines, ends_lines, lines_of, named
from recurra.data.sample import Sample
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Example


@part("reader", "pairs")
class PairReader:
    """One example a line: its `source`, its `target`, and its `place`.

    `source` and `target` are columns, counted from 1; what stands in others is left out. Quotes are characters like
    any other, white space at the ends of a column is left out. A blank line is a pair of two empty sides: pairs with an
    empty side train nothing, see `recurra.data.parts`.

    Raises `DataError` for a line of too few columns, `ConfigError` for columns that cannot be.
    """

    recipe = "translate"
    fields: ClassVar[Mapping[str, str]] = {"source": "text", "target": "text"}
    sample: ClassVar[Sample] = Sample({"a": "Hi.\t嗨。\tCC-BY\nRun.\t跑。\n"}, 2)

    def __init__(self, encoding: str = "utf-8", source: int = 1, target: int = 2) -> None:
        for name, column in (("source", source), ("target", target)):
            if column < 1:
                raise ConfigError(f"reader.{name} = {column}, expected 1 or more: columns are counted from 1.")
        if source == target:
            raise ConfigError(f"reader.source and reader.target are both {source}. Set one of them to another column.")
        self.encoding = check_encoding(encoding)
        self.source = source
        self.target = target

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The pairs of the files, in the order given."""
        for path in map(Path, paths):
            yield from self._examples(read_lines(path, self.encoding), str(path))

    def pieces(self, path: Path, size: int) -> list[tuple[int, int]] | None:
        """Where a plain file is cut, at line ends; None of one in gzip, or in an encoding without such bytes."""
        return cut_at_lines(path, size) if ends_lines(self.encoding) else None

    def read_piece(self, path: Path, begin: int, end: int) -> Iterator[Example]:
        """The examples in the lines of the bytes from `begin` to before `end`."""
        return self._examples(lines_of(path, begin, end, self.encoding), named(path, begin))

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None if most of its lines have too few columns."""
        lines = [line for line in head_lines(Path(path), self.encoding) if line.strip()]
        tabs = nearly_all(line.count("\t") + 1 >= max(self.source, self.target) for line in lines)
        return "source and target parted by a tab" if tabs else None

    def _examples(self, lines: Iterable[tuple[int, str]], name: str) -> Iterator[Example]:
        for number, line in lines:
            source, target = self._sides(line, f"{name}:{number}")
            yield {"source": source, "target": target, "place": f"{name}:{number}"}

    def _sides(self, line: str, place: str) -> tuple[str, str]:
        if not line.strip():
            return "", ""
        columns = [column.strip() for column in line.split("\t")]
        if len(columns) < max(self.source, self.target):
            wanted = f"{max(self.source, self.target)} or more, source in {self.source} and target in {self.target}"
            raise DataError(
                f"{place}: {counted(len(columns), 'column')}, expected {wanted}, parted by tabs: {shortened(line)}. "
                "Are there spaces in the place of a tab? For sides in two files: --set reader.kind=parallel"
            )
        return columns[self.source - 1], columns[self.target - 1]
