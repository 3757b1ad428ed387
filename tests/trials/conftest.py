"""Sweeps over a little table of texts, whose trials are trained one by one in this very process."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from recurra import cli
from recurra.jobs import local
from recurra.jobs.job import Ended, Job, ended

TABLE = "text,label\n" + "".join(
    f"{'good' if k % 2 else 'bad'} {'place' if k % 3 else 'day'} {k},{'yes' if (k % 2) ^ (k % 7 < 2) else 'no'}\n"
    for k in range(80)
)
SMALL = {"embedder.size": 4, "core.hidden_size": 4, "training.epochs": 1, "training.schedule": "constant"}


class Killed(BaseException):
    """Stands for a process that is killed: nothing of ours catches it."""


class InProcess:
    """Does jobs one by one in this process; `backwards`: the last first. Of `most` jobs the last is done, and all is
    killed before anybody is told."""

    done: list[int]
    most = 1000
    backwards = False

    def __init__(self, *_: Any) -> None:
        pass

    def __call__(self, jobs: Iterable[Job]) -> Iterator[Ended]:
        for job in reversed([*jobs]) if self.backwards else jobs:
            self.done.append(job.key)
            with redirect_stderr(StringIO()) as said, redirect_stdout(StringIO()):
                code = cli.call(job.words)
            if len(self.done) >= self.most:
                raise Killed
            yield ended(job, code, said.getvalue())


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> type[InProcess]:
    """What does the jobs of a sweep."""
    kind = type("Jobs", (InProcess,), {"done": []})
    monkeypatch.setattr(local, "Local", kind)
    return kind


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the table in it."""
    monkeypatch.chdir(tmp_path)
    Path("my.csv").write_text(TABLE, encoding="utf-8")
    return tmp_path


def words(*more: str, out: str = "sweep", leave: tuple[str, ...] = ()) -> list[str]:
    """A sweep of small classifiers."""
    fixed = [word for name, value in SMALL.items() if name not in leave for word in ("--set", f"{name}={value}")]
    return ["sweep", "classifier", "my.csv", "--out", out, "--device", "cpu", *fixed, *more]


def found(out: str = "sweep") -> dict[int, tuple[Any, float | None]]:
    """Trial → its settings and its score, as they are kept."""
    kept = [json.loads(path.read_text()) for path in sorted(Path(out, "results").iterdir())]
    return {each["trial"]: (each["settings"], each["score"]) for each in kept}
