"""Simulations: what is given and what is not, scores against NumPy's, runs of both kinds from a table to an export."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import recurra
from recurra import cli, registry
from recurra.cli.report import print_scores
from recurra.data.codecs.numbers import Scaled
from recurra.data.fields import Codecs
from recurra.errors import ConfigError, DataError, NotCausal
from recurra.export.check import check
from recurra.export.opened import load_export
from recurra.export.parts import parts
from recurra.export.program import record
from recurra.export.write import export
from recurra.model import Model
from recurra.tasks.simulate import Simulate
from recurra.types import Batch, Lengths, Sizes
from recurra.workflow.plan import make_plan

D, W, B, T = 2, 2, 3, 12
NARX = {"kind": "narx", "output_lags": 2, "input_lags": 2, "degree": 2}
GRU = {"kind": "recurrent", "cell": "gru", "hidden_size": 5}


def made(core: dict[str, Any], **settings: Any) -> tuple[Any, Any, Any]:
    """Embedder, core and task with random weights, float64, in use."""
    torch.manual_seed(0)
    embedder = registry.construct("embedder", {"kind": "numbers"}).build(Sizes(width=D))
    sizes = Sizes(width=D, embedding=D, fields={"target": W})
    built = registry.construct("core", core).build(sizes)
    task = Simulate(**settings)
    task.build(replace(sizes, core=built.output_size, feeds_back=getattr(built, "feeds_back", False)))
    parts = tuple(each.double().eval() for each in (embedder, built, task))
    with torch.no_grad():
        for part in parts:
            for parameter in part.parameters():
                parameter.copy_(torch.randn_like(parameter) * 0.2)
    return parts


def signals(lengths: list[int] | None = None) -> Batch:
    torch.manual_seed(1)
    fields = {name: torch.randn(B, T, n, dtype=torch.float64) for name, n in (("input", D), ("target", W))}
    return Batch(fields, Lengths() if lengths is None else Lengths(torch.tensor(lengths)))


def begun(batch: Batch, steps: int, **lengths: Any) -> Batch:
    fields = {"input": batch.fields["input"], "initial": batch.fields["target"][:, :steps]}
    return Batch(fields, batch.structure, lengths=lengths)


@torch.no_grad()
@pytest.mark.parametrize("learn", ["series-parallel", "free-run"])
def test_what_a_core_that_feeds_back_is_given(learn: str) -> None:
    """Each way learns from what it says; in use a loss is of one step, and an answer is a simulation."""
    embedder, core, task = made(NARX, initial=4, learn=learn)
    batch = signals([T, 7, 3])
    x, y = batch.fields["input"], batch.fields["target"]
    free = y.clone()
    free[:, 4:] = torch.nan
    given, simulated = (core(torch.cat((x, each), 2), batch.structure, None)[0] for each in (y, free))
    there = (torch.arange(T) >= 4) & (torch.arange(T) < torch.tensor([T, 7, 3])[:, None])

    def squares(said: torch.Tensor) -> torch.Tensor:
        return (said - y)[there].square().sum()

    out = task.train()(embedder, core, batch)
    assert torch.allclose(out.loss, squares(given if learn == "series-parallel" else simulated))
    assert (out.targets, out.sequences, out.details) == ((8 + 3) * W, 3, {})
    out = task.eval()(embedder, core, batch)
    assert torch.allclose(out.loss, squares(given))
    assert torch.allclose(torch.stack([*out.details.values()]), (given - y)[there].square().sum(0))
    asked = task.ask(embedder, core, begun(batch, 4))["simulated"]
    assert torch.allclose(asked, simulated, atol=1e-12)
    assert torch.equal(task.ask(embedder, core, begun(batch, 9))["simulated"], asked)  # later ones are not looked at


@torch.no_grad()
def test_fewer_outputs_than_may_be_known() -> None:
    embedder, core, task = made(NARX, initial=4)
    batch = signals()
    x, y = batch.fields["input"], batch.fields["target"]
    known = torch.tensor([4, 1, 0])
    free = y.masked_fill((torch.arange(T) >= known[:, None])[..., None], torch.nan)
    expected = core(torch.cat((x, free), 2), Lengths(), None)[0]
    found = task.ask(embedder, core, begun(batch, 4, initial=known))["simulated"]
    assert torch.allclose(found, expected, atol=1e-12)
    none = task.ask(embedder, core, Batch({"input": x}))["simulated"]
    assert torch.allclose(none[2], expected[2], atol=1e-12)
    short = task.ask(embedder, core, Batch({"input": x[:, :2], "initial": y[:, :4]}))["simulated"]
    assert torch.allclose(short, core(torch.cat((x, y), 2)[:, :2], Lengths(), None)[0], atol=1e-12)


@torch.no_grad()
def test_a_state_reads_inputs_alone() -> None:
    embedder, core, task = made(GRU, initial=4)
    batch = signals()
    y, _ = core(batch.fields["input"], Lengths(), None)
    said = task.linear(y)
    out = task(embedder, core, batch)
    assert torch.allclose(out.loss, (said - batch.fields["target"])[:, 4:].square().sum())
    assert torch.allclose(task.ask(embedder, core, begun(batch, 4))["simulated"], said, atol=1e-12)
    assert "initial" not in task.inputs and task.begin_with(embedder, core, []) == ""


def test_scores() -> None:
    draw = np.random.default_rng(0)
    task = Simulate(initial=3)
    gold = [{"inputs": draw.normal(size=(n, 1)), "outputs": draw.normal(size=(n, 2)) * [1, 9]} for n in (20, 9)]
    said = [{"outputs": each["outputs"] + draw.normal(size=each["outputs"].shape)} for each in gold]
    gold = [{**each, "names": ["a", "b"]} for each in gold]
    scores = task.score(gold, said)
    y, guess = (np.concatenate([each["outputs"][3:] for each in side]) for side in (gold, said))
    error = np.sqrt(np.square(y - guess).mean(0))
    fits = 100 * (1 - error / y.std(0))
    assert scores.metrics["rmse"] == pytest.approx(np.sqrt(np.square(y - guess).mean()))
    assert scores.metrics["fit"] == pytest.approx(fits.mean())
    assert scores.metrics["r2"] == pytest.approx((1 - np.square(error / y.std(0))).mean())
    rows = scores.tables["outputs"]["rows"]
    assert [row[0] for row in rows] == ["a", "b"] and [row[1] for row in rows] == pytest.approx(error.tolist())
    assert task.score(gold, [{"outputs": each["outputs"]} for each in gold]).metrics["fit"] == pytest.approx(100)
    late = [{**each, "context": 5} for each in gold]
    y, guess = (np.concatenate([each["outputs"][5:] for each in side]) for side in (gold, said))
    assert task.score(late, said).metrics["rmse"] == pytest.approx(np.sqrt(np.square(y - guess).mean()))
    with pytest.raises(DataError, match=r"b\.csv: no output for each of 9 inputs.* predict instead"):
        task.score([{**gold[1], "outputs": gold[1]["outputs"][:4], "place": "b.csv"}], said[1:])
    with pytest.raises(DataError, match=r"no series has more than the 20 steps of task\.initial"):
        Simulate(initial=20).score(gold, said)


def test_what_is_refused() -> None:
    for settings, said in (({"initial": -1}, r"task\.initial = -1"), ({"ridge": -0.5}, r"task\.ridge = -0\.5")):
        with pytest.raises(ConfigError, match=said):
            Simulate(**settings)
    with pytest.raises(DataError, match=r"the longest training series has 5 steps, of which task\.initial = 8"):
        Simulate(initial=8).adapt([{"input": np.zeros((5, 1))}])
    codecs = Codecs(Simulate(initial=3).fields)
    for name, values in (("input", np.ones((9, 1))), ("target", np.eye(2))):
        codecs[name].fit([values])
    with pytest.raises(DataError, match=r"outputs of the shape \[3, 1\], expected 2 a step"):
        Simulate(initial=3).question({"inputs": np.ones((9, 1)), "outputs": np.ones((9, 1))}, codecs, {})
    assert isinstance(codecs["initial"], Scaled) and codecs["initial"] is codecs["target"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An oscillator whose spring grows stiffer, driven by noise that was smoothed."""
    draw, y = np.random.default_rng(0), [0.0, 0.0]
    u = np.convolve(draw.normal(size=1210), np.ones(8) / 4, "valid")[:1200]
    for drive in u[2:]:
        y.append(1.5 * y[-1] - 0.8 * y[-2] - 0.02 * y[-1] ** 3 + 0.3 * drive)
    path = tmp_path_factory.mktemp("signals") / "spring.csv"
    noisy = np.array(y) + 0.002 * draw.normal(size=1200)
    rows = "".join(f"{a:.5f},{b:.5f}\n" for a, b in zip(u, noisy, strict=True))
    path.write_text("force,place\n" + rows, encoding="utf-8")
    return path


