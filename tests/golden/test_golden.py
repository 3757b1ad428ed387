"""What users see of the runs in tests/fixtures/runs, beside what recurra showed when they were made.

A difference is either wrong or meant. What is meant is named in the CHANGELOG, and made anew:

    pytest tests/golden --regold
"""

from __future__ import annotations

import io
import json
import math
import re
import runpy
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors

import recurra
from recurra import cli, workflow
from recurra.cli import progress

from ..server.conftest import Api, read_events
from .compare import Kept
from .looks import ASKED, CLIENTS, COMMANDS, FED, REQUESTS, STREAMS

FIXTURES = Path(__file__).parents[1] / "fixtures"
HERE = Path(__file__).parent
RUNS = list(COMMANDS)
EXPORTED = ["writer", "filler", "slots", "translator", "answerer"]
"""Each exports in a way of its own; writing files takes seconds."""
SIZES = {"batch": 2, "time": 4, "source": 4, "stories": 2, "places": 2, "words": 3, "characters": 3, "blanks": 2}
"""Of the axes of an export's inputs."""
NUMBERS = {"lengths": [4, 3], "counts": [2, 1], "spelling_lengths": [3, 1, 2], "blanks": [[2, 0], [0, 1]]}
"""Inputs of an export that are no symbols. (A row for each sentence is one of the batch.)"""
COMPILING = re.compile(r"recurra: compiling .*\n")
"""Said where code is not kept from before."""

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs, and what they were trained on, are named from here; nothing is told of a wait, however slow the machine."""
    monkeypatch.chdir(FIXTURES)
    monkeypatch.setattr(progress, "FIRST", math.inf)
    monkeypatch.setattr(progress, "QUIET", math.inf)


@pytest.fixture
def kept(request: pytest.FixtureRequest) -> Callable[[str], Kept]:
    anew = request.config.getoption("--regold")
    return lambda name: Kept(HERE / f"{name}.json", anew)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """What the command line says to words: its exit code, its text or JSON, and its sentences beside them."""

    def call(*words: str) -> dict[str, Any]:
        code = cli.call(words)
        out, err = capsys.readouterr()
        found = {
            "code": code,
            "out": [json.loads(line) for line in out.splitlines()] if "--json" in words else out.split("\n"),
        }
        err = COMPILING.sub("", err)
        return {**found, "err": err} if err else found

    return call


@pytest.mark.parametrize(
    ("run", "words"),
    [pytest.param(run, words, id=f"{run}-{' '.join(words)}") for run in RUNS for words in COMMANDS[run]],
)
def test_the_command_line(run: str, words: tuple[str, ...], said: Any, kept: Any) -> None:
    kept(run).check(" ".join(words), said(words[0], f"runs/{run}", *words[1:]))


@pytest.mark.parametrize(("words", "piped"), STREAMS, ids=[" ".join(words) for words, _ in STREAMS])
def test_streams(words: tuple[str, ...], piped: str, said: Any, kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(piped.encode()), encoding="utf-8"))
    kept(words[0]).check(" ".join(("stream", *words[1:])), said("stream", f"runs/{words[0]}", *words[1:]))


@pytest.mark.parametrize("run", RUNS)
def test_stored_runs_are_of_the_first_format(run: str) -> None:
    """Made anew in a later one they would no longer show that the first can be read."""
    folder = FIXTURES / "runs" / run
    with safetensors.safe_open(folder / "model.safetensors", framework="np") as weights:
        assert weights.metadata()["recurra_format"] == "1"
    assert "input" in json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))["vocabularies"]


@pytest.mark.parametrize("run", RUNS)
def test_python(run: str, kept: Any) -> None:
    opened = recurra.load(f"runs/{run}", device="cpu")
    for k, (inputs, keywords) in enumerate(ASKED[run]):
        kept(run).check(f"python predict {k}", [answer.json() for answer in opened.predict(*inputs, **keywords)])


@pytest.mark.parametrize("run", RUNS)
def test_python_scores_as_the_command_line_does(run: str) -> None:
    words = next(w for w in COMMANDS[run] if w[0] == "evaluate" and len(w) > 3 and w[-1] == "--no-baseline")
    files = [word for word in words[1:] if not word.startswith("--")]
    scored = recurra.load(f"runs/{run}", device="cpu").evaluate(*files, baseline=False)
    beside = Kept(HERE / f"{run}.json", False)
    beside.check(" ".join(words), {**beside.values[" ".join(words)], "out": [scored]})


@pytest.mark.parametrize("run", RUNS)
def test_the_report_of_a_training(run: str, kept: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its words; its numbers are for other tests, and so is what it writes."""
    make_runs = runpy.run_path("make_runs.py")
    assert cli.call(make_runs["words_of"](run, "--out", str(tmp_path / "run"), "--set", "training.epochs=1")) == 0
    here = f"{FIXTURES}/"
    out, err = (re.sub(r"[\d,.]*\d", "#", text.replace(here, "")) for text in capsys.readouterr())
    report = re.split(r"a sample|the first of them", out)[0].replace(str(tmp_path), "")
    report = re.sub(r"command: .*", "command", report)
    err = COMPILING.sub("", err)
    kept(run).check("train", {"out": re.sub(r" +", " ", report), "err": re.sub(r" +", " ", err)})


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    runs = [recurra.load(FIXTURES / "runs" / name, device="cpu") for name in RUNS]
    served = Api(runs)
    yield served
    served.close()


