"""Scores of captions against those of another scorer, frozen, and against what can be counted by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from recurra.errors import DataError
from recurra.tasks.caption_scores import bleu, caption_scores, caption_words, cider_d, rouge_l

FROZEN = json.loads((Path(__file__).parent / "caption_scores.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", FROZEN["scores"])
def test_scores_are_those_of_the_usual_scorer(name: str) -> None:
    """Frozen by `freeze_caption_scores.py`; that scorer adds 1e-9 to counts, to divide by none."""
    found = caption_scores(FROZEN["references"], FROZEN["captions"])
    assert found.metrics[name] == pytest.approx(FROZEN["scores"][name], rel=1e-8)


def test_marks_and_case_are_no_matter() -> None:
    assert caption_words("A dog's  ball - isn't it? 2 Dogs .") == ["a", "dog's", "ball", "isn't", "it", "2", "dogs"]
    one = caption_scores([["a dog runs"], ["two men sit"]], ["a dog runs", "two men stand"])
    other = caption_scores([["A dog runs ."], ["Two men, sit"]], ["a DOG runs!", "two men stand ."])
    assert one == other


def test_scores_by_hand() -> None:
    truths, said = [[["a", "b", "c", "d", "e"], ["a", "b"]]], [["a", "b", "c"]]
    assert bleu(truths, said) == [1.0, 1.0, 1.0, 0.0]  # the shorter reference is the closest: no penalty
    assert bleu([[["a", "b", "c", "d"]]], [["a", "b"]])[0] == pytest.approx(math.exp(1 - 4 / 2))
    assert rouge_l(truths, said) == pytest.approx((1 + 1.44) * 1 * 1 / (1 + 1.44 * 1))  # 3 of 3 words, "a b" whole
    assert rouge_l([[["a", "c", "b"]]], [["a", "b", "d"]]) == pytest.approx(2 / 3)
    assert cider_d(truths, said) == 0.0  # every n-gram is in all pictures
    same = [[["a", "b", "c", "d"]], [["e", "f", "g", "h"]]]
    assert cider_d(same, [each[0] for each in same]) == pytest.approx(10.0)
    longer = cider_d([[["a", "b"]], [["c", "d"]]], [["a", "b", "x"], ["c", "d"]])
    assert longer < 5.0  # x lengthens the vector, and the caption is a pair too long


def test_nothing_right_scores_nothing() -> None:
    found = caption_scores([["a dog"], ["a cat"]], ["", "."])
    assert {name: value for name, value in found.metrics.items() if value} == {"distinct": 50.0}
    assert "1 references a picture" in found.notes[0]
    assert "1 to 2 references" in caption_scores([["a"], ["b", "c"]], ["a", "b"]).notes[0]


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(DataError, match="1 predictions, expected 2"):
        caption_scores([["a"], ["b"]], ["a"])
    with pytest.raises(DataError, match="no allowed answer"):
        caption_scores([[]], ["a"])
