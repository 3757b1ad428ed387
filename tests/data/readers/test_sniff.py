"""The reader that chooses another one."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from recurra.data.readers.sniff import ASKED, ORDER, PAIRS, AutoReader
from recurra.errors import DataError
from recurra.registry import construct, names

CONLLU = "# text = a\n1\ta\ta\tDT\tDT\t_\t0\troot\t_\t_\n"

FILES = {
    "conllu": ("a.txt", CONLLU, {"tokens": ["a"], "tags": ["DT"]}),
    "fasta": ("a.txt", ">s1 x\nACGT\nnn\n", {"text": "ACGTnn", "label": "x", "id": "s1", "lines": [(0, 2), (4, 3)]}),
    "columns": ("a.tsv", "EU\tB-ORG\n.\tO\n", {"tokens": ["EU", "."], "tags": ["B-ORG", "O"]}),
    "trees": ("a.csv", "(3 (2 It) (4 works))\n", {"tokens": ["It", "works"], "label": "3"}),
    "jsonl": ("a.txt", '{"text": "a\\tb", "label": "x"}\n', {"text": "a\tb", "label": "x"}),
    "table": ("a.txt", "id\ttext\tlabel\n1\ta, b\tx\n", {"text": "a, b", "label": "x"}),
    "labelled-lines": ("a.tsv", "x\ta\nx\tb\n", {"text": "a", "label": "x"}),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", FILES)
def test_each_format_is_known_by_its_look(tmp_path: Path, kind: str, packed: bool) -> None:
    name, text, expected = FILES[kind]
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    reader = AutoReader()
    example = next(reader.read(path))
    assert {k: v for k, v in example.items() if k != "place"} == expected
    assert reader.kind == kind
    why = construct("reader", {"kind": kind}).sniff(path)
    assert why
    assert reader.reason == f"{path} read as {kind}: {why}"


def test_a_folder_of_aligned_files(tmp_path: Path) -> None:
    for name, text in (("seq.in", "a b"), ("seq.out", "O B-x"), ("label", "l")):
        (tmp_path / name).write_text(text)
    reader = AutoReader()
    assert [e["label"] for e in reader.read(tmp_path, tmp_path / "seq.in")] == ["l", "l"]
    assert reader.reason == f"{tmp_path} read as aligned: a folder with seq.in and seq.out"


NAMED = {
    *(
        "arrow",
        "auto",
        "symbol-ids",
        "digit-crops",
        "digit-strings",
        "idx",
        "image-folders",
        "intervals",
        "jsonl-images",
        "jsonl-series",
        "line-images",
        "lines",
        "npz",
        "npz-jsonl",
        "pen-strokes",
        "spoken-strings",
        "poems",
        "segmented",
        "sequences",
        "series",
    ),
    *("series-rows", "signals", "stories", "text", "ts", "tsf"),
}
"""Readers that are named, or asked by others."""


def test_every_reader_of_labels_is_asked() -> None:
    assert {kind for asked in ASKED.values() for kind in asked} | NAMED == {*names("reader")}
    for kind in (*ORDER, *PAIRS):
        assert set(construct("reader", {"kind": kind}).fields) <= set(AutoReader.fields)


PAIRED = {
    "pairs": ("a", "Hi.\t嗨。\nRun.\t跑。\tCC-BY\n", [("Hi.", "嗨。"), ("Run.", "跑。")]),
    "dictionary": ("a.tsv", ";;; c\nTWO  T UW\nREAD  R EH D\n", [("TWO", ["T UW"]), ("READ", ["R EH D"])]),
}


@pytest.mark.parametrize("kind", PAIRED)
def test_pairs_in_one_file_are_known_by_their_look(tmp_path: Path, kind: str) -> None:
    name, text, expected = PAIRED[kind]
    (tmp_path / name).write_text(text, encoding="utf-8")
    reader = construct("reader", {"kind": "auto", "gives": "pairs"})
    found = [(e["source"], e.get("target", e.get("targets"))) for e in reader.read(tmp_path / name)]
    assert (found, reader.kind) == (expected, kind)
    assert AutoReader().sniff(tmp_path / name) != reader.sniff(tmp_path / name)


def test_pairs_in_two_files_are_read_together(tmp_path: Path) -> None:
    for name in ("en", "de", "dev.en", "dev.de"):
        (tmp_path / name).write_text(f"{name} 1\n{name} 2\n")
    reader = AutoReader(gives="pairs")
    assert [e["target"] for e in reader.read(tmp_path / "en", tmp_path / "de")] == ["de 1", "de 2"]
    assert reader.kind == "parallel"
    assert [e["source"] for e in reader.read(tmp_path / "dev.en", tmp_path / "dev.de")] == ["dev.en 1", "dev.en 2"]
    (tmp_path / "tabs").write_text("a\tb\n")
    with pytest.raises(DataError, match=r"tabs: source and target parted by a tab \(pairs\), expected parallel as "):
        list(reader.read(tmp_path / "dev.en", tmp_path / "tabs"))
    with pytest.raises(DataError, match=r"en: 1 file, expected them in twos"):
        list(AutoReader(gives="pairs").read(tmp_path / "en"))


def test_pairs_that_nobody_knows(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("a\tb\nc\n")
    said = f"{path}: no reader knows this file by its look, tried {', '.join(PAIRS)}. Name its format: --set "
    with pytest.raises(DataError, match=f"^{re.escape(said)}"):
        next(AutoReader(gives="pairs").read(path))
    with pytest.raises(
        DataError, match=r": no reader knows this folder by its look, expected files of pairs\. Name the"
    ):
        next(AutoReader(gives="pairs").read(tmp_path))
    path.write_text("\n\n")
    assert AutoReader(gives="pairs").sniff(path) == "parallel: lines without a tab, so the sources or the targets"


def test_json_with_blank_lines_between_is_no_columns(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text('{"text": "a", "label": "x"}\n\n' * 9)
    assert len(list(AutoReader().read(path))) == 9


def test_the_first_file_decides(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("EU B-ORG\n")
    (tmp_path / "b").write_text("the DT\n")  # alone it would not be known
    reader = AutoReader()
    assert (reader.kind, reader.reason) == (None, "")
    assert list(reader.read()) == []
    assert [e["tags"] for e in reader.read(tmp_path / "a", tmp_path / "b")] == [["B-ORG"], ["DT"]]
    assert [e["tags"] for e in reader.read(tmp_path / "b")] == [["DT"]]


def test_the_encoding_is_handed_on(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes("é B-ORG\n".encode("latin-1"))
    assert next(AutoReader(encoding="latin-1").read(path))["tokens"] == ["é"]
    with pytest.raises(DataError, match=r"a:1: byte 0xe9 is not valid utf-8.*--set reader.encoding=latin-1"):
        next(AutoReader().read(path))


def test_what_nobody_knows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prose.txt"
    path.write_text("It was late, and it rained.\nNobody came.\n")
    assert AutoReader().sniff(path) is None
    message = f"{path}: no reader knows this file by its look, tried {', '.join(ORDER)}. Name its format: --set reader."
    with pytest.raises(DataError, match=f"^{re.escape(message)}"):
        next(AutoReader().read(path))
    with pytest.raises(DataError, match=r": no reader knows this folder by its look, .* Name the files in it: "):
        next(AutoReader().read(tmp_path))
    with pytest.raises(DataError, match=r"absent: no such file"):
        next(AutoReader().read(tmp_path / "absent"))
    path.write_text("a b T1\nc d T2\n\ne f T3\n")
    with pytest.raises(DataError, match=r"Name its format: --set reader.kind=columns, or one of the others"):
        next(AutoReader().read(path))
    path.write_text("[\n {")
    with pytest.raises(DataError, match=r"prose.txt: one JSON array, .* jq -c '\.\[\]' prose.txt > prose.jsonl$"):
        next(AutoReader().read(path))
    path.write_text("\n \n")
    with pytest.raises(DataError, match=r"prose.txt: nothing but blank lines, expected labelled examples\. Name"):
        next(AutoReader().read(path))
    path.write_text("")
    with pytest.raises(DataError, match=r"prose.txt: the file is empty"):
        next(AutoReader().read(path))
