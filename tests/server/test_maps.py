"""Attention maps of answers: so many cells a request, and a reason where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recurra.answers.pair import TOO_LARGE
from recurra.server.parts import fit_maps

SHORT, LONG = "the fox", "the quick brown fox jumps over the lazy dog"


@pytest.mark.parametrize("beam", [1, 2])
def test_beyond_its_cells_attention_is_not_computed(small_runs: dict[str, Any], beam: int) -> None:
    run = small_runs["pairs"]
    texts, search = (SHORT, LONG), {"beam": beam, "n_best": beam}
    every = run.predict(*texts, attention=True, **search)
    sizes = [len(one["attention"]) * len(one["attention"][0]) for one in every]
    assert all(len(one["attention"][0]) == len(text.split()) + 1 for one, text in zip(every, texts, strict=True))
    some = run.predict(*texts, attention=True, cells=min(sizes), **search)
    assert [one["target"] for one in some] == [one["target"] for one in every]
    kept, left = sorted((0, 1), key=lambda k: sizes[k])
    # Beside another a batch is added up in another order.
    assert (
        np.allclose(some[kept]["attention"], every[kept]["attention"], atol=1e-6) and "beyond_cells" not in some[kept]
    )
    assert some[left]["beyond_cells"] and "attention" not in some[left] and "alignment" not in some[left]
    assert "beyond_cells" not in run.predict(*texts, cells=1, **search)[left]


def test_a_map_beyond_the_limit_is_left_out_with_a_reason(serve: Any, small_runs: dict[str, Any]) -> None:
    (whole,) = small_runs["pairs"].predict(LONG, attention=True)
    size = len(whole["attention"]) * len(whole["attention"][0])
    api = serve(small_runs["pairs"], cells=size)
    ((one,), (two,)) = api.parts("pairs", LONG, LONG, attention=True)
    assert one["map"] is not None and one["map_left_out"] is None
    assert two["map"] is None and two["map_left_out"] == TOO_LARGE  # both together are too large
    api = serve(small_runs["pairs"], cells=size - 1)
    ((part,),) = api.parts("pairs", LONG, attention=True)
    assert part["map"] is None and part["map_left_out"] == TOO_LARGE and part["target"] == whole["target"]
    ((part,),) = api.parts("pairs", LONG)
    assert part["map"] is None and part["map_left_out"] is None  # nobody asked


def test_weights_keep_four_digits(api: Any) -> None:
    ((part,),) = api.parts("pairs", LONG, attention=True)
    weights = [weight for row in part["map"]["weights"] for weight in row]
    assert len({weight for weight in weights if 0 < weight < 1}) > 5
    assert all(weight == round(weight, 4) for weight in weights)


def test_maps_are_kept_as_long_as_there_is_room() -> None:
    def pair(rows: int) -> dict[str, Any]:
        return {"kind": "pair", "map": {"rows": ["a"] * rows, "columns": ["b"] * 2, "weights": []}}

    answers: list[Any] = [[pair(3)], [{"kind": "label"}, pair(4)], [pair(1)]]
    fit_maps([{"parts": parts} for parts in answers], 8)
    assert [part.get("map") is None for parts in answers for part in parts] == [False, True, True, False]
