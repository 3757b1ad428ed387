"""Trainings that are stopped, at any moment and in any way, and gone on with."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from recurra import checkpoint, cli, registry, storage
from recurra.runs import run as runs
from recurra.runs import scoring
from recurra.training.lock import NAME, locked
from recurra.training.trainer import Trainer
from recurra.workflow import results

from .conftest import PROSE, sentence, tiny

CELL = """\
from recurra.cells.lstm import lstm
from recurra.registry import part

mine = part("cell", "mine")(lstm)
"""


class Killed(BaseException):
    """Stands for a process that is killed: nothing of ours catches it."""


def words(out: Path, *settings: str) -> list[str]:
    return ["train", "char-lm", str(PROSE), "--out", str(out), *tiny(*settings)]


def tensors(run: Path) -> dict[str, bytes]:
    found = {}
    for name in ("model.safetensors", "resume.safetensors"):
        found |= {f"{name} {k}": t.numpy().tobytes() for k, t in checkpoint.load_tensors(run / name)[0].items()}
    return found


def step_of(run: Path) -> int:
    return int(json.loads(checkpoint.load_tensors(run / "resume.safetensors")[1]["counters"])["step"])


def kill_at(monkeypatch: pytest.MonkeyPatch, name: str, out: Path) -> None:
    """A training into `out` that is killed when it would write the file of this name."""
    real = storage._put

    def put(path: Path, data: bytes) -> int:
        if path.name == name:
            raise Killed
        return real(path, data)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(storage, "_put", put)
        cli.call(words(out))


@pytest.mark.parametrize("name", ["model.safetensors", "resume.safetensors"])
def test_killed_between_its_config_and_the_first_checkpoint(
    name: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    kill_at(monkeypatch, name, out)
    assert (out / "config.toml").is_file() and not (out / "resume.safetensors").exists()
    half = out / f".model.safetensors.{'0' * 32}.part"
    half.write_bytes(b"half")
    assert cli.call(["train", str(out), "--resume"]) == 0
    assert f"{out} was stopped before its first checkpoint: it begins at step 0." in capsys.readouterr().err
    assert tensors(out) == tensors(run)
    assert not half.exists()


@pytest.mark.parametrize("name", ["codecs.json", "report.json", "config.toml"])
def test_killed_before_there_was_a_run(
    name: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    kill_at(monkeypatch, name, out)
    assert f"{out} is no run" in sentence(capsys, *words(out), "--resume")
    assert cli.call(words(out)) == 0
    assert tensors(out) == tensors(run)


@pytest.mark.parametrize("name", ["model.safetensors", "resume.safetensors"])
def test_a_disk_that_is_full_at_the_first_checkpoint(
    name: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, real = tmp_path / "out", os.write

    def full(descriptor: int, data: bytes) -> int:
        if name not in Path(f"/proc/self/fd/{descriptor}").readlink().name:
            return real(descriptor, data)
        if len(data) > 1000:
            return real(descriptor, data[:1000])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        said = sentence(capsys, *words(out))
    assert f"{name} cannot be written, the disk is full (No space left on device). Free some space; what" in said
    assert not list(out.glob(".*"))
    assert cli.call(["train", str(out), "--resume"]) == 0
    assert tensors(out) == tensors(run)
    assert sorted(file.name for file in out.iterdir()) == sorted(file.name for file in run.iterdir())


def test_a_disk_that_is_full_for_a_line_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line is cut in its middle; what goes on writes it anew."""
    settings = ("training.log_every=1", "training.evaluate_every=0.25")
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert cli.call(words(whole, *settings)) == 0
    begin, count = storage.begin, [0]

    class Filling:
        def __init__(self, path: Path, data: bytes = b"") -> None:
            self.file = begin(path, data)

        def write(self, data: bytes) -> int:
            count[0] += 1
            if count[0] == 20:
                return self.file.write(data[:9])
            if count[0] > 20:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self.file.write(data)

        def close(self) -> None:
            self.file.close()

    with monkeypatch.context() as patched:
        patched.setattr(storage, "begin", Filling)
        assert "metrics.jsonl cannot be written, the disk is full" in sentence(capsys, *words(out, *settings))
    assert not (out / "metrics.jsonl").read_bytes().endswith(b"\n")
    assert cli.call(["train", str(out), "--resume"]) == 0
    assert tensors(out) == tensors(whole)
    steps, expected = (
        [json.loads(line)["step"] for line in (at / "metrics.jsonl").read_text().splitlines()] for at in (out, whole)
    )
    assert steps == expected


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_process_that_is_asked_to_end_saves(number: signal.Signals, code: int, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "recurra", *words(out, "training.epochs=100000")]
    default = lambda: signal.signal(number, signal.SIG_DFL)  # noqa: E731  what pytest itself was started with goes on
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=default) as training:
        assert training.stderr is not None
        while "epoch 2" not in training.stderr.readline():
            assert training.poll() is None
        if number == signal.SIGTERM:
            second = subprocess.run(command, capture_output=True, text=True, check=False)
            assert second.returncode == 2
            assert f"recurra: {out} is being trained by process {training.pid} since" in second.stderr
        training.send_signal(number)
        told = training.stderr.read().splitlines()
    last = next(line for line in reversed(told) if line.startswith("recurra: "))  # other libraries tell of their end
    assert training.returncode == code
    assert last.startswith("recurra: stopped after step ")
    assert last.endswith(f"and saved. Go on: recurra train {out} --resume")
    assert not (out / NAME).exists()
    assert step_of(out) == int(last.split()[4].replace(",", ""))


