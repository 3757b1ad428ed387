"""The conformance suite over every registered task, in each of the ways that its constructor and the recipes leave."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor, nn

from recurra.nn.pooling import Pooling
from recurra.registry import names
from recurra.tasks.classify import Classify
from recurra.tasks.tag import Tag
from recurra.tasks.transduce import Transduce
from recurra.testing.samples import ways
from recurra.testing.tasks import TASK_CHECKS, check_task
from recurra.types import Batch

SETTINGS = [settings for name in names("task") for settings in ways("task", name)]


@pytest.mark.parametrize("check", TASK_CHECKS)
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: " ".join(map(str, s.values())))
def test_task(settings: dict[str, Any], check: str) -> None:
    TASK_CHECKS[check](settings)


def test_every_task_has_a_way() -> None:
    assert {settings["kind"] for settings in SETTINGS} == set(names("task"))


def test_a_task_by_its_name() -> None:
    check_task("classify")


def test_a_task_whose_padding_leaks_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def mean(self: Pooling, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        return y.mean(1)

    monkeypatch.setattr(Pooling, "forward", mean)
    with pytest.raises(AssertionError, match=r"loss differs by"):
        TASK_CHECKS["one by one"]({"kind": "classify", "pooling": "mean"})

    def targets(batch: Batch) -> Tensor:
        return batch.fields["tags"].abs() % 4

    monkeypatch.setattr("recurra.tasks.tag._targets", targets)
    for check, message in (("one by one", "targets, sequences"), ("padding", "as padding differs by")):
        with pytest.raises(AssertionError, match=message):
            TASK_CHECKS[check]({"kind": "tag"})


def test_a_task_that_learns_too_little_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    build = Classify.build

    def frozen(self: Classify, sizes: Any) -> Classify:
        build(self, sizes)
        self.unused = nn.Linear(2, 2)
        return self

    monkeypatch.setattr(Classify, "build", frozen)
    with pytest.raises(AssertionError, match=r"no gradient at task\.unused"):
        TASK_CHECKS["every parameter"]({"kind": "classify"})


def test_a_task_that_answers_something_else_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Tag.answers
    monkeypatch.setattr(
        Tag, "answers", lambda self, asked, *rest: answers(self, {name: -z for name, z in asked.items()}, *rest)
    )
    with pytest.raises(AssertionError, match="learned by heart"):
        TASK_CHECKS["overfits"]({"kind": "tag"})


def test_steps_that_are_not_the_whole_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    step = Transduce.step

    def other(self: Transduce, *given: Any) -> Any:
        log_p, state = step(self, *given)
        return log_p - 0.1, state

    monkeypatch.setattr(Transduce, "step", other)
    settings = next(settings for settings in SETTINGS if settings["kind"] == "transduce")
    with pytest.raises(AssertionError, match="loss of single steps"):
        TASK_CHECKS["steps"](settings)
