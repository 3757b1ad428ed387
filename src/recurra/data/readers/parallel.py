"""Pairs in two files, line by line: the sources in one, their targets in the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from recurra.data.files import check_encoding, counted, head_lines, nearly_all, read_lines
from recurra.data.sample import Sample
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example


@part("reader", "parallel")
class ParallelReader:
    """One example a line: the `source` in the first file, the `target` in the same line of the second, and the `place`
    of the source. Further files come in twos, too: source, target, source, target.

    White space at the ends of a line is left out. An empty line is an empty side: such pairs train nothing, see
    `recurra.data.parts`.

    Raises `DataError` for a file without a partner, and for two files of different length.
    """

    recipe = "translate"
    fields: ClassVar[Mapping[str, str]] = {"source": "text", "target": "text"}
    sample: ClassVar[Sample] = Sample({"a": "one\ntwo\n", "b": "ein\nzwéi\n"}, 2)

    def __init__(self, encoding: str = "utf-8") -> None:
        self.encoding = check_encoding(encoding)

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The pairs of each two files, in the order given."""
        files = [Path(path) for path in paths]
        if len(files) % 2:
            raise DataError(
                f"{files[-1]}: {counted(len(files), 'file')}, expected them in twos: a file of sources, then the file "
                "of their targets. Name its partner after it; for pairs in one file: --set reader.kind=pairs"
            )
        for source, target in zip(files[::2], files[1::2], strict=True):
            yield from self._pairs(source, target)

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file, one of two; None if most of its lines hold a tab."""
        plain = nearly_all("\t" not in line for line in head_lines(Path(path), self.encoding))
        return "lines without a tab, so the sources or the targets" if plain else None

    def _pairs(self, source: Path, target: Path) -> Iterator[Example]:
        sources, targets = ([line.strip() for _, line in read_lines(path, self.encoding)] for path in (source, target))
        if len(sources) != len(targets):
            common = min(len(sources), len(targets))
            longer, shorter = (source, target) if len(sources) > common else (target, source)
            raise DataError(
                f"{longer}:{common + 1}: the first line without a partner: {source} has "
                f"{counted(len(sources), 'line')}, {target} {len(targets):,}, expected as many. Line k of both belongs "
                f"to the same pair: copy them again, or look what {shorter} lacks."
            )
        for number, (one, other) in enumerate(zip(sources, targets, strict=True), start=1):
            yield {"source": one, "target": other, "place": f"{source}:{number}"}
