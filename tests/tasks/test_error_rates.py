"""Error rates against distances by brute force and counts by hand."""

from __future__ import annotations

import random
from functools import cache

import pytest

from recurra.errors import DataError
from recurra.tasks import error_rates
from recurra.tasks.error_rates import edit_distances, exact_scores, pronunciation_scores
from recurra.tasks.lengths import by_length


@cache
def by_brute_force(a: str, b: str) -> int:
    """The cheapest of all ways to turn a into b."""
    if not a or not b:
        return len(a) + len(b)
    if a[0] == b[0]:
        return min(by_brute_force(a[1:], b[1:]), 1 + by_brute_force(a[1:], b), 1 + by_brute_force(a, b[1:]))
    return 1 + min(by_brute_force(a[1:], b[1:]), by_brute_force(a[1:], b), by_brute_force(a, b[1:]))


@pytest.mark.parametrize("at_once", [1, 7, 4096])
def test_distances_are_those_of_brute_force(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(error_rates, "PAIRS", at_once)
    chance = random.Random(0)
    words = ["".join(chance.choices("abc", k=chance.randrange(9))) for _ in range(300)]
    pairs = list(zip(words[:150], words[150:], strict=True))
    assert any(not a for a, _ in pairs) and any(not b for _, b in pairs)
    assert edit_distances(pairs).tolist() == [by_brute_force(a, b) for a, b in pairs]


def test_distances_by_hand() -> None:
    pairs = [("kitten", "sitting"), ("", ""), ("abc", ""), ("", "ab"), ("saturday", "sunday"), ("ab", "ba")]
    assert edit_distances(pairs).tolist() == [3, 0, 3, 2, 3, 2]
    assert edit_distances([(["AH", "B"], ["A", "H", "B"])]).tolist() == [2]
    assert edit_distances([]).tolist() == []


def test_pronunciations() -> None:
    words = ["read", "a", "banana"]
    allowed = [["R IY D", "R EH D"], ["AH", "EY"], ["B AH N AE N AH"]]
    scores = pronunciation_scores(words, allowed, ["R  EH D ", "EY AH", "B AE N AE N"])
    # "a": one phoneme too much beside EY; beside AH the same, and AH is the first. "banana": replaced, lost
    assert scores.metrics == pytest.approx({"word_error_rate": 200 / 3, "phoneme_error_rate": 100 * 3 / (3 + 1 + 6)})
    assert scores.tables["length"]["columns"] == ["characters", "words", "word_error_rate", "phoneme_error_rate"]
    assert scores.tables["length"]["rows"] == [
        ["1–5", 2, pytest.approx(50), pytest.approx(25)],
        ["6–10", 1, pytest.approx(100), pytest.approx(100 * 2 / 6)],
    ]
    assert scores.notes == []


def test_the_nearest_answer_says_how_long_it_is_and_of_equally_near_ones_the_first() -> None:
    for allowed, expected in ((["A B C D", "A B"], 100 / 2), (["A B C", "A"], 100 / 3), (["A", "A B C"], 100 / 1)):
        said = "A X" if len(allowed[0].split()) == 4 else "A B"
        assert pronunciation_scores(["w"], [allowed], [said]).metrics["phoneme_error_rate"] == pytest.approx(expected)


def test_answers_without_spaces_are_counted_by_character() -> None:
    scores = pronunciation_scores(["cat", "dog"], [["kæt"], ["dɒɡ", "dɔɡ"]], ["kæt", "dɔk"])
    assert scores.metrics == pytest.approx({"word_error_rate": 50, "phoneme_error_rate": 100 / 6})
    assert scores.notes == ["The answers hold no white space: their characters are counted as phonemes."]


def test_no_answer_loses_every_phoneme() -> None:
    metrics = pronunciation_scores(["a", "b"], [["A B"], ["C D"]], ["", "C D"]).metrics
    assert metrics == pytest.approx({"word_error_rate": 50, "phoneme_error_rate": 50})


def test_exact_match() -> None:
    allowed = [["in the  kitchen"], ["yes", "no"], ["two"]]
    assert exact_scores(allowed, [" in the kitchen", "no", "three"]).metrics == pytest.approx({"exact_match": 200 / 3})
    assert exact_scores([["a b"]], ["ab"]).metrics == {"exact_match": 0}


def test_groups_of_length() -> None:
    lengths = [5, 6, 0, 1, 50, 51, 46, 400]
    assert by_length(lengths) == [("1–5", [0, 2, 3]), ("6–10", [1]), ("46–50", [4, 6]), ("over 50", [5, 7])]
    assert by_length([]) == []


def test_what_cannot_be_scored() -> None:
    with pytest.raises(DataError, match=r"1 predictions, expected 2: one for each example, in their order"):
        exact_scores([["a"], ["b"]], ["a"])
    with pytest.raises(DataError, match=r"a score over 0 examples means nothing"):
        pronunciation_scores([], [], [])
    with pytest.raises(DataError, match=r"example 2: no allowed answer, expected one or more"):
        exact_scores([["a"], []], ["a", "b"])
    with pytest.raises(DataError, match=r"the allowed answers hold no phoneme. Is the right field read"):
        pronunciation_scores(["a"], [[" "]], ["A"])
