"""Bad input gets one sentence with file, line and the next move, exit code 2, and nothing is lost."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
from pathlib import Path

import pytest
import safetensors.torch

from recurra import cli

from .conftest import PROSE, sentence, tiny

TEXTS = {
    "empty": (b"", "text.txt: the file is empty, expected text. Name another file."),
    "broken encoding": (b"one\ntwo\nthr\xffee\n" * 9, "text.txt:3: byte 0xff is not valid utf-8."),
    "one symbol": (b"a" * 5000, "the text is one character over and over, 'a': nothing to predict."),
    "short": (
        b"abc\ndef\nghi\njkl\nmno\npqr\nstu\nvwx\nyz\n" * 2,
        "expected at least 65 for 64 streams. Use a longer text",
    ),
    "cut gzip": (gzip.compress(PROSE.read_bytes())[:-200], "text.txt: the gzip file is cut off after"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_texts(case: str, tmp_path, capsys) -> None:
    content, expected = TEXTS[case]
    text, out = tmp_path / "text.txt", tmp_path / "run"
    text.write_bytes(content)
    assert expected in sentence(capsys, "train", "char-lm", str(text), "--out", str(out), "--threads", "1")
    assert not out.exists()


def test_wrong_settings_are_refused_before_any_data_are_read(tmp_path, capsys) -> None:
    text = tmp_path / "text.txt"
    text.write_bytes(b"\xff")
    said = sentence(capsys, "train", "char-lm", str(text), "--set", "core.hiden_size=3")
    assert "unknown key core.hiden_size: did you mean 'hidden_size'?" in said
    said = sentence(capsys, "train", "char-lm", str(text), "--set", "core.bidirectional=true")
    assert "predicts what comes next, but this core also reads from the end. Set core.bidirectional = false." in said


def test_missing_files_and_folders(run: Path, tmp_path, capsys) -> None:
    wrong = str(PROSE.with_name("proze.txt"))
    for words in (
        ["train", "char-lm", wrong],
        ["train", "char-lm", str(PROSE), "--valid", wrong],
        ["evaluate", str(run), wrong],
    ):
        assert f"{wrong}: no such file: did you mean 'prose.txt'? Check the name" in sentence(capsys, *words)
    assert f"{tmp_path}: a folder, expected a text file" in sentence(capsys, "train", "char-lm", str(tmp_path))
    near = str(run.with_name("rum"))
    assert f"{near} is no run: did you mean 'run'?" in sentence(capsys, "predict", near)


@pytest.fixture
def copied(run: Path, tmp_path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copy"))


def test_a_cut_checkpoint(copied: Path, capsys) -> None:
    weights = copied / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert f"{weights} is cut or corrupt" in sentence(capsys, "predict", str(copied))


def test_a_corrupt_checkpoint(copied: Path, capsys) -> None:
    weights = copied / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-50] ^= 1
    weights.write_bytes(content)
    assert f"{weights} is corrupt: its tensors do not match" in sentence(capsys, "evaluate", str(copied))


def test_a_checkpoint_of_another_version(copied: Path, capsys) -> None:
    weights = copied / "model.safetensors"
    tensors = safetensors.torch.load_file(weights)
    safetensors.torch.save_file(tensors, weights, {"recurra_format": "99"})
    assert f"{weights} has format 99, this recurra reads format 1." in sentence(capsys, "predict", str(copied))


@pytest.mark.parametrize("name", ["model.safetensors", "codecs.json", "config.toml"])
def test_a_run_without_one_of_its_files(name: str, copied: Path, capsys) -> None:
    (copied / name).unlink()
    assert str(copied) in sentence(capsys, "predict", str(copied))


def test_a_resume_state_that_is_cut(copied: Path, capsys) -> None:
    state = copied / "resume.safetensors"
    state.write_bytes(state.read_bytes()[:300])
    before = (copied / "model.safetensors").read_bytes()
    assert f"{state} is cut or corrupt" in sentence(
        capsys, "train", str(copied), "--resume", "--set", "training.epochs=9"
    )
    assert (copied / "model.safetensors").read_bytes() == before


def test_a_folder_that_holds_a_run_is_not_overwritten(run: Path, capsys) -> None:
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    said = sentence(capsys, "train", "char-lm", str(PROSE), "--out", str(run), *tiny())
    assert f"{run} already holds a run (config.toml). Name another folder with --out" in said
    assert f"{run} is a run already. Go on with it by --resume" in sentence(capsys, "train", str(run))
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before


def test_a_read_only_folder(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    out = tmp_path / "run"
    said = sentence(capsys, "train", "char-lm", str(PROSE), "--out", str(out), *tiny())
    assert f"{out} cannot be written (Read-only file system). Name a folder that you may write to" in said


def test_a_disk_that_fills_while_training_goes_on(copied: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    files = ("model.safetensors", "resume.safetensors", "codecs.json")
    before = {name: (copied / name).read_bytes() for name in files}
    sync = os.fsync

    def full(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().suffixes[::2] == [".safetensors", ".part"]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    said = sentence(capsys, "train", str(copied), "--resume", "--set", "training.epochs=2")
    assert "the disk is full" in said
    assert "what was saved before stands" in said
    assert {name: (copied / name).read_bytes() for name in files} == before
    monkeypatch.setattr(os, "fsync", sync)
    assert cli.call(["train", str(copied), "--resume", "--set", "training.epochs=2"]) == 0


@pytest.mark.parametrize("name", ["metrics.jsonl", "report.json", "config.toml", "gradients.jsonl"])
def test_a_run_of_a_stranger_writes_nowhere_else(name: str, copied: Path, tmp_path: Path, capsys) -> None:
    own = tmp_path / "own"
    kept = b"mine\n" if name.endswith(".jsonl") else (copied / name).read_bytes()
    own.write_bytes(kept)
    for prepared in (f"{name}.part", f"{name}.new", f".{name}"):
        (copied / prepared).symlink_to(own)
    assert cli.call(["train", str(copied), "--resume", "--set", "training.epochs=2"]) == 0
    (copied / name).unlink(missing_ok=True)
    (copied / name).symlink_to(own)
    said = sentence(capsys, "train", str(copied), "--resume", "--set", "training.epochs=3")
    assert f"{copied / name} cannot be written: it is a link to {own}, expected a regular file. Delete it" in said
    assert own.read_bytes() == kept


@pytest.mark.parametrize("words", [["lab", "gradients"], ["lab", "memory"], ["predict", "run", "a"], ["stream", "run"]])
@pytest.mark.parametrize("seed", ["-1", str(2**63)])
def test_a_seed_that_nothing_is_drawn_with(words: list[str], seed: str, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    said = sentence(capsys, *words, "--seed", seed)
    assert f"seed = {seed}, expected a whole number from 0 to 2⁶³ − 2." in said
