"""Spectra of recurrent weights, now and over a training; gradients that a training recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from recurra.checkpoint import RunFolder, create_run
from recurra.data.batching.layout import SYMBOLS
from recurra.data.batching.streams import StreamEpoch
from recurra.diagnostics import recorded_gradients, recorded_spectra, spectra
from recurra.errors import CheckpointError, ConfigError
from recurra.model import Model
from recurra.nn import Recurrent
from recurra.training.settings import Training
from recurra.training.trainer import Trainer

from .conftest import TEXT

Made = Callable[..., Model]


def test_blocks_of_every_gate_and_whole(made: Made) -> None:
    model = made()
    found = spectra(model)
    assert [(one.weight, one.gate) for one in found] == [
        (f"weight_hh_l{layer}", gate) for layer in (0, 1) for gate in ("i", "f", "g", "o", "whole")
    ]
    W = model.core.layers.weight_hh_l0.detach().double().numpy()
    forget, whole = found[1], found[4]
    assert forget.layers == "core.layers"
    assert forget.singular == pytest.approx(np.linalg.svd(W[6:12])[1])
    assert forget.radius == pytest.approx(np.abs(np.linalg.eigvals(W[6:12])).max())
    assert forget.radius <= forget.norm
    assert whole.norm == pytest.approx(np.linalg.norm(W, 2)) and whole.radius is None
    assert len(json.loads(json.dumps(found[0].as_json()))["eigenvalues"][0]) == 2


def test_products_inside_the_step() -> None:
    assert [one.gate for one in spectra(Recurrent("gru-reset-before", 3, 5))] == ["r", "z", "whole", "0"]
    names = {(one.weight, one.gate) for one in spectra(Recurrent("mogrifier-lstm", 5, 5))}
    assert ("weight_gates_h_l0", "3") in names and not any(weight.startswith("weight_q") for weight, _ in names)


def test_a_projected_state_has_no_eigenvalues() -> None:
    (one,) = spectra(Recurrent("rnn-tanh", 3, 5, proj_size=2))
    assert one.radius is None and len(one.singular) == 2


def test_what_has_no_recurrent_weights() -> None:
    with pytest.raises(ConfigError, match="no recurrent weights over time"):
        spectra(Recurrent("min-gru", 3, 5))


def train(made: Made, run: Path, **settings: object) -> tuple[Model, Trainer]:
    model = made()
    ids = model.codecs["input"].encode(TEXT * 4)
    epoch = StreamEpoch({"input": ids}, SYMBOLS, np.array([0, 100]), np.array([90, 70]), steps=30)
    chosen = {"epochs": 2, "device": "cpu", "threads": 1, **settings}
    trainer = Trainer(model, Training(**chosen), lambda n: epoch, lambda: epoch, create_run(run))  # type: ignore[arg-type]
    trainer.fit()
    return model, trainer


def test_a_training_records_both(made: Made, tmp_path: Path) -> None:
    train(made, tmp_path / "run", record_gradients=2, record_spectrum=True)
    gradients = recorded_gradients(tmp_path / "run")
    assert gradients.steps.tolist() == [1, 3, 5]
    assert gradients.norms.keys() == {"layer 1, forwards", "layer 2, forwards"}
    found = gradients.norms["layer 2, forwards"]
    assert found.shape == (3, 30) and (found > 0).all()
    spectrum = recorded_spectra(tmp_path / "run")
    assert spectrum.steps.tolist() == [3, 6]
    assert (spectrum.radius["core.layers.weight_hh_l1 f"] <= spectrum.norm["core.layers.weight_hh_l1 f"]).all()
    assert gradients.as_json()["steps"] == [1, 3, 5] and "norm" in spectrum.as_json()


def test_recorded_norms_are_those_of_the_batch(made: Made, tmp_path: Path) -> None:
    """The first update's, by autograd through the reference loop, both streams 30 steps long."""
    train(made, tmp_path / "run", record_gradients=100, epochs=1)
    model = made()
    model.core.layers.backend = "reference"
    model.train()
    ids = model.codecs["input"].encode(TEXT * 4)
    batch = StreamEpoch({"input": ids}, SYMBOLS, np.array([0, 100]), np.array([90, 70]), steps=30)[0]
    trace: list = []
    from recurra.nn.watch import Watched

    loss = model.task(model.embedder, Watched(model.core, trace=trace), batch).loss
    top = [states[0] for states in trace[1].states]
    norms = torch.stack([g.norm(dim=1).mean() for g in torch.autograd.grad(loss, top)])
    assert recorded_gradients(tmp_path / "run").norms["layer 2, forwards"][0] == pytest.approx(
        norms.flip(0).numpy(), rel=1e-4
    )


def test_recording_leaves_the_training_as_it_is(made: Made, tmp_path: Path) -> None:
    """On one engine, that is: "auto" would take another one for a step that records."""
    ends = []
    core = {"kind": "recurrent", "cell": "lstm", "hidden_size": 6, "backend": "torch"}
    for name, every in (("plain", 0), ("recorded", 1)):
        model, _ = train(lambda: made(core=core), tmp_path / name, record_gradients=every)
        ends.append(model.state_dict())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_what_was_not_recorded(made: Made, tmp_path: Path) -> None:
    train(made, tmp_path / "run", epochs=1)
    assert not RunFolder(tmp_path / "run").gradients.exists()
    with pytest.raises(CheckpointError, match=r"no gradients: the training did not record them\. Train with --set"):
        recorded_gradients(tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"no spectra.*training.record_spectrum=true"):
        recorded_spectra(tmp_path / "run")


def test_a_core_that_cannot_record(made: Made, tmp_path: Path) -> None:
    core = {"kind": "tdnn", "hidden_size": 6}
    with pytest.raises(ConfigError, match="the core Tdnn records no gradients"):
        train(lambda: made(core=core), tmp_path / "run", record_gradients=1)
    with pytest.raises(ConfigError, match=r"training\.record_gradients = -1"):
        Training(record_gradients=-1)
