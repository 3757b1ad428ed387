"""Files of MNIST's format: pixels, rows, one other order of all pixels, and files that are none."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra import registry
from recurra.errors import ConfigError, DataError

PICTURES = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


def raw(array: np.ndarray, kind: int = 8) -> bytes:
    return bytes((0, 0, kind, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def read(folder: Path, *contents: bytes, **settings: Any) -> list[dict[str, Any]]:
    paths = [folder / str(k) for k in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return [dict(each) for each in registry.construct("reader", {"kind": "idx", **settings}).read(*paths)]


def test_pixels_and_rows_with_labels(tmp_path: Path) -> None:
    labels = raw(np.array([3, 7], np.uint8))
    first, second = read(tmp_path, raw(PICTURES), labels)
    assert first["vectors"].shape == (12, 1) and second["vectors"][:, 0].tolist() == list(range(12, 24))
    assert (first["label"], second["label"], second["place"]) == ("3", "7", f"{tmp_path / '0'}, picture 1")
    assert np.array_equal(read(tmp_path, raw(PICTURES), steps="rows")[1]["vectors"], PICTURES[1])
    assert "label" not in read(tmp_path, raw(PICTURES))[0]
    assert len(read(tmp_path, raw(PICTURES), raw(PICTURES), labels)) == 4


def test_one_other_order_for_all_pictures(tmp_path: Path) -> None:
    order = np.random.default_rng(5).permutation(12)
    found = read(tmp_path, raw(PICTURES), permute=5)
    assert [each["vectors"][:, 0].tolist() for each in found] == [
        picture.ravel()[order].tolist() for picture in PICTURES
    ]
    assert not np.array_equal(found[0]["vectors"], read(tmp_path, raw(PICTURES), permute=6)[0]["vectors"])
    with pytest.raises(ConfigError, match=r"reader\.permute = -1"):
        read(tmp_path, raw(PICTURES), permute=-1)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ((raw(np.array([1], np.uint8)),), "labels, and no pictures before them"),
        ((raw(PICTURES), raw(np.array([1, 2, 3], np.uint8))), "3 labels, expected one for each of 2 pictures"),
        ((raw(PICTURES)[:-1],), "39 bytes, expected 40: 2 × 4 × 3 numbers of 1 byte behind a header of 16"),
        ((raw(PICTURES) + b"0",), "41 bytes, expected 40"),
        ((b"\0\0\x08\x03" + b"\xff" * 12,), "expected 79,228,162,458,924,105,385,300,197,391"),
        ((b"\0\0\x08\x03\0",), "ends inside its header"),
        ((b"GIF89a",), "begins with 47 49 46 38, expected an IDX file"),
        ((b"\0\0\x08\x02" + struct.pack(">2I", 0, 5),), "0 × 5 numbers, which is none"),
        ((raw(np.full((1, 2), np.inf, ">f4"), 0x0D),), "numbers that are not finite"),
    ],
)
def test_files_that_are_none(tmp_path: Path, contents: tuple[bytes, ...], message: str) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path, *contents)
    assert message in str(error.value) and str(error.value).startswith(str(tmp_path))
