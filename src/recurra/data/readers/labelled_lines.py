"""A class and a text in each line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

from recurra.data.files import blank_split, check_encoding, head_lines, nearly_all, read_lines, shortened, some
from recurra.data.sample import Sample
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

FASTTEXT = "__label__"
_QUESTION = re.compile(r"[A-Z_]+:\w+ ")
"""`COARSE:fine question …` of TREC (Li and Roth 2002)."""


@part("reader", "labelled-lines")
class LabelledLinesReader:
    """One example a line: the `label` at its begin, the `text` after it, and its `place`. Blank lines are left out.

    `separator`: what stands between the two; "auto": a tab if the first line holds one, else spaces. A label's
    `__label__` (fastText) is left out, and with `multi_label` all of a line's words that begin so are its `labels`.
    `level` "coarse" takes of a label `COARSE:fine` (TREC) what comes before the colon.

    Raises `DataError` for a line without the separator, without a label, with several, or without a colon where the
    coarse one is wanted.
    """

    recipe = "classifier"
    fields: ClassVar[Mapping[str, str]] = {"text": "text", "label": "label", "labels": "labels"}
    sample: ClassVar[Sample] = Sample({"a": "x\té\nx\tb\n"}, 2)

    def __init__(
        self,
        encoding: str = "utf-8",
        separator: Literal["auto", "tab", "space"] = "auto",
        level: Literal["whole", "coarse"] = "whole",
        multi_label: bool = False,
    ) -> None:
        self.encoding = check_encoding(encoding)
        self.separator = separator
        self.level = level
        self.multi_label = multi_label

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The lines of the files, in the order given."""
        for path in map(Path, paths):
            yield from some(self._examples(path), path, "lines of a class and a text")

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None if it cannot be told that its lines begin with classes."""
        lines = [line for line in head_lines(Path(path), self.encoding) if line.strip()]
        if not lines:
            return None
        if nearly_all(line.startswith(FASTTEXT) for line in lines):
            return f"lines that begin with {FASTTEXT}"
        if nearly_all(bool(_QUESTION.match(line)) for line in lines):
            return "lines that begin with COARSE:fine"
        labels = [line.split("\t")[0] for line in lines if "\t" in line]
        if (
            not nearly_all("\t" in line for line in lines)
            or len(set(labels)) > len(labels) / 2
            or labels.count(labels[0]) == 1
        ):
            return None  # where the first comes once, it is a header
        return f"lines of a class, a tab and a text; {len(set(labels))} classes in the first {len(lines)}"

    def _examples(self, path: Path) -> Iterator[Example]:
        tab = self.separator == "tab" if self.separator != "auto" else None
        for number, line in read_lines(path, self.encoding):
            if not line.strip():
                continue
            place = f"{path}:{number}"
            if tab is None:
                tab = "\t" in line
            if line.startswith(FASTTEXT):
                yield self._prefixed(line, place)
                continue
            label, parted, text = line.partition("\t") if tab else line.replace("\t", " ").partition(" ")
            if not parted:
                raise DataError(
                    f"{place}: no {'tab' if tab else 'space'} in {shortened(line)}, expected LABEL"
                    f"{'<TAB>' if tab else ' '}text. Is the label or the text missing? What parts them is told by the "
                    "first line, or by --set reader.kind=labelled-lines --set reader.separator=tab (or space)"
                )
            labels = [self._label(label.strip(" "), place)]
            yield {"text": text if tab else text.strip(" "), **self._named(labels, place), "place": place}

    def _prefixed(self, line: str, place: str) -> Example:
        """A line of fastText: labels, then words."""
        words = blank_split(line)
        count = next((k for k, word in enumerate(words) if not word.startswith(FASTTEXT)), len(words))
        labels = [self._label(word.removeprefix(FASTTEXT), place) for word in words[:count]]
        rest = line.replace("\t", " ").split(words[count - 1], 1)[1] if count == 1 else " ".join(words[count:])
        return {"text": rest.strip(" "), **self._named(labels, place), "place": place}

    def _label(self, label: str, place: str) -> str:
        if not label:
            raise DataError(f"{place}: no label at the line's begin. Write one there, or leave the line out.")
        if self.level == "whole":
            return label
        coarse, colon, _ = label.partition(":")
        if not coarse or not colon:
            raise DataError(
                f"{place}: label {shortened(label)}, expected COARSE:fine. For labels as they are: "
                "--set reader.level=whole"
            )
        return coarse

    def _named(self, labels: list[str], place: str) -> dict[str, str | list[str]]:
        if self.multi_label:
            return {"labels": list(dict.fromkeys(labels))}
        if len(labels) > 1:
            raise DataError(
                f"{place}: {len(labels)} labels ({', '.join(labels[:6])}), expected one. To take them all: "
                "--set reader.kind=labelled-lines --set reader.multi_label=true"
            )
        return {"label": labels[0]}
