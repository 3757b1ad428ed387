"""Columns of a picture: its height fixed, its width in proportion, ink 1 and background 0, whatever it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recurra.data.codecs.contract import Opens, Placed
from recurra.data.codecs.line_image import LineImage
from recurra.data.sample import PNG
from recurra.errors import ConfigError, DataError

WHITE = np.full((20, 50), 255, np.uint8)
INK = WHITE.copy()
INK[4:16, 10:14] = 0


def test_height_is_fixed_and_width_in_proportion() -> None:
    codec = LineImage(height=10)
    assert codec.encode(INK).shape == (25, 10) and codec.shape == (None, 10) and codec.size == 10
    assert LineImage(height=40).encode(INK).shape == (100, 40)
    assert LineImage(height=10, narrowest=30).encode(INK)[25:].tolist() == np.zeros((5, 10)).tolist()
    with pytest.raises(DataError, match=r"50 × 20 pixels is 25 columns at a height of 10, expected 24 at most.*=25$"):
        LineImage(height=10, widest=24).encode(INK)


def test_columns_are_steps_and_ink_is_one() -> None:
    found = LineImage(height=20).encode(INK)
    assert np.array_equal(found, (INK.T == 0).astype(np.float32))
    small = LineImage(height=10, stretch=False).encode(INK)
    assert small[5:7, 2:8].min() == pytest.approx(1, abs=0.3) and small[9:].max() == 0
    assert small.sum() == pytest.approx(found.sum() / 4, rel=0.01)  # averaged, so that no stroke gets lost


@pytest.mark.parametrize("ink", ["auto", "dark", "light"])
def test_ink_may_be_dark_or_light(ink: Any) -> None:
    given = 255 - INK if ink == "light" else INK
    assert np.array_equal(LineImage(ink=ink).encode(given), LineImage().encode(INK))
    assert np.array_equal(LineImage().encode(255 - INK), LineImage().encode(INK))
    assert LineImage(ink="light").encode(INK).mean() > 0.5


def test_levels_are_drawn_out_but_a_blank_picture_stays_blank() -> None:
    faint = (200 + INK / 10).astype(np.uint8)
    assert np.allclose(LineImage().encode(faint), LineImage().encode(INK), atol=0.02)
    assert LineImage(stretch=False).encode(faint).max() < 0.25
    noise = np.random.default_rng(0).integers(250, 254, (20, 50), np.uint8)
    assert not LineImage().encode(noise).any() and not LineImage().encode(WHITE).any()
    dot = np.full((40, 400), 255, np.uint8)
    dot[20:23, 7:10] = 0
    assert LineImage(height=40).encode(dot).max() == 1


def test_colours_are_grey_and_files_are_opened() -> None:
    coloured = np.stack([INK] * 3, 2)
    assert np.allclose(LineImage().encode(coloured), LineImage().encode(INK), atol=1e-5)
    codec = LineImage()
    assert isinstance(codec, Opens) and codec.opened(PNG).shape == (4, 6)
    with pytest.raises(DataError, match=r"^the picture: begins with 'text', expected a picture"):
        codec.opened(b"text")


def test_from_the_right() -> None:
    codec = LineImage(height=20, reads="right-to-left")
    columns = codec.encode(INK)
    assert np.array_equal(columns, LineImage(height=20).encode(INK)[::-1])
    assert np.array_equal(codec.decode(columns), INK)
    assert codec.place_of(INK, 10) == 40


def test_a_column_lies_somewhere_in_the_picture() -> None:
    codec = LineImage(height=10)
    assert isinstance(codec, Placed) and codec.unit_of_place == "px"
    assert [codec.place_of(INK, step) for step in (0, 5, 25, 28)] == [0, 10, 50, 50]


def test_settings_stand_in_the_record_and_wrong_ones_are_refused() -> None:
    assert LineImage(height=24, ink="dark").record()["settings"] == {
        "height": 24,
        "narrowest": 8,
        "widest": 4000,
        "ink": "dark",
        "stretch": True,
        "reads": "left-to-right",
    }
    with pytest.raises(ConfigError, match=r"input.height = 2, expected 4 to 1,024 pixels"):
        LineImage(height=2)
    with pytest.raises(ConfigError, match=r"input.narrowest = 9 and input.widest = 8"):
        LineImage(narrowest=9, widest=8)
    with pytest.raises(DataError, match=r"float32 of the shape \[3, 4\], expected a picture: uint8"):
        LineImage().encode(np.zeros((3, 4), np.float32))
    with pytest.raises(DataError, match="rows of unequal length"):
        LineImage().encode([[0, 1], [2]])
    with pytest.raises(DataError, match=r"shape \[3, 4\], expected columns of 32 pixels"):
        LineImage().decode(np.zeros((3, 4)))
