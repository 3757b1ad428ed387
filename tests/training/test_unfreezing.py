"""Layers begin to learn one after the other: what is frozen stays to the last bit, and a stop changes nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from recurra import checkpoint
from recurra.training.log import Event
from recurra.training.trainer import Trainer
from recurra.training.unfreezing import Unfreezing, from_the_top, layer_of

Make = Callable[..., Any]
OPTIMISERS: list[dict[str, Any]] = [
    {"optimiser": {"kind": "adamw", "weight_decay": 0.1}, "average": 0.9},
    {"optimiser": {"kind": "momentum", "weight_decay": 0.1}},
    {"optimiser": "adam", "accumulate": 3, "evaluate_every": 0.4},
]


def layers(model: Any) -> list[list[nn.Parameter]]:
    named = dict(model.core.named_parameters())
    return [[p for name, p in named.items() if f"_l{k}" in name] for k in (1, 0)] + [[*model.embedding.parameters()]]


@pytest.fixture
def thawing(trainer: Make, toy: Make, chunks: Any, tmp_path) -> Make:
    """A trainer that unfreezes the toy's layers."""

    def make(folder: str, every: float = 1.0, **settings: Any) -> Trainer:
        plain = trainer(folder, **{key: value for key, value in settings.items() if key != "progress"})
        model = toy()
        return Trainer(
            model,
            plain.settings,
            lambda epoch: chunks(8, seed=epoch),
            lambda: chunks(2, seed=99),
            plain.run,
            unfreezing=Unfreezing(layers(model), every),
            progress=settings.get("progress", lambda event: None),
        )

    return make


@pytest.mark.parametrize("settings", OPTIMISERS)
def test_a_frozen_layer_keeps_its_weights_to_the_last_bit(thawing: Make, settings: dict[str, Any]) -> None:
    begun: dict[int, int] = {}

    def watch(event: Event) -> None:
        if event.kind == "step":
            for number, layer in enumerate(layers(made.model)):
                before = start[number]
                if any(not torch.equal(p, q) for p, q in zip(layer, before, strict=True)):
                    begun.setdefault(number, event.step)

    made = thawing("run", epochs=4, progress=watch, **settings)
    start = [[p.detach().clone() for p in layer] for layer in layers(made.model)]
    head = made.model.head.weight.detach().clone()
    made.fit()
    steps = made.counters.step // 4
    assert begun == {0: steps + 1, 1: 2 * steps + 1, 2: 3 * steps + 1}
    assert not torch.equal(head, made.model.head.weight)


def test_a_frozen_layer_has_no_gradient_and_no_state(thawing: Make) -> None:
    made = thawing("run", epochs=1)
    made.fit()
    frozen = {id(p) for layer in layers(made.model) for p in layer}
    assert all(not p.requires_grad for p in made.model.parameters() if id(p) in frozen)
    assert not any(id(p) in frozen for p in made.optimiser.state)
    assert len(made.optimiser.state) == 2


@pytest.mark.parametrize("settings", OPTIMISERS)
@pytest.mark.parametrize("step", [1, 3, 5])
def test_stopped_and_resumed_is_bit_for_bit(thawing: Make, settings: dict[str, Any], step: int) -> None:
    def interrupt(event: Event) -> None:
        if event.kind == "step" and event.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    settings = {**settings, "epochs": 3}
    whole = thawing("whole", 0.5, **settings)
    whole.fit()
    assert thawing("parts", 0.5, progress=interrupt, **settings).fit().interrupted
    torch.manual_seed(12345)
    resumed = thawing("parts", 0.5, **settings)
    resumed.fit(resume=True)
    expected, found = (checkpoint.load_tensors(made.run.resume)[0] for made in (whole, resumed))
    assert expected.keys() == found.keys()
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []


def test_what_learns_follows_from_the_epochs_alone() -> None:
    rows = [[nn.Parameter(torch.randn(2))] for _ in range(3)]
    plan = Unfreezing(rows, every=0.5)
    for epoch, learning in ((0.0, 0), (0.4, 0), (0.5, 1), (1.2, 2), (7.0, 3), (0.0, 0)):
        plan.reach(epoch)
        assert [row[0].requires_grad for row in rows] == [number < learning for number in range(3)]


def test_layers_are_told_by_their_names() -> None:
    names = ["embedder.weight", "core.layers.weight_ih_l0", "core.layers.u_l10_reverse", "core.norm.weight"]
    assert [layer_of(name) for name in names] == [None, 0, 10, None]
    assert layer_of("layers.3.attention.weight") == 3
    assert from_the_top(names) == [[names[2], names[3]], [names[1]], [names[0]]]
    assert from_the_top(names[:1]) == [names[:1]]