SMALL = {"training.epochs": 2, "training.threads": 1, "batching.steps": 80}


@pytest.fixture(scope="module")
def run(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return recurra.train("simulate", file, out=tmp_path_factory.mktemp("runs") / "narx", settings=SMALL)


@pytest.fixture(scope="module")
def states(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    settings = {**SMALL, "batching.stride": 40, "core.hidden_size": 8, "training.epochs": 1}
    return recurra.train("simulate-states", file, out=tmp_path_factory.mktemp("runs") / "states", settings=settings)


def whole(file: Path, **settings: Any) -> Any:
    (example,) = registry.construct("reader", {"kind": "signals", **settings}).read(file)
    return example


def test_a_training_beats_linear_models(run: Any) -> None:
    scores = run.report["scores"]["test"]
    rows = {row["name"]: row for row in scores["baseline"]}
    assert rows.keys() == {"ARX, simulated", "FIR"} and "one step ahead" in rows["ARX, simulated"]["note"]
    assert scores["model"]["rmse"] < 0.2 * rows["ARX, simulated"]["rmse"]
    assert scores["model"]["rmse"] < 0.05 and 0.002 < scores["model"]["one_step_rmse"] < 0.01  # of noise of 0.002
    assert run.config["baseline"]["initial"] == 10 and "The first 10 steps of a series" in scores["notes"][0]
    (shown,) = run.report["shown"]
    part = shown["place"]
    assert len(part["given"]) == 10 and len(part["truth"]) == len(part["forecast"]) == 230
    assert "measured" in run.report["texts"][0]


def test_an_answer_is_a_simulation(run: Any, file: Path) -> None:
    """From the outputs that are known at the beginning, whatever there is of them."""
    example = whole(file)
    y = example["outputs"][:, 0]
    (answer,) = run.predict(example)
    said = np.array(answer["outputs"])[:, 0]
    assert math.sqrt(np.square(said - y)[10:].mean()) < 0.05
    assert answer["place"]["given"] == pytest.approx(y[:10]) and answer["place"]["forecast"] == pytest.approx(said[10:])
    assert answer["place"]["truth"] == pytest.approx(y[10:])
    other = {**example, "outputs": np.concatenate((example["outputs"][:10], -example["outputs"][10:]))}
    assert run.predict(other)[0]["outputs"] == answer["outputs"]
    (few,) = run.predict({"inputs": example["inputs"], "initial": example["outputs"][:5]})
    assert len(few["1"]["given"]) == 5 and few["1"]["truth"] is None if "truth" in few["1"] else True
    (none,) = run.predict(example["inputs"])
    assert len(none["1"]["forecast"]) == 1200 and np.isfinite(none["outputs"]).all()
    assert np.abs(np.array(none["outputs"])[100:, 0] - y[100:]).mean() < 0.1  # the beginning is forgotten


def test_a_part_of_a_file_is_scored(run: Any, file: Path) -> None:
    found = run.evaluate(file, settings={"reader.rows": "200:500"})
    example = whole(file, rows="200:500")
    said = np.array(run.predict(example)[0]["outputs"])
    assert found["model"]["rmse"] == pytest.approx(math.sqrt(np.square(said - example["outputs"])[10:].mean()))
    assert [row["name"] for row in found["baseline"]] == ["FIR", "ARX, simulated"] or len(found["baseline"]) == 2


@pytest.mark.parametrize("kind", ["run", "states"])
def test_an_export_simulates_as_its_run(kind: str, file: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    one = request.getfixturevalue(kind)
    example = whole(file)
    export(one, tmp_path / "out")
    other = load_export(tmp_path / "out")
    asked = [
        {"inputs": example["inputs"][:n], "outputs": example["outputs"][:k], "names": ["place"]}
        for n, k in ((300, 300), (40, 3), (7, 7), (20, 0))
    ]
    for a, b in zip(one.predict(*asked), other.predict(*asked), strict=True):
        assert np.allclose(a["outputs"], b["outputs"], atol=1e-5)
        assert a["place"]["given"] == b["place"]["given"]
    scores = other.evaluate(file, baseline=False)["model"]
    assert scores["rmse"] == pytest.approx(one.evaluate(file, baseline=False)["model"]["rmse"], rel=1e-3)


@pytest.mark.parametrize("kind", ["tdnn", "recurrent"])
def test_a_net_in_an_export(kind: str) -> None:
    """One of layers without a state is in the loop of the file, a recurrent one is refused."""
    codecs = {
        name: Scaled().fit([np.random.default_rng(k).normal(size=(50, 2))])
        for k, name in enumerate(("input", "target"))
    }
    net = {"kind": kind, "hidden_size": 4, **({"delays": 0, "num_layers": 1} if kind == "tdnn" else {})}
    config = {"embedder": {"kind": "numbers"}, "core": {**NARX, "net": net}, "task": {"kind": "simulate", "initial": 4}}
    torch.manual_seed(0)
    model = Model.from_config(config, codecs).eval()
    torch.nn.init.normal_(model.core.head.weight, std=0.3)
    (part,) = parts(model)
    if kind == "recurrent":
        with pytest.raises(ConfigError, match=r"a NARX whose core\.net is recurrent cannot be exported"):
            record(part, {})
    else:
        assert check(part, record(part, {}).SerializeToString()) < 1e-5


@pytest.mark.parametrize("kind", ["run", "states"])
def test_a_stream_is_the_whole(kind: str, file: Path, request: pytest.FixtureRequest) -> None:
    one = request.getfixturevalue(kind)
    inputs = whole(file)["inputs"][:60]
    (answer,) = one.predict(inputs)
    steps = one.session().feed(inputs)
    assert np.allclose([each["output"] for each in steps], answer["outputs"], atol=1e-5)
    assert steps[0]["read"] == f"{inputs[0, 0]:g}"


def test_the_command_line(run: Any, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    (tmp_path / "next.csv").write_text("\n".join([*lines[:13], *(f"{row.split(',')[0]}," for row in lines[13:41])]))
    assert cli.call(["predict", str(run.path), "--input", str(tmp_path / "next.csv")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "place" and said[1].index("│") == 10 and "measured" not in said[2]
    (tmp_path / "inputs.csv").write_text("force\n" + "\n".join(row.split(",")[0] for row in lines[1:41]))
    words = ["predict", str(run.path), "--input", str(tmp_path / "inputs.csv"), "--json", "--set"]
    assert cli.call([*words, 'reader.outputs="none"']) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert len(found["outputs"]) == 40
    assert cli.call(["evaluate", str(run.path), str(tmp_path / "next.csv")]) == 2
    assert "no output for each of 40 inputs" in capsys.readouterr().err
    assert cli.call(["train", "simulate", str(file), "--set", "task.inital=5", "--out", str(tmp_path / "r")]) == 2
    assert "did you mean" in capsys.readouterr().err.lower()


def test_small_errors_have_digits(run: Any, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of millivolts in a file in volts, too."""
    scored = run.report["scores"]["test"]
    print_scores("test", {**scored, "model": {**scored["model"], "rmse": 0.00027266, "fit": 99.5}})
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("model"))
    assert " 0.000273 " in line and " 99.500 " in line


def test_a_stream_on_the_command_line(
    run: Any, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"0.5\n-0.25\n"), encoding="utf-8"))
    assert cli.call(["stream", str(run.path)]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines() if line]
    expected = run.predict(np.array([[0.5], [-0.25]]))[0]["outputs"]
    assert [row[0] for row in rows] == ["0.5", "-0.25"]
    assert [float(row[1]) for row in rows] == pytest.approx([each[0] for each in expected], rel=1e-3)


def test_a_core_that_looks_ahead_is_refused(file: Path, tmp_path: Path) -> None:
    settings = {**SMALL, "batching.stride": 40, "core.bidirectional": True}
    with pytest.raises(ConfigError, match="this core also reads from the end"):
        recurra.train("simulate-states", file, out=tmp_path / "run", settings=settings)
    assert NotCausal  # what a stream of such a core would raise: there is none


def test_a_set_says_which_columns_are_read() -> None:
    """So that later files are read as the set's are; what is set beside it stays."""
    plan = make_plan("simulate", settings={"data.set": "silverbox"})
    assert plan.config["reader"] == {"kind": "signals", "inputs": ["V1"], "outputs": ["V2"]}
    plan = make_plan("simulate", settings={"data.set": "silverbox", "reader.inputs": ["V2"], "reader.outputs": ["V1"]})
    assert plan.config["reader"]["inputs"] == ["V2"]


def test_outputs_that_end_early_teach_nothing(file: Path, tmp_path: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    (tmp_path / "short.csv").write_text("\n".join([*lines[:300], *(f"{row.split(',')[0]}," for row in lines[300:400])]))
    with pytest.raises(DataError, match=r"fields of different lengths, inputs 399, outputs 299"):
        recurra.train("simulate", tmp_path / "short.csv", out=tmp_path / "run", settings=SMALL)
