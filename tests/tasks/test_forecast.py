"""Forecasts: the parts put together by hand, windows that end early, errors against NumPy's, and a training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import recurra
from recurra import cli, registry
from recurra.errors import ConfigError, DataError
from recurra.export.opened import load_export
from recurra.export.write import export
from recurra.nn.frame import Frame
from recurra.tasks.forecast import Forecast, ForecastOptions
from recurra.types import Batch, Lengths, Sizes

W, H, L = 2, 5, 8
"""Variables, the horizon, and what is looked back on."""


def made(apart: bool = True, cell: str = "gru", **settings: Any) -> tuple[Any, Any, Any]:
    """Embedder, core and task with random weights, float64, in use."""
    torch.manual_seed(0)
    embedder = registry.construct("embedder", {"kind": "segments", "segment": 2, "size": 6, "apart": apart})
    core = registry.construct("core", {"kind": "recurrent", "cell": cell, "hidden_size": 7})
    task = Forecast(**{"look_back": L, "horizon": H, "segment": 2, **settings})
    sizes = Sizes(width=W)
    embedder.build(sizes)
    sizes = replace(sizes, embedding=embedder.output_size, stride=2, apart=apart)
    core.build(sizes)
    task.build(replace(sizes, core=core.output_size))
    return tuple(each.double().eval() for each in (embedder, core, task))


def windows(B: int = 3, lengths: list[int] | None = None) -> Batch:
    torch.manual_seed(1)
    x = torch.randn(B, L + H, W, dtype=torch.float64)
    structure = Lengths() if lengths is None else Lengths(torch.tensor(lengths))
    return Batch({"input": x[:, :-1], "target": x[:, 1:]}, structure)


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_one_step_of_the_core_for_each_future_segment(apart: bool, cell: str) -> None:
    embedder, core, task = made(apart, cell)
    past = windows().fields["input"][:, :L]
    found = task.ask(embedder, core, Batch({"input": past}))["forecast"]
    assert found.shape == (3, H, W)
    for b in range(3):
        last = past[b, -1]
        for variable in range(W) if apart else [None]:
            steps = slice(None) if variable is None else slice(variable, variable + 1)
            series = past[b, :, steps] - last[steps]
            x = (embedder.linear.weight @ series.unflatten(0, (L // 2, 2)).flatten(1).t()).t() + embedder.linear.bias
            _, state = core(x.relu()[None], Lengths(), None)
            pieces = []
            for m in range(3):  # 2 + 2 + 1 steps
                vector = task.ahead[m]
                if variable is not None:
                    vector = torch.cat((vector, task.variable[variable]))
                y, _ = core(vector[None, None], Lengths(), state)
                pieces.append((task.linear.weight @ y[0, 0] + task.linear.bias).unflatten(0, (2, -1)))
            values = torch.cat(pieces)[:H] + last[steps]
            assert torch.allclose(found[b, :, steps], values, atol=1e-12)


def test_the_loss_and_the_errors_of_windows() -> None:
    embedder, core, task = made(season=4, loss="absolute")
    batch = windows()
    out = task.measure(embedder, core, batch)
    past = batch.fields["input"][:, :L]
    future = batch.fields["target"][:, L - 1 :].numpy()
    said = task.ask(embedder, core, Batch({"input": past}))["forecast"].detach().numpy()
    assert out.targets == 3 * H * W and out.sequences == 3
    assert float(out.loss) == pytest.approx(np.abs(future - said).sum())
    seasonal = past.numpy()[:, [L - 4, L - 3, L - 2, L - 1, L - 4]]
    rows = {"model": said, "last": past.numpy()[:, -1:], "season": seasonal}
    for name, values in rows.items():
        assert float(out.details[f"{name}_squared"]) == pytest.approx(np.square(future - values).sum())
        assert float(out.details[f"{name}_absolute"]) == pytest.approx(np.abs(future - values).sum())
    details = {name: float(value) for name, value in out.details.items()}
    scores = task.metrics(float(out.loss), out.targets, details)
    assert scores.metrics["mse"] == pytest.approx(np.square(future - said).mean())
    table = scores.tables["horizon"]["rows"]
    assert [row[0] for row in table] == ["1 to 2", "3 to 4", "5"]
    assert table[2][1] == pytest.approx(np.square(future - said)[:, 4].mean())
    beside = task.beside(embedder, core, out.targets, details)
    assert [row["name"] for row in beside] == ["the last value again", "the value 4 steps before"]
    assert beside[1]["mae"] == pytest.approx(np.abs(future - seasonal).mean())


def test_a_window_that_ends_early_is_that_window_alone() -> None:
    embedder, core, task = made()
    lengths = [L + H - 1, 9, 5, 1, 0]
    batch = windows(5, lengths)
    out = task.forward(embedder, core, batch)
    loss, targets = 0.0, 0
    for b, n in enumerate(lengths):
        if n:
            alone = Batch({name: field[b : b + 1, :n] for name, field in batch.fields.items()})
            one = task.forward(embedder, core, alone)
            assert one.targets == min(H, n) * W  # of a short one all but the first step
            loss, targets = loss + one.loss.item(), targets + one.targets
    assert out.loss.item() == pytest.approx(loss) and (out.targets, out.sequences) == (targets, 4)


@pytest.mark.parametrize("kind", ["gaussian", "quantiles"])
@pytest.mark.parametrize("apart", [True, False])
def test_an_emission_is_asked_of_the_values_it_is_of(kind: str, apart: bool) -> None:
    embedder, core, task = made(apart, emission={"kind": kind}, subtract="none")
    batch = windows()
    y = task._vectors(embedder, core, task.windows.learnt(batch), Frame())
    future = batch.fields["target"][:, L - 1 :]
    said = {name: task.coming.values(rows, 3) for name, rows in task.emission.distribution(y).items()}
    assert all(each.shape[:3] == (3, H, W) for each in said.values())
    if kind == "gaussian":
        expected = -torch.distributions.Normal(said["mean"], said["spread"]).log_prob(future).sum()
    else:
        tau, error = torch.tensor(task.emission.levels, dtype=torch.float64), future[..., None] - said["quantiles"]
        expected = torch.maximum(tau * error, (tau - 1) * error).sum()
    assert torch.allclose(task.forward(embedder, core, batch).loss, expected)
    out = task.measure(embedder, core, batch)
    if kind == "gaussian":
        low, high = (torch.distributions.Normal(said["mean"], said["spread"]).icdf(torch.tensor(p)) for p in (0.1, 0.9))
    else:
        low, high = (said["quantiles"][..., task.emission.levels.index(level)] for level in (0.1, 0.9))
    assert int(out.details["covered_80"]) == int(((future >= low) & (future <= high)).sum()) > 0
    assert torch.allclose(out.details["width_80"], (high - low).sum(), rtol=1e-5)
    asked = task.ask(embedder, core, Batch({"input": batch.fields["input"][:, :L]}))
    assert torch.allclose(asked["low_80"], low, atol=1e-5) and torch.allclose(asked["high_80"], high, atol=1e-5)
    assert (asked["low_80"] <= asked["forecast"]).all() and (asked["forecast"] <= asked["high_80"]).all()


def test_a_core_without_a_state_is_refused() -> None:
    embedder, _, task = made()
    with pytest.raises(
        ConfigError, match=r"goes on from the state of the core, and this one has none\. Set task\.decode"
    ):
        task.forward(embedder, registry.construct("core", {"kind": "identity"}).build(Sizes(embedding=6)), windows())


def test_a_range_is_given_where_its_quantiles_are_known() -> None:
    embedder, core, task = made(emission={"kind": "quantiles", "levels": (0.25, 0.5, 0.75)})
    assert task.ask(embedder, core, Batch({"input": windows().fields["input"]})).keys() == {"forecast"}
    assert "covered" not in task.measure(embedder, core, windows()).details


def test_settings_out_of_range() -> None:
    for settings, said in (
        ({"horizon": 0}, "horizon = 0"),
        ({"segment": 0}, "segment = 0"),
        ({"dropout": 1.0}, "dropout = 1.0"),
        ({"emission": {"kind": "bernoulli"}}, "expected one of numbers"),
    ):
        with pytest.raises(ConfigError, match=said):
            Forecast(**settings)
    with pytest.raises(ConfigError, match="ahead = 0"):
        ForecastOptions(ahead=0)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two waves of noise, a day of 12 steps; with times."""
    draw, t = np.random.default_rng(0), np.arange(600)
    waves = np.stack([np.sin(2 * np.pi * t / 12), 3 * np.cos(2 * np.pi * t / 12) + 20], 1) + draw.normal(
        0, 0.1, (600, 2)
    )
    path = tmp_path_factory.mktemp("series") / "waves.csv"
    rows = "".join(f"{n},{a:.4f},{b:.4f}\n" for n, (a, b) in enumerate(waves))
    path.write_text("time,a,b\n" + rows, encoding="utf-8")
    return path