def test_cards(api: Api, kept: Any) -> None:
    found = api.ask("models")
    assert {card["name"] for card in found["models"]} == set(RUNS)
    for card in found["models"]:
        kept(card["name"]).check("card", {name: value for name, value in card.items() if name != "engine"})


@pytest.mark.parametrize("run", RUNS)
def test_requests(api: Api, run: str, kept: Any) -> None:
    for k, (verb, body) in enumerate(REQUESTS[run]):
        answer = api.send("POST", f"/api/models/{run}/{verb}", body)
        events = answer.headers["content-type"].startswith("text/event-stream")
        found = read_events(answer.text) if events else answer.json()
        kept(run).check(f"POST {verb} {k}", {"status": answer.status_code, "said": found})


@pytest.mark.parametrize("run", FED)
def test_sessions(api: Api, run: str, kept: Any) -> None:
    path = f"models/{run}/sessions"
    opened = api.ask(path, {})
    found = [api.ask(f"{path}/{opened['id']}/feed", {"input": piece, "top": 2}) for piece in FED[run]]
    forked = api.ask(f"{path}/{opened['id']}/fork", {})
    kept(run).check("session", [opened["count"], *found, forked["count"]])


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """A run's export, made where it is first asked for."""
    pytest.importorskip("onnxruntime", reason="the extra export is not installed")
    folder = tmp_path_factory.mktemp("exports")

    def made(run: str) -> Path:
        if not (folder / run).exists():
            workflow.export(f"runs/{run}", out=folder / run)
        return folder / run

    yield made
    shutil.rmtree(folder)


@pytest.mark.parametrize("run", EXPORTED)
def test_exports(run: str, exports: Any, kept: Any) -> None:
    import onnxruntime

    for file in sorted(exports(run).glob("*.onnx")):
        session = onnxruntime.InferenceSession(file)
        feeds = {given.name: _filled(given) for given in session.get_inputs()}
        names = [each.name for each in session.get_outputs()]
        outputs = {
            name: {"shape": list(value.shape), "values": value.reshape(-1).astype(float).tolist()[:64]}
            for name, value in zip(names, session.run(names, feeds), strict=True)
        }
        inputs = {given.name: [given.type, given.shape] for given in session.get_inputs()}
        kept(run).check(f"export {file.name}", {"inputs": inputs, "outputs": outputs})
    kept(run).check("export files", sorted(file.name for file in exports(run).iterdir()))


def _filled(given: Any) -> Any:
    """An input's values, the same each time."""
    shape = [SIZES.get(axis, 1) if isinstance(axis, str) else axis for axis in given.shape]
    if given.name in NUMBERS:
        return np.array(NUMBERS[given.name])
    if "int64" in given.type:
        few = 2 if given.name in ("sentences", "questions", "spelling") else 5  # numbers of rows; of symbols
        return (np.arange(np.prod(shape)) % few).reshape(shape)
    if "bool" in given.type:
        return np.ones(shape, dtype=bool)
    return np.linspace(-0.5, 0.5, int(np.prod(shape)), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize("run", CLIENTS)
def test_clients(run: str, exports: Any, kept: Any) -> None:
    answer = runpy.run_path(str(exports(run) / "client.py"))["answer"]
    kept(run).check("client.py", answer(CLIENTS[run]))


@pytest.mark.parametrize("run", RUNS)
def test_an_export_answers_as_its_run(run: str, exports: Any, said: Any) -> None:
    words = next(words for words in COMMANDS[run] if words[0] == "predict")
    found = said("predict", str(exports(run)), *words[1:])
    beside = Kept(HERE / f"{run}.json", False)
    beside.check(" ".join(words), found)
