"""A model built from a config: its loss, its steps, its samples, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from recurra.config import load_recipe, with_settings
from recurra.data.codecs.characters import Character
from recurra.data.codecs.labels import Labels
from recurra.data.codecs.tokens import Tokens
from recurra.decoding.sample import prompt_ids, sample
from recurra.errors import CheckpointError, ConfigError, UnknownName
from recurra.model import Model, make_parts
from recurra.types import Batch

TEXT = "the quick brown fox jumps over the lazy dog\n"
CONFIG = {
    "embedder": {"kind": "symbols", "size": 6},
    "core": {"kind": "recurrent", "cell": "lstm", "hidden_size": 8, "num_layers": 2},
    "task": {"kind": "generate"},
    "training": {"epochs": 3},
}


def made(**settings: Any) -> Model:
    dotted = {name.replace("__", "."): value for name, value in settings.items()}
    return Model.from_config(with_settings(CONFIG, dotted), {"input": Character().fit([TEXT])})


def batch(model: Model, B: int = 4) -> Batch:
    ids = torch.from_numpy(model.codecs["input"].encode(TEXT * 2))
    T = (len(ids) - 1) // B
    fields = {"input": ids[: B * T].view(B, T), "target": ids[1 : B * T + 1].view(B, T)}
    return Batch({name: values.t().contiguous().t() for name, values in fields.items()})


def test_sizes_flow_from_part_to_part() -> None:
    model = made()
    V = len(model.codecs["input"])
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert shapes["embedder.weight"] == (V, 6)
    assert shapes["task.weight"] == (V, 8)
    assert shapes["task.bias"] == (V,)
    assert model.core.output_size == 8


def test_config_is_a_copy() -> None:
    model = made()
    assert model.config == CONFIG
    model.config["core"]["cell"] = "gru"
    assert CONFIG["core"]["cell"] == "lstm"


def test_state_carried_from_batch_to_batch_gives_the_loss_of_the_whole() -> None:
    model = made().double()
    whole = batch(model)
    first = model.loss(Batch({name: values[:, :9] for name, values in whole.fields.items()}))
    rest = model.loss(Batch({name: values[:, 9:] for name, values in whole.fields.items()}, first=False), first.state)
    output = model.loss(whole)
    assert torch.allclose(first.loss + rest.loss, output.loss, rtol=1e-12)
    assert first.targets + rest.targets == output.targets == whole.fields["target"].numel()


def test_steps_give_the_loss_of_the_whole() -> None:
    model = made().double().eval()
    whole = batch(model)
    state, loss = None, 0.0
    for token, target in zip(whole.fields["input"].t(), whole.fields["target"].t(), strict=True):
        log_p, state = model.step(state, token)
        assert not log_p.requires_grad
        loss -= float(log_p.gather(1, target[:, None]).sum())
    assert loss == pytest.approx(model.loss(whole).loss.item(), rel=1e-12)


@pytest.mark.parametrize("tied", [False, True])
def test_a_line_can_be_learnt_by_heart(tied: bool) -> None:
    torch.manual_seed(0)
    settings = {"embedder__size": 32, "embedder__init_range": 0.1, "core__hidden_size": 32, "core__num_layers": 1}
    model = made(**settings, task__tied=tied)
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    given = batch(model, B=1)
    for _ in range(150):
        optimiser.zero_grad()
        output = model.loss(given)
        (output.loss / output.targets).backward()
        optimiser.step()
    assert model.task.metrics(output.loss.item(), output.targets, {}).metrics["perplexity"] < 1.1
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())
    model.eval()
    prompt = prompt_ids(model.codecs["input"], "the qu")
    drawn = sample(model.step, None, prompt, len(TEXT) - 6, temperature=0)
    assert model.codecs["input"].decode(np.concatenate([prompt, drawn])) == TEXT
    assert model.task.metrics(model.loss(given).loss.item(), output.targets, {}).metrics["perplexity"] < 1.1


def test_bfloat16_autocast_is_close() -> None:
    model = made()
    given = batch(model)
    exact = model.loss(given).loss
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = model.loss(given).loss
    assert found.dtype == torch.float32
    assert torch.allclose(found, exact, rtol=0.01)
    found.backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in model.parameters())


@pytest.mark.parametrize("section", ["embedder", "core", "task"])
def test_a_missing_section_is_refused(section: str) -> None:
    config = {name: table for name, table in CONFIG.items() if name != section}
    with pytest.raises(ConfigError, match=rf"\[{section}\] is missing: a model has embedder, core and task. Add it"):
        Model.from_config(config, {"input": Character().fit([TEXT])})


def test_a_core_that_sees_the_answer_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'generate' predicts what comes next.*Set core.bidirectional = false"):
        made(core__bidirectional=True)
    with pytest.raises(ConfigError, match=r"Set core.causal = true"):
        made(core__kind="tdnn", core__causal=False)


def test_tied_sizes_must_agree() -> None:
    with pytest.raises(ConfigError, match=r"embedder's is 6 and the core's 8"):
        made(task__tied=True)


def test_unknown_names_and_keys_are_refused() -> None:
    with pytest.raises(UnknownName, match="did you mean 'generate'"):
        made(task__kind="genrate")
    with pytest.raises(ConfigError, match=r"unknown key task\.tide"):
        made(task__tide=True)


@pytest.mark.parametrize(("lacking", "said"), [("input", "of the input, only of 'label'"), ("label", "of the label")])
def test_a_vocabulary_that_is_not_there_is_named(lacking: str, said: str) -> None:
    config = {
        "embedder": {"kind": "symbols", "size": 4},
        "core": {"kind": "recurrent", "cell": "gru", "hidden_size": 4},
        "task": {"kind": "classify"},
    }
    symbols = {"input": Tokens().fit([["a", "b"]]), "label": Labels().fit([["x", "y"]])}
    del symbols[lacking]
    with pytest.raises(CheckpointError, match=f"there is no vocabulary {said}"):
        Model.from_config(config, symbols)


def test_readings_that_a_task_does_not_put_together_are_refused() -> None:
    config = load_recipe("dna")
    config["task"] = {"kind": "score"}
    with pytest.raises(ConfigError, match=r"'motifs' reads each sequence in 2 ways .+ Set embedder\.strands = 'one'"):
        make_parts(config)
    config["embedder"]["strands"] = "one"
    make_parts(config)
