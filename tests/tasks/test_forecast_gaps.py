"""Forecasts of series with gaps: what was not seen is neither learnt from nor scored, and a run from file to export."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import recurra
from recurra import registry
from recurra.baselines.autoregression import Autoregression
from recurra.baselines.linear_window import LinearWindow
from recurra.data.codecs.numbers import Vectors
from recurra.export.opened import load_export
from recurra.export.write import export
from recurra.tasks.forecast import Forecast
from recurra.types import Batch, Sizes

W, H, L = 2, 5, 8


def made(**settings: Any) -> tuple[Any, Any, Any]:
    torch.manual_seed(0)
    embedder = registry.construct("embedder", {"kind": "numbers"})
    core = registry.construct("core", {"kind": "recurrent", "cell": "gru-d", "hidden_size": 7})
    task = Forecast(look_back=L, horizon=H, decode="direct", levels=(80,), **settings)
    sizes = Sizes(width=W, fields={"seen": W, "since": W, "dt": 1})
    embedder.build(sizes)
    sizes = replace(sizes, embedding=embedder.output_size)
    core.build(sizes)
    task.build(replace(sizes, core=core.output_size))
    return tuple(each.double().eval() for each in (embedder, core, task))


def windows(B: int = 3) -> Batch:
    torch.manual_seed(1)
    x, seen = torch.randn(B, L + H, W, dtype=torch.float64), torch.randint(2, (B, L + H, W)).double()
    fields = {"input": x[:, :-1], "target": x[:, 1:], "seen": seen[:, :-1], "target_seen": seen[:, 1:]}
    more = {"since": torch.rand(B, L + H - 1, W).double() * 3, "dt": torch.ones(B, L + H - 1, 1).double()}
    return Batch({**fields, **more})


@pytest.mark.parametrize("emission", [None, {"kind": "gaussian"}])
def test_only_what_was_seen_counts(emission: dict[str, str] | None) -> None:
    model, batch = made(emission=emission), windows()
    missing = batch.fields["target_seen"][:, L - 1 :] == 0
    other = batch.fields["target"].clone()
    other[:, L - 1 :][missing] += 100
    found, same = (
        model[2].measure(*model[:2], each) for each in (batch, replace(batch, fields={**batch.fields, "target": other}))
    )
    assert found.targets == int((~missing).sum()) == same.targets and 0 < found.targets < missing.numel()
    assert torch.equal(found.loss, same.loss)
    for name, value in found.details.items():  # ranges are not set yet
        assert torch.allclose(value.double(), same.details[name].double(), rtol=0, atol=0, equal_nan=True), name
    model[2].conform(*model[:2], [batch])
    margins = model[2].conformal.margins.clone()
    model[2].conform(*model[:2], [replace(batch, fields={**batch.fields, "target": other})])
    assert torch.allclose(margins, model[2].conformal.margins, rtol=0, atol=0, equal_nan=True)
    assert bool(margins.isfinite().any())


def test_what_is_looked_back_on_brings_its_gaps_along() -> None:
    model, batch = made(), windows()
    asked = {name: value[:, :L] for name, value in batch.fields.items() if not name.startswith("target")}
    told = model[2].ask(*model[:2], Batch(asked))["forecast"]
    longer = {name: torch.cat((value[:, :3], value), 1) for name, value in asked.items()}
    assert torch.equal(model[2].ask(*model[:2], Batch(longer))["forecast"], told)
    for name in ("seen", "since"):
        changed = {**asked, name: asked[name].flip(0)}
        assert not torch.equal(model[2].ask(*model[:2], Batch(changed))["forecast"], told)


def test_baselines_are_not_scored_on_what_was_not_seen() -> None:
    draw = np.random.default_rng(0)
    series, seen = draw.normal(size=(120, 2)).cumsum(0), draw.integers(0, 2, (120, 2)).astype(float)
    codecs = {"input": Vectors().fit([series])}
    for baseline in (LinearWindow(6, 3), Autoregression(6, 3, max_order=2)):
        rows = [next(iter(baseline.rows([{"series": series}], [{"series": s, "seen": m}], codecs)))
                for s, m in ((series, seen), (series, np.ones_like(seen)))]  # fmt: skip
        assert len(rows[0].log_p) < len(rows[1].log_p)
        windows = [np.lib.stride_tricks.sliding_window_view(column, 9)[:, 6:] for column in seen.T]
        assert len(rows[0].log_p) == sum(int(each.sum()) for each in windows)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two waves, a day of 12 steps, of whose rows three in ten are gone, and a tenth of the cells."""
    draw, t = np.random.default_rng(0), np.arange(600)
    waves = np.stack([np.sin(2 * np.pi * t / 12), 3 * np.cos(2 * np.pi * t / 12) + 20], 1)
    waves = waves + draw.normal(0, 0.1, waves.shape)
    cells = np.where(draw.random(waves.shape) < 0.1, "", np.char.mod("%.4f", waves))
    kept = draw.random(600) > 0.3
    kept[[0, 1, 2, -1]] = True
    path = tmp_path_factory.mktemp("series") / "waves.csv"
    rows = "".join(f"{n},{a},{b}\n" for n, (a, b), keep in zip(t, cells, kept, strict=True) if keep)
    path.write_text("time,a,b\n" + rows, encoding="utf-8")
    return path


