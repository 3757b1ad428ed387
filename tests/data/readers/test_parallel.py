"""Pairs in two files: read back, in twos, and files that do not belong together."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.data.readers.parallel import ParallelReader
from recurra.errors import ConfigError, DataError
from recurra.registry import construct

LINE = st.text(st.characters(exclude_characters="\0\n\r\ufeff", exclude_categories=["Cs"]), max_size=8)


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


@settings(deadline=None)
@given(st.lists(st.tuples(LINE, LINE), min_size=1))
def test_lines_come_back_in_pairs(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    source, target = (write(folder / f"{k}", "".join(f"{pair[k]}\n" for pair in pairs)) for k in (0, 1))
    assert list(ParallelReader().read(source, str(target))) == [
        {"source": one.strip(), "target": other.strip(), "place": f"{source}:{number}"}
        for number, (one, other) in enumerate(pairs, start=1)
    ]


def test_files_come_in_twos(tmp_path: Path) -> None:
    (tmp_path / "a.en.gz").write_bytes(gzip.compress(b"one\r\ntwo\r\n"))
    files = [tmp_path / "a.en.gz", write(tmp_path / "a.zh", "一\n二"), write(tmp_path / "b.en", "three\n")]
    files.append(write(tmp_path / "b.ar", "ثلاثة\n"))
    found = [(e["source"], e["target"]) for e in ParallelReader().read(*files)]
    assert found == [("one", "一"), ("two", "二"), ("three", "ثلاثة")]


@pytest.mark.parametrize("count", [1, 3])
def test_a_file_without_a_partner(tmp_path: Path, count: int) -> None:
    files = [write(tmp_path / f"{k}.txt", "a\n") for k in range(count)]
    said = (
        f"{files[-1]}: {count} file{'s' * (count > 1)}, expected them in twos: a file of sources, then the file of th"
    )
    with pytest.raises(DataError, match=f"^{re.escape(said)}"):
        list(ParallelReader().read(*files))


@pytest.mark.parametrize(("sources", "targets"), [(5, 3), (3, 5), (1, 2)])
def test_files_of_different_length(tmp_path: Path, sources: int, targets: int) -> None:
    en, de = write(tmp_path / "a.en", "x\n" * sources), write(tmp_path / "a.de", "y\n" * targets)
    longer, shorter = (en, de) if sources > targets else (de, en)
    lines = f"{sources} line{'s' * (sources > 1)}"
    said = (
        f"{longer}:{min(sources, targets) + 1}: the first line without a partner: {en} has {lines}, {de} {targets}, "
        f"expected as many. Line k of both belongs to the same pair: copy them again, or look what {shorter} lacks."
    )
    with pytest.raises(DataError, match=f"^{re.escape(said)}$"):
        list(ParallelReader().read(en, de))


def test_other_encodings(tmp_path: Path) -> None:
    for name, text in (("en", "a"), ("de", "Übung")):
        (tmp_path / name).write_bytes(f"{text}\n".encode("latin-1"))
    paths = tmp_path / "en", tmp_path / "de"
    assert next(ParallelReader("latin-1").read(*paths))["target"] == "Übung"
    with pytest.raises(DataError, match=r"de:1: byte 0xdc is not valid utf-8"):
        list(ParallelReader().read(*paths))
    with pytest.raises(ConfigError, match=r"reader.encoding = 'utf-88' is no text encoding"):
        construct("reader", {"kind": "parallel", "encoding": "utf-88"})


def test_sniff(tmp_path: Path) -> None:
    reader = ParallelReader()
    assert reader.sniff(write(tmp_path / "a", "one\ntwo\n")) == "lines without a tab, so the sources or the targets"
    assert reader.sniff(write(tmp_path / "b", "one\ttwo\n" * 5)) is None
    assert reader.sniff(tmp_path / "absent") is None
