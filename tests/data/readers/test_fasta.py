"""FASTA: records, classes in headers and in a table beside, and every broken file with its message."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest

from recurra.data.fields import Codecs
from recurra.data.readers.fasta import FastaReader
from recurra.errors import ConfigError, DataError
from recurra.types import Field

TEXT = "; made by hand\n>s1 human EI class=x\nACGT\n acgt \n\n>s2\nNN\n>s3 mouse IE class=y\nG\n"


def read(folder: Path, text: str, **settings: Any) -> list[Any]:
    path = folder / "a.fa"
    path.write_text(text, encoding="utf-8")
    return list(FastaReader(**settings).read(path))


def test_records_of_several_lines(tmp_path: Path) -> None:
    found = read(tmp_path, TEXT, label=3)
    assert [(e["id"], e["text"], e.get("label")) for e in found] == [
        ("s1", "ACGTacgt", "EI"),
        ("s2", "NN", None),
        ("s3", "G", "IE"),
    ]
    assert [e["place"] for e in found] == [f"{tmp_path / 'a.fa'}:{line}" for line in (2, 6, 8)]


def test_a_wrong_base_is_found_in_its_own_line(tmp_path: Path) -> None:
    codecs = Codecs({"input": Field(("text",), {"kind": "bases"})})
    records = read(tmp_path, ">s1 a\nACGT\n\n; said of it\nAC GT\nTTXT\n>s2 b\n ACGT!\n")
    assert records[0]["lines"] == [(0, 2), (4, 5), (8, 6)]
    for record, said in zip(records, (r"a\.fa:6: 'X' at base 11 of 12", r"a\.fa:8: '!' at base 5 of 5"), strict=True):
        with pytest.raises(DataError, match=said):
            codecs.encode(record)


def test_the_place_of_the_class_is_named(tmp_path: Path) -> None:
    assert [e.get("label") for e in read(tmp_path, TEXT, label="class")] == ["x", None, "y"]
    assert [e.get("label") for e in read(tmp_path, TEXT)] == ["class=x", None, "class=y"]
    assert read(tmp_path, ">s1|human|EI\nA\n", label=2, separator="bar")[0]["label"] == "human"
    assert read(tmp_path, ">s1 a b\tEI\nA\n", separator="tab")[0]["id"] == "s1 a b"


def test_classes_in_a_table_beside(tmp_path: Path) -> None:
    (tmp_path / "classes.tsv").write_text("s1\tEI\n\ns2,IE\ns3\tN, too\n", encoding="utf-8")
    assert [e["label"] for e in read(tmp_path, TEXT, labels="classes.tsv")] == ["EI", "IE", "N, too"]
    (tmp_path / "a.fa.gz").write_bytes(gzip.compress(TEXT.encode()))
    packed = FastaReader(labels="classes.tsv").read(tmp_path / "a.fa.gz")
    assert [e["text"] for e in packed] == ["ACGTacgt", "NN", "G"]


BROKEN: dict[str, tuple[str, dict[str, Any], str]] = {
    "no header": ("ACGT\n>s1 x\nA\n", {}, "a.fa:1: 'ACGT' before the first header, expected a line that begins with >"),
    "no id": (">s1 x\nA\n>\nC\n", {}, "a.fa:3: a header without an id, expected one behind the >. "),
    "no sequence": (">s1 x\n>s2 x\nC\n", {}, "a.fa:1: no sequence below the header of 's1', expected letters in "),
    "cut off": (">s1 x\nA\n>s2 x", {}, "a.fa:3: no sequence below the header of 's2'"),
    "too few parts": (
        ">s1 x\nA\n",
        {"label": 3},
        "a.fa:1: the header has 2 parts ('s1', 'x'), expected a class in part 3. Say where it stands: --set ",
    ),
    "no such name": (">s1 kind=x\nA\n", {"label": "class"}, "('s1', 'kind=x'), expected a part class=…. "),
    "nothing": ("; a comment\n", {}, "a.fa: no example in it, expected records that begin with >. "),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(tmp_path: Path, name: str) -> None:
    text, settings, message = BROKEN[name]
    with pytest.raises(DataError, match=re.escape(message)):
        read(tmp_path, text, **settings)


def test_broken_tables(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    for text, message in (
        ("s1,x\ns1,y\n", "t.csv:2: 's1' a second time. "),
        ("s1\n", "t.csv:1: 's1', expected an id, a tab or a comma, and its class. "),
        ("s1,x\n", "a.fa:6: 's2' is not in t.csv, expected a line with it and its class. "),
    ):
        table.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=re.escape(message)):
            read(tmp_path, TEXT, labels="t.csv")


def test_settings_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match=r"reader\.label = 0, expected a column counted from 1"):
        FastaReader(label=0)
    with pytest.raises(ConfigError, match=r"reader\.label is empty"):
        FastaReader(label="")
