"""‖∂L_t/∂h_k‖: exact against autograd one step at a time, exact slopes of linear networks, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from recurra import registry
from recurra.diagnostics import gradient_flow, measure
from recurra.diagnostics.gradients import Flow
from recurra.engine import Trace
from recurra.errors import ConfigError, DataError
from recurra.model import Model
from recurra.nn import Recurrent
from recurra.testing.cells import Configuration, make_case

from .conftest import SENTENCES, TEXT

Made = Callable[..., Model]
STEPS = (9, 14, 20)


def by_hand(model: Model, text: str, t: int, layer: int, k: int, state: int) -> float:
    """The layers one by one on the engine that shares nothing with the derived ones, the state after k a leaf."""
    core = model.core.layers
    ids = torch.from_numpy(model.codecs["input"].encode(text))
    x = F.embedding(ids[:-1], model.embedder.weight)[:, None]
    weights = core.state_dict()
    for below in range(layer):
        x = _one(core, weights, below)(x)[0]
    of = _one(core, weights, layer)
    _, before = of(x[: k + 1])
    states = [s.detach().requires_grad_() for s in (before if isinstance(before, tuple) else (before,))]
    rest, _ = of(x[k + 1 :], tuple(states) if len(states) > 1 else states[0])
    y = torch.cat((of(x[:k])[0], states[0], rest)) if k else torch.cat((states[0], rest))
    for above in range(layer + 1, core.num_layers):
        y = _one(core, weights, above)(y)[0]
    logits = F.linear(y[t, 0], model.task.weight, model.task.bias)
    loss = F.cross_entropy(logits[None], ids[t + 1][None])
    (gradient,) = torch.autograd.grad(loss, states[state], allow_unused=True)
    return 0.0 if gradient is None else float(gradient.norm())


def _one(core: Recurrent, weights: dict[str, Tensor], layer: int) -> Recurrent:
    made = Recurrent(core.cell, 6, core.hidden_size, dtype=torch.float64, backend="reference")
    own = {name: w for name, w in weights.items() if name.endswith(f"_l{layer}")}
    made.load_state_dict({f"{name.rpartition('_l')[0]}_l0": w for name, w in own.items()})
    return made


@pytest.mark.parametrize("cell", ["rnn-tanh", "gru", "lstm"])
def test_norms_are_those_of_one_derivative_at_a_time(made: Made, cell: str) -> None:
    """h only: the path from c to the h of its own step is not one of h's."""
    model = made(core={"kind": "recurrent", "cell": cell, "hidden_size": 6, "num_layers": 2}).double()
    found = gradient_flow(model, TEXT, steps=STEPS)
    flows = {(flow.layer, flow.state): flow for flow in found.flows}
    for layer in (0, 1):
        for n, t in enumerate(STEPS):
            for k in (0, 5, t - 1, t):
                expected = by_hand(model, TEXT, t, layer, k, 0)
                assert flows[layer + 1, "h"].norms[n, t - k] == pytest.approx(expected, rel=1e-9), (t, k)
            assert np.isnan(flows[layer + 1, "h"].norms[n, t + 1 :]).all()


def test_gradient_of_the_memory_counts_the_output_of_its_own_step(made: Made) -> None:
    """∂L_t/∂c_t of the upmost layer: L_t sees c_t through h_t = o tanh(c_t) alone."""
    model = made(core={"kind": "recurrent", "cell": "lstm", "hidden_size": 6}).double()
    flow = next(f for f in gradient_flow(model, TEXT, steps=[12]).flows if f.state == "c")
    layer = _one(model.core.layers, model.core.layers.state_dict(), 0)
    ids = torch.from_numpy(model.codecs["input"].encode(TEXT))
    trace: list[Trace] = []
    y, _ = layer(F.embedding(ids[:13], model.embedder.weight)[:, None].requires_grad_(), trace=trace)
    loss = F.cross_entropy(F.linear(y[12], model.task.weight, model.task.bias), ids[13:14])
    (of_h,) = torch.autograd.grad(loss, y, retain_graph=True)
    o, c = trace[0].values["o"][12], trace[0].states[12][1]
    expected = (of_h[12] * o * (1 - torch.tanh(c) ** 2)).norm()
    assert flow.norms[0, 0] == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("sigma", [0.9, 1.0, 1.1])
