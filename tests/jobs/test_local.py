"""Sweeps in processes of their own: as many at a time as there is room for, stopped in order, killed and gone on."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from recurra.jobs.job import Job, ended
from recurra.jobs.worker import Worker
from recurra.training.lock import NAME

PROSE = Path(__file__).parents[1] / "fixtures" / "prose.txt"
TINY = (
    "core.num_layers=1 core.hidden_size=6 embedder.size=4 batching.streams=4 batching.steps=16 data.valid_fraction=0.1"
)
SETTINGS = [word for setting in TINY.split() for word in ("--set", setting)]
RATES = "training.learning_rate=0.01,0.02"


def sweep(out: Path, *more: str) -> list[str]:
    text = out.with_name("my.txt")
    text.write_text(PROSE.read_text(encoding="utf-8")[:4000], encoding="utf-8")
    grid = ["--grid", RATES, "--device", "cpu", "--out", str(out)]
    return [sys.executable, "-m", "recurra", "sweep", "char-lm", str(text), *grid, *SETTINGS, *more]


def started(command: list[str]) -> subprocess.Popen[str]:
    default = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731  what pytest was started with
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=default)


def step_of(run: Path) -> int:
    lines = (run / "metrics.jsonl").read_text().splitlines() if (run / "metrics.jsonl").is_file() else []
    with contextlib.suppress(ValueError):
        return max((int(json.loads(line)["step"]) for line in lines), default=0)
    return 0


def wait_until(holds: Any, process: subprocess.Popen[str] | None = None) -> None:
    until = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < until and (process is None or process.poll() is None)
        time.sleep(0.05)


def scores(out: Path) -> list[Any]:
    return [json.loads(path.read_text())["score"] for path in sorted((out / "results").iterdir())]


def test_stopped_killed_and_gone_on_it_is_as_if_it_was_never_stopped(tmp_path: Path) -> None:
    out, long = tmp_path / "sweep", ("--set", "training.epochs=10", "--set", "training.log_every=5")
    with started(sweep(out, "--workers", "2", *long)) as going:
        wait_until(lambda: min(step_of(out / "0000"), step_of(out / "0001")) > 5, going)
        going.send_signal(signal.SIGINT)
        said = going.communicate()[1]
    assert going.returncode == 130
    last = [line for line in said.splitlines() if line.startswith("recurra: ")][-1]
    again = "and what was trained of others is saved. Go on: recurra sweep"
    assert re.search(r"stopped: \d of 2 trials have a result, " + again, last) and last.endswith(str(out))
    assert not [*out.rglob(NAME)]
    assert all((out / name / "resume.safetensors").is_file() for name in ("0000", "0001"))
    resumed = [sys.executable, "-m", "recurra", "sweep", str(out), "--workers"]
    before = step_of(out / "0000")
    with started([*resumed, "1"]) as going:
        wait_until(lambda: step_of(out / "0000") > before, going)
        going.kill()  # the training sees that nobody waits for it, saves and ends
    done = subprocess.run([*resumed, "2"], capture_output=True, text=True, check=True)
    assert "2 of 2 trials, by their validation" in done.stdout
    whole = tmp_path / "whole"
    subprocess.run(sweep(whole, "--workers", "1", *long), check=True, capture_output=True)  # one process for both
    assert scores(out) == scores(whole) and None not in scores(whole)
    commands = json.loads((out / "0000" / "report.json").read_text())["commands"]
    assert [line.split()[:2] for line in commands] == [["recurra", "train"]] * len(commands)


def test_a_process_that_is_killed_fails_its_job_alone(tmp_path: Path) -> None:
    shown = Job(0, ("recipes", "show", "char-lm"), tmp_path / "0.txt")
    wrong = Job(1, ("recipes", "show", "nosuch"), tmp_path / "1.txt")
    killed = Job(2, ("recipes", "list"), tmp_path / "2.txt")
    worker = Worker()
    found = []
    for job in (shown, wrong, killed):
        worker.begin(job)
        if job is killed:
            os.kill(worker._process.pid, signal.SIGKILL)
        wait_until(lambda: found.append(worker.ended()) or found[-1] is not None)
    worker.close()
    ended = [each for each in found if each is not None]
    assert [(each.key, each.code) for each in ended] == [(0, 0), (1, 2), (2, -9)]
    assert ended[1].said.startswith("unknown recipe 'nosuch'") and "killed by signal 9" in ended[2].said


@pytest.mark.parametrize(
    ("code", "text", "said"),
    [
        (0, "anything", ""),
        (2, "Data: …\nrecurra: the file is broken.\n1 thread left\n", "the file is broken."),
        (
            -9,
            "Data: …\n",
            "its process was killed by signal 9. Was there too little memory? Fewer at a time: --workers",
        ),
        (1, "Traceback …\nValueError: no\n", "ValueError: no"),
        (3, "", "its process ended with code 3 and said nothing"),
    ],
)
def test_why_a_process_ended(code: int, text: str, said: str) -> None:
    job = Job(4, ("train", "my recipe"), Path(os.devnull))
    found = ended(job, code, text)
    assert (found.key, found.code, found.said) == (4, code, said) and job.command == "recurra train 'my recipe'"
