"""Pixels by themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from recurra.baselines.pixels import LEAST, Pixels
from recurra.data.fields import Codecs
from recurra.errors import DataError
from recurra.types import Field


def codecs() -> Codecs:
    return Codecs({"input": Field(("image",), {"kind": "grey-picture"})})


def test_each_pixel_is_as_often_on_as_it_is_bright() -> None:
    random = np.random.default_rng(0)
    train = [{"image": random.integers(0, 256, (3, 4), np.uint8)} for _ in range(20)]
    test = [{"image": random.integers(0, 256, (3, 4), np.uint8)} for _ in range(5)]
    (row,) = Pixels().rows(train, test, codecs().fit(train))
    p = torch.tensor(np.mean([each["image"] / 255 for each in train], 0))
    for found, each in zip(row.log_p, test, strict=True):
        x = torch.tensor(each["image"] / 255)
        oracle = -torch.nn.functional.binary_cross_entropy(p, x, reduction="sum")
        assert found == pytest.approx(float(oracle), rel=1e-6)
    assert (row.size, row.unit) == (12, "means")


def test_a_pixel_that_is_never_on_may_be() -> None:
    dark, bright = np.zeros((1, 1), np.uint8), np.full((1, 1), 255, np.uint8)
    (row,) = Pixels().rows([{"image": dark}], [{"image": bright}], codecs().fit([{"image": dark}]))
    assert row.log_p == pytest.approx([math.log(LEAST)])


def test_nothing_to_learn_from() -> None:
    made = codecs().fit([{"image": np.zeros((1, 1), np.uint8)}])
    with pytest.raises(DataError, match="no training picture"):
        list(Pixels().rows([], [], made))
