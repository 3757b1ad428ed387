"""Numbers put together from pictures of their digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra.data.readers.digit_crops import NARROWEST, WIDEST, DigitCropsReader
from recurra.errors import ConfigError, DataError


def saved(path: Path, **changed: Any) -> Path:
    arrays = {
        "images": np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((1, 10, 20), np.uint8),
        "label": [4, 0, 7, 2, 9],
        "number_index": [12, 12, 3, 12, 12],
        "position": [1, 0, 0, 2, 4],
    }
    np.savez(path, **{name: each for name, each in {**arrays, **changed}.items() if each is not None})
    return path


def test_digits_stand_in_the_order_of_their_number(tmp_path: Path) -> None:
    found = list(DigitCropsReader(passes=2).read(saved(tmp_path / "a.npz")))
    assert [each["transcript"] for each in found] == ["7", "042", "9"] * 2
    assert [each["group"] for each in found[:3]] == ["3", "12", "12"]
    one, three, _ = found[:3]
    assert one["image"].shape == (10, 20)  # alone it keeps what surrounds it
    columns = three["image"][0]
    widths = [int((columns == k).sum()) for k in (1, 0, 3)]
    assert widths[0] == widths[2] and len(columns) == sum(widths)
    assert NARROWEST * 20 - 1 <= widths[1] <= WIDEST * 20 + 1 and widths[0] == 20 - (20 - widths[1]) // 2
    assert [*columns] == sorted(columns, key=lambda k: [1, 0, 3].index(k))


def test_numbers_up_to_an_index_are_left_out(tmp_path: Path) -> None:
    assert {each["group"] for each in DigitCropsReader(after=3).read(saved(tmp_path / "a.npz"))} == {"12"}
    assert not list(DigitCropsReader(after=12).read(saved(tmp_path / "a.npz")))


def test_ground_lies_around(tmp_path: Path) -> None:
    file = saved(tmp_path / "a.npz")
    plain = list(DigitCropsReader().read(file))
    found = list(DigitCropsReader(passes=20, smallest=0.5, beside=2.0).read(file))
    heights = {each["image"].shape[0] for each in found}
    assert min(heights) >= 10 and max(heights) <= 20 and len(heights) > 5
    for each in found[::3]:  # of one digit, which is of one grey
        assert set(each["image"].ravel()) == {2} and each["image"].shape[1] <= 20 + 2 * 2 * 20
    assert len({each["image"].shape[1] for each in found[::3]}) > 5
    assert [each["transcript"] for each in found[:3]] == [each["transcript"] for each in plain]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"label": None}, "no array 'label', expected images, label"),
        ({"label": [1, 2, 3, 4, 10]}, "the label 10, expected digits"),
        ({"position": [0, 1]}, "position of int64 in the shape [2]"),
        ({"number_index": [1, 2, 3, 4, -5]}, "number_index of int64 in the shape [5]"),
        ({"images": np.zeros((5, 3), np.uint8)}, "images of uint8 in 2 axes"),
        ({"images": np.zeros((5, 3, 3))}, "images of float64 in 3 axes"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as refused:
        list(DigitCropsReader().read(saved(tmp_path / "a.npz", **changed)))
    assert message in str(refused.value)


def test_settings_out_of_range_are_refused() -> None:
    for settings in ({"passes": 0}, {"after": -1}, {"smallest": 0.0}, {"beside": -1.0}):
        with pytest.raises(ConfigError, match="expected"):
            DigitCropsReader(**settings)


def test_digits_by_themselves(tmp_path: Path) -> None:
    file = saved(tmp_path / "a.npz")
    reader = DigitCropsReader(apart=True)
    found = list(reader.read(file))
    assert [each["label"] for each in found] == ["4", "0", "7", "2", "9"]
    assert [each["group"] for each in found] == ["12", "12", "3", "12", "12"]
    assert [int(each["image"][0, 0]) for each in found] == [0, 1, 2, 3, 4]
    assert found[2]["place"] == f"{file}, digit 0 of number 3"
    assert {*reader.fields} == {"image", "label"}
    assert len(list(DigitCropsReader(apart=True, after=3).read(file))) == 4