def test_a_scoring_that_is_stopped_keeps_what_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, rows = tmp_path / "out", scoring._beside
    asked = []

    def stopped(*arguments: Any) -> Any:
        asked.append(arguments)
        if len(asked) == 2:  # the baselines beside the validation
            os.kill(os.getpid(), signal.SIGTERM)
        return rows(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(scoring, "_beside", stopped)
        assert cli.call(words(out)) == 143
    assert f"scored 3 of 5 parts. The others: recurra train {out} --resume;" in capsys.readouterr().err
    report = json.loads((out / "report.json").read_text())
    assert report["unscored"] == ["valid baselines", "what is shown"] and report["ended"] == "epochs"
    assert "baseline" in report["scores"]["test"] and "baseline" not in report["scores"]["valid"]
    again = ["train", str(out), "--resume"]
    with monkeypatch.context() as patched:
        patched.setattr(results, "score_model", None)  # what is scored is not scored again
        asked.clear()
        patched.setattr(scoring, "_beside", stopped)
        assert cli.call(again) == 0
        assert len(asked) == 1
    whole = json.loads((out / "report.json").read_text())
    assert not {"unscored", "scored"} & whole.keys() and "sample" in whole
    assert [*whole["scores"]] == ["valid", "test"] and "baseline" in whole["scores"]["valid"]
    assert whole["scores"]["test"] == report["scores"]["test"]
    capsys.readouterr()
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    assert cli.call(again) == 0
    said = capsys.readouterr().err
    assert "is trained to its end and scored: there is nothing left to do." in said
    assert re.search(r"--resume --set training\.epochs=… \(it had \d+\)\n", said)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


def test_an_evaluation_that_is_stopped_shows_what_is_scored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: Any) -> Any:
        raise KeyboardInterrupt

    def stopped_early(*arguments: Any) -> Any:
        yield next(rows(*arguments))
        raise KeyboardInterrupt

    rows = scoring._beside
    monkeypatch.setattr(scoring, "_beside", stopped_early)
    run = str(PROSE.parent / "runs" / "writer")
    monkeypatch.chdir(PROSE.parent)  # where its training data are
    assert cli.call(["evaluate", run, str(PROSE), "--json"]) == 130
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert found["model"]["nats_per_symbol"] > 0 and found["data"] == str(PROSE)
    assert [row["name"] for row in found["baseline"]] == ["kneser-ney, order 2"]
    assert "recurra: stopped: above is what was scored by then, without the rest" in shown.err
    monkeypatch.setattr(runs, "score_model", stopped)
    assert cli.call(["evaluate", run, str(PROSE)]) == 130
    shown = capsys.readouterr()
    assert not shown.out and "interrupted; what was saved before is kept" in shown.err


