"""Arrays as sequences: with offsets, of one length, one by one; and what a file cannot do to whoever reads it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra import registry
from recurra.data.stacked import packed
from recurra.errors import ConfigError, DataError


def read(folder: Path, settings: dict[str, Any], raw: bytes | None = None, **arrays: Any) -> list[dict[str, Any]]:
    (folder / "a.npz").write_bytes(packed(**arrays) if raw is None else raw)
    return [dict(each) for each in registry.construct("reader", {"kind": "npz", **settings}).read(folder / "a.npz")]


def test_offsets_labels_and_groups(tmp_path: Path) -> None:
    acc, gyro = np.arange(10).reshape(5, 2), np.ones((5, 2, 2))
    first, second = read(tmp_path, {"group": "who"}, acc=acc, gyro=gyro, offsets=[0, 2, 5], y=[7, 8], who=["é", "b"])
    assert np.array_equal(first["vectors"], np.concatenate((acc[:2], np.ones((2, 4))), 1))
    assert (first["label"], first["group"], len(second["vectors"])) == ("7", "é", 3)


def test_a_label_for_each_step_is_a_tag(tmp_path: Path) -> None:
    first, second = read(tmp_path, {"zeros": "drop"}, x=[[1], [0], [2]], offsets=[0, 2, 3], label=["a", "b", "c"])
    assert first["tags"] == ["a"] and second["tags"] == ["c"] and first["vectors"].tolist() == [[1]]


def test_sequences_of_one_length_and_one_alone(tmp_path: Path) -> None:
    several = read(tmp_path, {}, x=np.zeros((4, 3, 2, 2)), label=[1, 2, 3, 4])
    assert len(several) == 4 and several[3]["vectors"].shape == (3, 4) and several[3]["label"] == "4"
    (one,) = read(tmp_path, {"arrays": ("x",)}, x=np.arange(3.0), label="up")
    assert one["vectors"].tolist() == [[0], [1], [2]] and one["label"] == "up"


def test_points_are_told_from_one_of_them(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(4, 3, 2))
    x[2] = 0  # not seen
    (found,) = read(tmp_path, {"origin": 1, "zeros": "drop"}, x=x, offsets=[0, 4])
    assert np.allclose(found["vectors"], (x - x[:, 1:2])[[0, 1, 3]].reshape(3, 6))
    with pytest.raises(ConfigError, match=r"reader\.origin = -1"):
        read(tmp_path, {"origin": -1}, x=x)
    with pytest.raises(DataError, match=r"reader\.origin = 3, but x has the shape \(4, 3, 2\)"):
        read(tmp_path, {"origin": 3}, x=x, offsets=[0, 4])


@pytest.mark.parametrize(
    ("settings", "arrays", "message"),
    [
        ({}, {"x": [[1.0]], "offsets": [0, 2]}, "offsets of 2 numbers, expected whole numbers that rise from 0 to 1"),
        ({}, {"x": [[1.0]], "offsets": [1, 0]}, "expected whole numbers that rise from 0 to 1"),
        ({}, {"x": [[1.0]], "offsets": [0.0, 1.0]}, "expected whole numbers that rise"),
        ({}, {"x": [[1.0], [np.nan]]}, "x has 1 number that are not finite, the first at row 1"),
        ({}, {"x": [["a"]]}, "array x holds <U1, expected numbers"),
        ({}, {"names": ["a"]}, "none of them numbers of steps"),
        ({"arrays": ("y", "x")}, {"x": [1.0]}, "no array 'y' (reader.arrays). There are x."),
        ({"group": "whom"}, {"x": [1.0], "who": [1]}, "no array 'whom' (reader.group): did you mean 'who'?"),
        (
            {},
            {"x": [[1.0], [2.0]], "offsets": [0, 2], "y": [1, 2, 3]},
            "3 entries, expected one for each of 1 ",
        ),
        ({"arrays": ("x", "z")}, {"x": [1.0], "z": [1.0, 2.0]}, "expected steps of equal number"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, settings: Any, arrays: Any, message: str) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path, settings, **{name: np.asarray(each) for name, each in arrays.items()})
    assert message in str(error.value) and str(error.value).startswith(str(tmp_path / "a.npz"))


def test_no_pickle_is_read(tmp_path: Path) -> None:
    held = io.BytesIO()
    np.savez(held, x=np.array([{"a": 1}], object))
    with pytest.raises(DataError, match="the array x holds object, expected numbers or texts"):
        read(tmp_path, {}, raw=held.getvalue())


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return held.getvalue()


def header(shape: tuple[int, ...]) -> bytes:
    held = io.BytesIO()
    np.lib.format.write_array_header_1_0(held, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return held.getvalue()


def test_sizes_are_checked_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="x is not as large as it says"):
        read(tmp_path, {}, raw=zipped({"x.npy": header((1 << 50, 3)) + bytes(24)}))
    bomb = zipped({"x.npy": header((1 << 24, 1)) + bytes(1 << 27)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match="unpack to more than 67,108,864, which no data do"):
        read(tmp_path, {}, raw=bomb)
    with pytest.raises(DataError, match="a zip archive of 1 files, expected 1 to 1,000 arrays"):
        read(tmp_path, {}, raw=zipped({"word/document.xml": b"<a/>"}))


def test_an_array_by_columns_is_the_same(tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(size=(4, 3))
    (found,) = read(tmp_path, {}, x=np.asfortranarray(x))
    assert np.array_equal(found["vectors"], x)


def test_what_numbers_changed_by(tmp_path: Path) -> None:
    x = np.array([[5, 200], [7, 100], [4, 0]], np.uint8)
    first, second = read(tmp_path, {"differences": True}, x=x, offsets=[0, 2, 3])
    assert first["vectors"].tolist() == [[5, 200, 0, 0], [7, 100, 2, -100]]
    assert second["vectors"].tolist() == [[4, 0, 0, 0]]
