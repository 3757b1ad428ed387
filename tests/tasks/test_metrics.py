"""Metrics of one's own: measured beside the task's for the model and its baselines, or refused with a sentence."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import recurra
from recurra import registry
from recurra.errors import ConfigError, UnknownName
from recurra.tasks.metrics import check_metrics, with_metrics
from recurra.tasks.scores import Scores

SMALL = {"core.hidden_size": 4, "embedder.size": 4, "training.epochs": 1, "training.device": "cpu"}


@pytest.fixture(autouse=True)
def own_metrics() -> Iterator[None]:
    """Registered for the length of a test."""

    @registry.part("metric", "yes-share")
    def yes_share(gold: Any, predicted: Any) -> float:
        return sum(each["label"] == "yes" for each in predicted) / len(predicted)

    @registry.part("metric", "hopeless")
    def hopeless(gold: Any, predicted: Any) -> Any:
        return float("nan")

    yield
    for name in ("yes-share", "hopeless"):
        del registry._parts["metric", name]


def table(folder: Path) -> Path:
    draw = random.Random(0)
    rows = "".join(f"{draw.choice(('a', 'b'))} c,{draw.choice(('yes', 'yes', 'no'))}\n" for _ in range(40))
    (folder / "a.csv").write_text("text,label\n" + rows, encoding="utf-8")
    return folder / "a.csv"


def test_a_metric_stands_beside_the_tasks_own(tmp_path: Path) -> None:
    settings = {**SMALL, "evaluation.metrics": ["yes-share"]}
    run = recurra.train("classifier", table(tmp_path), out=tmp_path / "run", settings=settings)
    scored = run.report["scores"]["test"]
    assert next(iter(scored["model"])) == "accuracy" and 0 <= scored["model"]["yes-share"] <= 1
    rows = {row["name"]: row for row in scored["baseline"]}
    assert rows["most frequent label"]["yes-share"] == 1 and "yes-share" in rows["its n-grams alone"]
    again = recurra.load(run.path).evaluate()
    assert again["model"] == scored["model"]
    answers = run.predict("a c", "b c", "a c")
    test = with_metrics(Scores({}), ["yes-share"], answers, answers).metrics
    assert test == {"yes-share": sum(a["label"] == "yes" for a in answers) / 3}


def test_unknown_metrics_are_refused_before_data_are_read(tmp_path: Path) -> None:
    settings = {"evaluation.metrics": ["yes-shara"]}
    with pytest.raises(UnknownName, match="unknown metric 'yes-shara': did you mean 'yes-share'"):
        recurra.train("classifier", table(tmp_path), out=tmp_path / "run", settings=settings)
    with pytest.raises(ConfigError, match=re.escape("unknown key evaluation.metric: did you mean 'metrics'?")):
        recurra.train("classifier", table(tmp_path), out=tmp_path / "run", settings={"evaluation.metric": ["f"]})
    with pytest.raises(ConfigError, match="but this task is scored by how likely the truth was"):
        recurra.train("char-lm", table(tmp_path), out=tmp_path / "run", settings={"evaluation.metrics": ["hopeless"]})
    check_metrics([], object())


@pytest.mark.parametrize(
    ("name", "metrics", "message"),
    [
        ("yes-share", {"yes-share": 1.0}, "evaluation.metrics names 'yes-share', which the task's own score has."),
        ("yes-share", {}, "the metric 'yes-share' reads 'label', which examples and predictions have not both; predi"),
        ("hopeless", {}, "the metric 'hopeless' is nan, expected a finite number. Mend its function."),
    ],
)
def test_metrics_that_cannot_be(name: str, metrics: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        with_metrics(Scores(dict(metrics)), [name], [{"target": "a"}], [{"target": "b"}])
