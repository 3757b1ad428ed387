"""What is tried: values and ranges as they are written, and the same trials for the same seed."""

from __future__ import annotations

import math
from itertools import islice
from typing import Any

import pytest

from recurra.errors import ConfigError
from recurra.trials.spaces import Range, Values, count_of, of_lists, parse_grid, parse_random, trials


def drawn(seed: int = 0, count: int = 200, shuffled: bool = True, **random: str) -> list[dict[str, Any]]:
    spaces = parse_random(f"{name.replace('_', '.')}={written}" for name, written in random.items())
    return [*trials({}, spaces, count, seed, shuffled)]


def test_values_are_toml_between_commas() -> None:
    texts = ["a.b=128,256", "a.c=lstm, gru", "a.d=[1,2],[3]", 'a.e={kind = "x", y = 1},none', "a.f='x,y'", "a.g=true,1"]
    found = parse_grid(texts)
    assert [each.values for each in found.values()] == [
        (128, 256),
        ("lstm", "gru"),
        ([1, 2], [3]),
        ({"kind": "x", "y": 1}, None),
        ("x,y",),
        (True, 1),
    ]
    assert of_lists({"a.b": range(2)}) == {"a.b": Values((0, 1))}


def test_a_grid_is_all_with_all_in_the_order_of_its_words() -> None:
    grid = parse_grid(["a.x=1,2", "a.y=p,q,r"])
    found = [*trials(grid, {}, count_of(grid, {}, None), 0, shuffled=False)]
    assert [tuple(each.values()) for each in found] == [(x, y) for x in (1, 2) for y in "pqr"]
    some = [*trials(grid, {}, 4, 3, shuffled=True)]
    assert len({tuple(each.values()) for each in some}) == 4
    assert some == [*islice(trials(grid, {}, 6, 3, shuffled=True), 4)]
    assert some != [*trials(grid, {}, 4, 4, shuffled=True)]


def test_ranges_are_drawn_within_their_ends_and_evenly() -> None:
    found = drawn(a_log="log:1e-4:1e-2", a_uniform="uniform:-1:1", a_int="int:1:3", a_wide="log-int:8:512")
    assert all(1e-4 <= each["a.log"] <= 1e-2 and -1 <= each["a.uniform"] <= 1 for each in found)
    below = sum(each["a.log"] < 1e-3 for each in found)
    assert 70 < below < 130 and 70 < sum(each["a.uniform"] < 0 for each in found) < 130
    counts = [sum(each["a.int"] == k for each in found) for k in (1, 2, 3)]
    assert sum(counts) == 200 and min(counts) > 40
    assert 70 < sum(each["a.wide"] < 64 for each in found) < 130
    assert type(found[0]["a.wide"]) is int and float(f"{found[0]['a.log']:.4g}") == found[0]["a.log"]
    for low, high, log in ((1e-4, 1e-2, True), (-3.0, 5.0, False)):
        space = Range(low, high, log, whole=False)
        assert space.at(0.0) == low and math.isclose(space.at(1 - 1e-12), high, rel_tol=1e-3)


def test_the_same_seed_draws_the_same_and_more_trials_begin_alike() -> None:
    random = {"a_x": "log:1:10", "a_y": "choice:lstm,gru"}
    assert drawn(3, 5, **random) == drawn(3, 9, **random)[:5]
    assert drawn(3, 5, **random) != drawn(4, 5, **random)
    other = dict(reversed([*random.items()]))
    assert drawn(3, 5, **random) == drawn(3, 5, **other)  # the order of the words says nothing


@pytest.mark.parametrize(
    ("grid", "random", "said"),
    [
        ("a.b", "", "names no values. Write --grid core.hidden_size=128,256"),
        ("a.b=", "", "names no values"),
        ("b=1", "", "'b' names no setting. Write section.key"),
        ("a.b=1,,2", "", "a value is missing between two commas"),
        ("a.b=1,1", "", "1 is there twice"),
        ("a.b=[1,2", "", "--grid a.b=.1,2: .*Is a bracket or a quote missing"),
        ("", "a.b=1", "says not what to draw. Write --random"),
        ("", "a.b=lgo:1:2", "unknown kind 'lgo': did you mean 'log'"),
        ("", "a.b=log:1", "expected two numbers, log:LOW:HIGH"),
        ("", "a.b=log:0:1", "from 0, expected above 0"),
        ("", "a.b=log-int:0:5", "from 0, expected a number from 1"),
        ("", "a.b=int:1.5:5", "expected whole numbers; of others write uniform"),
        ("", "a.b=uniform:2:1", "2 to 1, expected finite numbers, the lower one first"),
        ("", "a.b=uniform:0:inf", "expected finite numbers"),
        ("", "a.b=uniform:0:1", "Say how many: --trials 20"),
        ("a.b=1", "a.b=uniform:0:1", "a.b is in --grid and in --random"),
        ("", "", "nothing to try"),
    ],
)
def test_what_cannot_be_tried_is_said(grid: str, random: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        count_of(parse_grid([grid] if grid else []), parse_random([random] if random else []), None)


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "--trials 0, expected a whole number from 1"), (3, "the grid has 2 points"), (None, "10,201 trials")],
)
def test_a_count_that_cannot_be(count: int | None, said: str) -> None:
    grid = of_lists({"a.b": [1, 2]} if count is not None else {"a.b": range(101), "a.c": range(101)})
    with pytest.raises(ConfigError, match=said):
        count_of(grid, {}, count)


def test_words_in_the_place_of_a_list() -> None:
    with pytest.raises(ConfigError, match=r"a\.b = 'lstm', expected a list of values"):
        of_lists({"a.b": "lstm"})
    with pytest.raises(ConfigError, match="named twice"):
        parse_grid(["a.b=1", "a.b=2"])
