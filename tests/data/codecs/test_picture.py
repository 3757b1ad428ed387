"""Pictures as squares of coloured pixels."""

from __future__ import annotations

import numpy as np
import pytest

from recurra.data.codecs.picture import PictureCodec
from recurra.data.squares import shrunk
from recurra.errors import ConfigError, DataError


def test_a_picture_of_that_size_is_as_it_is() -> None:
    codec = PictureCodec(8)
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    rows = codec.encode(picture)
    assert rows.shape == codec.shape == (8, 24) and rows.dtype == np.uint8
    assert np.array_equal(rows[2, 3 * 5 : 3 * 6], picture[2, 5])  # red, green and blue of a pixel side by side
    assert np.array_equal(codec.decode(rows), picture)
    with pytest.raises(DataError, match=r"an array of the shape \[7, 24\], expected \[8, 24\]"):
        codec.decode(rows[:7])


def test_grey_becomes_coloured_and_averages_are_kept() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (16, 16), np.uint8)
    found = PictureCodec(8).decode(PictureCodec(8).encode(grey))
    assert (found[..., 0] == found[..., 1]).all() and (found[..., 1] == found[..., 2]).all()
    assert abs(float(found.mean()) - float(grey.mean())) < 4


def test_the_middle_is_taken_or_all_of_it_is_squeezed() -> None:
    wide = np.zeros((16, 48, 3), np.uint8)
    wide[:, 16:32] = 255
    assert (PictureCodec(8).encode(wide) == 255).all()
    squeezed = PictureCodec(8, "squeeze").encode(wide).reshape(8, 8, 3)[:, :, 0]
    assert (squeezed[:, 0] == 0).all() and (squeezed[:, 3] > 240).all() and (squeezed[:, 7] == 0).all()
    assert (PictureCodec(8).encode(wide.transpose(1, 0, 2)) == 255).all()


def test_a_picture_is_shrunk_by_its_longer_side() -> None:
    picture = np.full((30, 60, 3), 7, np.uint8)
    assert shrunk(picture, 60) is picture
    found = shrunk(picture, 20)
    assert found.shape == (10, 20, 3) and (found == 7).all()
    assert shrunk(np.zeros((1, 999, 3), np.uint8), 9).shape == (1, 9, 3)


def test_sides_that_cannot_be() -> None:
    for side in (7, 513):
        with pytest.raises(ConfigError, match=rf"input\.side = {side}, expected 8 to 512 pixels"):
            PictureCodec(side)
