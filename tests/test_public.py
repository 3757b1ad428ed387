"""What `import recurra` offers: names that are found, called as the command line calls them, and typed for a user."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import recurra
from recurra import workflow
from recurra.cli import VERBS

TAGGER = Path(__file__).parent / "fixtures" / "runs" / "tagger"
USER = """
import recurra

run = recurra.train("tagger", "my.conll", out="run", max_minutes=5, seed=1, threads=2)
run.evaluate(threads=1)
recurra.evaluate("run", baseline=False)
recurra.predict("run", "a text", top=3)[0].json()
recurra.train("tagger", max_minuts=5)
recurra.evaluate("run", basline=False)
recurra.load("run", devise="cpu")
run.evaluate(thread=1)
recurra.lode("run")
"""

CONFIG = """
[mypy]
follow_imports = silent
[mypy-torch.*,numpy.*,sympy.*,onnx.*,safetensors.*,tokenizers.*,pydantic.*,starlette.*]
follow_imports = skip
ignore_missing_imports = true
"""
"""Of what is not ours nothing is read: it would take most of the time."""


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
    called = {"set_": "settings", "plugin": "plugins"}
    assert {called.get(name, name) for name in theirs} - {"json"} <= ours


def test_keywords_of_training_are_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def planned(*args: object, settings: dict[str, object], **others: object) -> None:
        seen.update(settings)
        raise StopIteration

    monkeypatch.setattr(workflow, "make_plan", planned)
    with pytest.raises(StopIteration):
        recurra.train("tagger", settings={"core.hidden_size": 3}, max_minutes=2, seed=4, threads=1)
    assert seen == {"core.hidden_size": 3, "training.max_minutes": 2, "training.seed": 4, "training.threads": 1}


def test_mypy_finds_a_wrong_keyword(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER, encoding="utf-8")
    package = Path(recurra.__file__).parent
    assert (package / "py.typed").is_file()
    env = {**os.environ, "MYPYPATH": str(package.parent)}
    (tmp_path / "mypy.ini").write_text(CONFIG, encoding="utf-8")
    words = ["--config-file=mypy.ini", "user.py"]
    done = subprocess.run([sys.executable, "-m", "mypy", *words], cwd=tmp_path, env=env, capture_output=True, text=True)
    found = [line.split(": error: ") for line in done.stdout.splitlines() if ": error: " in line]
    assert [place for place, _ in found] == [f"user.py:{line}" for line in range(8, 13)], done.stdout + done.stderr
    for (_, said), name in zip(found, ("max_minuts", "basline", "devise", "thread", "lode"), strict=True):
        assert f'"{name}"' in said