SMALL = {
    "reader.missing": "seen",
    "reader.every_step": True,
    "task.look_back": 24,
    "task.horizon": 12,
    "task.season": 12,
    "task.dropout": 0.0,
    "core.hidden_size": 16,
    "training.learning_rate": 0.02,
    "training.threads": 1,
}
WAYS = {
    "segments": {"task.segment": 6, "embedder.segment": 6, "embedder.size": 16, "training.epochs": 15},
    "steps": {
        "embedder.kind": "numbers",
        "embedder.size": None,
        "task.decode": "direct",
        "core.cell": "gru-d",
        "task.linear": True,
        "training.epochs": 5,
    },
}


@pytest.mark.parametrize("way", WAYS)
def test_a_run_from_file_to_export(way: str, file: Path, tmp_path: Path) -> None:
    run = recurra.train("forecast", file, out=tmp_path / "run", settings={**SMALL, **WAYS[way]})
    scores = run.report["scores"]["test"]
    rows = {row["name"]: row["mse"] for row in scores["baseline"]}
    assert scores["model"]["mse"] < rows["the value 12 steps before"] < rows["the last value again"]
    assert run.evaluate(file)["model"]["mse"] > 0
    (example,) = registry.construct("reader", run.config["reader"]).read(file)
    (answer,) = run.predict(example)
    (typed,) = run.predict({"series": example["series"]})  # of which all was seen
    assert not np.allclose(answer.parts[0].forecast, typed.parts[0].forecast, atol=1e-4)
    export(run, tmp_path / "out")
    exported = load_export(tmp_path / "out")
    for one, other in zip(run.predict(example), exported.predict(example), strict=True):
        assert np.allclose(one.parts[1].forecast, other.parts[1].forecast, atol=1e-4)
    assert np.array_equal(recurra.load(run.path).predict(example)[0].parts[0].forecast, answer.parts[0].forecast)


def test_a_run_that_is_not_told_reads_what_was_filled(file: Path, tmp_path: Path) -> None:
    settings = {**SMALL, **WAYS["segments"], "embedder.gaps": False, "training.epochs": 1}
    run = recurra.train("forecast", file, out=tmp_path / "run", settings=settings)
    (example,) = registry.construct("reader", run.config["reader"]).read(file)
    (answer,), (filled,) = run.predict(example), run.predict({"series": example["series"]})
    assert np.array_equal(answer.parts[0].forecast, filled.parts[0].forecast)
