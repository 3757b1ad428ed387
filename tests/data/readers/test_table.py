"""Tables: quotes, separators, columns, and every broken file with its message."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.readers.table import TableReader
from recurra.errors import ConfigError, DataError
from recurra.registry import construct


def read(folder: Path, content: str, name: str = "a.table", **settings: Any) -> list[Any]:
    path = folder / name
    path.write_bytes(content.encode())
    return list(TableReader(**settings).read(path))


def pairs(examples: list[Any]) -> list[tuple[str, str]]:
    return [(e["text"], e["label"]) for e in examples]


CELLS = st.text(st.characters(exclude_characters="\r\0", codec="utf-8"))


@pytest.mark.parametrize("separator", [",", "\t"])
def test_a_written_table_is_read_back(tmp_path_factory: pytest.TempPathFactory, separator: str) -> None:
    folder = tmp_path_factory.mktemp("round")

    @given(st.lists(st.tuples(CELLS, st.sampled_from(["pos", 'n"e,g'])), min_size=1), st.booleans())
    def round_trip(rows: list[tuple[str, str]], quote_all: bool) -> None:
        text = io.StringIO(newline="")
        writer = csv.writer(
            text,
            delimiter=separator,
            lineterminator="\n",
            quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL,
        )
        writer.writerows([("text", "label"), *rows])
        found = read(folder, text.getvalue(), quoted=True)
        assert pairs(found) == rows
        assert found[-1]["place"].rsplit(":", 1)[1] == str(2 + sum(cell.count("\n") + 1 for cell, _ in rows[:-1]))

    round_trip()


def test_rows_without_quotes(tmp_path: Path) -> None:
    text = 'label\ttext_a\n1\t"quoted" and not\n\n0\t"so, it is"\n1\t\n'
    found = read(tmp_path, text, text="text_a")
    assert pairs(found) == [('"quoted" and not', "1"), ('"so, it is"', "0"), ("", "1")]
    assert [e["place"].rsplit(":", 1)[1] for e in found] == ["2", "4", "5"]
    assert set(found[0]) - {"place"} <= set(TableReader.fields)


def test_columns_by_number(tmp_path: Path) -> None:
    text = "1,pos,good\n2,neg, bad \n"
    assert pairs(read(tmp_path, text, header=False, text=3, label=2)) == [("good", "pos"), (" bad ", "neg")]
    assert pairs(read(tmp_path, text, header=False, text=-1, label=-2)) == [("good", "pos"), (" bad ", "neg")]
    assert pairs(read(tmp_path, text, text=3, label=2)) == [(" bad ", "neg")]


@pytest.mark.parametrize(
    ("name", "text", "settings", "found"),
    [
        ("a.csv", "text,label\na\tb,x\n", {}, ("a\tb", "x")),
        ("a.csv.gz", 'text,label\n"a\tb",x\n', {}, ("a\tb", "x")),
        ("a.TSV", "text\tlabel\na, b\tx\n", {}, ("a, b", "x")),
        ("a.csv", "text\tlabel\na, b\tx\n", {}, ("a, b", "x")),
        ("a.txt", "text\tlabel\na, b\tx\n", {}, ("a, b", "x")),
        ("a.txt", "text,label\na\tb,x\n", {}, ("a\tb", "x")),
        ("a.tsv", "text,label\na,x\n", {"separator": "comma"}, ("a", "x")),
        ("a.csv", 'text,label\n"a",x\n', {"quoted": False}, ('"a"', "x")),
        ("a.tsv", 'text\tlabel\n"a ""b"""\tx\n', {"quoted": True}, ('a "b"', "x")),
        ("a.csv", 'text,label\n5" long,x', {}, ('5" long', "x")),
        ("a.csv", 'text;label\n"a, ""b"";";x\n', {}, ('a, "b";', "x")),
        ("a.tsv", "a, b;x\n", {"separator": "semicolon", "header": False, "text": 1, "label": 2}, ("a, b", "x")),
        ("a.tsv", '"text"\t"label"\n"a\tb"\t"x"\n', {}, ("a\tb", "x")),
        ("a.csv", "text, label \na,x\n", {}, ("a", "x")),
        ("a.csv", "text,label\ra,x\r", {}, ("a", "x")),
    ],
)
def test_what_parts_and_quotes(
    tmp_path: Path, name: str, text: str, settings: dict[str, Any], found: tuple[str, str]
) -> None:
    assert pairs(read(tmp_path, text, name, **settings)) == [found]


def test_several_labels(tmp_path: Path) -> None:
    found = read(tmp_path, "text\tlabel\na\tx; y;x\nb\t\n", label_separator=";")
    assert [e["labels"] for e in found] == [["x", "y"], []]
    assert all("label" not in e for e in found)


