"""Pictures of one size, as rows of numbers."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from recurra.data.codecs.grey_picture import LARGEST, GreyPicture
from recurra.errors import CheckpointError, DataError

PICTURE = np.random.default_rng(0).integers(0, 256, (5, 7), np.uint8)


def test_a_picture_is_rows_from_dark_to_bright_and_comes_back() -> None:
    codec = GreyPicture().fit([PICTURE])
    array = codec.encode(PICTURE)
    assert array.dtype == np.float32
    assert (codec.shape, codec.size) == ((5, 7), 7)
    assert np.array_equal(array, PICTURE.astype(np.float32) / 255)
    assert np.array_equal(codec.decode(array), PICTURE)
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    wide = GreyPicture().fit([every])
    assert np.array_equal(wide.decode(wide.encode(every)), every)


def test_the_bytes_of_a_file() -> None:
    made = io.BytesIO()
    Image.fromarray(PICTURE).save(made, "PNG")
    assert np.array_equal(GreyPicture().opened(made.getvalue(), "a.png"), PICTURE)
    with pytest.raises(DataError, match=r"a\.png: begins with 'hello', expected a picture"):
        GreyPicture().opened(b"hello", "a.png")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "hold no picture"),
        ([PICTURE, PICTURE, PICTURE[:4]], "some pictures are 7 pixels wide and 5 high, others 7 and 4"),
        ([np.zeros((2, LARGEST + 1), np.uint8)], "513 pixels wide and 2 high, expected 512 at most of a side"),
        ([PICTURE.astype(float)], "array of float64 and the shape"),
    ],
)
def test_what_cannot_be_learned_from(values: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        GreyPicture().fit(values)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (PICTURE.T.copy(), "5 pixels wide and 7 high, expected 7 and 5 as in the training data. Scale it"),
        (np.zeros((5, 7, 3), np.uint8), r"the shape \[5, 7, 3\], expected a grey picture"),
        (np.zeros((0, 7), np.uint8), "expected a grey picture"),
    ],
)
def test_what_is_no_such_picture(value: Any, message: str) -> None:
    codec = GreyPicture().fit([PICTURE])
    with pytest.raises(DataError, match=message):
        codec.encode(value)


def test_an_array_of_another_shape_is_none() -> None:
    with pytest.raises(DataError, match=r"the shape \[7, 5\], expected \[5, 7\]"):
        GreyPicture().fit([PICTURE]).decode(np.zeros((7, 5)))


@pytest.mark.parametrize("sizes", [{}, {"height": 5}, {"height": 5, "width": 0}, {"height": True, "width": 4}])
def test_a_record_that_is_none(sizes: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="height and width, 1 to 512"):
        GreyPicture().restore({"kind": "grey-picture", "settings": {}, **sizes}, {})
