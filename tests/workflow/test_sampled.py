"""What is scored on where a budget does not pay for all, and what that costs is found out by scoring a little."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from recurra.errors import DataError
from recurra.types import Example
from recurra.workflow.sampled import FEWEST, FEWEST_STEPS, Sample, forecast, score_affordable

EXAMPLES = [{"text": f"line {k}", "label": str(k % 2), "place": f"a:{k}"} for k in range(2_000)]


class Scorer:
    """Takes so many seconds an example, by a clock of its own."""

    def __init__(self, each: float, first: float = 0.0) -> None:
        self.each, self.first, self.now = each, first, 0.0
        self.asked: list[int] = []

    def __call__(self, examples: Sequence[Example]) -> dict[str, Any]:
        self.asked.append(len(examples))
        self.now += self.each * len(examples) + (self.first if len(self.asked) == 1 else 0.0)
        return {"examples": len(examples)}

    def clock(self) -> float:
        return self.now


def run(scorer: Scorer, seconds: float, count: int = len(EXAMPLES)) -> tuple[int, float, list[tuple[float, float]]]:
    told: list[tuple[float, float]] = []
    sample = Sample(EXAMPLES[:count], 1, None)
    found, share = score_affordable(sample, scorer, seconds, lambda *each: told.append(each), scorer.clock)
    return found["examples"], share, told


def test_where_there_is_time_all_are_scored() -> None:
    count, share, told = run(Scorer(0.001), 100.0)
    assert (count, share) == (2_000, 1.0)
    assert told == [] or told[-1][1] == 1.0


def test_where_there_is_not_as_many_as_there_is_time_for() -> None:
    scorer = Scorer(0.1)
    count, share, told = run(scorer, 60.0)
    assert 200 < count < 320 and scorer.now <= 60.0
    assert told[-1] == (pytest.approx(200.0), share) and count == round(share * 2_000)


def test_what_is_compiled_at_first_is_not_taken_for_slow() -> None:
    assert run(Scorer(0.001, first=5.0), 60.0)[0] == 2_000


def test_a_few_are_scored_where_there_is_no_time_at_all() -> None:
    assert run(Scorer(1.0), 0.0)[0] == FEWEST


def test_without_a_budget_what_takes_long_is_told_and_all_is_scored() -> None:
    count, share, told = run(Scorer(0.1), math.inf)
    assert (count, share) == (2_000, 1.0) and told == [(pytest.approx(200.0), 1.0)]
    scorer = Scorer(0.1)
    assert run(scorer, math.inf, 200)[0] == 200 and scorer.asked == [200]  # too few to try some first


def test_a_few_that_hold_nothing_to_score_are_no_failure() -> None:
    def score(examples: Sequence[Example]) -> dict[str, Any]:
        if len(examples) < 2_000:
            raise DataError("nothing to score")
        return {"examples": len(examples)}

    assert score_affordable(Sample(EXAMPLES, 1, None), score, 60.0)[1] == 1.0

    def never(examples: Sequence[Example]) -> dict[str, Any]:
        raise DataError("nothing to score")

    with pytest.raises(DataError, match="nothing to score"):
        score_affordable(Sample(EXAMPLES, 1, None), never, 60.0)


def test_the_seed_draws_and_the_order_stays() -> None:
    sample = Sample(EXAMPLES, 3, None)
    places = [each["place"] for each in sample.draw(0.25)]
    assert len(places) == 500 and places == sorted(places, key=lambda place: int(place[2:]))
    assert places == [each["place"] for each in Sample(EXAMPLES, 3, None).draw(0.25)]
    assert places != [each["place"] for each in Sample(EXAMPLES, 4, None).draw(0.25)]
    assert sample.words(0.25) == "500 of 2,000 examples" and sample.words(1.0) == "2,000 examples"


def test_of_a_long_text_it_is_a_piece_that_begins_with_a_line() -> None:
    text = "".join(f"line {k}\n" for k in range(10_000))
    sample = Sample([{"text": text, "place": "a"}], 3, "text")
    (piece,) = sample.draw(0.25)
    assert len(piece["text"]) <= round(0.25 * len(text)) and piece["text"] in text and piece["text"].startswith("line")
    assert sample.least == FEWEST_STEPS / len(text)
    assert sample.words(0.5) == f"{len(text) // 2:,} of {len(text):,} characters"


def test_of_a_series_all_fields_along_it_are_cut() -> None:
    values = np.arange(10_000.0)
    sample = Sample([{"values": values, "class": 3, "place": "a" * 10_000, "tags": list(range(10_000))}], 0, "values")
    (piece,) = sample.draw(0.5)
    assert piece["values"].tolist() == piece["tags"] and len(piece["tags"]) == 5_000
    assert piece["class"] == 3 and len(piece["place"]) == 10_000
    assert sample.words(0.5) == "5,000 of 10,000 steps"


def test_what_takes_long_is_said() -> None:
    sample = Sample(EXAMPLES, 0, None)
    assert forecast("test", sample, 3.0, 1.0) is None
    assert forecast("test", sample, 180.0, 1.0) == "Scoring 2,000 examples of the test takes about 3 minutes."
    assert forecast("test", sample, 1200.0, 0.1) == (
        "To score all 2,000 examples of the test would take about 20 minutes, longer than --max-minutes leaves: "
        "200 of 2,000 examples, drawn by the seed, are scored."
    )
