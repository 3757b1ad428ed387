"""Named data sets: their files, their splits, their counts, and what is said where they are not there."""

from __future__ import annotations

import hashlib
import os
import runpy
from collections import Counter
from pathlib import Path

import pytest

from recurra import registry
from recurra.data import sets
from recurra.data.codecs.characters import Character
from recurra.data.codecs.contract import unknown_share
from recurra.data.codecs.word import Word
from recurra.data.readers.parallel import ParallelReader
from recurra.data.readers.text import TextReader
from recurra.data.sets import (
    DataSet,
    Lines,
    Listed,
    ReadAs,
    Source,
    find_set,
    find_vectors,
    read_sources,
    set_reader,
)
from recurra.data.split import cut
from recurra.errors import ConfigError, DataError, UnknownName

needs_data = pytest.mark.skipif(not os.environ.get("RECURRA_DATA"), reason="RECURRA_DATA names no data folder")
FIXTURES = Path(__file__).parent.parent / "fixtures"


def text_of(sources: tuple[Source, ...]) -> str:
    return "".join(example["text"] for example in read_sources(sources, TextReader()))


@needs_data
def test_tinyshakespeare() -> None:
    data = find_set("tinyshakespeare")
    text = text_of(data.train)
    assert (len(text), data.valid, data.test) == (1_115_394, (), ())
    assert data.fractions is not None
    train, test = cut(text, data.fractions, exact=True)
    assert (len(train), len(test)) == (1_003_854, 111_540)
    vocabulary = Character().fit([train])
    assert len(vocabulary) == 65 + 1
    assert unknown_share(vocabulary, [vocabulary.encode(test)]) == 0
    assert vocabulary.decode(vocabulary.encode(text)) == text


@needs_data
@pytest.mark.parametrize(
    ("name", "counts", "size"),
    [
        ("ptb", (929_589, 73_760, 82_430), 10_000),
        ("wikitext-2", (2_088_628, 217_646, 0), 33_278),
    ],
)
def test_word_counts(name: str, counts: tuple[int, ...], size: int) -> None:
    data = find_set(name)
    train, *others = (text_of(part) for part in (data.train, data.valid, data.test))
    vocabulary = Word().fit([train])
    ids = [vocabulary.encode(text) for text in (train, *others)]
    assert tuple(map(len, ids)) == counts
    assert len(vocabulary) == size
    assert unknown_share(vocabulary, [ids[0]]) > 0.02  # the rare words were taken out of the text itself


def test_pydoc_is_always_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECURRA_DATA", raising=False)
    data = find_set("pydoc")
    text = text_of(data.train)
    assert 300_000 < len(text) < 1_000_000
    assert text.count(" the ") > 1000
    assert (data.valid, data.test, data.fractions) == ((), (), None)


