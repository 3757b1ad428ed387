"""How a target is searched for, as a recipe and a caller say it together."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest

from recurra.decoding.search import Search
from recurra.errors import ConfigError


@pytest.mark.parametrize(
    ("settings", "said", "message"),
    [
        ({}, {"beam": 3, "temperature": 1.0}, "search.beam is for a beam, search.temperature draws targets at random."),
        ({}, {"n_best": 3, "seed": 1}, "search.n_best is for a beam, search.seed draws targets"),
        ({"temperature": 1.0}, {"n_best": 2, "top_k": 3}, "search.n_best is for a beam"),
        ({"temperature": 1.0, "n_best": 2}, {}, "search.n_best = 2 is for a beam, but the targets are drawn"),
        ({}, {"length_penalty": -1.0}, "search.length_penalty = -1.0, expected 0 (none) to 10"),
        ({}, {"length_penalty": math.nan}, "search.length_penalty = NaN, expected a finite number"),
        ({}, {"no_repeat": -1}, "search.no_repeat = -1, expected 0 or more."),
        ({}, {"top_k": 0}, "search.top_k = 0, expected 1 or more."),
        ({}, {"top_p": 1.5}, "search.top_p = 1.5, expected a share above 0 and up to 1."),
        ({}, {"seed": -1}, "search.seed = -1, expected a whole number from 0"),
        ({}, {"valid": 0}, "search.valid = 0, expected 1 or more."),
    ],
)
def test_searches_that_cannot_be(settings: dict[str, Any], said: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        Search.combined(settings, said)


def test_a_search_said_stands_in_the_place_of_the_recipes() -> None:
    recipe = {"beam": 4, "n_best": 2, "valid": 7}
    assert Search.combined(recipe, {"length_penalty": 1.0}) == Search(4, 2, length_penalty=1.0, valid=7)
    assert Search.combined(recipe, {"temperature": 0.5}) == Search(temperature=0.5, valid=7)
    assert Search.combined({"temperature": 0.5}, {"beam": 2}) == Search(beam=2)
    assert replace(Search(), no_repeat=3).words == "beam 5, length penalty 0.6, no 3 symbols twice"
