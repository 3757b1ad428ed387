"""The conformance suite over every registered task, in each of its ways."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor, nn

from recurra.errors import ConfigError
from recurra.nn.pooling import Pooling
from recurra.registry import names
from recurra.tasks.classify import Classify
from recurra.tasks.tag import Tag
from recurra.tasks.transduce import Transduce
from recurra.testing.tasks import TASK_CHECKS, check_task, make_case
from recurra.types import Batch

TRANSFORMER = {"kind": "transformer", "hidden_size": 8, "num_layers": 2, "heads": 2, "feed_forward": 16, "dropout": 0}
WAYS: dict[str, list[dict[str, Any]]] = {
    "generate": [
        {},
        {"softmax": {"kind": "adaptive", "cutoffs": [3, 7], "factor": 2}},
        {"dropout": 0.1, "variational": True, "activation_penalty": 2.0, "slowness_penalty": 1.0},
    ],
    "tag": [
        {"decoder": "softmax"},
        {"decoder": "crf"},
        *({"decoder": d, "intent": True, "intent_weight": 0.5} for d in ("softmax", "crf")),
        {"decoder": "crf", "intent": True, "intent_pooling": "attention"},
    ],
    "classify": [
        *({"pooling": p} for p in ("last", "mean", "max", "attention")),
        *({"pooling": p, "multi_label": True} for p in ("last", "mean", "max", "attention")),
        {"class_weights": "balanced"},
    ],
    "answer": [{"hops": 1}, {"hops": 2}, {"hops": 3, "both": False, "dropout": 0.1}],
    "fill": [{}, {"tied": True, "dropout": 0.1}],
    "transduce": [
        {"decoder": {"kind": "recurrent", "hidden_size": 8, "context": "initial"}},
        {"decoder": {"kind": "recurrent", "hidden_size": 8, "context": "every-step"}, "tied": "output"},
        {"decoder": {"kind": "recurrent", "hidden_size": 8}, "tied": "all", "scores": "pronunciation"},
        {"decoder": {"kind": "recurrent", "hidden_size": 6, "feeding": "input"}, "tied": "all", "scores": "exact"},
        {"decoder": {"kind": "recurrent", "hidden_size": 8, "cell": "lstm"}, "tied": "all", "scores": "poems"},
        {"decoder": TRANSFORMER, "label_smoothing": 0.01},
        {"decoder": {**TRANSFORMER, "hidden_size": 6}, "tied": "all"},
    ],
}
SETTINGS = [{"kind": kind, **way} for kind, ways in WAYS.items() for way in ways]


@pytest.mark.parametrize("check", TASK_CHECKS)
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: " ".join(map(str, s.values())))
def test_task(settings: dict[str, Any], check: str) -> None:
    TASK_CHECKS[check](settings)


def test_every_task_is_here() -> None:
    assert set(WAYS) == set(names("task"))


def test_a_task_by_its_name() -> None:
    check_task("classify")


def test_a_task_whose_padding_leaks_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def mean(self: Pooling, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        return y.mean(1)

    monkeypatch.setattr(Pooling, "forward", mean)
    with pytest.raises(AssertionError, match=r"loss differs by"):
        TASK_CHECKS["one by one"]({"kind": "classify", "pooling": "mean"})

    def targets(batch: Batch) -> Tensor:
        return batch.fields["tags"]

    monkeypatch.setattr("recurra.tasks.tag._targets", targets)
    for check, message in (("one by one", "targets, sequences"), ("padding", "loss with 0 as padding differs by")):
        with pytest.raises(AssertionError, match=message):
            TASK_CHECKS[check]({"kind": "tag"})


def test_a_task_that_does_not_learn_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    build = Classify.build

    def with_more(self: Classify, *sizes: Any) -> Classify:
        self.unused = nn.Linear(2, 2)
        return build(self, *sizes)

    monkeypatch.setattr(Classify, "build", with_more)
    with pytest.raises(AssertionError, match=r"no gradient at task.unused.weight"):
        TASK_CHECKS["every parameter"]({"kind": "classify"})

    def decode(self: Tag, *_: Any) -> dict[str, Any]:
        return {"tags": [[0]] * 4}

    monkeypatch.setattr(Tag, "decode", decode)
    with pytest.raises(AssertionError, match=r"tags of four examples learnt by heart: \[\[0\], .*, expected"):
        TASK_CHECKS["overfits"]({"kind": "tag"})


def test_steps_that_forget_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    step = Transduce.step

    def forgetful(self: Transduce, embedder: nn.Module, core: nn.Module, state: Any, token: Tensor) -> Any:
        return step(self, embedder, core, state, token)[0], state

    monkeypatch.setattr(Transduce, "step", forgetful)
    with pytest.raises(AssertionError, match=r"loss of single steps differs by"):
        TASK_CHECKS["steps"]({"kind": "transduce", "decoder": TRANSFORMER})


def test_a_field_without_random_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tag, "fields", ("heads",))
    with pytest.raises(
        ConfigError, match=r"the task needs 'heads', random values are known of tags, label, labels, ta"
    ):
        make_case({"kind": "tag"})
