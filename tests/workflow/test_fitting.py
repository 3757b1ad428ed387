"""Settings fitted to a budget: which they are at a pace, where they stand, and that a resumed run keeps them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import recurra
from recurra import cli
from recurra import config as configuration
from recurra.errors import ConfigError
from recurra.model import Model
from recurra.training.pace import Pace
from recurra.workflow import budget, fitting
from recurra.workflow.plan import make_plan

from .conftest import RECIPES, opened, training

PROSE = Path(__file__).parents[1] / "fixtures" / "prose.txt"
SLOW = Pace(seconds=8.0, updates_an_epoch=500, step=0, left=290.0)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_fitted_recipe_is_whole_and_says_what_it_changed(recipe: str) -> None:
    config, codecs = opened(recipe)
    found = fitting.chosen(config, codecs, SLOW, training(config, max_minutes=5.0), {}, budget.ENOUGH)
    again = fitting.chosen(config, codecs, SLOW, training(config, max_minutes=5.0), {}, budget.ENOUGH)
    assert found == again  # a function of the pace
    configuration.check(found.config)
    Model.from_config(found.config, codecs)
    assert found.changes and all(name in found.said for name in found.changes)
    assert found.config["training"]["fit_budget"] is True
    dropped = [values for name, values in found.changes.items() if name.endswith("dropout")]
    assert dropped and all(after == 0 for _, after in dropped)
    assert 0.02 <= found.config["training"]["schedule"]["warmup"] <= 0.2


def test_what_is_stated_stays() -> None:
    config, codecs = opened("char-lm")
    stated = {"core.hidden_size": 512, "core.dropout": 0.5, "training.schedule.warmup": 0.02}
    found = fitting.chosen(config, codecs, SLOW, training(config, max_minutes=5.0), stated, budget.ENOUGH)
    assert not found.changes.keys() & stated.keys()
    assert "batching.streams" in found.changes


def test_what_is_chosen_is_measured_where_there_is_time() -> None:
    config, codecs = opened("classifier")
    asked: list[tuple[Any, float]] = []

    def again(config: Any, seconds: float) -> Pace | None:
        asked.append((config, seconds))
        return Pace(0.5, 4_000, 0, 280.0) if len(asked) == 1 else None

    own = training(config, max_minutes=5.0)
    measured, estimated = (fitting.chosen(config, codecs, SLOW, own, {}, budget.ENOUGH, again) for _ in range(2))
    assert ", now about 500, as measured, 0.13 epochs: " in measured.said  # nine tenths of 280 seconds
    assert ", by estimate, " in estimated.said
    (small, seconds), _ = asked
    assert small["batching"]["size"] == measured.changes["batching.size"][1] and 0 < seconds < SLOW.seconds


def test_where_the_budget_is_enough_the_settings_stay() -> None:
    config, codecs = opened("char-lm")
    found = fitting.chosen(
        config, codecs, Pace(0.1, 500, 0, 290.0), training(config, max_minutes=5.0), {}, budget.ENOUGH
    )
    assert found.config == config and not found.changes
    assert found.said == "5 minutes make about 2,600 updates at the measured pace: the settings stay."


def test_a_budget_is_needed() -> None:
    with pytest.raises(ConfigError, match="--fit-budget fits the settings to --max-minutes, which is not set"):
        make_plan("char-lm", [PROSE], settings={"training.fit_budget": True})


@pytest.mark.parametrize(
    ("settings", "fit"),
    [
        ({}, False),
        ({"training.max_minutes": 5.0}, None),  # where there would be few updates
        ({"training.max_minutes": 5.0, "training.fit_budget": True}, True),
        ({"training.max_minutes": 5.0, "training.fit_budget": False}, False),
    ],
)
def test_who_is_fitted(settings: dict[str, Any], fit: bool | None, tmp_path: Path) -> None:
    assert make_plan("char-lm", [PROSE], settings=settings).fit is fit
    own = tmp_path / "mine.toml"
    own.write_text(configuration.recipe_text("char-lm"), encoding="utf-8")
    assert make_plan(own, [PROSE], settings=settings).fit is (fit or False)  # which is meant as it is written


def test_a_run_keeps_what_was_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(budget, "ENOUGH", 10**9)  # never enough: the last rung
    monkeypatch.setattr(budget, "BATCHES", {"streams": 2})
    out = tmp_path / "run"
    settings = {"training.max_minutes": 0.01, "embedder.size": 6, "core.num_layers": 1, "batching.steps": 16}
    run = recurra.train("char-lm", PROSE, out=out, settings=settings, fit_budget=True)
    config = configuration.load_recipe(out / "config.toml")
    assert config["core"]["hidden_size"] == budget.NARROWEST
    assert config["batching"] == {"kind": "streams", "streams": 4, "steps": 16, "random_start": True}
    assert run.report["fitted"]["changes"]["core.hidden_size"] == [512, budget.NARROWEST]
    said = run.report["fitted"]["said"]
    words = ["--set embedder.size=6", "--set core.num_layers=1", "--set batching.steps=16"]
    options = [word for each in words for word in each.split()]
    again = ["train", "char-lm", str(PROSE), "--out", str(out), "--resume", "--max-minutes", "0.02", *options]
    assert cli.call(again) == 0
    assert said in capsys.readouterr().out
    assert configuration.load_recipe(out / "config.toml")["core"] == config["core"]
    assert json.loads((out / "report.json").read_text(encoding="utf-8"))["fitted"] == run.report["fitted"]