def test_who_trains_in_the_folder_is_named(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copied = shutil.copytree(run, tmp_path / "copied")
    for folder, asked in ((copied, ["train", str(copied), "--resume"]), (tmp_path / "new", words(tmp_path / "new"))):
        with locked(folder):
            assert f"{folder} is being trained by process {os.getpid()} since" in sentence(capsys, *asked)


@pytest.fixture
def forget() -> Iterator[Callable[[], None]]:
    """Makes the plugin unknown, as to another process."""

    def forgotten() -> None:
        registry._plugins.clear()
        for table in (registry._parts, registry._origins):
            table.pop(("cell", "mine"), None)

    yield forgotten
    forgotten()


def plugin(tmp_path: Path, more: str = "") -> Path:
    file = tmp_path / "mine.py"
    file.write_text(CELL + more)
    return file


def test_a_plugin_is_asked_for_and_a_changed_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], forget: Callable[[], None]
) -> None:
    file, out = plugin(tmp_path), tmp_path / "out"
    with_plugin = ["--plugin", str(file)]
    assert cli.call([*words(out, "core.cell=mine"), *with_plugin]) == 0
    (kept,) = json.loads((out / "report.json").read_text())["plugins"]
    assert kept["path"] == str(file) and len(kept["sha256"]) == 64
    again = ["train", str(out), "--resume", "--set", "training.epochs=2"]
    forget()
    said = sentence(capsys, *again)
    assert f"{out} was trained with the plugin {file}, which is not named. Name it again: recurra train {out} " in said
    assert said.endswith(f"--resume --plugin {file}")
    for verb in ("predict", "evaluate", "inspect"):
        said = sentence(capsys, verb, str(out))
        assert "unknown cell 'mine'" in said
        assert said.endswith(f"The run was trained with a plugin: add --plugin {file}")
    assert cli.call([*again, *with_plugin]) == 0
    assert "is another than when" not in capsys.readouterr().err
    plugin(tmp_path, "# a change\n")
    forget()
    assert cli.call(["train", str(out), "--resume", "--set", "training.epochs=3", *with_plugin]) == 0
    assert f"The plugin mine.py is another than when {out} was trained with it: what was" in capsys.readouterr().err
    assert json.loads((out / "report.json").read_text())["plugins"] != [kept]
    forget()
    (out / "report.json").write_text("{}")
    for asked in (["predict", str(out)], again):
        said = sentence(capsys, *asked)
        assert said.endswith("If it is a part of a file of yours, name that file with --plugin.")


def test_a_moved_plugin_of_the_same_content_is_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], forget: Callable[[], None]
) -> None:
    file, out = plugin(tmp_path), tmp_path / "out"
    assert cli.call([*words(out, "core.cell=mine"), "--plugin", str(file)]) == 0
    forget()
    moved = file.rename(tmp_path / "other.py")
    again = ["train", str(out), "--resume", "--set", "training.epochs=2", "--plugin", str(moved)]
    assert cli.call(again) == 0
    assert "is another than" not in capsys.readouterr().err


@pytest.mark.usefixtures("forget")
def test_how_to_go_on_names_the_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out, step = plugin(tmp_path), tmp_path / "out", Trainer.step

    def interrupted(self: Trainer) -> None:
        step(self)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Trainer, "step", interrupted)
    assert cli.call([*words(out, "core.cell=mine"), "--plugin", str(file)]) == 143
    said = capsys.readouterr().err
    assert said.endswith(f"stopped after step 1 and saved. Go on: recurra train {out} --resume --plugin {file}\n")
