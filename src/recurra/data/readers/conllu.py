"""CoNLL-U, the format of the Universal Dependencies (https://universaldependencies.org/format.html)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from sys import intern
from typing import Any, ClassVar, Literal

from recurra.data.files import check_encoding, counted, head_lines, nearly_all, read_lines, shortened, some
from recurra.data.readers.segmented import characters
from recurra.data.sample import Sample
from recurra.data.trees import numbered
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Example

_COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
Lines = Sequence[tuple[int, str]]
NOTHING = "_"
_LABEL = re.compile(r"#\s*label\s*=(.+)")
_NO_WORD = re.compile(r"\d+-\d+|\d+\.\d+")
"""The number of a range of words (`1-2`, "don't") or of an empty node (`8.1`)."""


@part("reader", "conllu")
class ConlluReader:
    """One example a sentence: the forms of its words as `tokens`, one of their columns as `tags`, and its `place`.

    Ranges of words (`1-2`) and empty nodes (`8.1`) are left out, comments too. With `tag = "segments"` the tokens are
    characters, and their tags say where in its word each is (see `recurra.data.readers.segmented`).

    `empty` says what `_`, the format's mark for a value that is not given, is in the column of tags: "refuse", or a
    "tag" like any other. Of `feats` it is one, for a word without any.

    With `nodes` an example has its dependency tree, too: "tree", the number of its words, then the number of the word
    above each, -1 for the root; and "node_labels": the tags, or, where a comment says `# label = …`, that at the root
    and None at the others, with "label" beside them.

    Raises `DataError` where a line has not ten columns parted by tabs, where its words are not numbered 1, 2, 3, …, and
    for words without a tag, with their count.
    """

    recipe = "tagger"
    fields: ClassVar[Mapping[str, str]] = {
        "tokens": "tokens",
        "tags": "tags",
        "tree": "tree",
        "node_labels": "node-labels",
    }
    sample: ClassVar[Sample] = Sample({"a": "# text = é\n1\té\té\tDT\tDT\t_\t0\troot\t_\t_\n"}, 1)

    def __init__(
        self,
        encoding: str = "utf-8",
        tag: Literal["upos", "xpos", "deprel", "lemma", "feats", "segments"] = "upos",
        empty: Literal["refuse", "tag"] = "refuse",
        nodes: bool = False,
    ) -> None:
        if nodes and tag == "segments":
            raise ConfigError(
                "reader.nodes wants words, but reader.tag = 'segments' reads characters. Set another tag."
            )
        self.nodes = nodes
        self.encoding = check_encoding(encoding)
        self.tag = tag
        self.empty = empty

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The sentences of the files, in the order given."""
        for path in map(Path, paths):
            lines = list(read_lines(path, self.encoding))
            sentences = list(self._sentences(path, lines))
            self._check_filled(path, lines)
            for example in some(sentences, path, "lines of ten columns (CoNLL-U)"):
                yield {**example, **characters(example["tokens"])} if self.tag == "segments" else example

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None if it is no CoNLL-U."""
        lines = [line for line in head_lines(Path(path), self.encoding) if line and not line.startswith("#")]
        rows = [line.split("\t") for line in lines]
        if not nearly_all(len(row) == len(_COLUMNS) and row[0][:1].isdigit() for row in rows):
            return None
        return "numbered words in ten columns (CoNLL-U)"

    def _check_filled(self, path: Path, lines: Lines) -> None:
        """Raise `DataError` for a file with words that have no tag, where `_` is none."""
        if self.empty == "tag" or self.tag in ("feats", "segments"):
            return
        column = _COLUMNS.index(self.tag)
        words, lacking = 0, list[int]()
        for number, line in lines:
            cells = line.split("\t")
            if len(cells) == len(_COLUMNS) and not line.startswith("#") and not _NO_WORD.fullmatch(cells[0]):
                words += 1
                if cells[column] == NOTHING and not (self.tag == "lemma" and cells[1] == NOTHING):
                    lacking.append(number)
        if lacking:
            raise DataError(
                f"{path}:{lacking[0]}: {len(lacking):,} of {counted(words, 'word')} have no {self.tag} ('_'), this one "
                "is the first. Name another column: --set reader.kind=conllu --set reader.tag=…; to learn '_' as a tag "
                f"too: --set reader.tag={self.tag} --set reader.empty=tag"
            )

    def _sentences(self, path: Path, lines: Lines) -> Iterator[Example]:
        column = _COLUMNS.index("form" if self.tag == "segments" else self.tag)
        tokens: list[str] = []
        tags: list[str] = []
        heads: list[int] = []
        label: str | None = None
        begin = 0
        for number, line in lines:
            if not line.strip():
                if tokens:
                    yield self._example(tokens, tags, heads, label, f"{path}:{begin}")
                    tokens, tags, heads, label = [], [], [], None
                continue
            if line.startswith("#"):
                if self.nodes and (match := _LABEL.match(line)):
                    label = match[1].strip()
                continue
            cells = line.split("\t")
            if len(cells) != len(_COLUMNS):
                raise DataError(
                    f"{path}:{number}: {counted(len(cells), 'column')} parted by tabs, expected {len(_COLUMNS)} "
                    f"({', '.join(_COLUMNS)}): {shortened(line)}. For other columns: --set reader.kind=columns"
                )
            if _NO_WORD.fullmatch(cells[0]):
                continue
            if cells[0] != str(len(tokens) + 1):
                raise DataError(
                    f"{path}:{number}: word number {shortened(cells[0])}, expected {len(tokens) + 1}. "
                    "Is a word missing, or the blank line between two sentences?"
                )
            if not tokens:
                begin = number
            tokens.append(intern(cells[1]))
            tags.append(intern(cells[column]))
            if self.nodes:
                if not cells[6].isdecimal():
                    raise DataError(
                        f"{path}:{number}: the head {shortened(cells[6])}, expected the number of a word, or 0 for the "
                        "root. Without heads there is no tree: --set reader.nodes=false"
                    )
                heads.append(int(cells[6]) - 1)
        if tokens:
            yield self._example(tokens, tags, heads, label, f"{path}:{begin}")

    def _example(
        self, tokens: list[str], tags: list[str], heads: list[int], label: str | None, place: str
    ) -> dict[str, Any]:
        """One sentence."""
        example: dict[str, Any] = {"tokens": tokens, "tags": tags, "place": place}
        if not self.nodes:
            return example
        try:
            numbered(heads, len(tokens))
        except DataError as error:
            raise DataError(f"{place}: {error}") from error
        labels: list[str | None] = list(tags)
        if label is not None:
            labels = [label if head < 0 else None for head in heads]
            example["label"] = label
        return example | {"tree": [len(tokens), *heads], "node_labels": labels}