def test_examples_and_files_are_read_alike(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("file\n")
    data = DataSet("mixed", train=({"text": "example\n", "path": "a"}, tmp_path / "b"))
    assert text_of(data.train) == "example\nfile\n"


def test_files_that_follow_each_other_are_read_together(tmp_path: Path) -> None:
    for name, text in (("a.en", "a\nb\n"), ("a.de", "x\ny\n"), ("b.en", "c\n"), ("b.de", "z\n")):
        (tmp_path / name).write_text(text)
    two = tuple(tmp_path / name for name in ("a.en", "a.de"))
    sources = (*two, {"source": "between", "target": ""}, tmp_path / "b.en", tmp_path / "b.de")
    assert [e["source"] for e in read_sources(sources, ParallelReader())] == ["a", "b", "between", "c"]


def set_of_lines(folder: Path, monkeypatch: pytest.MonkeyPatch, parts: str) -> DataSet:
    """A set of three pairs, and the parts that a file says they belong to."""
    monkeypatch.setenv("RECURRA_DATA", str(folder))
    sums = {}
    for name, text in (("pairs", "a\tx\nb\ty\n\tz\n"), ("split", parts)):
        (folder / name).write_text(text)
        sums[name] = {name: hashlib.sha256(text.encode()).hexdigest()}
    monkeypatch.setattr(sets, "_table", lambda: {"one": {"train": sums["pairs"], "lines": sums["split"]}})
    return find_set("one")


def test_a_file_may_say_which_line_is_of_which_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = set_of_lines(tmp_path, monkeypatch, "test\ntrain\ntrain\n")
    assert data.valid == (Lines(tmp_path / "pairs", tmp_path / "split", "valid"),)
    found = {
        part: [e["target"] for e in read_sources(getattr(data, part), registry.construct("reader", {"kind": "pairs"}))]
        for part in sets.PARTS
    }
    assert found == {"train": ["y", "z"], "valid": [], "test": ["x"]}


def test_a_line_of_no_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = set_of_lines(tmp_path, monkeypatch, "test\ntrain\n")
    with pytest.raises(DataError, match=r"split: the file ends after 2 lines, expected one for .*pairs:3, the name of"):
        list(read_sources(data.train, registry.construct("reader", {"kind": "pairs"})))


def set_of_ids(folder: Path, monkeypatch: pytest.MonkeyPatch, test: str) -> DataSet:
    """A table of three rows, and a file of ids for each part."""
    monkeypatch.setenv("RECURRA_DATA", str(folder))
    files = {"rows": "id,text,y\n7,a,1\n8,b,2\n9,c,3\n", "train": "9\n8\n", "valid": "7\n", "test": test}
    sums = {}
    for name, text in files.items():
        (folder / name).write_text(text)
        sums[name] = {name: hashlib.sha256(text.encode()).hexdigest()}
    ids = {part: sums[part] for part in sets.PARTS}
    monkeypatch.setattr(sets, "_table", lambda: {"one": {"train": sums["rows"], "ids": ids}})
    return find_set("one")


def test_a_file_of_ids_may_say_which_examples_are_of_a_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = set_of_ids(tmp_path, monkeypatch, "8\n\n")
    assert data.valid == (Listed(tmp_path / "rows", tmp_path / "valid"),)
    reader = registry.construct("reader", {"kind": "table", "number": "y", "id": "id", "separator": "comma"})
    found = {part: [e["text"] for e in read_sources(getattr(data, part), reader)] for part in sets.PARTS}
    assert found == {"train": ["b", "c"], "valid": ["a"], "test": ["b"]}
    gone = set_of_ids(tmp_path, monkeypatch, "8\n6\n")
    with pytest.raises(
        DataError, match=r"test: 2 names, but .*rows has 1 example of them, expected one for each\. Copy"
    ):
        list(read_sources(gone.test, reader))


@needs_data
def test_the_essays_of_a_fold() -> None:
    data = find_set("asap-aes-fold3")
    reader = registry.construct("reader", data.reader or {})
    found = {part: list(read_sources(getattr(data, part), reader)) for part in sets.PARTS}
    assert [len(each) for each in found.values()] == [7788, 2596, 2594]
    ids = [example["id"] for part in found.values() for example in part]
    assert len(set(ids)) == len(ids) == 12_978
    essays = [example for part in found.values() for example in part]
    counts = Counter(example["scale"] for example in essays)
    assert [counts[str(k)] for k in range(1, 9)] == [1783, 1800, 1726, 1772, 1805, 1800, 1569, 723]
    marks = [example["number"] for example in essays if example["scale"] == "8"]
    assert (min(marks), max(marks)) == (10, 60) and not any(e["text"].startswith('"@') for e in essays[:50])


def test_unknown_set() -> None:
    with pytest.raises(UnknownName, match=r"unknown data set 'tinyshakespear': did you mean 'tinyshakespeare'.*pydoc"):
        find_set("tinyshakespear")


def test_no_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECURRA_DATA", raising=False)
    with pytest.raises(DataError, match=r"'ptb' needs RECURRA_DATA, which is not set\. Set it .* or name files"):
        find_set("ptb")


def test_the_folder_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RECURRA_DATA", str(tmp_path / "absent"))
    with pytest.raises(
        DataError, match=r"RECURRA_DATA = .*absent is no folder, expected the one that holds ptb/.* name"
    ):
        find_set("ptb")


def test_a_file_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RECURRA_DATA", str(tmp_path))
    with pytest.raises(
        DataError, match=r"ptb.train.txt.gz: no such file, expected a part of the data set 'ptb'\. Is RECU"
    ):
        find_set("ptb")


def test_a_file_is_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "tinyshakespeare" / "input.txt"
    path.parent.mkdir()
    path.write_text("Not Shakespeare\n")
    monkeypatch.setenv("RECURRA_DATA", str(tmp_path))
    found = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    with pytest.raises(
        DataError, match=rf"input.txt: not the file .* SHA-256 is {found}…, expected 86c4e6aa9db7c042….* Copy"
    ):
        find_set("tinyshakespeare")


def test_the_names_are_listed() -> None:
    assert {"ptb", "pydoc", "tinyshakespeare", "wikitext-2", "atis", "imdb"} < set(sets.set_names())
    assert sets.vector_names() == ["glove-100d-subset"]
    assert not set(sets.set_names()) & set(sets.vector_names())


@needs_data
def test_the_sums_are_those_of_the_folder() -> None:
    folder = Path(os.environ["RECURRA_DATA"])
    lines = [line for file in folder.glob("SHA256SUMS*") for line in file.read_text().splitlines()]
    known = {path: digest for digest, path in (line.split("  ", 1) for line in lines)}
    table = sets._table()
    for described in table.values():
        files = [described.get(part, {}) for part in (*sets.PARTS, "vectors", "lines")]
        for part in (*files, *described.get("ids", {}).values()):
            for path, digest in part.items():
                inside = {path: digest} if isinstance(digest, str) else {f"{path}/{f}": s for f, s in digest.items()}
                listed = {file: digest for file, digest in inside.items() if not file.endswith("/*")}
                assert listed.items() <= known.items()  # of all files of a folder there is one sum of ours
                assert isinstance(digest, str) or len(digest) in (2, 3)


@pytest.mark.parametrize("name", [name for name in sets.set_names() if name != "pydoc"])
def test_the_reader_of_each_set_is_known_with_its_settings(name: str) -> None:
    settings = set_reader(name)
    assert settings is not None
    registry.construct("reader", settings)
    settings["kind"] = "changed"
    assert set_reader(name) != settings


@needs_data
def test_a_part_may_be_a_folder() -> None:
    data = find_set("atis")
    folder = Path(os.environ["RECURRA_DATA"]) / "atis"
    assert (data.train, data.valid, data.test) == ((folder / "train",), (folder / "valid",), (folder / "test",))
    assert data.reader == {"kind": "aligned"}


def test_each_file_of_a_folder_is_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RECURRA_DATA", str(tmp_path))
    folder = tmp_path / "one" / "train"
    folder.mkdir(parents=True)
    (folder / "seq.in").write_text("a b\n")
    digest = hashlib.sha256(b"a b\n").hexdigest()
    described = {"train": {"one/train": {"seq.in": digest, "seq.out": digest}}}
    monkeypatch.setattr(sets, "_table", lambda: {"one": described})
    with pytest.raises(DataError, match=r"one/train/seq.out: no such file, expected a part of the data set 'one'"):
        find_set("one")
    (folder / "seq.out").write_text("a\n")
    with pytest.raises(DataError, match=r"one/train/seq.out: not the file of the data set 'one'"):
        find_set("one")
    (folder / "seq.out").write_text("a b\n")
    assert find_set("one").train == (folder,)


@needs_data
def test_word_vectors_are_found_by_name() -> None:
    assert find_vectors("glove-100d-subset").name == "glove.6B-derived.100d.25k.txt.gz"


def test_word_vectors_are_no_set_of_examples() -> None:
    with pytest.raises(ConfigError, match=r"holds word vectors, .*--set vocabulary.vectors=glove-100d-subset"):
        find_set("glove-100d-subset")
    with pytest.raises(UnknownName, match=r"unknown set of word vectors 'glove-100d': did you mean 'glove-100d-subs"):
        find_vectors("glove-100d")


def test_the_fixture_is_what_its_grammar_writes() -> None:
    prose = (FIXTURES / "prose.txt").read_text(encoding="utf-8")
    assert runpy.run_path(str(FIXTURES / "make_prose.py"))["prose"]() == prose
    assert 10_000 < len(prose) <= 20_000


@needs_data
def test_systems() -> None:
    """The community's cuts: other rows of one file, other columns of one file."""
    silverbox = find_set("silverbox")
    (train,), (test,) = silverbox.train, silverbox.test
    assert isinstance(train, ReadAs) and isinstance(test, ReadAs) and train.paths == test.paths
    assert (train.settings["rows"], test.settings["rows"]) == ("40650:105712", "105712:127400")
    assert set_reader("silverbox") == {"kind": "signals", "inputs": ["V1"], "outputs": ["V2"]}
    tanks, reader = find_set("cascaded-tanks"), registry.construct("reader", set_reader("cascaded-tanks") or {})
    (fitted,), (asked,) = (list(read_sources(part, reader)) for part in (tanks.train, tanks.test))
    assert (fitted["names"], asked["names"]) == (["yEst"], ["yVal"])
    for example, first in ((fitted, (3.2567, 5.205)), (asked, (0.97619, 4.9728))):
        assert (example["inputs"][0, 0], example["outputs"][0, 0]) == first
        assert example["inputs"].shape == example["outputs"].shape == (1024, 1)