BROKEN: dict[str, tuple[str, dict[str, Any], str]] = {
    "a tab inside": (
        "text\tlabel\na\tx\nb\tc\ty\n",
        {},
        ':3: 3 columns, expected 2 (text, label). Is there a separator (tab or comma) inside the text? Cells in "…": '
        "--set reader.kind=table --set reader.quoted=true",
    ),
    "a line end inside": (
        'text\tlabel\n"a\nb"\tx\n',
        {},
        ":2: 1 column, expected 2 (text, label). Is there a line end inside the text, or a column missing? Cells in",
    ),
    "no header": ("a\tx\nb\n", {"header": False, "text": 1, "label": 2}, ":2: 1 column, expected 2 as in the first"),
    "another name": (
        "label,text_a\nx,a\n",
        {},
        ":1: no column 'text' in the header: did you mean 'text_a'? Found 'label', 'text_a'. Name it: --set "
        "reader.kind=table --set reader.text=COLUMN, or by number with --set reader.header=false",
    ),
    "no label column": ("text,y\na,x\n", {}, ":1: no column 'label' in the header. Found 'text', 'y'. Name it: "),
    "no such number": (
        "a,x\n",
        {"header": False, "text": 1, "label": 3},
        ":1: 2 columns, expected more: reader.label = 3. They are counted from 1. Name another: "
        "--set reader.kind=table --set reader.label=…",
    ),
    "the same column": (
        "a,x\n",
        {"text": 2, "label": -1},
        ":1: reader.text = 2 and reader.label = -1 are the same column. Set one of them to another.",
    ),
    "no separator": (
        "\ntext\nabc\n",
        {},
        ":1: no tab, comma or semicolon in 'text', expected columns of a text and its label. For text alone: --set "
        "reader.kind=text",
    ),
    "no label": (
        "text,label\na,x\nb, \n",
        {},
        ":3: no label, expected one in the column 'label'. Write one there, or leave the row out.",
    ),
    "an open quote": (
        'text,label\n"a\nb",x\n"c,y\nd,z\n',
        {},
        ":4: the quoted cell '\"c,y\\nd,z\\n' is never closed, expected a '\"' at its end. Close it, or read quotes as "
        "they are: --set reader.kind=table --set reader.quoted=false",
    ),
    "a quote inside": (
        'text,label\n"a\nb",x\n"c" d",y\n',
        {},
        ":4: ' d\",y\\n' after the quoted cell '\"c\"', expected a separator or a line end. "
        'Write quotes inside as "", or: --set reader.kind=table --set reader.quoted=false',
    ),
    "a cell of many lines": (
        'text,label\n"a",x\n"' + "b" * 60 + "c\n" * 40 + 'd",y\n',
        {},
        ":3: the quoted cell '\"" + "b" * 38 + "…' goes on for 41 lines, expected 40 at most. Is a '\"' inside a text?",
    ),
    "rows swallowed": (
        'text,label\na,x\n"b it said,y\nc,x\nd,y\n"e",x\n',
        {},
        ":6: 'e\",x\\n' after the quoted cell",
    ),
    "a header alone": ("text,label\n\n", {}, ": no example in it, expected rows of a text and its label"),
    "empty": ("", {}, ": the file is empty, expected text. Name another file."),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_name_path_line_and_next_move(tmp_path: Path, kind: str) -> None:
    text, settings, message = BROKEN[kind]
    with pytest.raises(DataError, match=f"^{re.escape(str(tmp_path / 'a.table') + message)}"):
        read(tmp_path, text, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"header": False, "label": 1},
            "reader.text = 'text', expected a column number, as there is no header. Say which: --set reader.text=1",
        ),
        ({"header": False, "text": 1}, "reader.label = 'label', expected a column number"),
        ({"header": False, "text": 0, "label": 1}, "reader.text = 0, expected a column counted from 1, or from -1 b"),
        ({"text": "a", "label": "a"}, "reader.text and reader.label are both 'a'. Set one of them to another column."),
        ({"label_separator": ""}, "reader.label_separator is empty, expected what parts labels, such as ';'."),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        TableReader(**settings)


def test_the_registry_takes_names_and_numbers() -> None:
    reader = construct("reader", {"kind": "table", "text": 2, "label": "y", "quoted": True, "label_separator": ";"})
    assert (reader.text, reader.label, reader.quoted) == (2, "y", True)
    assert construct("reader", {"kind": "table", "quoted": "auto"}).quoted == "auto"
    with pytest.raises(ConfigError, match=r"reader.quoted = 'no'"):
        construct("reader", {"kind": "table", "quoted": "no"})


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a", "label\ttext\tid\n", "a table with the columns text and label"),
        ("a", '"text","label"\n', "a table with the columns text and label"),
        ("a.tsv.gz", "label\ttext_a\n", "a table by its name, *.tsv"),
        ("a.csv", "sequence,y\n", "a table by its name, *.csv"),
        ("a.txt", "label\ttext_a\n", None),
        ("a.csv", "one\n", None),
        ("a.csv", "", None),
    ],
)
def test_sniff(tmp_path: Path, name: str, text: str, reason: str | None) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert TableReader().sniff(path) == reason


