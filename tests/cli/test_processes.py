"""The command line in several processes: one speaks, one that is killed ends the others, what is begun anew goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recurra import checkpoint
from recurra.cli import call
from recurra.cli.processes import without_flag
from recurra.training.ranks import VARIABLES

PROSE = Path(__file__).parents[1] / "fixtures" / "prose.txt"
SMALL = {
    "core.hidden_size": 8,
    "embedder.size": 8,
    "batching.streams": 8,
    "batching.steps": 64,
    "training.max_minutes": "none",
    "training.log_every": 1,
}
RECURRA = [sys.executable, "-m", "recurra"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
SOON = 10.0
"""Seconds after which the others have ended, too."""


def words(out: Path, **settings: Any) -> list[str]:
    """A small training."""
    named = [f"--set={name}={value}" for name, value in {**SMALL, **settings}.items()]
    flags = ["--out", str(out), "--threads", "1", "--device", "cpu", "--no-test", "--no-baseline"]
    return ["train", "demo-char-lm", str(PROSE), *flags, *named]


def begun(run: Path) -> None:
    """Wait until a training has made its first updates."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if (run / "metrics.jsonl").is_file() and (run / "metrics.jsonl").stat().st_size:
            return
        time.sleep(0.05)
    raise AssertionError(f"{run} has not begun")


def process(run: Path, rank: int) -> int:
    """The number of the process with this rank that trains in a folder."""
    for each in Path("/proc").glob("[0-9]*"):
        try:
            said, environment = (each / "cmdline").read_bytes().split(b"\0"), (each / "environ").read_bytes()
        except OSError:
            continue
        if str(run).encode() in said and f"RANK={rank}".encode() in environment.split(b"\0"):
            return int(each.name)
    raise AssertionError(f"no process {rank} of {run}")


@pytest.fixture
def start() -> Iterator[Any]:
    """Starts commands, of which none outlives the test."""
    made = []

    def make(command: list[str], **keywords: Any) -> subprocess.Popen[str]:
        env = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        made.append(subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=env, **keywords))
        return made[-1]

    yield make
    for each in made:
        if each.poll() is None:
            each.send_signal(signal.SIGINT)
            each.communicate(timeout=60)


linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found in /proc")


@linux
def test_one_that_is_killed_ends_the_others_and_is_named(start: Any, tmp_path: Path) -> None:
    run = tmp_path / "run"
    training = start([*RECURRA, *words(run, **{"training.epochs": 10000}), "--processes", "2"])
    begun(run)
    os.kill(process(run, 1), signal.SIGKILL)
    killed = time.monotonic()
    _, said = training.communicate(timeout=60)
    assert training.returncode == 2
    assert time.monotonic() - killed < SOON
    assert "process 1 of 2 was ended by SIGKILL, the others were stopped." in said
    assert f"Go on: recurra train {run} --resume --processes 2" in said
    assert said.count("2 processes train it, each on a part of every batch.") == 1


def test_what_is_wrong_for_all_is_said_once(start: Any, tmp_path: Path) -> None:
    file = tmp_path / "wrong.txt"
    file.write_bytes(b"\xff\xfe\x00 is no text\n" * 200)
    command = [str(file) if word == str(PROSE) else word for word in words(tmp_path / "run")]
    training = start([*RECURRA, *command, "--processes", "2"])
    _, said = training.communicate(timeout=120)
    assert training.returncode == 2
    assert said.count("wrong.txt") == 1 and said.startswith(f"recurra: {file}"), said


@linux
def test_what_a_launcher_begins_anew_is_what_was_never_stopped(start: Any, tmp_path: Path) -> None:
    several = {"training.epochs": 6, "training.evaluate_every": 0.5}
    straight, again = tmp_path / "straight", tmp_path / "again"
    one = start([*RECURRA, *words(straight, **several), "--processes=2"])
    launcher = [*TORCHRUN, "--standalone", "--nproc-per-node", "2", "--max-restarts", "3", "-m", "recurra"]
    other = start([*launcher, *words(again, **several)])
    begun(again)
    os.kill(process(again, 1), signal.SIGKILL)
    for training in (one, other):
        _, said = training.communicate(timeout=300)
        assert training.returncode == 0, said
    tensors = [checkpoint.load_tensors(run / "resume.safetensors")[0] for run in (straight, again)]
    assert tensors[0].keys() == tensors[1].keys()
    assert "generator.cpu.1" in tensors[0]
    assert all(value.equal(tensors[1][name]) for name, value in tensors[0].items())
    report = json.loads((straight / "report.json").read_text(encoding="utf-8"))
    assert report["processes"] == 2
    assert report["commands"][-1].endswith("--processes 2")


def test_wrong_numbers_of_processes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert call([*words(tmp_path / "run"), "--processes", "0"]) == 2
    assert "--processes 0, expected a whole number from 1." in capsys.readouterr().err
    for name, value in zip(VARIABLES, ("0", "2", "localhost", "29500"), strict=True):
        monkeypatch.setenv(name, value)
    assert call([*words(tmp_path / "run"), "--processes", "2"]) == 2
    assert "a launcher has started this one. Leave it away." in capsys.readouterr().err
    monkeypatch.setenv("RANK", "1")
    assert call(["train", "char-lmm"]) == 2
    assert capsys.readouterr().err.startswith("recurra, process 1: ")


def test_the_words_without_the_flag() -> None:
    assert without_flag(["train", "a", "--processes", "2", "--set", "b=1"]) == ["train", "a", "--set", "b=1"]
    assert without_flag(["train", "--processes=4", "a"]) == ["train", "a"]


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[str]]:
    """Two hosts with an address each, as network namespaces that a cable joins."""
    ip = shutil.which("ip")
    if ip is None:
        pytest.skip("no network namespaces here: ip is not installed")
    names = [f"recurra{os.getpid()}{side}" for side in "ab"]

    def do(*arguments: str) -> None:
        done = subprocess.run([ip, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no network namespaces here: ip {' '.join(arguments)}: {done.stderr.strip()}")

    try:
        for name in names:
            do("netns", "add", name)
        do("-n", names[0], "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", names[1])
        for number, name in enumerate(names, start=1):
            do("-n", name, "link", "set", "lo", "up")
            do("-n", name, "address", "add", f"10.78.0.{number}/24", "dev", "cable")
            do("-n", name, "link", "set", "cable", "up")
        yield names
    finally:
        for name in names:
            subprocess.run([ip, "netns", "delete", name], capture_output=True, check=False)


def test_two_hosts_train_together(hosts: list[str], start: Any, tmp_path: Path) -> None:
    run, started = tmp_path / "run", []
    for rank, host in enumerate(hosts):
        inside = ["ip", "netns", "exec", host, "env", "GLOO_SOCKET_IFNAME=cable", *TORCHRUN]
        place = ["--nnodes", "2", "--node-rank", str(rank), "--nproc-per-node", "1"]
        place += ["--master-addr", "10.78.0.1", "--master-port", "29400"]
        started.append(start([*inside, *place, "-m", "recurra", *words(run, **{"training.epochs": 1})]))
    for each in started:
        _, said = each.communicate(timeout=180)
        assert each.returncode == 0, said
    assert json.loads((run / "report.json").read_text(encoding="utf-8"))["processes"] == 2
