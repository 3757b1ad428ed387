"""Recordings in the ways that they come: tables, manifests, folders; and what does not fit together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra.data.readers.sniff import AutoReader
from recurra.data.wav import written
from recurra.errors import ConfigError, DataError
from recurra.registry import construct

RATE = 8_000


def record(path: Path, length: int = 400) -> Path:
    """A recording whose samples are 1, 2, 3, …"""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(written(np.arange(1, length + 1, dtype=np.int16), RATE))
    return path


def said(examples: Any, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(example.get(name) for name in names) for example in examples]


def read(kind: str, *paths: Path, **settings: Any) -> list[Any]:
    return list(construct("reader", {"kind": kind, **settings}).read(*paths))


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_common_voice(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        record(tmp_path / "clips" / name)
    rows = 'client_id\tpath\tsentence\nann\ta.wav\tShe said "no.\nbob\tb.wav\tYes, yes.\n'
    table = write(tmp_path / "train.tsv", rows)
    found = read("sound-table", table)
    assert said(found, "transcript", "speaker", "group", "place") == [
        ('She said "no.', "ann", "ann", f"{table}:2"),
        ("Yes, yes.", "bob", "bob", f"{table}:3"),
    ]
    assert all(len(each["sound"]) == 400 and "label" not in each for each in found)


def test_a_table_of_labels_and_pieces(tmp_path: Path) -> None:
    record(tmp_path / "recordings" / "0_ann.wav")
    rows = 'file,digit,who,split,offset,duration,text\n0_ann.wav,0,ann,test,0.01,0.02,"a, b"\n0_ann.wav,1,,train,,,c\n'
    write(tmp_path / "index.csv", rows)
    one, other = read("sound-table", tmp_path, label="digit", speaker="who")
    assert one["sound"].samples.tolist() == list(range(81, 241)) and len(other["sound"]) == 400
    assert said([one, other], "label", "speaker", "split", "transcript") == [
        ("0", "ann", "test", "a, b"),
        ("1", None, "train", "c"),
    ]


def test_ljspeech(tmp_path: Path) -> None:
    record(tmp_path / "wavs" / "LJ-1.wav")
    write(tmp_path / "metadata.csv", "LJ-1|in 1999|in nineteen ninety-nine\nLJ-1|yes\n")
    assert said(read("ljspeech", tmp_path), "transcript", "id") == [
        ("in nineteen ninety-nine", "LJ-1"),
        ("yes", "LJ-1"),
    ]
    assert said(read("ljspeech", tmp_path / "metadata.csv", text="plain"), "transcript") == [("in 1999",), ("yes",)]
    write(tmp_path / "metadata.csv", "LJ-1\n")
    with pytest.raises(DataError, match=r"metadata.csv:1: 1 cell parted by \|, expected 2 or 3"):
        read("ljspeech", tmp_path)


def test_a_manifest(tmp_path: Path) -> None:
    record(tmp_path / "a.wav")
    lines = '{"audio_filepath": "a.wav", "duration": 9.9, "text": "yes"}\n'
    piece = '{"audio_filepath": "%s", "offset": 0.02, "duration": 0.01, "label": 3}\n'
    manifest = write(tmp_path / "m.json", lines + piece % (tmp_path / "a.wav"))
    whole, cut = read("sound-jsonl", manifest)
    assert len(whole["sound"]) == 400 and cut["sound"].samples.tolist() == list(range(161, 241))
    assert said([whole, cut], "transcript", "label") == [("yes", None), (None, "3")]


def kaldi(folder: Path, **files: str) -> Path:
    record(folder / "wav" / "r.wav")
    usual = {"wav_scp": "r wav/r.wav\n", "text": "u1 yes\nu2 no no\n", "segments": "u1 r 0 0.01\nu2 r 0.01 -1\n"}
    for name, text in {**usual, "utt2spk": "u1 ann\n", **files}.items():
        write(folder / name.replace("_", "."), text)
    return folder


def test_kaldi(tmp_path: Path) -> None:
    found = read("kaldi", kaldi(tmp_path))
    assert said(found, "id", "transcript", "speaker") == [("u1", "yes", "ann"), ("u2", "no no", None)]
    assert [len(each["sound"]) for each in found] == [80, 320]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"wav_scp": "r sph2pipe -f wav r.sph |\n"}, r"wav.scp:1: a command, 'sph2pipe .*: commands of data are never"),
        ({"wav_scp": "r /etc/passwd\n"}, r"wav.scp:1: the recording '/etc/passwd' does not lie in"),
        ({"wav_scp": "r ../r.wav\n"}, r"'../r.wav' does not lie in .*--set reader.folder=FOLDER"),
        ({"wav_scp": "s wav/r.wav\n"}, r"segments:1: no recording 'r' in wav.scp"),
        ({"segments": "u1 r 0 0.01\n"}, r"text:2: no utterance 'u2' in segments or wav.scp"),
        ({"segments": "u1 r 0.2 0.1\nu2 r 0 1\n"}, r"segments:1: from 0.2 to 0.1 seconds"),
        ({"segments": "u1 r 0 x\n"}, r"segments:1: end is 'x', expected seconds"),
        ({"segments": "u1 r\n"}, r"segments:1: 1 cells behind the name"),
        ({"text": "u1\n"}, r"text:1: 'u1', expected a name, a space"),
        ({"text": "u1 a\nu1 b\n"}, r"text:2: 'u1' is there twice"),
        ({"segments": "u1 r 0 9\nu2 r 0 1\n"}, r"r.wav: the recording has 0.050 seconds, but a piece from 0 to 9"),
    ],
)
def test_what_does_not_fit_in_kaldi(files: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read("kaldi", kaldi(tmp_path, **files))


def test_librispeech(tmp_path: Path) -> None:
    record(tmp_path / "19" / "198" / "19-198-0000.wav")
    texts = write(tmp_path / "19" / "198" / "19-198.trans.txt", "19-198-0000 NORTHANGER ABBEY\n")
    expected = [("19-198-0000", "19", "NORTHANGER ABBEY", f"{texts}:1")]
    assert said(read("librispeech", tmp_path), "id", "speaker", "transcript", "place") == expected
    write(texts, "19-198-0001 NO\n")
    with pytest.raises(DataError, match=r"trans.txt:1: no recording .*-0001.flac: did you mean '19-198-0000.wav'"):
        read("librispeech", tmp_path)


def test_a_text_beside_each(tmp_path: Path) -> None:
    write(record(tmp_path / "ann" / "a.wav").with_suffix(".txt"), "yes\n yes\n")
    write(tmp_path / "README.txt", "no recording")
    assert said(read("sound-texts", tmp_path, speaker="folder"), "transcript", "speaker") == [("yes yes", "ann")]
    record(tmp_path / "b.wav")
    with pytest.raises(DataError, match=r"b.wav: no b.txt beside it"):
        read("sound-texts", tmp_path)


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    for name in ("yes/a_nohash_0.wav", "yes/b_nohash_0.wav", "no/a_nohash_1.wav", "_background_/noise.wav"):
        record(tmp_path / name)
    found = read("sound-folders", tmp_path, speaker="^(.+)_nohash")
    assert said(found, "label", "speaker") == [("no", "a"), ("yes", "a"), ("yes", "b")]
    with pytest.raises(DataError, match=r"reader.speaker = '\(x\)' finds nobody in its name"):
        read("sound-folders", tmp_path, speaker="(x)")
    for wrong, message in (("(", "is no regular expression"), ("x", "expected one group in parentheses")):
        with pytest.raises(ConfigError, match=message):
            read("sound-folders", tmp_path, speaker=wrong)
    with pytest.raises(DataError, match="no folder with recordings in it"):
        read("sound-folders", tmp_path / "yes")


def test_what_does_not_fit_in_a_table(tmp_path: Path) -> None:
    record(tmp_path / "a.wav")
    outside = record(tmp_path.parent / "outside.wav")
    for rows, settings, message in (
        ("file,text\nb.wav,x\n", {}, r"t.csv:2: no recording .*b.wav: did you mean 'a.wav'"),
        ("file,text\n../outside.wav,x\n", {}, r"t.csv:2: the recording '../outside.wav' does not lie in"),
        ("file,text\na.wav\n", {}, r"t.csv:2: 1 cell, expected 2 as in the first line"),
        ("file,text\na.wav,x\n", {"file": "clip"}, r"no column 'clip' \(reader.file\)"),
        ("clip,text\na.wav,x\n", {}, r"t.csv:1: no column names recordings, found 'clip', 'text'"),
        ("file,label\na.wav,\n", {}, r"t.csv:2: no label, expected one"),
        ("file,offset\na.wav,soon\n", {}, r"t.csv:2: offset is 'soon', expected seconds"),
        ('file,text\na.wav,"x\n', {}, r"t.csv: no readable table \(unexpected end of data\)"),
        ("\n\n", {}, r"t.csv: no example in it"),
        ("file,text\n", {}, r"t.csv: no example in it, expected a row for each recording"),
    ):
        with pytest.raises(DataError, match=message):
            read("sound-table", write(tmp_path / "t.csv", rows), **settings)
    table = write(tmp_path / "t.csv", f"file,text\n{outside},x\n")
    assert len(read("sound-table", table, folder=str(tmp_path.parent))) == 1  # who names the folder may


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (kaldi, "kaldi"),
        (lambda at: write(record(at / "1-2-3.wav").with_name("1-2.trans.txt"), "1-2-3 YES\n").parent, "librispeech"),
        (lambda at: write(record(at / "a.wav").with_name("a.json"), '{"audio_filepath": "a.wav"}\n'), "sound-jsonl"),
        (lambda at: write(record(at / "wavs/a.wav").parents[1] / "metadata.csv", "a|x|x\n").parent, "ljspeech"),
        (
            lambda at: write(record(at / "a.wav").with_name("metadata.csv"), "file,text\na.wav,x\n").parent,
            "sound-table",
        ),
        (lambda at: write(record(at / "a.wav").with_suffix(".txt"), "x").parent, "sound-texts"),
        (lambda at: max(record(at / name) for name in ("x/a.wav", "y/a.wav")).parents[1], "sound-folders"),
    ],
)
def test_found_by_their_look(make: Callable[[Path], Path], kind: str, tmp_path: Path) -> None:
    reader = AutoReader(gives="sounds")
    path = make(tmp_path)
    assert list(reader.read(path)) and reader.kind == kind and str(path) in reader.reason


def test_what_looks_like_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected recordings, and a table, texts, or a folder for each class"):
        list(AutoReader(gives="sounds").read(tmp_path))
    with pytest.raises(DataError, match="no reader knows this file by its look, tried kaldi"):
        list(AutoReader(gives="sounds").read(write(tmp_path / "a.csv", "a,b\n1,2\n")))
    assert construct("reader", {"kind": "sound-table"}).sniff(write(tmp_path / "b.csv", 'file,"text\n')) is None
