"""Pictures side by side, and as files."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from PIL import Image

from recurra.errors import ConfigError
from recurra.figures.pictures import frames, png
from recurra.figures.sheets import BETWEEN, GAP, SMALLEST, gif, sheet


def test_small_pictures_are_made_larger_and_stand_in_rows() -> None:
    one, two = np.zeros((2, 3), np.uint8), np.full((2, 3), 255, np.uint8)
    made = sheet([[one, two], [two]])
    assert made.shape == (2 * 64 + GAP, 2 * SMALLEST + GAP)
    assert (made[:64, :SMALLEST] == 0).all()
    assert (made[:64, SMALLEST + GAP :] == 255).all()
    assert (made[64 + GAP :, SMALLEST + GAP :] == BETWEEN).all()


def test_large_and_coloured_ones_are_as_they_are() -> None:
    made = sheet([[np.zeros((100, 120, 3), np.uint8)] * 2])
    assert made.shape == (100, 2 * 120 + GAP, 3)


def test_more_than_a_file_holds() -> None:
    with pytest.raises(ConfigError, match=r"400 pictures make one of .* Ask for fewer"):
        sheet([[np.zeros((500, 500), np.uint8)] * 20] * 20)


def test_files_hold_the_pictures() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (9, 11), np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(grey)))), grey)
    colour = np.stack([grey, 255 - grey, grey], 2)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(colour)))), colour)
    moving = Image.open(io.BytesIO(gif([grey, 255 - grey, grey])))
    assert moving.n_frames == 3
    for k, expected in enumerate((grey, 255 - grey, grey)):
        moving.seek(k)
        assert np.abs(np.asarray(moving.convert("L"), int) - expected).max() <= 1
    assert Image.open(io.BytesIO(gif([grey]))).size == (11, 9)


def test_a_gif_without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    grey = np.zeros((2, 2), np.uint8)
    assert png(grey).startswith(b"\x89PNG")
    with pytest.raises(ConfigError, match=r"Pillow, which is not installed: pip install 'recurra\[images\]'"):
        gif([grey])


def test_frames_with_their_windows() -> None:
    values = np.zeros((4, 8))
    windows = [("reads", np.array([4.5, 2.5, 2.0, 1.0])), ("writes", np.array([90.0, -3.0, 2.0, 1.0]))]
    drawn = frames([("given", values, []), ("step 1 <", values, windows)], "a course")
    assert drawn.count("<image ") == 2
    assert "step 1 &lt;" in drawn
    assert drawn.count('class="line ') == 2
    assert '<span class="key c2">reads</span><span class="key c1">writes</span>' in drawn
    pixel = 84 / 8
    left, side = 8 + 84 + 8, f"{2 * pixel:.1f}"
    assert f'x="{left + pixel * 3:.1f}" y="{8 + pixel * 1:.1f}" width="{side}" height="{side}"' in drawn
