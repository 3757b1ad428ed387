"""The longest run a text has in common with others, against looking for every piece of it."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from recurra.tasks.copied import longest_copies

TEXTS = st.lists(st.text("ab𠀀", max_size=9), max_size=6)


def plainly(text: str, train: list[str]) -> int:
    pieces = {text[i:k] for i in range(len(text)) for k in range(i + 1, len(text) + 1)}
    return max((len(piece) for piece in pieces if any(piece in other for other in train)), default=0)


@given(TEXTS, TEXTS)
def test_as_looking_for_every_piece(texts: list[str], train: list[str]) -> None:
    assert longest_copies(texts, train).tolist() == [plainly(text, train) for text in texts]


def test_runs_do_not_go_on_from_one_text_to_the_next() -> None:
    assert longest_copies(["abcd", "", "dabc"], ["ab", "cd", "xdab"]).tolist() == [2, 0, 3]


def test_long_runs_of_many_characters() -> None:
    draw = random.Random(0)
    letters = [chr(code) for code in range(0x20000, 0x26000)]
    train = ["".join(draw.choices(letters, k=60)) for _ in range(300)]
    texts = [train[7], train[3][10:40] + train[4][:20], "".join(draw.choices(letters, k=40))]
    assert longest_copies(texts, train).tolist() == [plainly(text, train) for text in texts]
