"""Stories with questions between their lines, as bAbI writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from recurra.data.codecs.tokens import Tokens
from recurra.data.files import check_encoding, counted, head_lines, nearly_all, read_lines, shortened, some
from recurra.data.sample import Sample
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

_NUMBERED = re.compile(r"([0-9]{1,18}) +(.*\S) *")


@part("reader", "stories")
class StoryReader:
    """One example a question: the `tokens` of its story so far and then its own; the answer is the `label`.

    A line is `NUMBER sentence`, or `NUMBER question<TAB>answer<TAB>supporting lines`, the last of which may be left out
    and is not read. Lines are numbered from 1 in each story; number 1 begins the next. `segments` numbers the sentence
    that each token belongs to, from 0; the question's is the last. Earlier questions are no part of a story.
    `story` counts the stories of a file: questions of one story stay in one part when examples are cut.
    Sentences are split into words and marks; an answer of several words or a list (`apple,milk`) is one label.
    `lower` writes all but the answers in lower case.

    Raises `DataError` for a line without its number, or with another than the next, and for a question that has no
    words, no answer or too many columns.
    Source: Weston et al. 2015, Towards AI-complete question answering: a set of prerequisite toy tasks.
    """

    recipe = "answer"
    fields: ClassVar[Mapping[str, str]] = {"tokens": "tokens", "label": "label"}
    sample: ClassVar[Sample] = Sample({"a": "1 Mary went to é.\n2 Where is Mary?\té\t1\n"}, 1)

    def __init__(self, encoding: str = "utf-8", lower: bool = False) -> None:
        self.encoding = check_encoding(encoding)
        self.lower = lower
        self._words = Tokens(split="words")

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The questions of the files, in the order given."""
        for path in map(Path, paths):
            yield from some(self._questions(path), path, "numbered lines, some of them question<TAB>answer")

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None if its lines are not numbered, or none holds an answer."""
        lines = [line for line in head_lines(Path(path), self.encoding) if line.strip()]
        numbered = [_NUMBERED.match(line) for line in lines]
        if not lines or not lines[0].startswith("1 ") or not nearly_all(bool(match) for match in numbered):
            return None
        questions = sum(line.count("\t") in (1, 2) for line in lines)
        if not questions or questions == len(lines):
            return None
        return f"numbered lines, {counted(questions, 'question')} with an answer in the first {len(lines)}"

    def _questions(self, path: Path) -> Iterator[Example]:
        tokens: list[str] = []
        segments: list[int] = []
        last = sentences = story = 0
        for line_number, line in read_lines(path, self.encoding):
            if not line.strip():
                continue
            place = f"{path}:{line_number}"
            sentence, *columns = line.split("\t")
            number, sentence = _parted(sentence, place)
            if number == 1:
                tokens, segments, sentences, story = [], [], 0, story + 1
            elif number != last + 1:
                expected = f"{last + 1}, or 1 for the next story" if last else "1, with which a story begins"
                raise DataError(f"{place}: line number {number}, expected {expected}. Is a line missing before it?")
            last = number
            words = self._words.tokens(sentence.lower() if self.lower else sentence)
            if columns:
                yield {
                    "tokens": [*tokens, *words],
                    "segments": [*segments, *[sentences] * len(words)],
                    "label": _answer(columns, place),
                    "story": story,
                    "place": place,
                }
            else:
                tokens += words
                segments += [sentences] * len(words)
                sentences += 1


def _parted(text: str, place: str) -> tuple[int, str]:
    """The number of a line and the sentence behind it."""
    match = _NUMBERED.fullmatch(text)
    if match is None:
        raise DataError(
            f"{place}: {shortened(text)}, expected a number and a sentence, like '1 Mary moved to the bathroom.' "
            "Lines are numbered from 1 in each story."
        )
    return int(match[1]), match[2]


def _answer(columns: list[str], place: str) -> str:
    """The answer among what stands behind a question."""
    if len(columns) > 2:
        raise DataError(
            f"{place}: {counted(len(columns) + 1, 'column')}, expected 2 or 3: question, answer, supporting lines. "
            "Is there a tab inside the answer?"
        )
    answer = columns[0].strip()
    if not answer:
        raise DataError(f"{place}: no answer behind the question, expected question<TAB>answer. Write one there.")
    return answer
