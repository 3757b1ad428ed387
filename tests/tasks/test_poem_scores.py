"""Form, rhyme and tones of poems, counted by hand."""

from __future__ import annotations

import pytest

from recurra.data.readers.poems import verses
from recurra.errors import DataError
from recurra.tasks.poem_scores import poem_scores, rhymes, tone_rules

REAL = "山雨落秋江，石風起古光。客春尋夜月，燈雪望天霜。"
"""Even lines end in guang and shuang."""


def test_rules_of_tones() -> None:
    def kept(*lines: str) -> list[bool]:
        return list(tone_rules(lines))

    # character 2 and 4 of each line; then character 2 of both: opposite within a couplet, alike between two
    assert kept("山雨山秋山", "山風山古山") == [True, True, True]
    assert kept("山雨山古山", "山雨山秋山") == [False, True, False]
    assert kept("山雨山秋山", "山風山古山", "山風山古山", "山雨山秋山") == [True] * 4 + [True, True, True]
    assert kept("山雨山秋山", "山風山古山", "山雨山秋山", "山風山古山")[4:] == [True, False, True]
    assert kept("山雨山秋山古山") == [True, True]
    assert kept("山x山秋山", "山風山古山") == [True]  # what is not known is not counted


def test_rhymes_are_of_even_lines() -> None:
    assert rhymes([line[:-1] for line in verses(REAL)])
    assert not rhymes([line[:-1] for line in verses(REAL.replace("霜", "風"))])
    assert not rhymes(["山", "x", "山", "x"])


def test_shares_and_ratios() -> None:
    other = REAL.replace("霜", "風")
    asked = ["5x4 夜"] * 4
    scores = poem_scores(asked, [[REAL], [REAL], [REAL], [other]], [REAL, other, REAL + "山", REAL[:12]])
    assert scores.metrics["form"] == 50 and scores.metrics["rhyme"] == 25
    assert scores.metrics["rhyme_ratio"] == pytest.approx(25 / 75)
    rules = list(tone_rules([line[:-1] for line in verses(REAL)]))
    assert scores.metrics["tones"] == pytest.approx(100 * sum(rules) / len(rules))
    assert scores.metrics["tones_ratio"] == pytest.approx(1.0)
    table = scores.tables["form"]
    assert table["columns"][:4] == ["form", "poems", "form_right", "rhyme"]
    assert table["rows"] == [["5x4", 4, 50.0, 25.0, 75.0, scores.metrics["tones"], scores.metrics["tones"]]]
    assert any("thirteen rhyme groups" in note for note in scores.notes)


def test_real_poems_are_their_own_measure_and_forms_are_kept_apart() -> None:
    long = "".join(line[:1] * 2 + line for line in verses(REAL))
    scores = poem_scores(["7x4 夜", "5x4 夜"], [[long], [REAL]], [long, REAL])
    assert scores.metrics["rhyme_ratio"] == scores.metrics["tones_ratio"] == 1
    assert [row[0] for row in scores.tables["form"]["rows"]] == ["5x4", "7x4"]


def test_without_any_poem_in_its_form_there_is_no_tone() -> None:
    scores = poem_scores(["7x4 夜"], [[REAL]], [REAL])
    assert scores.metrics == {"form": 0.0, "rhyme": 0.0, "tones": 0.0}  # and no ratio to nothing


def test_what_cannot_be_scored() -> None:
    with pytest.raises(DataError, match=r"^0 predictions, expected 1"):
        poem_scores(["5x4 夜"], [[REAL]], [])
    with pytest.raises(DataError, match=r"^'夜' begins with no form"):
        poem_scores(["夜"], [[REAL]], [REAL])
