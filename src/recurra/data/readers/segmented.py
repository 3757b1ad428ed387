"""Texts whose words are parted by blanks, to be learned as tags of characters: where does a word begin and end?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from recurra.data.files import blank_split, check_encoding, read_lines, some
from recurra.data.sample import Sample
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example


@part("reader", "segmented")
class SegmentedReader:
    """One example a line: the characters of its words as `tokens`, their place in the word (B, M, E, S) as `tags`.

    Words are parted by spaces and tabs; blank lines are left out. Raises `DataError` as every reader of text does, and
    for a file in which no line holds two words.
    Source: Xue 2003, Chinese word segmentation as character tagging.
    """

    recipe = "segment"
    fields: ClassVar[Mapping[str, str]] = {"tokens": "tokens", "tags": "tags"}
    sample: ClassVar[Sample] = Sample({"a": "我们 走 吧\n好\n"}, 2, sniffed=False)

    def __init__(self, encoding: str = "utf-8") -> None:
        self.encoding = check_encoding(encoding)

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The lines of the files, in the order given."""
        for path in map(Path, paths):
            yield from some(self._lines(path), path, "lines of words parted by blanks")

    def sniff(self, path: str | Path) -> str | None:
        """None: any text has words and blanks, so this reader is taken only where it is named."""
        return None

    def _lines(self, path: Path) -> Iterator[Example]:
        longest = 0
        for number, line in read_lines(path, self.encoding):
            words = blank_split(line)
            longest = max(longest, len(words))
            if words:
                yield {**characters(words), "place": f"{path}:{number}"}
        if longest == 1:
            raise DataError(
                f"{path}: each line is one word, expected words parted by spaces or tabs. Write a space after each "
                "word; other blanks, such as U+3000, are read as characters."
            )


def characters(words: Sequence[str]) -> Example:
    """The characters of words as `tokens`, and as `tags` where they are in their word: B M E, S for a word of one."""
    tags = [tag for word in words for tag in ("S" if len(word) == 1 else f"B{'M' * (len(word) - 2)}E")]
    return {"tokens": list("".join(words)), "tags": tags}
