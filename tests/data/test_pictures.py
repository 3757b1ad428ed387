"""Pictures of every kind come out as grey or colour; what is none, too large or cut off is named."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from typing import Any

import numpy as np
import pytest

from recurra.data import pictures
from recurra.data.picture_files import picture_of
from recurra.data.pictures import MOST_PIXELS, opened_picture
from recurra.errors import ConfigError, DataError

Image = pytest.importorskip("PIL.Image", reason="the extra images is not installed")
NOISE = np.random.default_rng(2).integers(0, 256, (200, 200), np.uint8)
GREY = np.random.default_rng(3).integers(0, 256, (5, 7), np.uint8)


def raw(image: Any, form: str = "PNG", **options: Any) -> bytes:
    held = io.BytesIO()
    image.save(held, form, **options)
    return held.getvalue()


def opened(image: Any, form: str = "PNG", colour: bool = False, **options: Any) -> Any:
    return opened_picture(raw(image, form, **options), "a", colour)


def test_grey_and_colour() -> None:
    assert np.array_equal(opened(Image.fromarray(GREY)), GREY)
    colours = np.random.default_rng(1).integers(0, 256, (4, 3, 3), np.uint8)
    assert np.array_equal(opened(Image.fromarray(colours), "BMP", colour=True), colours)
    grey = opened(Image.fromarray(colours))
    assert grey.shape == (4, 3) and np.abs(grey - colours @ [0.299, 0.587, 0.114]).max() <= 1
    assert opened(Image.fromarray(GREY), colour=True).shape == (5, 7, 3)


def test_palettes_sixteen_bits_and_two_colours() -> None:
    palette = Image.fromarray(GREY).convert("P")
    palette.putpalette([255 - k for k in range(256) for _ in range(3)])
    assert np.array_equal(opened(palette), 255 - GREY)
    assert np.array_equal(opened(Image.fromarray(GREY.astype(np.uint16) * 257)), GREY)
    assert np.array_equal(opened(Image.fromarray(GREY > 99), "TIFF"), 255 * (GREY > 99))
    with pytest.raises(DataError, match=r"^a: a picture of 32 bits a pixel, expected 8 or 16\."):
        opened(Image.fromarray(GREY.astype(np.float32)), "TIFF")


def test_what_can_be_seen_through_lies_on_white() -> None:
    both = np.stack((GREY, np.full_like(GREY, 255)), 2)
    both[0, 0] = 0, 0
    both[0, 1] = 0, 51
    found = opened(Image.fromarray(both, "LA"))
    assert found[0, 0] == 255 and found[0, 1] == 204 and np.array_equal(found[1:], GREY[1:])
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([0, 0, 0, 9, 9, 9])
    assert opened(palette, transparency=0).tolist() == [[255, 9]]


def test_a_photograph_is_turned_as_it_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    assert np.array_equal(opened(Image.fromarray(GREY), exif=exif), np.rot90(GREY, -1))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def a_png_that_says(width: int, height: int) -> bytes:
    head = chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (a_png_that_says(30_000, 30_000), rf"a picture of a great many pixels, expected {MOST_PIXELS:,} at most"),
        (a_png_that_says(6_000, 6_000), r"a picture of 6,000 × 6,000 pixels, expected 33,554,432 at most"),
        (b"", "the file is empty, expected a picture"),
        (b"no picture, a text\n", r"begins with 'no picture, ', expected a picture \(PNG, JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", r"begins with '%!PS-Adobe-3', expected a picture"),
        (raw(Image.fromarray(NOISE))[:-3000], r"no readable picture \(.*\)\. Copy it again"),
        (raw(Image.fromarray(NOISE), "JPEG")[:-3000], r"no readable picture \(.*truncated.*\)"),
        (a_png_that_says(4, 4), "no readable picture"),
    ],
)
def test_what_is_none_is_named(given: bytes, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=f"^a/b.png: {message}"):
        opened_picture(given, "a/b.png")


def test_the_size_is_looked_at_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST_PIXELS", 34)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(DataError, match="a picture of 7 × 5 pixels, expected 34 at most"):
        opened_picture(raw_of_grey, "a")


raw_of_grey = raw(Image.fromarray(GREY))


def test_a_missing_file_and_a_missing_pillow(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="no such file"):
        picture_of(tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ConfigError, match=r"Pillow, which is not installed: pip install 'recurra\[images\]'"):
        opened_picture(raw_of_grey, "a")
