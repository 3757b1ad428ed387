"""What `import recurra` offers: names that are found, called as the command line calls them, and typed for a user."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import venv
from pathlib import Path
from types import ModuleType

import pytest

import recurra
from recurra import nn, testing, workflow
from recurra.cli import VERBS

TAGGER = Path(__file__).parent / "fixtures" / "runs" / "tagger"
USER = """
from __future__ import annotations

from pathlib import Path

import torch
from typing import assert_type
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

import recurra
from recurra import Run
from recurra.nn import GRU, LSTM, RNN, Recurrent, Step
from recurra.testing import CELL_CHECKS, check_cell, check_task


class Reader(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = LSTM(8, 16, bidirectional=True, zoneout=0.1)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        y, (h, c) = self.layer(x, None, lengths)
        assert_type(h, Tensor)
        return torch.relu(y) + c.sum()


def score(run: Run) -> float:
    return float(run.report["scores"]["test"]["model"]["accuracy"])


def packed(rows: PackedSequence) -> PackedSequence:
    y, _ = Recurrent("peephole-lstm", 3, 4, truncate=20)(rows)
    return y


run = recurra.train("tagger", Path("my.conll"), out="run", max_minutes=5, settings={"core.hidden_size": 8}, threads=2)
print(score(run), [answer.json() for answer in run.predict("a text", top=3)], run.evaluate(threads=1)["scores"])
print(recurra.predict("run", "a text")[0].text(), recurra.evaluate("run", baseline=False), recurra.load("run").path)
print(recurra.compare("run", "other"), recurra.inspect("run", text="a text"), recurra.backtest("run", stride=3))
assert_type(GRU(3, 4)(torch.zeros(1, 1, 3)), tuple[Tensor, Tensor])
assert_type(RNN(3, 4, nonlinearity="relu").output_size, int)
step = Step(LSTM(3, 4), weights="int8")
assert_type(step(torch.zeros(1, 3), step.start()), tuple[Tensor, Tensor])
check_cell("lstm")
check_task("tag")
for name, check in CELL_CHECKS.items():
    print(name.upper(), check)
"""
WRONG = """
import recurra
from recurra.nn import LSTM
from recurra.testing import check_cel

recurra.train("tagger", max_minuts=5)
recurra.evaluate("run", basline=False)
recurra.load("run", devise="cpu").evaluate(thread=1)
recurra.lode("run")
LSTM(3, 4, zone_out=0.1)
LSTM(3, 4, merge="mean")
"""
PACKAGES = {"recurra": recurra, "recurra.nn": nn, "recurra.testing": testing}


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The Python of an environment in which recurra is installed, as far as a type checker looks."""
    venv.create(tmp_path / "venv", symlinks=True)
    (packages,) = tmp_path.glob("venv/lib/python*/site-packages")
    there = [each for each in sys.path if each.endswith(("site-packages", "dist-packages"))]
    (packages / "there.pth").write_text("\n".join([str(Path(recurra.__file__).parents[1]), *there]), encoding="utf-8")
    return tmp_path / "venv" / "bin" / "python"


def test_public_names_are_seen_and_are_there() -> None:
    assert set(recurra.__all__) <= set(dir(recurra))
    for name in recurra.__all__:
        assert getattr(recurra, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        recurra.lode  # noqa: B018


def test_predict_is_that_of_the_run() -> None:
    (found,) = recurra.predict(TAGGER, "flights from Rome to Oslo", top=2)
    assert found.json() == recurra.load(TAGGER, device="cpu").predict("flights from Rome to Oslo", top=2)[0].json()


def test_python_has_the_keywords_of_the_command_line() -> None:
    theirs, ours = (set(inspect.signature(verb).parameters) for verb in (VERBS["train"], recurra.train))
    called = {"set_": "settings", "plugin": "plugins"}  # a script has its processes of a launcher
    assert {called.get(name, name) for name in theirs} - {"json", "processes"} <= ours


def test_keywords_of_training_are_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def planned(*args: object, settings: dict[str, object], **others: object) -> None:
        seen.update(settings)
        raise StopIteration

    monkeypatch.setattr(workflow, "make_plan", planned)
    with pytest.raises(StopIteration):
        recurra.train("tagger", settings={"core.hidden_size": 3}, max_minutes=2, seed=4, threads=1)
    assert seen == {"core.hidden_size": 3, "training.max_minutes": 2, "training.seed": 4, "training.threads": 1}


@pytest.mark.parametrize("package", PACKAGES.values(), ids=PACKAGES)
def test_names_are_listed_once_and_described(package: ModuleType) -> None:
    assert len(set(package.__all__)) == len(package.__all__)
    for name in {*package.__all__} - {"__version__"}:
        thing = getattr(package, name)
        if callable(thing):
            assert (thing.__doc__ or "").strip(), f"{name} says nothing of itself"


def test_a_user_s_script_passes_mypy_as_strict_as_it_is(tmp_path: Path, installed: Path) -> None:
    """Every public name is seen, what is right passes, and what is wrong is found where it stands."""
    names = [f"from {package} import {name} as {name}" for package, of in PACKAGES.items() for name in of.__all__]
    (tmp_path / "names.py").write_text("\n".join(names), encoding="utf-8")
    (tmp_path / "user.py").write_text(USER, encoding="utf-8")
    (tmp_path / "wrong.py").write_text(WRONG, encoding="utf-8")
    words = ["--strict", "--config-file=", "--python-executable", str(installed), "names.py", "user.py", "wrong.py"]
    env = {key: value for key, value in os.environ.items() if key not in ("MYPYPATH", "PYTHONPATH")}
    done = subprocess.run([sys.executable, "-m", "mypy", *words], cwd=tmp_path, env=env, capture_output=True, text=True)
    found = [line.split(": error: ") for line in done.stdout.splitlines() if ": error: " in line]
    assert [place for place, _ in found] == [f"wrong.py:{k}" for k in (4, 6, 7, 8, 8, 9, 10, 11)], done.stdout
    wrong = ("check_cel", "max_minuts", "basline", "devise", "thread", "lode", "zone_out", '"merge"')
    for (_, said), name in zip(found, wrong, strict=True):
        assert name in said
