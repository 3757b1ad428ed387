"""A series a line: what is read, and one sentence for what cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recurra.data.readers.series_rows import SeriesRowsReader
from recurra.errors import DataError


def read(folder: Path, text: str, **settings: Any) -> list[Any]:
    file = folder / "a.csv"
    file.write_text(text, encoding="utf-8")
    return list(SeriesRowsReader(**settings).read(file))


def test_names_numbers_and_ends(tmp_path: Path) -> None:
    found = read(tmp_path, '"V1","V2","V3","V4"\n"H1","1","2.5",""\nH2,-3,4e1,5\n')
    assert [each["id"] for each in found] == ["H1", "H2"] and found[0]["names"] == ["H1"]
    assert [each["series"].tolist() for each in found] == [[[1], [2.5]], [[-3], [40], [5]]]
    assert found[1]["place"] == f"{tmp_path / 'a.csv'}:3"
    (one,) = read(tmp_path, "H1;1;;3;\n", missing="linear")
    assert one["series"][:, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n", "no series, expected one a line"),
        ("a,1\n\nb,,\n", ":3: no value behind 'b'"),
        ("a,1\nb,2\na,3\n", ":3: a second series called a, the first is in line 1"),
        ("a,1,,3\n", ":1: no value of a, and 1 value missing in all"),
        ("a,1,x\n", ":1: 'x' is no number"),
        ("a,1,inf\n", ":1: inf is not finite"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError) as raised:
        read(tmp_path, text)
    assert said in str(raised.value)


def test_sniff(tmp_path: Path) -> None:
    for text, yes in (("V1,V2,V3,V4\nH1,1,2,3\n", True), ("date,a\n2020,1\n", False), ("a,b,c\nx,1,2\n", False)):
        (tmp_path / "a.csv").write_text(text, encoding="utf-8")
        assert bool(SeriesRowsReader().sniff(tmp_path / "a.csv")) is yes
