"""Words and marks as a text again."""

from __future__ import annotations

import pytest

from recurra.data.codecs.tokens import Tokens
from recurra.data.join import join_words


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Two young, White males are outside near many bushes.",
        "It's a well-known T-shirt (red/blue); isn't it?",
        'He said "yes" and "no", then left!',
        "Er sagt „ja“ und „nein“.",
        "Costs $3.50 or 20% more: 10:30!",
        "你好，我们3星。「好」？",
        "私は、猫です。",
        "«Ça va?»",
        "안녕 세상 naïve",
        "[a] {b} “c” d’e",
    ],
)
def test_ordinary_text_comes_back_as_it_was(text: str) -> None:
    assert join_words(Tokens().tokens(text)) == text


def test_marks_without_partners() -> None:
    assert join_words(['"', "a", "b"]) == '"a b'
    assert join_words([".", "a", ")", "("]) == ". a) ("
    assert join_words(["<unk>", "a", "<unk>"]) == "<unk> a <unk>"
    assert join_words(["“", "a", "”"]) == "“a”"
