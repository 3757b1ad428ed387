"""Words, their tags and a label in files of their own, line by line (seq.in, seq.out, label)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from recurra.data.files import blank_split, check_encoding, counted, read_lines
from recurra.data.sample import Sample
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

WORDS, TAGS, LABELS = "seq.in", "seq.out", "label"


@part("reader", "aligned")
class AlignedReader:
    """One example a line of a folder's `seq.in`: its `tokens`, the `tags` in the same line of `seq.out`, the `label` in
    the same line of `label` where that file is there, and its `place`.

    Each file may be in gzip and end in `.gz`. A folder is named itself or by its `seq.in`. A blank line in both
    `seq.in` and `seq.out` is a sentence without words.

    Raises `DataError` for a file that is missing, files of different lengths, and a line with more or fewer tags than
    words.
    """

    recipe = "tagger"
    fields: ClassVar[Mapping[str, str]] = {"tokens": "tokens", "tags": "tags", "label": "label"}
    sample: ClassVar[Sample] = Sample(
        {"seq.in": "to Óbidos\nhi\n", "seq.out": "O B-to\nO\n", "label": "fly\ngreet\n"}, 2, folder=True
    )

    def __init__(self, encoding: str = "utf-8") -> None:
        self.encoding = check_encoding(encoding)

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The sentences of the folders, in the order given."""
        for path in map(Path, paths):
            yield from self._sentences(_folder(path))

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the folder; None if there is no seq.in and seq.out in it."""
        path = Path(path)
        if path.is_file() and path.name not in (WORDS, f"{WORDS}.gz"):
            return None
        folder = _folder(path)
        return f"a folder with {WORDS} and {TAGS}" if _find(folder, WORDS) and _find(folder, TAGS) else None

    def _sentences(self, folder: Path) -> Iterator[Example]:
        if not folder.is_dir():
            raise DataError(f"{folder}: no folder, expected one with {WORDS}, {TAGS} and label. Name another one.")
        words, tags, labels = _needed(folder, WORDS), _needed(folder, TAGS), _find(folder, LABELS)
        rows = self._lines(words)
        tag_rows = self._lines(tags)
        label_rows = self._lines(labels) if labels else None
        _check_length(tags, len(tag_rows), words, len(rows))
        if labels and label_rows is not None:
            _check_length(labels, len(label_rows), words, len(rows))
        for k, (row, tag_row) in enumerate(zip(rows, tag_rows, strict=True)):
            example = {"tokens": blank_split(row), "tags": blank_split(tag_row)}
            if len(example["tokens"]) != len(example["tags"]):
                raise DataError(
                    f"{tags}:{k + 1}: {counted(len(example['tags']), 'tag')}, expected "
                    f"{len(example['tokens'])}, one for each word in {words}:{k + 1}. Mend this line in one of the two."
                )
            place = {"place": f"{words}:{k + 1}"}
            if label_rows is None:
                yield example | place
                continue
            label = label_rows[k].strip()
            if not label:
                raise DataError(f"{labels}:{k + 1}: no label, expected that of {words}:{k + 1}. Write one there.")
            yield {**example, "label": label, **place}

    def _lines(self, path: Path) -> list[str]:
        return [line for _, line in read_lines(path, self.encoding)]


def _folder(path: Path) -> Path:
    return path.parent if path.name in (WORDS, f"{WORDS}.gz") and not path.is_dir() else path


def _find(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _needed(folder: Path, name: str) -> Path:
    path = _find(folder, name)
    if path is None:
        found = sorted(p.name for p in folder.iterdir())
        raise DataError(
            f"{folder}: no {name} or {name}.gz in this folder, found {', '.join(found[:6]) or 'nothing'}. "
            f"Put it there, or name another folder: --set reader.kind=aligned reads {WORDS}, {TAGS} and label."
        )
    return path


def _check_length(path: Path, length: int, words: Path, expected: int) -> None:
    if length != expected:
        where, what = (length, "the file ends after") if length < expected else (expected + 1, "a line too many after")
        raise DataError(
            f"{path}:{where}: {what} {counted(min(length, expected), 'line')}, expected {expected:,} as in {words}. "
            "Line k of each file belongs to the same sentence: copy them again."
        )
