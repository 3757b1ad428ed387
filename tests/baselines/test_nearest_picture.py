"""The nearest picture against a search of all pairs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from recurra.baselines import nearest_picture
from recurra.baselines.nearest_picture import NearestPicture
from recurra.data.fields import Codecs
from recurra.errors import DataError
from recurra.types import Field

CODECS = Codecs({"input": Field(("image",), {"kind": "picture", "side": 8})})


def examples(count: int, seed: int) -> list[dict[str, Any]]:
    draw = np.random.default_rng(seed)
    words = ("a wall", "a tree", "two trees", "a road")
    return [
        {
            "image": draw.integers(0, 256, (8 + k % 3, 9, 3), np.uint8),
            "targets": [str(each) for each in draw.choice(words, 1 + k % 3)],
            "place": f"p{k}",
        }
        for k in range(count)
    ]


def test_the_nearest_of_all_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_picture, "AT_ONCE", 7)
    train, test = examples(30, 0), examples(12, 1)
    train[20] = {**train[4], "targets": ["never"]}  # the first of two equals counts
    test[0] = {"image": train[4]["image"], "place": "x"}
    (row,) = NearestPicture().rows(train, test, CODECS)
    counts = Counter(caption for each in train for caption in each["targets"])
    known = [CODECS["input"].encode(each["image"]).astype(np.int64) for each in train]
    for each, found in zip(test, row.predictions, strict=True):
        asked = CODECS["input"].encode(each["image"]).astype(np.int64)
        nearest = min(range(len(known)), key=lambda k: int(np.square(known[k] - asked).sum()))
        assert found["target"] == max(train[nearest]["targets"], key=lambda caption: counts[caption])
    assert (row.size, row.unit) == (30, "pictures")


def test_what_it_cannot_learn_from_is_refused() -> None:
    with pytest.raises(DataError, match="nearest-picture: no training examples"):
        list(NearestPicture().rows([], examples(1, 0), CODECS))
    with pytest.raises(
        DataError, match=r"p0: the baseline 'nearest-picture' expected 'target' or 'targets' or 'transcript'"
    ):
        list(NearestPicture().rows([{"image": 1, "place": "p0"}], [], CODECS))
    codecs = Codecs({"input": Field(("vectors",), {"kind": "vectors"})})
    one, other = ({"vectors": np.zeros((steps, 2)), "transcript": "a wall", "place": "p"} for steps in (2, 3))
    codecs.fit([one])
    (row,) = NearestPicture().rows([one], [one], codecs)
    assert row.predictions == [{"target": "a wall"}]
    with pytest.raises(DataError, match="inputs of 4 to 6 numbers, expected pictures of one size"):
        list(NearestPicture().rows([one], [other], codecs))
