"""What decided an answer, against finite differences and against the same model without the symbol's vector."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch

from recurra.diagnostics import attribution, next_symbols
from recurra.diagnostics.decisions import Decision
from recurra.errors import ConfigError
from recurra.model import Model
from recurra.tasks.writing import Starts
from recurra.types import Batch, Lengths

Made = Callable[..., Model]
SENTENCE, LETTERS = ["the", "quick", "fox", "jumps"], "He sadi"
"""Each symbol once, so that its row of the embedder is its vector alone."""
GIVEN = {"tag": SENTENCE, "classify": SENTENCE, "transduce": SENTENCE, "fill": SENTENCE, "generate": LETTERS}


def scaled(model: Model, symbol: int, factor: float) -> Model:
    """A copy in which the vector of one symbol is so many times as long."""
    found = copy.deepcopy(model)
    with torch.no_grad():
        found.embedder.weight[symbol] *= factor
    return found


@torch.no_grad()
def log_p(model: Model, kind: str, decision: Decision) -> float:
    """ln p of an answer, by the ways a run is asked on."""
    given, task = GIVEN[kind], model.task
    if kind == "fill":
        return float(np.log(next_symbols(model, given)[decision.step or 0].p))
    ids = torch.from_numpy(model.codecs["input"].encode(given))[None]
    if kind == "generate":
        state = None
        for token in ids[0]:
            found, state = task.step(model.embedder, model.core, state, token[None])
        return float(found[0, model.codecs["input"].encode(decision.name)[0]])
    if kind == "transduce":
        end = torch.tensor([[len(model.codecs["input"].symbols)]])
        target = torch.from_numpy(model.codecs["target"].encode(decision.name.split()))
        target = torch.cat([target, torch.tensor([task.end])])[None]
        fields = {"input": torch.cat([ids, end], 1), "target": target}
        out = model.loss(Batch(fields, lengths={"target": torch.tensor([target.shape[1]])}))
        return -float(out.loss) / target.shape[1]
    asked = task.ask(model.embedder, model.core, Batch({"input": ids}, structure=Lengths()))
    if kind == "tag":
        return float(asked["tags"][0, decision.step, model.codecs["tags"].symbols.index(decision.name)])
    return float(asked["label"][0, model.codecs["label"].symbols.index(decision.name)])


@pytest.mark.parametrize("kind", GIVEN)
def test_gradients_are_finite_differences_and_occlusion_is_the_answer_without(made: Made, kind: str) -> None:
    model = made(kind).double()
    found = attribution(model, GIVEN[kind])
    ids = model.codecs["input"].encode(GIVEN[kind]).tolist()
    assert len(found.decisions) == (len(ids) if kind in ("tag", "fill") else 1)
    small, moved = 1e-5, False
    for decision in found.decisions:
        here = log_p(model, kind, decision)
        assert np.log(decision.p) == pytest.approx(here, abs=1e-9)
        for k, symbol in enumerate(ids):
            if kind == "fill" and k == decision.step:  # its own vector is not read
                assert decision.gradient[k] == decision.occlusion[k] == 0
                continue
            more, less = (log_p(scaled(model, symbol, 1 + step), kind, decision) for step in (small, -small))
            assert decision.gradient[k] == pytest.approx((more - less) / (2 * small), abs=1e-7)
            without = log_p(scaled(model, symbol, 0), kind, decision)
            assert decision.occlusion[k] == pytest.approx(here - without, abs=1e-9)
            moved |= abs(decision.gradient[k]) > 1e-3
    assert moved


def test_a_crf_says_what_decided_each_tag(made: Made) -> None:
    model = made("tag", decoder="crf")
    found = attribution(model, SENTENCE)
    assert [decision.step for decision in found.decisions] == [0, 1, 2, 3]
    assert all(0 < decision.p <= 1 and np.isfinite(decision.occlusion).all() for decision in found.decisions)


def test_the_true_answer_of_an_example_is_not_looked_at(made: Made) -> None:
    model = made("classify")
    own = attribution(model, SENTENCE).decisions[0].name
    for label in model.codecs["label"].symbols:
        assert attribution(model, {"tokens": SENTENCE, "label": label}).decisions[0].name == own


def test_of_a_long_text_the_symbols_of_the_largest_gradient_are_taken_away(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recurra.diagnostics.decisions.MOST", 2)
    found = attribution(made("classify"), SENTENCE)
    (decision,) = found.decisions
    taken = np.flatnonzero(~np.isnan(decision.occlusion)).tolist()
    assert sorted(np.argsort(-np.abs(decision.gradient))[:2].tolist()) == taken
    assert set(decision.strongest()) <= set(taken) and "the 2 symbols of the largest gradient" in found.notes[0]
    assert found.as_json()["decisions"][0]["occlusion"].count(None) == 2
    (whole,) = attribution(made("classify"), SENTENCE, all_symbols=True).decisions
    assert np.isfinite(whole.occlusion).all()


def test_of_many_answers_the_first_are_explained(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recurra.diagnostics.decisions.DECISIONS", 3)
    found = attribution(made("tag"), SENTENCE)
    assert len(found.decisions) == 3 and "first 3 symbols" in found.notes[0]


def test_a_task_without_symbols_to_answer_is_refused(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    model = made("generate")
    monkeypatch.setattr("recurra.diagnostics.decisions.LosesByStep", Starts)  # as if its loss were one for all steps
    with pytest.raises(ConfigError, match="predicts no symbols, tags or labels"):
        attribution(model, LETTERS)
