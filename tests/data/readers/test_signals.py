"""Inputs and outputs of a system out of one table: which columns, which rows, where outputs end, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra import registry
from recurra.errors import ConfigError, DataError

TABLE = "u1;u2;y\n1;10;0.1\n2;20;0.2\n3;30;0.3\n4;40;0.4\n"


def read(path: Path, text: str, **settings: Any) -> Any:
    path.write_text(text, encoding="utf-8")
    (example,) = registry.construct("reader", {"kind": "signals", **settings}).read(path)
    return example


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.csv"


@pytest.mark.parametrize(
    ("settings", "inputs", "names"),
    [
        ({}, ["u1", "u2"], ["y"]),
        ({"outputs": ("u1",)}, ["u2", "y"], ["u1"]),
        ({"inputs": ("y",)}, ["y"], ["u1", "u2"]),
        ({"inputs": ("u2",), "outputs": ("y", "u1")}, ["u2"], ["y", "u1"]),
        ({"inputs": (2,), "outputs": (-1,)}, ["u2"], ["y"]),
        ({"outputs": None}, ["u1", "u2", "y"], None),
    ],
)
def test_columns(path: Path, settings: dict[str, Any], inputs: list[str], names: list[str] | None) -> None:
    columns = {
        name: [float(row.split(";")[k]) for row in TABLE.split()[1:]]
        for k, name in enumerate(TABLE.split()[0].split(";"))
    }
    example = read(path, TABLE, **settings)
    assert np.array_equal(example["inputs"], np.stack([columns[name] for name in inputs], 1))
    assert example.get("names") == names and ("outputs" in example) == (names is not None)
    if names:
        assert np.array_equal(example["outputs"], np.stack([columns[name] for name in names], 1))
    assert example["place"] == f"{path}:2"


def test_a_part_of_the_rows(path: Path) -> None:
    example = read(path, TABLE, rows="1:3")
    assert example["inputs"][:, 0].tolist() == [2, 3] and example["outputs"][:, 0].tolist() == [0.2, 0.3]
    assert example["place"] == f"{path}:3"
    assert read(path, TABLE, rows="2:")["inputs"][:, 0].tolist() == [3, 4]
    with pytest.raises(DataError, match=r'a\.csv: 4 rows of numbers, expected as many as reader\.rows = "2:5" takes'):
        read(path, TABLE, rows="2:5")
    for rows in ("3:3", "5", "-2:", "a:b"):
        with pytest.raises(ConfigError, match=r"reader\.rows = .*, expected a range such as"):
            registry.construct("reader", {"kind": "signals", "rows": rows})


def test_outputs_may_end_early_or_be_missing(path: Path) -> None:
    """What is known of them is where a simulation begins; a column of them is not needed to be simulated."""
    example = read(path, "u,y\n1,0.1\n2,0.2\n3,\n4,NA\n", inputs=("u",), outputs=("y",))
    assert example["outputs"].tolist() == [[0.1], [0.2]] and len(example["inputs"]) == 4
    assert read(path, "u,y\n1,\n2,\n")["outputs"].shape == (0, 1)
    example = read(path, "u,z\n1,5\n2,6\n", inputs=("u",), outputs=("y",))
    assert "outputs" not in example and example["inputs"].tolist() == [[1], [2]]
    assert example["names"] == ["y"]  # what is simulated has a name all the same
    with pytest.raises(DataError, match=r"reader\.inputs = 'y' is no column"):
        read(path, "u,x\n1,5\n2,6\n", inputs=("u",), outputs=("x", "y"))


def test_gaps(path: Path) -> None:
    inside = "u,y\n1,0.1\n2,\n3,0.3\n,0.4\n5,\n"
    with pytest.raises(DataError, match=r"a\.csv:5: no value of u.* --set reader\.missing=forward"):
        read(path, inside)
    filled = read(path, inside, missing="forward")
    assert filled["inputs"][:, 0].tolist() == [1, 2, 3, 3, 5] and filled["outputs"][:, 0].tolist() == [
        0.1,
        0.1,
        0.3,
        0.4,
    ]
    assert read(path, inside, missing="linear")["outputs"][1, 0] == pytest.approx(0.2)
    with pytest.raises(DataError, match=r"a\.csv:3: no value of y"):
        read(path, "u,y\n1,0.1\n2,\n3,0.3\n")


def test_times_and_what_is_refused(path: Path) -> None:
    example = read(path, "time,u,y\n0.0,1,2\n0.5,3,4\n1.0,5,6\n")
    assert example["times"] == ["0.0", "0.5", "1.0"] and example["inputs"].shape == (3, 1)
    assert read(path, "time,u,y\n0.0,1,2\n0.5,3,4\n1.0,5,6\n", rows="1:")["times"] == ["0.5", "1.0"]
    with pytest.raises(DataError, match=r"a\.csv:4: 0\.7 is not one step behind"):
        read(path, "time,u,y\n0.0,1,2\n0.5,3,4\n0.7,5,6\n1.2,5,6\n1.7,5,6\n")
    with pytest.raises(DataError, match=r"a\.csv: 1 column of numbers, expected one of inputs .* reader\.outputs=none"):
        read(path, "u\n1\n2\n")
    with pytest.raises(DataError, match=r"a\.csv:3: 'x' is no number\. Leave the column out: --set reader\.inputs="):
        read(path, "u,y\n1,2\nx,3\n")
    with pytest.raises(ConfigError, match=r"reader\.inputs and reader\.outputs both name 'u'"):
        read(path, TABLE, inputs=("u",), outputs=("u",))


def test_gaps_of_inputs_as_data(path: Path) -> None:
    rows = "time,u,v,y\n0,1,5,0.1\n1,,6,0.2\n3.5,3,,0.3\n4.5,4,8,\n"
    found = read(path, rows, inputs=("u", "v"), outputs=("y",), missing="seen")
    assert found["inputs"].tolist() == [[1, 5], [1, 6], [3, 6], [4, 8]] and found["outputs"][:, 0].tolist() == [
        0.1,
        0.2,
        0.3,
    ]
    assert found["seen"].tolist() == [[1, 1], [0, 1], [1, 0], [1, 1]] and found["dt"].tolist() == [1, 1, 2.5, 1]
    assert found["since"].tolist() == [[1, 1], [1, 1], [3.5, 2.5], [1, 3.5]] and found["names"] == ["y"]
    part = read(path, rows, missing="seen", rows="2:")
    assert part["seen"].tolist() == [[1, 0], [1, 1]] and part["since"].tolist() == [[2.5, 2.5], [1, 3.5]]
    assert "outputs" not in read(path, rows, inputs=("u", "v"), outputs=None, missing="seen")
    with pytest.raises(DataError, match=r"a\.csv:3: no value of y, .* --set reader\.missing=forward"):
        read(path, "u,y\n1,0.1\n2,\n3,0.3\n", missing="seen")
