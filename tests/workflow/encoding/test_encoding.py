"""A corpus is what training reads from the files themselves, bit for bit; whatever stopped its making."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.workflow.encoding.conftest import RECIPES, batches_of, encoded, material_of, settings_of

import recurra
from recurra.data.corpus import reading
from recurra.data.corpus.writing import Writer
from recurra.errors import ConfigError, DataError, Stopped
from recurra.workflow.encoding import examples, groups, texts

File = Callable[..., Path]


def same(one: Any, other: Any) -> None:
    """All that is read of two materials: splits, notes, sizes, batches of two epochs."""
    facts, others = one.facts(), other.facts()
    assert sorted(facts.pop("notes")) == sorted(others.pop("notes"))
    assert facts == others
    assert one.split == other.split
    for name, codec in one.codecs.saved.items():
        assert codec.record() == other.codecs.saved[name].record()
    for epoch in (0, 1):
        assert batches_of(one, epoch) == batches_of(other, epoch)


@pytest.mark.parametrize("recipe", [*RECIPES])
@pytest.mark.parametrize("small", [False, True], ids=["one piece", "many pieces"])
def test_a_corpus_is_what_its_files_are(
    recipe: str, small: bool, file_of: File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if small:
        monkeypatch.setattr(texts, "PIECE", 200)
        monkeypatch.setattr(groups, "LINES", 17)
    file, settings = file_of(recipe), settings_of(recipe)
    corpus = encoded(recipe, file, out=tmp_path / "corpus")
    from_files = material_of(recipe, file, **settings)
    same(from_files, material_of(recipe, **{**_batching(settings), "data.corpus": str(corpus)}))
    assert sorted(path.name for path in corpus.iterdir() if path.is_dir()) == []  # nothing is left of its making


def test_two_files_of_a_pair_are_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = [tmp_path / "de.txt", tmp_path / "en.txt"]
    for k, side in enumerate(sides):
        side.write_text("".join(f"{'xy'[k]} {n % 7} {n % 3}\n" for n in range(99)), encoding="utf-8")
    settings = {**settings_of("translate"), "reader.kind": "parallel"}
    corpus = encoded("translate", *sides, out=tmp_path / "corpus", **settings)
    from_files = material_of("translate", *sides, **settings)
    same(from_files, material_of("translate", **{"data.corpus": str(corpus)}))


def test_parquet_and_numbers_of_symbols_are_encoded_as_their_text(
    file_of: File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(texts, "PIECE", 300)
    file = file_of("char-lm")
    text = file.read_text(encoding="utf-8")
    plain = encoded("char-lm", file, out=tmp_path / "plain")
    table = pyarrow.table({"body": text.splitlines()})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=20)
    settings = {"reader.kind": "arrow", "reader.text": "body"}
    # The last row has no line end of its own, so its line is one shorter.
    file.write_text(text.removesuffix("\n"), encoding="utf-8")
    bare = encoded("char-lm", file, out=tmp_path / "bare")
    rows = encoded("char-lm", tmp_path / "a.parquet", out=tmp_path / "rows", **settings)
    symbols = sorted({*text})
    np.array([symbols.index(symbol) for symbol in text], "<u2").tofile(tmp_path / "train.bin")
    (tmp_path / "symbols.json").write_text(json.dumps(symbols), encoding="utf-8")
    ids = encoded("char-lm", tmp_path / "train.bin", out=tmp_path / "ids", **{"reader.kind": "symbol-ids"})
    for one, other in ((bare, rows), (plain, ids)):
        assert contents(one)["train.input.bin"] == contents(other)["train.input.bin"]
        assert contents(one)["codecs.json"] == contents(other)["codecs.json"]
        assert contents(one)["test.jsonl"] == contents(other)["test.jsonl"]
    labelled = pyarrow.table({"text": text.splitlines(), "y": ["ab"[n % 2] for n in range(text.count("\n"))]})
    parquet.write_table(labelled, tmp_path / "b.parquet", row_group_size=20)
    reading = {"reader.kind": "arrow", "reader.label": "y"}
    corpus = encoded("classifier", tmp_path / "b.parquet", out=tmp_path / "labelled", **reading)
    from_files = material_of("classifier", tmp_path / "b.parquet", **reading)
    same(from_files, material_of("classifier", **{"data.corpus": str(corpus)}))
    with pytest.raises(ConfigError, match=r"reader.kind = 'arrow' gives more than texts, of which alone a corpus"):
        encoded("char-lm", tmp_path / "b.parquet", out=tmp_path / "none", **reading)


def test_files_of_their_own_are_validated_and_tested_on(file_of: File, tmp_path: Path) -> None:
    for recipe in ("char-lm", "classifier"):
        train, valid, test = (file_of(recipe, seed) for seed in (1, 2, 3))
        named = {"valid": [valid], "test": [test]}
        corpus = recurra.encode(recipe, train, train, **named, out=tmp_path / recipe, processes=1)  # type: ignore[arg-type]
        found = material_of(recipe, **{**_batching(settings_of(recipe)), "data.corpus": str(corpus)})
        files = {"data.valid": [str(valid)], "data.test": [str(test)]}
        same(material_of(recipe, train, train, **{**_batching(settings_of(recipe)), **files}), found)


def test_two_processes_write_what_one_does(file_of: File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [file_of("tagger", seed) for seed in range(4)]
    one = encoded("tagger", *files, out=tmp_path / "one")
    two = recurra.encode("tagger", *files, out=tmp_path / "two", processes=2)
    assert contents(one) == contents(two)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("recipe", ["char-lm", "classifier"])
def test_a_stopped_encoding_goes_on(
    recipe: str, file_of: File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "PIECE", 200)
    monkeypatch.setattr(groups, "LINES", 17)
    file = file_of(recipe)
    whole = encoded(recipe, file, out=tmp_path / "whole")
    append, count = Writer.append, [0]

    def stopping(writer: Writer, shard: Any) -> None:
        append(writer, shard)
        count[0] += 1
        if count[0] == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Writer, "append", stopping)
    with pytest.raises(Stopped, match="the same command goes on"):
        encoded(recipe, file, out=tmp_path / "parts")
    with (tmp_path / "parts" / "train.input.bin").open("ab") as torn:
        torn.write(b"\0\0\0")  # as a kill in the middle of a write leaves it
    with pytest.raises(DataError, match=r"not encoded to its end. Give the same command once more"):
        material_of(recipe, **{"data.corpus": str(tmp_path / "parts")})
    encoded(recipe, file, out=tmp_path / "parts")
    shards = count[0]
    assert contents(tmp_path / "parts") == contents(whole)
    encoded(recipe, file, out=tmp_path / "again")
    assert shards == count[0] - shards  # none was encoded twice


def test_a_killed_encoding_goes_on(file_of: File, tmp_path: Path) -> None:
    file = file_of("word-lm", lines=60_000)
    words = [sys.executable, "-m", "recurra", "encode", "word-lm", str(file), "--processes", "2", "--out"]
    subprocess.run([*words, str(tmp_path / "whole")], check=True, capture_output=True)
    started = subprocess.Popen([*words, str(tmp_path / "parts")], stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while time.monotonic() < end and not (tmp_path / "parts" / "encoding" / "counts.json").is_file():
        time.sleep(0.01)
    os.kill(started.pid, signal.SIGKILL)
    started.wait()
    if not (tmp_path / "parts" / "corpus.json").is_file():  # the machine may have been faster
        subprocess.run([*words, str(tmp_path / "parts")], check=True, capture_output=True)
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_what_was_begun_goes_on_with_the_same_alone(
    file_of: File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopping(writer: Writer, shard: Any) -> None:
        raise KeyboardInterrupt

    file, out = file_of("char-lm"), tmp_path / "corpus"
    with monkeypatch.context() as patched:
        patched.setattr(Writer, "append", stopping)
        with pytest.raises(Stopped):
            encoded("char-lm", file, out=out)
    with pytest.raises(ConfigError, match=r"vocabulary.min_count was None when .* was begun, now it is 3"):
        encoded("char-lm", file, out=out, **{"vocabulary.min_count": 3})
    text = file.read_text(encoding="utf-8")
    file.write_text(text + "more\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"the files are others than when .*: .*char-lm-1.txt was changed"):
        encoded("char-lm", file, out=out)


def test_a_wrong_file_leaves_nothing_behind(tmp_path: Path, file_of: File) -> None:
    file, out = tmp_path / "latin.txt", tmp_path / "corpus"
    file.write_bytes("Zoë sleeps\n".encode("latin-1") * 20)
    with pytest.raises(DataError, match=r"latin.txt:1: byte 0xeb is not valid utf-8"):
        encoded("char-lm", file, out=out)
    assert not out.exists()
    encoded("char-lm", file, out=out, **{"reader.encoding": "latin-1"})
    with pytest.raises(ConfigError, match=r"is a corpus already. Train from it: recurra train"):
        encoded("char-lm", file, out=out)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine").touch()
    with pytest.raises(ConfigError, match=r"is not empty. Name a new folder with --out"):
        encoded("char-lm", file, out=tmp_path / "other")


def test_what_a_corpus_cannot_hold_is_refused(tmp_path: Path, file_of: File) -> None:
    file = file_of("tagger")
    with pytest.raises(ConfigError, match=r"vocabulary.vectors are taken up when a vocabulary learns"):
        encoded("tagger", file, out=tmp_path / "a", **{"vocabulary.vectors": str(file)})
    with pytest.raises(ConfigError, match="there are no validation examples"):
        encoded("tagger", file, out=tmp_path / "b", **{"data.valid_fraction": 0})


def test_of_much_text_a_part_is_kept(file_of: File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "PIECE", 200)
    monkeypatch.setattr(texts, "HELD", 100)
    monkeypatch.setattr(texts, "KEPT", 1_000)
    monkeypatch.setattr(texts, "SPOTS", 4)
    file = file_of("char-lm", lines=400)
    corpus = encoded("char-lm", file, out=tmp_path / "corpus")
    parts = reading.parts_of(corpus)
    assert len(parts.valid[0]["text"]) <= 130
    text, kept = file.read_text(encoding="utf-8"), parts.train[0]["text"]
    assert 500 < len(kept) <= 1_000
    assert {*kept.splitlines()} <= {*text.splitlines()}  # whole lines
    assert any(note.startswith(f"A corpus keeps {len(kept):,} of its ") for note in parts.notes)
    found = material_of("char-lm", **{**_batching(settings_of("char-lm")), "data.corpus": str(corpus)})
    train = text[: len(text) - len(parts.valid[0]["text"]) - len(parts.test[0]["text"])]
    assert found.facts()["symbols"]["train"] == len(train)
    assert found.codecs["input"].symbols[1:] == sorted({*train})


def test_of_many_examples_a_part_is_kept(file_of: File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "LINES", 17)
    monkeypatch.setattr(examples, "HELD_EXAMPLES", 4)
    monkeypatch.setattr(examples, "KEPT_EXAMPLES", 50)
    file = file_of("translate")
    corpus = encoded("translate", file, out=tmp_path / "corpus")
    parts = reading.parts_of(corpus)
    assert (len(parts.valid), len(parts.test)) == (3, 3)
    assert len(parts.train) == 48  # every third of 144
    assert any(note.startswith("A corpus keeps 48 of its 144 training examples") for note in parts.notes)
    assert any("has learned from the 48 training examples" in note for note in parts.notes)
    found = material_of("translate", **{"data.corpus": str(corpus)})
    assert found.facts()["examples"]["train"] == found.facts()["pairs"] == 144


def _batching(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name.startswith("batching.")}
