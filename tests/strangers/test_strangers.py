"""Files as a user writes them, named with --plugin and nothing else, through all that a run can do."""

from __future__ import annotations

import io
import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import recurra
from recurra import cli, registry, workflow
from recurra.training.log import Event

from ..server.conftest import Api, browser, listening, opened

__all__ = ["browser", "opened"]  # fixtures of a page in a browser

HERE = Path(__file__).parent
LINES = 130
DRIFTING = ("examples_per_second", "seconds")


def load(folder: Path) -> Path:
    """A column with a period of twelve."""
    draw, t = np.random.default_rng(1), np.arange(600)
    x = 10 + 3 * np.sin(2 * np.pi * t / 12) + np.sin(2 * np.pi * t / 60) + 0.2 * draw.normal(size=len(t))
    (folder / "load.csv").write_text("load\n" + "".join(f"{each:.3f}\n" for each in x), encoding="utf-8")
    return folder / "load.csv"


def gestures(folder: Path) -> Path:
    """Turns to the left and to the right, and straight lines: the mean vector says little."""
    draw, found = np.random.default_rng(2), folder / "gestures"
    found.mkdir()
    for number in range(90):
        name, turn = (("left", 0.5), ("right", -0.5), ("straight", 0.0))[number % 3]
        angles = draw.uniform(0, 2 * np.pi) + turn * np.arange(draw.integers(8, 16))
        x = np.stack((np.cos(angles), np.sin(angles)), 1) + 0.1 * draw.normal(size=(len(angles), 2))
        np.savez(found / f"{number:03}.npz", x=x, label=name)
    return found


