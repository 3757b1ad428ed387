"""Lines in pieces: nothing is lost, words stay whole, and what is held does not grow with a line."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from recurra import workflow
from recurra.cli.piped import Piece, between_words, pieces
from recurra.data.codecs.characters import Character
from recurra.data.codecs.word import Word

from .test_stream import answered, piped

TEXT = "to <br /> be or  not\nto\n\nbe ... that is, <br/> the\tquestion 3.141 don't / > so"


def parted(text: str, size: int) -> Iterator[str]:
    return (text[first : first + size] for first in range(0, len(text), size))


def test_lines_that_are_waited_for_come_whole() -> None:
    for size in (1, 3, 100):
        found = list(pieces(parted("to be\n\nor", size)))
        assert found == [Piece(1, "to be", True, True), Piece(2, "", True, True), Piece(3, "or", False, True)]
    assert list(pieces(iter(["", ""]))) == []


def test_characters_are_passed_on_as_they_come_and_the_end_is_told() -> None:
    found = list(pieces(iter(["to", " b", "e\no", ""]), len, 1))
    assert found == [
        Piece(1, "to", False, False),
        Piece(1, " b", False, False),
        Piece(1, "e", True, True),
        Piece(2, "o", False, False),
        Piece(2, "", False, True),
    ]
    assert [piece.text for piece in pieces(iter("abcdefg"), len, 3)] == ["abc", "def", "g"]


@pytest.mark.parametrize("split", ["space", "words"])
@pytest.mark.parametrize("size", [1, 2, 5, 100])
@pytest.mark.parametrize("least", [1, 4, 30])
def test_words_are_never_cut_in_two(split: str, size: int, least: int) -> None:
    words = Word(split=split).fit([TEXT])  # type: ignore[arg-type]
    found = list(pieces(parted(TEXT, size), between_words, least))
    assert "".join(piece.text + "\n" * piece.ended for piece in found) == TEXT
    ids = [number for piece in found for number in words.encode(piece.text + "\n" * piece.ended).tolist()]
    assert ids == words.encode(TEXT).tolist()
    assert len(found) > 4 or least == 30 or size == 100


def test_what_waits_is_no_longer_than_a_piece_and_a_word() -> None:
    found = list(pieces(parted("word " * 1000, 7), between_words, 20))
    assert max(len(piece.text) for piece in found) < 40


class Reader:
    """A session that reads nothing; of a run that it is opened from."""

    continues = of_text = True
    of_files = False
    config: ClassVar[dict[str, Any]] = {"reader": {}}
    model = SimpleNamespace(codecs={"input": Character()})

    def session(self, step: str) -> Reader:
        return self

    def fork(self) -> Reader:
        return self

    def feed(self, text: str, top: int) -> list[dict[str, Any]]:
        assert top == 0  # only the last symbol's are shown
        return [{"symbol": symbol, "log_p": -0.5, "next": []} for symbol in text]

    def likeliest(self, top: int) -> list[dict[str, Any]]:
        return [{"symbol": "a", "p": 1.0}][:top]


def test_memory_does_not_grow_with_a_line(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(workflow, "load", lambda *_: Reader())
    peaks = []
    for chunks in (2, 3, 300):
        piped(monkeypatch, *["abcd" * 1024] * chunks, "\n")
        tracemalloc.start()
        (row,) = answered(capsys, "run")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert row["symbols"] == chunks * 4096 + 1 and row["text"] == "abcd" * 1024 + "…"
        assert row["bits_per_symbol"] == pytest.approx(0.5 / math.log(2))
    assert peaks[2] < 1.1 * peaks[1]
