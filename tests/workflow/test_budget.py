"""What a budget will come to, and the settings that make more of it: of recipes as they are, and of runs' codecs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from recurra import config as configuration
from recurra.model import Model
from recurra.training.pace import MEASURED, Pace, Stopwatch
from recurra.workflow import budget

from .conftest import RECIPES, opened, training


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_is_suggested_can_be_built_and_costs_less(recipe: str) -> None:
    config, codecs = opened(recipe)
    pace = Pace(seconds=8.0, updates_an_epoch=500, step=2, left=280.0)
    found = budget.forecast(config, codecs, pace, training(config, max_minutes=5.0), {})
    assert found is not None
    said, numbers = found
    assert numbers["updates"] == 2 + int(0.9 * 280 / 8)
    assert "At this pace 5 minutes make 0.066 of" in said and "about 33 updates: expect little. `--set " in said
    settings = configuration.parse_settings(word for word in said.split("`")[1].split() if word != "--set")
    assert settings == numbers["suggested"]
    smaller = configuration.with_settings(config, settings)
    configuration.check(smaller)
    assert Model.from_config(smaller, codecs).parameter_count <= Model.from_config(config, codecs).parameter_count
    choice = budget.smaller(config, codecs, pace, 20, {})
    assert choice is not None and choice.updates > 3 * numbers["updates"]


def test_an_estimate_takes_less_the_nearer_the_budget_is() -> None:
    config, codecs = opened("char-lm")
    choices = [budget.smaller(config, codecs, Pace(s, 500, 2, 280.0), 20, {}) for s in (0.7, 1.2, 5.0)]
    faster = " --set training.learning_rate=0.004"
    assert [choice.words for choice in choices if choice] == [
        "--set batching.streams=32" + faster,
        "--set batching.streams=16" + faster,
        "--set batching.streams=16 --set core.hidden_size=256 --set core.num_layers=1" + faster,
    ]
    assert all(choice.updates >= budget.ENOUGH for choice in choices if choice)


def test_a_model_that_would_hardly_see_the_data_is_made_smaller_still() -> None:
    config, codecs = opened("char-lm")
    few, many = (budget.smaller(config, codecs, Pace(1.2, epoch, 2, 280.0), 20, {}) for epoch in (500, 50_000))
    assert few is not None and many is not None and few.updates >= budget.ENOUGH
    assert few.epochs >= budget.SEEN and many.seconds < few.seconds / 2


def test_the_learning_rate_grows_where_that_was_found_to_help() -> None:
    pace = Pace(8.0, 500, 2, 280.0)

    def rate(change: dict[str, Any], stated: dict[str, Any]) -> Any:
        config, codecs = opened("translate")
        config = configuration.with_settings(config, change)
        found = budget.smaller(config, codecs, pace, 20, stated)
        assert found is not None
        return found.settings.get("training.learning_rate")

    assert rate({}, {}) == rate({"training.optimiser": {"kind": "adamw", "weight_decay": 0.1}}, {}) == 0.006
    assert rate({"training.optimiser": "momentum"}, {}) is None
    assert rate({"init.from": "a run"}, {}) is None
    assert rate({}, {"training.learning_rate": 0.003}) is None


def test_what_was_stated_stays() -> None:
    config, codecs = opened("char-lm")
    found = budget.smaller(config, codecs, Pace(8.0, 500, 2, 280.0), 20, {"core.hidden_size": 512})
    kept = {"batching.streams", "core.num_layers", "training.learning_rate"}
    assert found is not None and found.settings.keys() == kept


def test_a_model_that_starts_from_another_keeps_its_form() -> None:
    config, codecs = opened("classifier")
    config["init"] = {"from": "lm"}
    found = budget.smaller(config, codecs, Pace(8.0, 500, 2, 280.0), 20, {})
    assert found is not None and found.settings.keys() == {"batching.size"}


def test_nothing_is_said_where_all_is_well() -> None:
    config, codecs = opened("tagger")
    fast = Pace(seconds=0.1, updates_an_epoch=400, step=20, left=280.0)
    assert budget.forecast(config, codecs, fast, training(config, max_minutes=5.0), {}) is None
    small = Pace(seconds=0.1, updates_an_epoch=4, step=20, left=280.0)  # all epochs are done long before
    assert budget.forecast(config, codecs, small, training(config, max_minutes=5.0), {}) is None
    assert budget.forecast(config, codecs, Pace(0.1, 400, 20), training(config), {}) is None


def test_without_a_budget_a_long_epoch_is_said() -> None:
    config, codecs = opened("char-lm")
    found = budget.forecast(config, codecs, Pace(8.0, 1000, 2), training(config), {})
    assert found is not None
    assert found[0].startswith("At this pace an epoch takes 2.2 hours, 20 of them 44 hours. `--max-minutes` ends")


def test_looking_for_settings_draws_nothing_at_random() -> None:
    config, codecs = opened("char-lm")
    before = torch.get_rng_state()
    budget.smaller(config, codecs, Pace(8.0, 500, 2, 280.0), 20, {})
    assert torch.equal(before, torch.get_rng_state())


def test_a_pace_is_told_once_and_without_the_first_update() -> None:
    watch = Stopwatch()
    told = [watch.take(seconds) for seconds in (100.0, MEASURED / 2, MEASURED / 2, MEASURED)]
    assert told == [None, None, MEASURED / 2, None]


def test_updates_are_those_of_all_epochs_at_most() -> None:
    assert Pace(2.0, 10, 4, left=1000.0).updates(2.0, 3) == 30
    assert Pace(2.0, 1000, 4, left=100.0).updates(2.0, 3) == 4 + 45
    assert Pace(2.0, 1000, 4).updates(2.0, 3) == 3000


def test_what_was_forecast_stands_in_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from recurra import cli
    from recurra.training import pace

    monkeypatch.setattr(pace, "MEASURED", 0.0)
    monkeypatch.setattr(budget, "FEW", 10**6)
    sizes = ("core.hidden_size=12", "core.num_layers=1", "embedder.size=6", "batching.streams=16", "batching.steps=16")
    words = [word for setting in (*sizes, "training.epochs=1000000") for word in ("--set", setting)]
    text = Path(__file__).parents[1] / "fixtures" / "prose.txt"
    out = tmp_path / "run"
    assert cli.call(["train", "char-lm", str(text), "--out", str(out), "--max-minutes", "0.04", *words]) == 0
    said = json.loads((out / "report.json").read_text(encoding="utf-8"))["forecast"]["said"]
    assert "expect little" in said
    shown = capsys.readouterr()
    assert said in shown.err and f"\n{said}" in shown.out
