"""Weights and run directories on the disk: whole, or one sentence that says what to do."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from recurra import checkpoint, storage
from recurra.errors import CheckpointError


class Tied(nn.Module):
    """An embedding whose weights are the softmax layer's too, an LSTM, a buffer, a number, and an empty one."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, width)
        self.core = nn.LSTM(width, width)
        self.head = nn.Linear(width, 5)
        self.head.weight = self.embedding.weight
        self.gain = nn.Parameter(torch.randn(()))
        self.register_buffer("mean", torch.randn(3, 2).t().to(torch.bfloat16))
        self.register_buffer("nothing", torch.zeros(0))
        self.register_buffer("nothing_else", torch.zeros(0))


def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    checkpoint.save_model(path, Tied(), {"step": "7"})
    return path


def test_model_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, other = Tied(), Tied()
    path = tmp_path / "model.safetensors"
    checkpoint.save_model(path, model, {"step": "7"})
    assert checkpoint.load_model(path, other) is other
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))
    assert other.head.weight is other.embedding.weight
    tensors, metadata = checkpoint.load_tensors(path)
    assert metadata["step"] == "7"
    assert "head.weight" not in tensors  # it is the embedding's
    assert {"nothing", "nothing_else"} <= tensors.keys()


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"model.safetensors is missing\. Training writes it before its first"):
        checkpoint.load_model(tmp_path / "model.safetensors", Tied())


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.6, 0.99])
def test_cut_file(tmp_path: Path, share: float) -> None:
    path = saved(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(CheckpointError, match=r"model.safetensors is cut or corrupt \(.*\)\. Copy it again"):
        checkpoint.load_model(path, Tied())


def test_one_changed_byte(tmp_path: Path) -> None:
    path = saved(tmp_path)
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"model.safetensors is corrupt: its tensors do not match their checksum"):
        checkpoint.load_model(path, Tied())


def test_no_safetensors_at_all(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"PK\x03\x04" + bytes(range(256)) * 9)
    with pytest.raises(CheckpointError, match="is cut or corrupt"):
        checkpoint.load_model(path, Tied())


def test_other_format_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    path = saved(tmp_path)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match=r"has format 2, this recurra reads format 1\. Use the recurra that"):
        checkpoint.load_model(path, Tied())


def test_file_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors.torch.save({"weight": torch.randn(2)}))
    with pytest.raises(CheckpointError, match="is no checkpoint of recurra's: its metadata has no recurra_format"):
        checkpoint.load_model(path, Tied())


def test_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **keywords: Any) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    path = saved(tmp_path)
    monkeypatch.setattr(checkpoint.safetensors, "safe_open", refuse)
    with pytest.raises(CheckpointError, match=r"model.safetensors cannot be read \(Permission denied\)\. Is the run"):
        checkpoint.load_model(path, Tied())


def test_weights_of_another_model(tmp_path: Path) -> None:
    path, smaller = saved(tmp_path), Tied()
    del smaller.gain
    with pytest.raises(CheckpointError, match=r"'embedding.weight' is \[5, 4\], the model's is \[5, 6\]: it belongs"):
        checkpoint.load_model(path, Tied(width=6))
    with pytest.raises(CheckpointError, match=r"has, and the model has not, weights 'gain': it belongs to another"):
        checkpoint.load_model(path, smaller)
    bigger = Tied()
    bigger.add_module("addition", nn.Linear(2, 2))
    with pytest.raises(CheckpointError, match=r"has no weights 'addition.bias': it belongs to another model"):
        checkpoint.load_model(path, bigger)


def test_a_refused_load_changes_no_weights(tmp_path: Path) -> None:
    path, model = saved(tmp_path), Tied(width=6)
    before = model.core.weight_hh_l0.clone()
    with pytest.raises(CheckpointError):
        checkpoint.load_model(path, model)
    assert torch.equal(before, model.core.weight_hh_l0)


def failing(number: int) -> Callable[..., None]:
    def fail(*arguments: Any, **keywords: Any) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("where", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, r"cannot be written, the disk is full \(No space left on device\)\. Free some space; what"),
        (errno.EDQUOT, r"cannot be written, the disk is full \(Disk quota exceeded\)"),
        (errno.EROFS, r"cannot be written \(Read-only file system\)\. Name a folder that you may write to with --out"),
        (errno.EACCES, r"cannot be written \(Permission denied\)\. Name a folder that you may write to"),
        (errno.EIO, r"cannot be written \(Input/output error\)\. Name another folder"),
    ],
)
def test_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, number: int, message: str
) -> None:
    path = saved(tmp_path)
    before = path.read_bytes()
    monkeypatch.setattr(os, where, failing(number))
    with pytest.raises(CheckpointError, match=f"model.safetensors {message}"):
        checkpoint.save_model(path, Tied())
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def test_new_run_folder(tmp_path: Path) -> None:
    run = checkpoint.create_run(tmp_path / "a" / "b")
    assert run.path.is_dir()
    storage.write_text(run.config, "description = 'ä'\n")
    assert checkpoint.open_run(run.path) == run
    assert run.config.read_text(encoding="utf-8") == "description = 'ä'\n"
    assert stat.S_IMODE(run.config.stat().st_mode) & stat.S_IRUSR


def test_folder_with_other_files_becomes_a_run(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    checkpoint.create_run(tmp_path)
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name", ["config.toml", "model.safetensors", "resume.safetensors"])
def test_folder_of_a_run_is_not_taken_again(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(CheckpointError, match=rf"already holds a run \({name}\)\. Name another folder with --out"):
        checkpoint.create_run(tmp_path)


def test_run_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"file cannot be written \(File exists\)\. Name another folder"):
        checkpoint.create_run(tmp_path / "file")
    with pytest.raises(CheckpointError, match=r"cannot be written \(Not a directory\)"):
        checkpoint.create_run(tmp_path / "file" / "run")


def test_read_only_folder_is_noticed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", failing(errno.EROFS))
    with pytest.raises(CheckpointError, match=r"metrics.jsonl cannot be written \(Read-only file system\)"):
        checkpoint.create_run(tmp_path / "run")


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere is no folder, expected a run directory"):
        checkpoint.open_run(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"config.toml is missing, so .* is no run directory\. Name the folder"):
        checkpoint.open_run(tmp_path)


def test_json_files(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    checkpoint.write_json(path, {"loss": 1.5, "symbols": ["ä"]})
    assert checkpoint.read_json(path) == {"loss": 1.5, "symbols": ["ä"]}
    path.write_text('{"loss": 1.5,', encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"report.json:1: no JSON \(.*column 14\)\. Copy it again from where"):
        checkpoint.read_json(path)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"report.json: cannot be read \(No such file or directory\)"):
        checkpoint.read_json(path)
