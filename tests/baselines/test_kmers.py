"""Logistic regression on k-mers: it finds a motif wherever it stands, and is for bases alone."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from recurra import config as configuration
from recurra.baselines.kmers import Kmers
from recurra.baselines.row import suits
from recurra.data.codecs.bases import Bases
from recurra.data.codecs.tokens import Tokens
from recurra.errors import ConfigError, DataError
from recurra.model import make_parts
from recurra.workflow.agreement import check_agreement


def examples(count: int, seed: int) -> list[dict[str, Any]]:
    """Sequences with TATA somewhere, or with none."""
    draw, found = random.Random(seed), []
    while len(found) < count:
        text, place = "".join(draw.choices("ACGT", k=30)), draw.randrange(26)
        label = "ab"[len(found) % 2]
        if label == "a":
            text = text[:place] + "TATA" + text[place + 4 :]
        if label == "a" or "TATA" not in text:
            found.append({"tokens": [*text], "label": label})
    return found


def test_a_motif_is_found_wherever_it_stands() -> None:
    test = examples(60, 1)
    common, regression, _ = Kmers(longest=4).rows(examples(300, 0), test)
    assert [each["label"] for each in common.predictions] == ["a"] * 60
    right = sum(p["label"] == e["label"] for p, e in zip(regression.predictions, test, strict=True))
    assert right >= 54
    assert regression.name == "logistic regression on k-mers of 1 to 4" and regression.size == 4 + 16 + 64 + 256
    assert re.search(r"strength [\d.]+, chosen on a held-out tenth", regression.note)


def test_a_base_at_its_place_is_found_where_all_are_equally_long() -> None:
    draw = random.Random(0)

    def some(count: int) -> list[dict[str, Any]]:
        texts = ["".join(draw.choices("ACGT", k=12)) for _ in range(count)]
        return [{"tokens": [*text], "label": "ab"[text[5] in "AC"]} for text in texts]

    train, test = some(300), some(80)
    *_, kmers, by_place = Kmers(longest=2).rows(train, test)
    right = [
        sum(p["label"] == e["label"] for p, e in zip(row.predictions, test, strict=True)) for row in (kmers, by_place)
    ]
    assert right[1] == 80 > right[0]
    assert by_place.name == "logistic regression on bases by their place" and by_place.size == 48
    train[7]["tokens"] = train[7]["tokens"][:-1]
    assert [row.name for row in Kmers(longest=2).rows(train, test)][1:] == [kmers.name]


def test_of_one_class_there_is_nothing_to_regress() -> None:
    train = [each for each in examples(8, 0) if each["label"] == "a"]
    assert [row.name for row in Kmers().rows(train, train)] == ["most frequent label"]
    with pytest.raises(DataError, match="kmers: no training examples"):
        list(Kmers().rows([], train))
    with pytest.raises(ConfigError, match=r"baseline\.longest = 9, expected 1 to 8"):
        Kmers(9)


def test_words_and_bases_have_baselines_of_their_own() -> None:
    assert suits("kmers", Bases()) and not suits("bag", Bases())
    assert suits("bag", Tokens()) and not suits("kmers", Tokens())
    for recipe, other, message in (
        ("dna", "bag", r"'bag' learns from words, but the input is bases\. Set baseline\.kind = 'kmers'"),
        ("classifier", "kmers", r"learns from bases, but the input is other symbols\. Set baseline\.kind = 'bag'"),
    ):
        config = configuration.with_settings(configuration.load_recipe(recipe), {"baseline.kind": other})
        with pytest.raises(ConfigError, match=message):
            check_agreement(config, *make_parts(config))
