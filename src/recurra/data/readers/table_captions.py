"""A table of pictures' names and sentences about them, a row each."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from recurra.data.captioned import FIELDS, captioned, check_longest, checked_captions, inside
from recurra.data.files import check_encoding, head_lines, read_text, shortened, some
from recurra.data.named_pictures import IMAGES, with_archives
from recurra.data.pictures import PICTURE_ENDINGS
from recurra.data.sample import Sample, zipped
from recurra.data.transcripts import Form
from recurra.data.zipped import Zipped
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

COLUMNS = ("caption", "captions", "comment", "text", "sentence")
"""What the column of the captions is called in a header."""
_NUMBERED = re.compile(r"#\d+$")
"""Behind a picture's name: which of its captions it is."""


def _sample() -> dict[str, str | bytes]:
    rows = 'image,caption\na.png,"a café, a wall"\na.png,a wall\nb.png,a tree\n'
    return {"a.csv": rows.encode(), "a.zip": zipped("a.png", "b.png")}


@part("reader", "table-captions")
class TableCaptionsReader:
    """An example for each picture that a table names: the `image`, in colour, its captions as `targets`, its name as
    `id`, and the `place` where it is named first.

    A row is the name of a picture and one caption, parted by a tab, a comma or a bar: `a.jpg,A dog runs.`; a caption
    that holds a comma stands in `"`. Rows of one picture need not follow each other; `#0`, `#1` … behind a name say
    which of its captions it is, and are left out. A first row whose names are `IMAGES` and `COLUMNS` is a header.
    Pictures lie beside the table, or in `folder` from there on; or in a zip archive, which is named behind the table.
    `unicode` is the form that captions are put into. A picture whose longer side has more than `longest` pixels is made
    smaller.

    Raises `DataError` for a row of more or fewer cells than two, a caption without a word, and for pictures that are
    missing or none.
    """

    recipe = "caption"
    fields: ClassVar[Mapping[str, str]] = FIELDS
    sample: ClassVar[Sample] = Sample(_sample(), 2)

    def __init__(self, encoding: str = "utf-8", folder: str = "", unicode: Form = "NFC", longest: int = 256) -> None:
        self.encoding = check_encoding(encoding)
        self.folder, self.unicode, self.longest = folder, unicode, check_longest(longest)

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The pictures of the files, in the order given."""
        for path, held in with_archives(paths, "table"):
            yield from some(self._examples(path, held), path, "rows of a picture and its caption")

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None if its first rows name no picture."""
        lines = [line for line in head_lines(Path(path), self.encoding) if line.strip()][:2]
        if not lines:
            return None
        mark = _mark(lines[0])
        named = any(_name(line.split(mark)[0]).lower().endswith(PICTURE_ENDINGS) for line in lines if mark in line)
        return "a table of pictures and captions" if named else None

    def _examples(self, path: Path, held: Zipped | None) -> Iterator[Example]:
        found: dict[str, tuple[str, list[str]]] = {}
        for place, name, caption in self._rows(path):
            found.setdefault(name, (place, []))[1].extend(checked_captions([caption], self.unicode, place))
        for name, (place, captions) in found.items():
            own, folder = inside(self.folder, name, path, held)
            yield captioned(own, captions, folder, held, self.longest, place)

    def _rows(self, path: Path) -> Iterator[tuple[str, str, str]]:
        """The place, the picture and the caption of each row."""
        text = read_text(path, self.encoding)
        text = text if "\n" in text else text.replace("\r", "\n")
        mark = _mark(next((line for line in text.split("\n") if line.strip()), ""))
        lines = io.StringIO(text, newline="")
        if mark == "\t":  # which stands in no caption, so that a '"' is a sign like others
            rows = csv.reader(lines, delimiter=mark, quoting=csv.QUOTE_NONE, strict=True)
        else:
            rows = csv.reader(lines, delimiter=mark, strict=True)
        begin = 0
        while True:
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                raise DataError(
                    f'{path}:{begin + 1}: no row of a table ({error}). Write a \'"\' inside a caption as "".'
                ) from error
            place, heads, begin = f"{path}:{begin + 1}", begin == 0, rows.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != 2:
                raise DataError(
                    f"{place}: {len(cells)} cells in {shortened(mark.join(cells))}, expected 2: the name of a picture "
                    'and a caption. Put a caption with a comma into "…".'
                )
            name, caption = (cell.strip() for cell in cells)
            if not (heads and name.lower() in IMAGES and caption.lower() in COLUMNS):
                if not _name(name):
                    raise DataError(f"{place}: no name of a picture before the caption. Write it, or leave it out.")
                yield place, _name(name), caption


def _mark(line: str) -> str:
    """What parts the cells of a table that begins so."""
    return next((mark for mark in ("\t", "|", ",") if mark in line), ",")


def _name(cell: str) -> str:
    return _NUMBERED.sub("", cell.strip())