def reviews(folder: Path) -> Path:
    draw = random.Random(3)
    lines = ["text,label"]
    for _ in range(120):
        good, what, right = draw.random() < 0.5, draw.choice(("soup", "bed", "view")), draw.random() < 0.9
        lines.append(f"the {what} was {'good' if good else 'bad'},{'yes' if good == right else 'no'}")
    (folder / "reviews.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "reviews.csv"


def words(folder: Path) -> Path:
    draw = random.Random(4)
    found = {"".join(draw.choices("abc", k=draw.randint(2, 4))) for _ in range(300)}
    lines = "".join(f"{word}\t{word[::-1].upper()}\n" for word in sorted(found))
    (folder / "words.tsv").write_text(lines, encoding="utf-8")
    return folder / "words.tsv"


def curves(folder: Path) -> Path:
    """Circles to the left, of several sizes."""
    draw, lines = np.random.default_rng(5), []
    for _ in range(60):
        angles = draw.uniform(0, 2 * np.pi) + 0.4 * np.arange(draw.integers(12, 24))
        moves = draw.uniform(0.8, 1.2) * np.stack((np.cos(angles), np.sin(angles)), 1)
        lines.append(json.dumps({"moves": (moves + 0.05 * draw.normal(size=moves.shape)).round(3).tolist()}))
    (folder / "curves.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "curves.jsonl"


@dataclass(frozen=True)
class Case:
    plugin: str
    recipe: str
    data: Callable[[Path], Path]
    metric: str
    """What the model is better in than its best baseline."""
    best: Callable[..., float]
    asked: Any
    """An input in Python."""
    written: str
    """The same on the command line."""
    kinds: list[str]
    """Of the parts of an answer."""
    options: dict[str, Any] = field(default_factory=dict)
    streams: bool = True


CIRCLE = [[round(float(np.cos(a)), 3), round(float(np.sin(a)), 3)] for a in 0.4 * np.arange(8)]
SERIES = [round(10 + 3 * float(np.sin(2 * np.pi * t / 12)), 3) for t in range(36)]
CASES = {
    "forecast": Case(
        *("forecast.py", "forecast.toml", load, "pinball", min, SERIES),
        *("\n".join(map(str, SERIES)), ["series"], {"ahead": 3}),
    ),
    "reader": Case(
        *("gestures.py", "gestures.toml", gestures, "accuracy", max, CIRCLE),
        *("\n".join(f"{x} {y}" for x, y in CIRCLE), ["label"], {"top": 2}),
    ),
    "metric of labels": Case(
        *("measures.py", "measures-classify.toml", reviews, "kappa", lambda rows: min(rows), "the soup was good"),
        *("the soup was good", ["label"], {"top": 2}),
    ),
    "metric of targets": Case(
        *("measures.py", "measures-transduce.toml", words, "similarity", max, "abca", "abca", ["pair"]), streams=False
    ),
    "writer": Case(
        *("curves.py", "curves.toml", curves, "nats_per_move", min, CIRCLE),
        *("\n".join(f"{x} {y}" for x, y in CIRCLE), ["series", "series"], {"length": 5, "seed": 3}),
    ),
}


every_case = pytest.mark.parametrize("name", CASES)


@pytest.fixture(scope="module", autouse=True)
def forgotten() -> Iterator[None]:
    """What plugins registered is gone behind this file: other tests know nothing of them."""
    yield
    for key, module in [*registry._origins.items()]:
        if module.startswith("recurra_plugin_"):
            registry._parts.pop(key, None), registry._origins.pop(key)
    registry._plugins.clear()


@dataclass
class Made:
    """What training a case came to."""

    case: Case
    data: Path
    run: Path
    out: str = ""
    err: str = ""

    @property
    def plugin(self) -> list[str]:
        return ["--plugin", str(HERE / self.case.plugin)]

    def opened(self) -> Any:
        return workflow.load(self.run, plugins=[HERE / self.case.plugin], device="cpu")


TRAINED: dict[str, Made | Exception] = {}


@pytest.fixture
def made(name: str, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]) -> Made:
    """A case, trained once."""
    if name not in TRAINED:
        folder = tmp_path_factory.mktemp("stranger")
        case = CASES[name]
        found = Made(case, case.data(folder), folder / "run")
        words = ["train", str(HERE / case.recipe), str(found.data), "--out", str(found.run), *found.plugin]
        code = cli.call([*words, "--threads", "1", "--device", "cpu"])
        found.out, found.err = capsys.readouterr()
        TRAINED[name] = found if code == 0 else RuntimeError(found.err)
    found = TRAINED[name]
    if isinstance(found, Exception):
        raise found
    return found


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What the command line prints."""
    code = cli.call(words)
    out, err = capsys.readouterr()
    assert code == 0, err
    return out


@pytest.mark.parametrize("file", sorted(HERE.glob("[!t]*.py")), ids=lambda file: file.name)
def test_a_strangers_file_is_short(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= LINES


@every_case
def test_it_trains_with_progress(name: str, made: Made) -> None:
    assert "epoch" in made.err and "/s" in made.err and "Training ended after" in made.err
    lines = [json.loads(line) for line in (made.run / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses and losses[-1] < losses[0]


@every_case
def test_stopped_and_gone_on_with_it_is_the_same_bit_for_bit(name: str, made: Made, tmp_path: Path) -> None:
    def stop(event: Event) -> None:
        if event.kind == "step" and event.step == 7:
            signal.raise_signal(signal.SIGINT)

    whole, plugins = made.opened(), [HERE / made.case.plugin]
    settings = {"training.threads": 1, "training.device": "cpu"}
    with pytest.raises(KeyboardInterrupt, match="stopped after step 7 and saved"):
        recurra.train(
            HERE / made.case.recipe,
            made.data,
            out=tmp_path / "run",
            settings=settings,
            plugins=plugins,
            progress=stop,
        )
    again = recurra.train(tmp_path / "run", resume=True, plugins=plugins)
    for key, weights in whole.model.state_dict().items():
        assert torch.equal(weights, again.model.state_dict()[key]), key
    assert timeless(again.report["scores"]) == timeless(whole.report["scores"])


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: timeless(each) for key, each in value.items() if not key.endswith(DRIFTING)}
    return [timeless(each) for each in value] if isinstance(value, list) else value


@every_case
def test_it_is_scored_beside_its_baselines(name: str, made: Made) -> None:
    metric, scores = made.case.metric, made.opened().report["scores"]
    for scored in scores.values():
        beside = [row[metric] for row in scored["baseline"]]
        assert (beside and made.case.best([scored["model"][metric], *beside]) == scored["model"][metric]) or (
            metric == "kappa" and scored["model"][metric] > 0
        )
    assert f"\n{'model':5}" in made.out and metric.replace("_", " ") in made.out
    assert all(row["name"] in made.out for row in scores["test"]["baseline"])


@every_case
def test_it_answers(name: str, made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    run, case = made.opened(), made.case
    (expected,) = run.predict(case.asked, **case.options)
    options = [word for key, value in case.options.items() for word in (f"--{key}", str(value))]
    words = ["predict", str(made.run), case.written, *options, *made.plugin]
    (found,) = json.loads(said(capsys, *words, "--json"))
    assert found == json.loads(json.dumps(dict(expected)))
    assert said(capsys, *words).strip() == expected.text().strip()
    assert [part["kind"] for part in expected.page()] == case.kinds


@every_case
def test_it_is_evaluated(name: str, made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", str(made.run), "--device", "cpu", *made.plugin]
    own = json.loads(said(capsys, *words, "--json"))
    assert timeless(own["model"]) == made.opened().report["scores"]["test"]["model"] and own["baseline"]
    other = json.loads(said(capsys, *words, str(made.data), "--no-baseline", "--json"))
    assert other["model"].keys() == own["model"].keys() and other["model"] != own["model"]
    assert "model" in said(capsys, *words)


@every_case
def test_it_streams_where_it_can(
    name: str, made: Made, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(made.case.written.encode()), encoding="utf-8"))
    words = ["stream", str(made.run), "--each", "--json", *made.plugin]
    if not made.case.streams:
        assert cli.call(words) == 2 and "stream" in capsys.readouterr().err
        return
    rows = [json.loads(line) for line in said(capsys, *words).splitlines()]
    session = made.opened().session()
    answers = session.feed(made.case.asked)
    assert len(rows) == len(answers) > 1 and session.count == len(answers)
    assert [{key: row[key] for key in answer} for row, answer in zip(rows, answers, strict=True)] == answers


@every_case
def test_it_is_looked_into(name: str, made: Made, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    found = said(capsys, "inspect", str(made.run), *made.plugin, "--out", str(page))
    assert "how far gradients reach" in found and "gates" in found and page.stat().st_size > 1000


@every_case
def test_it_is_exported_and_says_the_same_there(
    name: str, made: Made, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime", reason="the extra export is not installed")
    out = tmp_path / "onnx"
    printed = said(capsys, "export", str(made.run), "--out", str(out), *made.plugin)
    assert "differs from torch by" in printed and (out / "model.onnx").is_file()
    (ours,), (theirs,) = (
        workflow.load(folder, plugins=[HERE / made.case.plugin], device="cpu").predict(
            made.case.asked, **made.case.options
        )
        for folder in (made.run, out)
    )
    close(dict(ours), dict(theirs))


def close(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            close(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            close(*pair)
    else:
        assert one == (pytest.approx(other, rel=1e-4, abs=1e-4) if isinstance(one, float) else other)


@every_case
def test_it_is_served(name: str, made: Made) -> None:
    run, case = made.opened(), made.case
    api = Api([run])
    try:
        (card,) = api.ask("models")["models"]
        assert case.options.keys() <= card["options"]["predict"].keys()
        (parts,) = api.parts(card["name"], case.asked, **case.options)
        (expected,) = run.predict(case.asked, **case.options)
        close(parts, json.loads(json.dumps(expected.page())))
        if run.of_text:
            assert "reads text" in api.refused(422, f"models/{card['name']}/predict", {"inputs": [[1.5]]})["error"]
    finally:
        api.close()


@pytest.fixture(scope="module")
def address() -> str:
    """Where `opened` looks if nobody says: nowhere."""
    return ""


@every_case
def test_a_page_draws_its_answer(name: str, made: Made, opened: Any) -> None:
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    from playwright.sync_api import expect

    from recurra.server.limits import Limits
    from recurra.server.models import Models

    for at in listening(Models([made.opened()], Limits())):
        page = opened(at=at)
        page.fill("#input", made.case.written)
        page.click("#verbs button[type=submit]")
        expect(page.locator("#status")).to_contain_text("Answered in", timeout=20_000)
        result = page.locator("#result")
        assert result.inner_text() and "cannot draw" not in result.inner_text()
        assert result.locator(".line").count() >= made.case.kinds.count("series")


@pytest.mark.parametrize("name", ["forecast", "metric of labels"])
def test_nothing_but_the_plugin_is_imported(name: str, made: Made) -> None:
    """In a process of its own, where no test has loaded anything."""
    program = [sys.executable, "-m", "recurra", "predict", str(made.run), made.case.written]
    done = subprocess.run([*program, *made.plugin], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and f"--plugin {HERE / made.case.plugin}" in done.stderr
