"""The reader that finds out which other one a file is for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from recurra.data.files import check_encoding, read_text
from recurra.data.sample import Sample
from recurra.errors import DataError
from recurra.registry import construct, defaults, part
from recurra.types import Example

ORDER = ("conllu", "fasta", "aligned", "jsonl", "trees", "columns", "labelled-lines", "table")
"""The readers asked, in this order: the surer a reader's sign, the earlier; those with tags before those without."""
PAIRS = ("dictionary", "pairs", "parallel")
"""Those asked for pairs of a source and a target."""
SENTENCES = (*ORDER, "lines")
"""Those asked for sentences, whatever labels they bear; a text that is none of the others is read line by line."""
NUMBERS = ("npz", "idx", "intervals", "ts", "sequences")
"""Those asked for sequences of numbers."""
IMAGES = ("jsonl-images", "line-images", "image-folders")
"""Those asked for pictures."""
CAPTIONED = ("coco-captions", "jsonl-captions", "table-captions")
"""Those asked for pictures with sentences about them."""
SOUNDS = ("kaldi", "librispeech", "sound-jsonl", "ljspeech", "sound-table", "sound-texts", "sound-folders")
"""Those asked for recordings."""
NOTES = ("midi", "abc", "rolls")
"""Those asked for music."""
ASKED = {
    "labels": ORDER,
    "pairs": PAIRS,
    "sentences": SENTENCES,
    "numbers": NUMBERS,
    "images": IMAGES,
    "captions": CAPTIONED,
    "sounds": SOUNDS,
    "notes": NOTES,
}
Gives = Literal["labels", "pairs", "sentences", "numbers", "images", "captions", "sounds", "notes"]
SIGNS = (
    ("source", "pairs"),
    ("vectors", "numbers"),
    ("sound", "sounds"),
    ("image", "images"),
    ("notes", "notes"),
    ("moves", "moves"),
)
"""The field by which data are known, and what they are."""
_ARRAY = re.compile(r"\s*\[\s*\{")


def contents_of(fields: Collection[str]) -> str:
    """What data with such fields are: a key of `ASKED`, "moves", or "labels" where no field says."""
    if "image" in fields and "targets" in fields:
        return "captions"
    return next((contents for sign, contents in SIGNS if sign in fields), "labels")


