"""Series in JSON lines: what is read, and every broken line with its message."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra.data.readers.series_lines import SeriesLinesReader
from recurra.errors import DataError


def read(folder: Path, *lines: str, **settings: str) -> list[Any]:
    path = folder / "a.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return list(SeriesLinesReader(**settings).read(path))


def test_what_is_read(tmp_path: Path) -> None:
    one, two, three = read(
        tmp_path,
        '{"x": [[1, 2.5], [3, -4]], "y": 7, "of": "a", "label": 3}',
        "",
        '{"x": [1, 2, 3], "y": null, "other": []}',
        '{"x": []}',
        series="x",
        number="y",
        scale="of",
    )
    np.testing.assert_array_equal(one["series"], [[1, 2.5], [3, -4]])
    assert (one["number"], one["scale"], one["label"]) == (7.0, "a", "3")
    np.testing.assert_array_equal(two["series"], [1, 2, 3])
    assert two.keys() == {"series", "place"} and two["place"].endswith("a.jsonl:3")
    assert three["series"].shape == (0,)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"y": 1}', "no key 'series', found 'y'. Name it: --set reader.series=KEY"),
        ('{"series": 5}', "'series' is '5', expected a list of numbers, or of vectors that are all as wide"),
        ('{"series": [[1, 2], [3]]}', "'series' is '[[1, 2], [3]]', expected a list of numbers, or of vectors"),
        ('{"series": [[1], 2]}', "'series' is '[[1], 2]', expected"),
        ('{"series": [[], []]}', "'series' is '[[], []]', expected"),
        ('{"series": [1, "2"]}', "'2' in 'series' is no finite number. Mend it, or leave the line out."),
        ('{"series": [1, NaN]}', "'nan' in 'series' is no finite number"),
        ('{"series": [1, true]}', "'True' in 'series' is no finite number"),
        ('{"series": [1], "number": "x"}', "'x' as 'number' is no number, expected one such as 8 or 3.5"),
        ('{"series": [1], "number": Infinity}', "inf as 'number' is not finite"),
        ('{"series": [1], "scale": " "}', "an empty 'scale'. Write one there, or leave the line out."),
        ("[1]", 'a list, \'[1]\', expected an object like {"series": [[0.1, 2], [0.3, 4]], "number": 5.5}'),
    ],
)
def test_broken_lines(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DataError, match="^" + re.escape(f"{tmp_path / 'a.jsonl'}:1: {message}")):
        read(tmp_path, line)
