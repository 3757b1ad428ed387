"""Sequences of bases in FASTA, with their classes in the headers or in a table beside the file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

from recurra.data.column import check_column, from_left
from recurra.data.files import blank_split, check_encoding, counted, head_lines, read_lines, shortened, some
from recurra.data.sample import Sample
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Example

HEADER = ">"
COMMENT = ";"
_SEQUENCE = re.compile(r"[A-Za-z*.-]+")
_PARTED = {"space": None, "bar": "|", "tab": "\t"}


@part("reader", "fasta")
class FastaReader:
    """One example a record: the `text` of its lines together, its `id`, its `label`, the `place` of its header, and
    its `lines`: of each the letters before it, and its number.

    A header is `>id …`, of parts that stand between `separator`s. `label` is the part that holds the class, by number
    from 1 (from -1 backwards; 1 is the id), or the name in a part `name=class`; a header of an id alone has none.
    `labels` names a table beside the file, by its path from there: an id, a tab or a comma and a class in each line;
    then headers are not looked at for classes. Lines that begin with `;` are comments.

    Raises `DataError` for a line before the first header, a header without an id, a record without a sequence, a part
    that is not there, a line of the table that is no id and class or names an id again, and an id that it lacks.
    Source: Pearson & Lipman 1988, Improved tools for biological sequence comparison, for the format.
    """

    recipe = "dna"
    fields: ClassVar[Mapping[str, str]] = {"text": "text", "label": "label"}
    sample: ClassVar[Sample] = Sample({"a.fa": ">s1 é\nACGT\nAC\n>s2 b\nGGGT\n"}, 2)

    def __init__(
        self,
        encoding: str = "utf-8",
        label: int | str = -1,
        separator: Literal["space", "bar", "tab"] = "space",
        labels: str | None = None,
    ) -> None:
        if isinstance(label, int):
            check_column("label", label)
        elif not label:
            raise ConfigError('reader.label is empty, expected the number of a part of the header, or "name" of name=…')
        self.encoding = check_encoding(encoding)
        self.label, self.separator, self.labels = label, separator, labels

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The records of the files, in the order given."""
        for path in map(Path, paths):
            yield from some(self._examples(path), path, "records that begin with >")

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None if it does not begin with a header and a sequence."""
        lines = [line for line in head_lines(Path(path), self.encoding) if line.strip() and line[0] != COMMENT]
        sequence = len(lines) > 1 and _SEQUENCE.fullmatch(lines[1].strip())
        return "a header that begins with > and a sequence" if sequence and lines[0][0] == HEADER else None

    def _examples(self, path: Path) -> Iterator[Example]:
        table = None if self.labels is None else self._table(path.parent / self.labels)
        header, begin, pieces, lines, letters = "", 0, list[str](), list[tuple[int, int]](), 0
        for number, line in (*read_lines(path, self.encoding), (0, HEADER)):
            if line.startswith(HEADER):
                if begin:
                    example = self._example(header, "".join(pieces), f"{path}:{begin}", table)
                    yield {**example, "lines": lines}
                header, begin, pieces, lines, letters = line[1:], number, [], [], 0
            elif line.strip() and not line.startswith(COMMENT):
                if not begin:
                    raise DataError(
                        f"{path}:{number}: {shortened(line)} before the first header, expected a line that begins with "
                        "> and an id. Is it a FASTA file?"
                    )
                found = line.split()
                lines.append((letters, number))
                letters += sum(map(len, found))
                pieces += found

    def _example(self, header: str, sequence: str, place: str, table: Mapping[str, str] | None) -> Example:
        parts = self._parts(header)
        if not parts or not parts[0]:
            raise DataError(f"{place}: a header without an id, expected one behind the >. Write it there.")
        if not sequence:
            raise DataError(
                f"{place}: no sequence below the header of {shortened(parts[0])}, expected letters in the next line. "
                "Is the file cut off? Else leave the record out."
            )
        label = self._label(parts, place) if table is None else self._looked_up(parts[0], table, place)
        return {"text": sequence, **({} if label is None else {"label": label}), "id": parts[0], "place": place}

    def _parts(self, header: str) -> list[str]:
        by = _PARTED[self.separator]
        return blank_split(header) if by is None else [part.strip() for part in header.split(by)]

    def _label(self, parts: list[str], place: str) -> str | None:
        """The class that a header names; None where it is an id alone."""
        if len(parts) == 1:
            return None
        if isinstance(self.label, str):
            named = [part.removeprefix(f"{self.label}=") for part in parts if part.startswith(f"{self.label}=")]
            label = named[0] if named else ""
        else:
            label = parts[from_left(self.label, len(parts))] if abs(self.label) <= len(parts) else ""
        if not label:
            wanted = f"a part {self.label}=…" if isinstance(self.label, str) else f"a class in part {self.label}"
            raise DataError(
                f"{place}: the header has {counted(len(parts), 'part')} ({', '.join(map(shortened, parts[:6]))}), "
                f"expected {wanted}. Say where it stands: --set reader.kind=fasta --set reader.label=2, or name a "
                "table of ids and classes beside the file: --set reader.labels=FILE"
            )
        return label

    def _looked_up(self, name: str, table: Mapping[str, str], place: str) -> str:
        if name not in table:
            raise DataError(
                f"{place}: {shortened(name)} is not in {self.labels}, expected a line with it and its class. Add one, "
                "or leave the record out."
            )
        return table[name]

    def _table(self, path: Path) -> dict[str, str]:
        """The class of each id."""
        found: dict[str, str] = {}
        for number, line in read_lines(path, self.encoding):
            if not line.strip():
                continue
            name, _, label = (cell.strip() for cell in line.partition("\t" if "\t" in line else ","))
            if not name or not label:
                raise DataError(
                    f"{path}:{number}: {shortened(line)}, expected an id, a tab or a comma, and its class. Write both, "
                    "or leave the line out."
                )
            if name in found:
                raise DataError(f"{path}:{number}: {shortened(name)} a second time. Leave one of the lines out.")
            found[name] = label
        return found