SWALLOWED = [
    ('text,label\na,x\n"b it said,y\nc,x\nd,y\ne of ",x\nf,y\n', {}, 3),
    ('text,label\na,x\nb,y\n"b it said,y\ne of ",x\n', {}, 4),
    ('label,text\nx,a\ny,b\ny,"b it said\nx,e of "\n', {}, 4),
    ('label,text\nx,a\ny,b\ny,"b it said\nx,c\nx,d\ny,e of "\n', {}, 4),
    ('1;x;"a\nb"\n2;x;c\n3;y;"d\n4;x;d\ne"\n', {"header": False, "text": 3, "label": 2}, 4),
]


@pytest.mark.parametrize(("text", "settings", "line"), SWALLOWED)
def test_a_quote_that_is_closed_by_that_of_another_row_is_told(
    tmp_path: Path, text: str, settings: dict[str, Any], line: int
) -> None:
    with pytest.raises(
        DataError, match=rf"table.csv:{line}: the quoted cell .* that look like rows of their own\. Is a"
    ):
        read(tmp_path, text, name="table.csv", **settings)
    assert read(tmp_path, text, name="table.csv", quoted=True, **settings)
    assert settings or len(read(tmp_path, text, name="table.csv", quoted=False)) == text.count("\n") - 1


def test_cells_of_several_lines_are_cells(tmp_path: Path) -> None:
    """Commas and line ends alone make no row: a label does."""
    poem = "Nature's first green is gold,\nHer hardest hue to hold,\nx, y\n\nHer early leaf's a \"flower\","
    rows = [("a", "x"), ("b", "label"), (poem, "x")]
    text = "text,label\n" + "".join(f'"{cell.replace(chr(34), chr(34) * 2)}",{label}\n' for cell, label in rows)
    assert pairs(read(tmp_path, text, name="table.csv")) == rows


def test_numbers_scales_and_names(tmp_path: Path) -> None:
    text = "id\tscale\tscore\ttext\n1\tx\t8.5\ta b\n2\ty \t -3e1\tc\n"
    settings = {"number": "score", "scale": "scale", "id": "id"}
    found = read(tmp_path, text, name="a.tsv", **settings)
    assert [{key: value for key, value in example.items() if key != "place"} for example in found] == [
        {"text": "a b", "number": 8.5, "scale": "x", "id": "1"},
        {"text": "c", "number": -30.0, "scale": "y", "id": "2"},
    ]
    by_number = read(tmp_path, text.split("\n", 1)[1], name="a.tsv", header=False, text=4, number=-2)
    assert [example["number"] for example in by_number] == [8.5, -30.0] and "scale" not in by_number[0]
    assert TableReader(**settings).sniff(tmp_path / "a.tsv") == "a table by its name, *.tsv"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,x,,a", "no number, expected one in the column 'score'. Write one there, or leave the row out."),
        ("1,x,8;5,a", "'8;5' in the column 'score' is no number, expected one such as 8 or 3.5. Is the right column"),
        ('1,x,"8,5",a', "'8,5' in the column 'score' is no number, expected one such as 8 or 3.5. Write a point in"),
        ("1,x,1_000,a", "'1_000' in the column 'score' is no number"),
        ("1,x,inf,a", "inf in the column 'score' is not finite, expected a number. Mend it, or leave the row out."),
        ("1,x,NaN,a", "NaN in the column 'score' is not finite"),
        ("1, ,3,a", "no scale, expected one in the column 'scale'. Write one there, or leave the row out."),
    ],
)
def test_rows_without_a_number_or_a_scale(tmp_path: Path, row: str, message: str) -> None:
    text = f"id,scale,score,text\n1,x,3,a\n{row}\n"
    with pytest.raises(DataError, match=f"^{re.escape(str(tmp_path / 'a.csv') + ':3: ' + message)}"):
        read(tmp_path, text, name="a.csv", number="score", scale="scale", id="id")


def test_settings_of_numbers_that_cannot_be() -> None:
    for settings, message in (
        ({"number": "text"}, "reader.text and reader.number are both 'text'"),
        ({"number": "y", "scale": "y"}, "reader.number and reader.scale are both 'y'"),
        ({"number": "y", "label_separator": ";"}, "reader.label_separator parts labels, but reader.number stands in"),
        ({"number": "y", "header": False, "text": 1}, "reader.number = 'y', expected a column number"),
    ):
        with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
            TableReader(**settings)  # type: ignore[arg-type]


def test_marks_around_cells_alone_are_left_out(tmp_path: Path) -> None:
    """As some programs write: inner ones are doubled here and not there."""
    text = 'label\ttext\nx\t"He said "no", and ""yes"" too"\ny\t"\nz\tplain "b"\n'
    found = pairs(read(tmp_path, text, name="a.tsv", quoted="outer"))
    assert found == [('He said "no", and "yes" too', "x"), ('"', "y"), ('plain "b"', "z")]


def test_the_column_of_a_group_may_be_the_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x, one ,ACGT\ny,two, ACGT\n")
    found = list(TableReader(header=False, label=1, id=2, text=3, group=3).read(path))
    assert [(e["text"], e["group"], e["id"]) for e in found] == [("ACGT", "ACGT", "one"), (" ACGT", "ACGT", "two")]