SMALL = {
    "task.look_back": 24,
    "task.horizon": 12,
    "task.segment": 6,
    "task.season": 12,
    "task.dropout": 0.0,
    "embedder.segment": 6,
    "embedder.size": 16,
    "core.hidden_size": 16,
    "training.epochs": 30,
    "training.learning_rate": 0.02,
    "training.threads": 1,
}


@pytest.fixture(scope="module")
def run(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return recurra.train("forecast", file, out=tmp_path_factory.mktemp("runs") / "run", settings=SMALL)


def test_a_training_beats_what_repeats(run: Any) -> None:
    scores = run.report["scores"]["test"]
    rows = {row["name"]: row["mse"] for row in scores["baseline"]}
    seasonal = "autoregression of differences to 12 steps before"
    assert rows.keys() == {
        "the last value again",
        "the value 12 steps before",
        "linear on the window",
        "time-delay network on the window",
        "autoregression",
        seasonal,
    }
    assert scores["model"]["mse"] < rows["the value 12 steps before"] < rows["the last value again"]
    assert run.config["batching"]["steps"] == 35 and run.config["baseline"]["look_back"] == 24
    assert run.report["split"].endswith("each part but the first begins 24 steps early, which are looked back on alone")


def test_a_series_is_asked_whole(run: Any, file: Path) -> None:
    """However much longer than a window it is."""
    (example,) = registry.construct("reader", {"kind": "series"}).read(file)
    (answer,) = run.predict(example)
    assert [part.name for part in answer.parts] == ["a", "b"] and len(answer.parts[0].forecast) == 12
    t = np.arange(600, 612)
    assert np.abs(np.array(answer.parts[1].forecast) - 3 * np.cos(2 * np.pi * t / 12) - 20).mean() < 0.5
    (short,) = run.predict(example, ahead=3)
    assert np.allclose(short.parts[0].forecast, np.array(answer.parts[0].forecast)[:3])
    with pytest.raises(ConfigError, match="ahead = 13, but this run forecasts 12 steps"):
        run.predict(example, ahead=13)
    several = run.predict(example, {"series": example["series"][:50]}, example)
    assert np.allclose(several[0].parts[0].forecast, answer.parts[0].forecast, atol=1e-5)


def test_what_follows_from_the_task_is_kept_and_may_be_stated(file: Path, tmp_path: Path) -> None:
    settings = {**SMALL, "training.epochs": 1, "batching.steps": 40}
    first = recurra.train("forecast", file, out=tmp_path / "run", settings=settings)
    assert first.config["batching"]["steps"] == 40 and first.config["data"]["context"] == 24
    again = recurra.train(tmp_path / "run", resume=True, settings={"training.epochs": 2})
    assert again.report["epochs"] == 2.0 and again.config["batching"]["steps"] == 40
    with pytest.raises(ConfigError, match=r"data\.context was 24 when .* was started, now it is 12"):
        recurra.train(tmp_path / "run", resume=True, settings={"data.context": 12})


def test_an_export_forecasts_as_its_run(run: Any, file: Path, tmp_path: Path) -> None:
    """Of longer and shorter series than a window, alone and together."""
    (example,) = registry.construct("reader", {"kind": "series"}).read(file)
    export(run, tmp_path / "out")
    series = [{"series": example["series"][:n]} for n in (600, 100, 24, 20, 7)]
    exported = load_export(tmp_path / "out")
    for one, other in zip(run.predict(*series), exported.predict(*series), strict=True):
        assert np.allclose(one.parts[1].forecast, other.parts[1].forecast, atol=1e-4)
    assert np.allclose(
        exported.predict(series[3])[0].parts[1].forecast, run.predict(series[3])[0].parts[1].forecast, atol=1e-4
    )


def test_a_horizon_longer_than_the_series(file: Path, tmp_path: Path) -> None:
    settings = {**SMALL, "task.horizon": 400}
    with pytest.raises(DataError, match=r"the longest training series has 360 steps, but 24 .* make 424"):
        recurra.train("forecast", file, out=tmp_path / "run", settings=settings)
    assert not (tmp_path / "run").exists()


def test_the_command_line(run: Any, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file is read as the training data were: a series, not a line by line."""
    assert cli.call(["predict", str(run.path), "--input", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "a" and "│" in lines[1] and [line for line in lines if line == "b"] and len(lines) >= 2 * 14
    assert cli.call(["predict", str(run.path), "--input", str(file), "--json", "--ahead", "2"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert len(found["a"]["forecast"]) == 2 and len(found["a"]["given"]) == 600
    assert cli.call(["evaluate", str(run.path)]) == 0
    assert "linear on the window" in capsys.readouterr().out


def test_a_recursive_forecast_reads_what_it_said() -> None:
    """The second segment is what the core says once the first has come, and so on."""
    embedder, core, task = made(decode="recursive", subtract="none")
    past = windows().fields["input"][:, :L]
    whole = task.ask(embedder, core, Batch({"input": past}))["forecast"]
    first = whole[:, :2]
    task.windows = replace(task.windows, look_back=L + 2)
    again = task.ask(embedder, core, Batch({"input": torch.cat((past, first), 1)}))["forecast"]
    assert torch.allclose(again[:, :3], whole[:, 2:], atol=1e-12)
    out = task.forward(embedder, core, windows())
    out.loss.backward()
    assert out.targets == 3 * H * W and embedder.linear.weight.grad is not None
    with pytest.raises(ConfigError, match=r"task\.segment = 3 steps are forecast at once, but 2 read at once"):
        made(decode="recursive", segment=3)


FREE = np.random.default_rng(3).random(28) < 0.4
DATED = "date,load,wind,holiday\n" + "".join(
    f"2020-01-{1 + n // 24:02d} {n % 24:02d}:00,{n % 24 + 40 * FREE[n // 24]:.2f},{n % 7},{int(FREE[n // 24])}\n"
    for n in range(24 * 28)
)
BESIDE = {
    **SMALL,
    "task.covariates": ["past", "known", "calendar"],
    "reader.past": ["wind"],
    "reader.known": ["holiday"],
    "task.season": None,
    "task.look_back": 24,
    "training.epochs": 12,
}


@pytest.mark.parametrize("decode", ["parallel", "recursive", "direct"])
def test_what_is_known_beside_a_series(decode: str, tmp_path: Path) -> None:
    """A day that is known to be another is told; a window is asked as it was learnt."""
    file = tmp_path / "load.csv"
    file.write_text(DATED, encoding="utf-8")
    run = recurra.train("forecast", file, out=tmp_path / "run", settings={**BESIDE, "task.decode": decode})
    scores = run.report["scores"]["test"]
    rows = {row["name"]: row["mse"] for row in scores["baseline"]}
    assert scores["model"]["mse"] < rows["linear on the window"] / 2  # which does not know what day comes
    assert run.report["shown"] and run.model.task.added.come.weight.abs().max() > 0
    (example,) = registry.construct("reader", run.config["reader"]).read(file)
    T = len(example["series"])
    task, window = run.model.task, task_window(run, example, T - 12 - 24)
    y = task._vectors(run.model.embedder, run.model.core, window, task._frame(window))
    said = window.past[:, -1:] + task._middle(task._distribution(y, 1))
    (answer,) = run.predict(task.at(example, T - 12))
    decoded = run.model.codecs["input"].decode(said[0].detach())[:, 0]
    assert np.allclose(answer.parts[0].forecast, decoded, atol=1e-3)
    if decode == "recursive":
        export(run, tmp_path / "onnx")
        (exported,) = load_export(tmp_path / "onnx").predict(task.at(example, T - 12))
        assert np.allclose(exported.parts[0].forecast, decoded, atol=1e-3)
    later = tmp_path / "later.csv"
    later.write_text(DATED + "".join(f"2020-01-29 {n:02d}:00,,,1\n" for n in range(12)), encoding="utf-8")
    assert cli.call(["predict", str(run.path), "--input", str(later)]) == 0
    late = DATED + "2020-01-29 00:00,,,1\n"
    later.write_text(late, encoding="utf-8")
    (short,) = registry.construct("reader", run.config["reader"]).read(later)
    with pytest.raises(DataError, match=r"later\.csv:2: 1 steps of known to come, expected 12"):
        run.predict(short)
    with pytest.raises(DataError, match=r"no calendar beside the series, .* \(task\.covariates\)"):
        run.predict({"series": example["series"]})
    found = recurra.backtest(run.path, rows=tmp_path / "rows.csv")
    assert found.scores["run"]["mae"] < found.scores["the last value again"]["mae"]


def task_window(run: Any, example: Any, begin: int) -> Any:
    """A window of an example as training cuts it."""
    encoded = run.model.codecs.encode_all([example])
    batching = registry.construct("batching", {**run.config["batching"], "stride": 1, "size": 1})
    batches = batching.batches(encoded, run.model.codecs.layouts, whole=True)
    return run.model.task.windows.learnt(batches[begin])


def test_covariates_without_columns_are_said(file: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no past in the training examples, which this model reads"):
        recurra.train("forecast", file, out=tmp_path / "run", settings={**SMALL, "task.covariates": ["past"]})


def test_ranges_that_nothing_has_set_are_left_out(file: Path, tmp_path: Path) -> None:
    """Of a run whose training was stopped before its end."""
    settings = {**SMALL, "training.epochs": 1, "task.levels": [80]}
    run = recurra.train("forecast", file, out=tmp_path / "run", settings=settings, no_test=True, baseline=False)
    (example,) = registry.construct("reader", {"kind": "series"}).read(file)
    assert run.predict(example)[0].parts[0].low is not None
    run.model.task.conformal.margins.fill_(torch.nan)
    (answer,) = run.predict(example)
    assert answer.parts[0].low is None and "nan" not in answer.text()
    with pytest.raises(ConfigError, match="they are set when a training has ended"):
        run.predict(example, level=80)
