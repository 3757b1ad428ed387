"""Tables with a row for each step of many sequences, and recordings with a table of intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra import registry
from recurra.data.stacked import packed
from recurra.errors import ConfigError, DataError

TABLE = "id;step;a;b;label\n1;0;1;2;up\n1;1;-3;4e1;up\n2;0;5;6;down\n"


def read(kind: str, path: Path, **settings: Any) -> list[dict[str, Any]]:
    return [dict(each) for each in registry.construct("reader", {"kind": kind, **settings}).read(path)]


def of(folder: Path, text: str, **settings: Any) -> list[dict[str, Any]]:
    (folder / "a.csv").write_text(text, encoding="utf-8")
    return read("sequences", folder / "a.csv", **settings)


def test_sequences_with_labels(tmp_path: Path) -> None:
    first, second = of(tmp_path, TABLE)
    assert np.array_equal(first["vectors"], [[1, 2], [-3, 40]]) and first["label"] == "up"
    assert second["vectors"].tolist() == [[5, 6]] and second["place"] == f"{tmp_path / 'a.csv'}:4"


def test_named_columns_tags_and_groups(tmp_path: Path) -> None:
    text = "n,who,t,x,y,what\na,é,2020-01-01,1,2,w\na,é,2020-01-02,3,4,s\n"
    (found,) = of(tmp_path, text, sequence="n", columns=("y",), tag="what", group="who")
    assert found["vectors"].tolist() == [[2], [4]] and found["tags"] == ["w", "s"] and found["group"] == "é"
    assert "label" not in found


def test_labels_of_another_table_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("sequence,x\n1,1\n1,2\n2,3\n")
    (tmp_path / "labels.csv").write_text("sequence,label,who\n2,b,v\n1,a,u\n")
    found = read("sequences", tmp_path, labels="labels.csv", group="who")
    assert [(each["label"], each["group"]) for each in found] == [("a", "u"), ("b", "v")]
    assert "label" not in read("sequences", tmp_path / "x.csv", labels="none.csv")[0]  # nothing is known of these
    with pytest.raises(
        DataError, match=r"expected one table \(\.csv or \.tsv\) in this folder, found labels\.csv, x\.csv"
    ):
        read("sequences", tmp_path)
    (tmp_path / "labels.csv").write_text("sequence,label\n2,b\n2,a\n")
    with pytest.raises(DataError, match=r"labels\.csv:3: sequence 2 has a label already"):
        read("sequences", tmp_path, labels="labels.csv")


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("id,a\n1,1\n2,2\n1,3\n", {}, "a.csv:4: a row of sequence 1, whose other rows stand further up"),
        ("id,a\n1,x\n", {}, "a.csv:2: 'x' is no number"),
        ("id,a\n1,1\n1,\n", {}, "a.csv:3: no number in cell 2"),
        ("id,a\n1\n", {}, "a.csv:2: 1 cell, expected 2 as in the first line"),
        ("id,a,a\n1,1,1\n", {}, "a.csv:1: two columns are called 'a'"),
        ("id,step,a\n1,1,1\n1,1,2\n", {}, "a.csv:3: 1 does not rise after 1"),
        ("id,a,label\n1,1,u\n1,2,v\n", {}, "a.csv:3: the label 'v', but the sequence began with 'u'"),
        ("id,step\n1,1\n", {}, "a.csv:1: no column of numbers among id, step"),
        ("id,a\n", {}, "no row below a header"),
        ("id,speed\n1,1\n", {"columns": ("sped",)}, "no column 'sped' (reader.columns): did you mean 'speed'?"),
        ("id,a\n1,1\n", {"label": "what"}, "no column 'what' (reader.label)"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path: Path, text: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as error:
        of(tmp_path, text, **settings)
    assert message in str(error.value) and str(error.value).startswith(str(tmp_path))


def recordings(folder: Path, table: str, **more: Any) -> Path:
    x = np.arange(60.0).reshape(20, 3)
    (folder / "a.npz").write_bytes(packed(x=x, offsets=[0, 12, 20], run=[4, 5], who=["p", "q"], **more))
    (folder / "b.csv").write_text(table)
    (folder / "names.txt").write_text("1 WALK\n2 SIT\n")
    return folder


ROWS = "run,activity,start,end\n4,1,3,8\n4,2,9,12\n5,2,1,3\n5,1,5,8\n"


def test_windows_of_intervals(tmp_path: Path) -> None:
    found = read("intervals", recordings(tmp_path, ROWS), window=4, names="names.txt", group="who")
    # 3 to 6, 5 to 8; 9 to 12; the third is too short; 5 to 8 of the second recording
    assert [each["vectors"][0, 0] / 3 for each in found] == [2, 4, 8, 16]
    assert [each["label"] for each in found] == ["WALK", "WALK", "SIT", "WALK"]
    assert [each["group"] for each in found] == ["p", "p", "p", "q"] and found[0]["vectors"].shape == (4, 3)
    assert found[1]["place"] == f"{tmp_path / 'b.csv'}:2, steps 5 to 8"


def test_what_recordings_changed_by(tmp_path: Path) -> None:
    folder = recordings(tmp_path, "run,activity,start,end\n4,1,2,5\n5,2,1,4\n")
    first, second = read("intervals", folder, window=4, differences=True)
    assert first["vectors"].shape == (4, 6) and (first["vectors"][:, 3:] == 3).all()
    assert (second["vectors"][0, 3:] == 0).all() and (second["vectors"][1:, 3:] == 3).all()


def test_a_tag_for_each_step(tmp_path: Path) -> None:
    found = read("intervals", recordings(tmp_path, ROWS), give="steps", window=8)
    assert [len(each["vectors"]) for each in found] == [8, 2, 3, 4]
    assert found[0]["tags"] == ["1"] * 6 + ["2"] * 2 and found[1]["tags"] == ["2"] * 2
    assert found[1]["vectors"][0, 0] == 3 * 10


@pytest.mark.parametrize(
    ("table", "settings", "message"),
    [
        (ROWS + "6,1,1,2\n", {}, "b.csv:6: run 6, which names no single recording"),
        (
            "run,activity,start,end\n4,1,3,13\n",
            {},
            "b.csv:2: steps 3 to 13, expected whole numbers that",
        ),
        ("run,activity,start,end\n4,1,3,x\n", {}, "b.csv:2: steps 3 to x"),
        ("run,activity,start,end\n4,1,3,8\n4,1,8,9\n", {}, "b.csv:3: begins at step 8, which the interval before it"),
        ("run,a,b,start,end\n4,1,1,3,8\n", {}, "of which a, b may be the label: expected one"),
        ("run,activity,start\n4,1,3\n", {}, "no column 'end'"),
        (ROWS, {"window": 9}, "no example in it, expected an interval as long as a window of 9 steps"),
        (ROWS, {"group": "whom"}, "no array 'whom' with a value for each of 2 recordings"),
        (ROWS, {"arrays": ("y",)}, "no array y, only"),
        (ROWS.replace(",1,", ",3,"), {"names": "names.txt"}, "the label '3', which names.txt does not name"),
    ],
)
def test_recordings_that_cannot_be_read(tmp_path: Path, table: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as error:
        read("intervals", recordings(tmp_path, table), **{"window": 4, **settings})
    assert message in str(error.value) and str(error.value).startswith(str(tmp_path))


def test_folders_and_settings_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder, expected a folder with recordings"):
        read("intervals", tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"expected one file \.npz in this folder, found none"):
        read("intervals", tmp_path)
    with pytest.raises(ConfigError, match=r"reader\.stride = 0, expected 1 or more steps\."):
        read("intervals", tmp_path, stride=0)