@part("reader", "auto")
class AutoReader:
    """The first of the readers in `ORDER` that takes the first file read, for that file and all read afterwards; with
    `gives` "pairs" of those in `PAIRS`, with "sentences" of those in `SENTENCES`, with "numbers" of those in `NUMBERS`,
    with "images" of those in `IMAGES`, with "captions" of those in `CAPTIONED`, with "sounds" of those in `SOUNDS`,
    with "notes" of those in `NOTES`.

    `kind` and `reason` are its name and why it was taken, in words; None and "" before. It works with its defaults but
    for the encoding: where that does not do, name it (`reader.kind`) and its settings. A plugin's reader is named, too.

    Raises `DataError` where no reader takes the first file, or only another one a later file.
    """

    fields: Mapping[str, str] = {
        "text": "text",
        "tokens": "tokens",
        "tags": "tags",
        "tree": "tree",
        "node_labels": "node-labels",
        "label": "label",
        "labels": "labels",
        "source": "text",
        "target": "text",
        "targets": "texts",
        "number": "number",
        "scale": "label",
    }
    sample: ClassVar[Sample] = Sample({"a": "EU B-ÓRG\n. O\n"}, 1)

    def __init__(self, encoding: str = "utf-8", gives: Gives = "labels") -> None:
        self.encoding = check_encoding(encoding)
        self.gives = gives
        self._order = ASKED[gives]
        if gives == "numbers":
            self.fields = {"vectors": "vectors", "label": "label", "tags": "tags"}
        if gives == "images":
            self.fields = {"image": "image", "transcript": "text", "label": "label"}
        if gives == "captions":
            self.fields = {"image": "image", "targets": "texts"}
        if gives == "sounds":
            self.fields = {"sound": "sound", "transcript": "text", "label": "label"}
        if gives == "notes":
            self.fields = {"notes": "notes", "text": "text"}
        self.kind: str | None = None
        self.reason = ""
        self._reader: Any = None
        self._first = Path()

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The examples of the files, in the order given."""
        self.choose(*paths)
        if paths:
            yield from self._reader.read(*paths)

    def choose(self, *paths: str | Path) -> None:
        """Find out the format of files, without reading more of them than their beginning. Raises as `read`."""
        if paths and self._reader is None:
            self._choose(Path(paths[0]))
        for path in map(Path, paths):
            self._check(path)

    def sniff(self, path: str | Path) -> str | None:
        """Which reader takes the file, and why; None if none does."""
        for kind in self._order:
            why = construct("reader", self._settings(kind)).sniff(path)
            if why:
                return f"{kind}: {why}"
        return None

    @property
    def chosen(self) -> dict[str, Any] | None:
        """The settings of the reader that was taken; None before."""
        return None if self.kind is None else self._settings(self.kind)

    def _settings(self, kind: str) -> dict[str, Any]:
        """Those of a reader: its kind, the encoding where it reads text, the form of Unicode where it makes one."""
        known = defaults("reader", kind)
        encoding = {"encoding": self.encoding} if "encoding" in known else {}
        return {"kind": kind, **encoding, **({"unicode": known["unicode"]} if "unicode" in known else {})}

    def _check(self, path: Path) -> None:
        """Raise `DataError` for a file that looks like another reader's, and not like that of the one chosen."""
        if path == self._first or self._reader.sniff(path):
            return
        other = self.sniff(path)
        if other is not None:
            kind, _, why = other.partition(": ")
            raise DataError(
                f"{path}: {why} ({kind}), expected {self.kind} as {self._first} is. Name files of one format, or the "
                f"format of both: --set reader.kind={self.kind}"
            )

    def _choose(self, path: Path) -> None:
        found = self.sniff(path)
        if found is None:
            raise self._unknown(path)
        kind, _, why = found.partition(": ")
        self.kind = kind
        self.reason, self._first = f"{path} read as {kind}: {why}", path
        self._reader = construct("reader", self._settings(kind))

    def _unknown(self, path: Path) -> DataError:
        """What is said of a file that no reader takes."""
        if path.is_dir():
            folders = {
                "pairs": "files of pairs",
                "numbers": "recordings (.npz) and a table of intervals (.csv) in it",
                "images": "pictures with their texts (name.png, name.gt.txt) in it, or a folder of them for each class",
                "captions": "a file of captions that names pictures, one a line (.jsonl, .csv) or as of COCO (.json)",
                "sounds": "recordings, and a table, texts, or a folder for each class",
                "notes": "files of music (.mid)",
            }
            expected = folders.get(self.gives, "seq.in and seq.out in it")
            return DataError(
                f"{path}: no reader knows this folder by its look, expected {expected}. "
                f"Name the files in it: {path / '*'}"
            )
        if self.gives == "images":
            return DataError(
                f"{path}: no reader knows this file by its look, tried {', '.join(IMAGES)}. Name a folder of pictures "
                "with their texts, or a file of JSON lines that name pictures."
            )
        if self.gives == "captions":
            return DataError(
                f"{path}: no reader knows this file by its look, tried {', '.join(CAPTIONED)}. Name a file of captions "
                "that names pictures: JSON lines, a table, or JSON as of COCO; an archive of them goes behind it."
            )
        if self.gives == "numbers":
            return DataError(
                f"{path}: no reader knows this file by its look, tried {', '.join(NUMBERS)}. Name its format and how "
                "it is read: --set reader.kind=sequences (a table with a row for each step), or another of them."
            )
        if self.gives == "sounds":
            return DataError(
                f"{path}: no reader knows this file by its look, tried {', '.join(SOUNDS)}. Name a folder of "
                "recordings, or a table that names them and how it is read: --set reader.kind=sound-table --set "
                "reader.file=COLUMN"
            )
        text = read_text(path, self.encoding)  # says what is wrong with a file that is no text at all
        if not text.strip():
            expected = "labelled examples" if self.gives == "labels" else self.gives
            return DataError(f"{path}: nothing but blank lines, expected {expected}. Name another file.")
        if _ARRAY.match(text):
            return DataError(
                f"{path}: one JSON array, expected a JSON object in each line. Write its objects so: jq -c '.[]' "
                f"{path.name} > {path.stem}.jsonl"
            )
        if self.gives == "pairs":
            return DataError(
                f"{path}: no reader knows this file by its look, tried {', '.join(PAIRS)}. Name its format: --set "
                "reader.kind=pairs (source and target parted by a tab), dictionary (a word, a space and its sounds), "
                "or another of them."
            )
        likely = "columns" if "\n\n" in text.strip() else "table"
        return DataError(
            f"{path}: no reader knows this file by its look, tried {', '.join(ORDER)}. Name its format: --set "
            f"reader.kind={likely}, or one of the others. Text without tags or labels is for other recipes: "
            "recurra train char-lm …"
        )