def test_linear_network_of_an_orthogonal_matrix(sigma: float) -> None:
    """W = σ Q: the gradient over k steps is σ^k times as long, whatever Q is; the bound is met exactly."""
    torch.manual_seed(1)
    layer = Recurrent("rnn-identity", 3, 16, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_hh_l0.copy_(sigma * torch.linalg.qr(torch.randn(16, 16, dtype=torch.float64))[0])
    steps, trace = [60, 80, 99], []
    y, _ = layer(torch.randn(100, 1, 3, dtype=torch.float64).expand(-1, 3, -1), trace=trace)
    loss = (y[steps, [0, 1, 2]] @ torch.randn(16, dtype=torch.float64)).sum()
    (flow,) = measure(trace, loss, steps)
    assert flow.slope == pytest.approx(math.log(sigma), abs=1e-6)
    assert np.allclose(flow.mean, flow.bound, rtol=1e-9)
    assert flow.verdict == {0.9: "vanishes", 1.0: "holds", 1.1: "explodes"}[sigma]
    assert flow.horizon == (math.ceil(math.log(0.01) / math.log(0.9)) if sigma == 0.9 else None)
    assert len(flow.mean) == 61  # as far back as the earliest of the three reaches


def test_bound_is_above_a_network_that_saturates(made: Made) -> None:
    core = {"kind": "recurrent", "cell": "rnn-tanh", "hidden_size": 6, "num_layers": 2}
    lower, upper = gradient_flow(made(core=core), TEXT).flows
    assert lower.bound is None
    assert (upper.bound >= upper.mean * (1 - 1e-12)).all()


@pytest.mark.parametrize("cell", registry.names("cell"))
def test_every_cell_can_be_followed(cell: str) -> None:
    """Both directions of two layers: at every lag what autograd finds for that one state."""
    case = make_case(registry.find("cell", cell), Configuration("flow", layers=2, bidirectional=True, batch=1))
    trace, steps = [], [3, 5]
    y, _ = case.layer(case.x.expand(-1, 2, -1), trace=trace)
    loss = sum((y[t, n] * (n + 1)).sum() for n, t in enumerate(steps))
    states = [(one, place) for one in trace for place in range(len(one.cell.state))]
    expected = {
        (k, n): torch.autograd.grad(loss, tensor, retain_graph=True, allow_unused=True)[0]
        for k, (one, place) in enumerate(states)
        for n, t in enumerate(steps)
        if (tensor := one.states[(6 - t if one.reverse else t) - 1][place]).requires_grad
    }
    flows = measure(trace, loss, steps)
    assert len(flows) == len(states)
    for k, (flow, (one, place)) in enumerate(zip(flows, states, strict=True)):
        names = (one.layer + 1, "backwards" if one.reverse else "forwards", one.cell.state[place])
        assert (flow.layer, flow.direction, flow.state) == names
        for n in range(len(steps)):
            gradient = expected.get((k, n))
            assert flow.norms[n, 1] == pytest.approx(0.0 if gradient is None else gradient[n].norm().item(), rel=1e-9)


@pytest.mark.parametrize("task", ["tag", "fill", "classify", "transduce"])
def test_every_task_can_be_followed(made: Made, task: str) -> None:
    model = made(task)
    before = {name: weights.clone() for name, weights in model.state_dict().items()}
    found = gradient_flow(model, " ".join(SENTENCES[1]))
    assert found.tokens[:4] == ("over", "the", "lazy", "dog")
    assert {(f.layer, f.direction) for f in found.main} >= {(1, "forwards"), (2, "forwards")}
    assert all(f.verdict != "never arrives" and f.advice.endswith(".") for f in found.main)
    assert (found.steps == ()) == (task in ("classify", "transduce"))
    assert any("model's own" in note for note in found.notes) == (task != "fill")
    assert all((f.verdict == "direct") == (task == "transduce") for f in found.main)  # it attends to all states
    assert all(torch.equal(weights, before[name]) for name, weights in model.state_dict().items())
    assert not any(p.grad is not None or not p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(("pooling", "direct"), [("last", False), ("mean", True), ("attention", True)])
def test_a_pooled_loss_sees_every_step_itself(made: Made, pooling: str, direct: bool) -> None:
    core = {"kind": "recurrent", "cell": "gru", "hidden_size": 6, "bidirectional": True}
    found = gradient_flow(made("classify", core=core, pooling=pooling), SENTENCES[1])
    assert {flow.direction for flow in found.flows} == {"forwards", "backwards"}
    assert all((flow.verdict == "direct") == direct for flow in found.flows)


def test_a_story_is_read_sentence_by_sentence(made: Made) -> None:
    model = made("classify")
    model.task.segmented = True
    with pytest.raises(ConfigError, match="reads every sentence of a story by itself"):
        gradient_flow(model, SENTENCES[1])


def test_true_answers_take_the_place_of_the_models_own(made: Made) -> None:
    found = gradient_flow(made("tag"), {"tokens": SENTENCES[0], "tags": ["O", "B-x", "I-x", "O"]})
    assert not found.notes
    assert not gradient_flow(made("tag", decoder="crf"), {"tokens": SENTENCES[0], "tags": ["O"] * 4}).notes
    pair = {"source": "the quick fox", "target": "der schnelle fuchs"}
    assert len(gradient_flow(made("transduce"), pair).notes) == 1


def test_each_direction_is_followed_from_afar(made: Made) -> None:
    """Late steps say how far one reaches forwards, early ones how far backwards."""
    core = {"kind": "recurrent", "cell": "gru", "hidden_size": 6, "bidirectional": True}
    flows = gradient_flow(made("tag", core=core), SENTENCES[1] * 4).main
    assert [flow.direction for flow in flows] == ["forwards", "backwards"]
    assert all(len(flow.mean) >= 15 for flow in flows)


def test_an_error_in_both_directions_and_the_blank_between(made: Made) -> None:
    """A blank is guessed from h of the place before it forwards, and of the place behind it backwards."""
    found = gradient_flow(made("fill"), SENTENCES[1], steps=[2])
    for flow in found.main:
        assert flow.norms[0, 0] == 0 < flow.norms[0, 1]
        assert len(flow.mean) == 3


@pytest.mark.parametrize(
    "core", [{"kind": "transformer", "hidden_size": 8, "heads": 2, "causal": True}, {"kind": "tdnn", "hidden_size": 8}]
)
def test_layers_without_recurrence(made: Made, core: dict[str, Any]) -> None:
    flows = gradient_flow(made(core=core), TEXT, steps=[30]).flows
    assert {(f.state, f.direction) for f in flows} == {("y", "forwards")}
    assert all(f.norms[0, 0] > 0 and f.bound is None for f in flows)
    if core["kind"] == "tdnn":
        assert flows[-1].norms[0, 1:].max() == 0
        assert flows[0].norms[0, 3] > 0 == flows[0].norms[0, 4]


def test_a_core_that_looks_ahead_without_recurrence(made: Made) -> None:
    core = {"kind": "tdnn", "hidden_size": 8, "num_layers": 2, "delays": 1, "causal": False}
    flows = gradient_flow(made("tag", core=core), SENTENCES[1], steps=[2]).flows
    assert [(f.layer, f.direction) for f in flows] == [
        (layer, way) for layer in (1, 2) for way in ("forwards", "backwards")
    ]
    assert flows[0].norms[0, 1] > 0 < flows[1].norms[0, 1]


def test_main_takes_the_state_that_carries(made: Made) -> None:
    """An SRU's h is read by nothing later: its c is what reaches back."""
    core = {"kind": "recurrent", "cell": "sru", "hidden_size": 6, "num_layers": 2}
    found = gradient_flow(made(core=core), TEXT)
    assert [f.state for f in found.main] == ["c", "c"]
    assert found.as_json()["flows"][0]["state"] == "h"


def test_what_is_refused(made: Made) -> None:
    with pytest.raises(DataError, match="2 steps, expected 3 or more"):
        gradient_flow(made(), "He")
    with pytest.raises(DataError, match="no token"):
        gradient_flow(made(), "")
    with pytest.raises(DataError, match=f"step {len(TEXT) - 1} of a text whose steps with a target are 0 to"):
        gradient_flow(made(), TEXT, steps=[len(TEXT) - 1])
    with pytest.raises(DataError, match="no step was named"):
        gradient_flow(made(), TEXT, steps=[])
    with pytest.raises(ConfigError, match="Identity hands out nothing of its inside"):
        gradient_flow(made(core={"kind": "identity"}), TEXT)


def test_flow_is_plain_json(made: Made) -> None:
    import json

    found = json.dumps(gradient_flow(made(), TEXT).as_json(), allow_nan=False)
    assert Flow.__dataclass_fields__.keys() <= json.loads(found)["flows"][0].keys()
