"""Expected symbols at every place: the model's own probabilities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from recurra.data.codecs.word import Word
from recurra.diagnostics import next_symbols
from recurra.diagnostics.reading import read
from recurra.errors import ConfigError
from recurra.model import Model

from .conftest import SENTENCES, TEXT

Made = Callable[..., Model]
CORE = {"kind": "recurrent", "cell": "gru", "hidden_size": 6}


def test_a_language_models_alternatives(made: Made) -> None:
    model = made()
    found = next_symbols(model, TEXT, top=3)
    ids = torch.from_numpy(model.codecs["input"].encode(TEXT))
    with torch.no_grad():
        y, _ = model.core.layers(F.embedding(ids, model.embedder.weight)[None])
        p = F.linear(y[0], model.task.weight, model.task.bias).softmax(1)
    assert [place.symbol for place in found] == list(TEXT[1:])
    for t, place in enumerate(found):
        assert place.p == pytest.approx(float(p[t, ids[t + 1]]), rel=1e-4)
        assert [q for _, q in place.alternatives] == pytest.approx(p[t].topk(3).values.tolist(), rel=1e-4)
        assert place.rank == int((p[t] > p[t, ids[t + 1]]).sum())
    assert found[0].as_json().keys() == {"symbol", "p", "rank", "alternatives"}


def test_a_blanks_alternatives(made: Made) -> None:
    found = next_symbols(made("fill"), SENTENCES[1], top=100)
    assert [place.symbol for place in found] == SENTENCES[1]
    for place in found:
        assert np.sum([p for _, p in place.alternatives]) == pytest.approx(1, abs=1e-5)


def test_what_has_no_alternatives(made: Made) -> None:
    with pytest.raises(ConfigError, match="this task predicts no symbols, so"):
        next_symbols(made("tag"), SENTENCES[0])
    with pytest.raises(ConfigError, match="top = 0"):
        next_symbols(made(), TEXT, top=0)


def test_a_targets_alternatives(made: Made) -> None:
    """The end mark, too; all of them together are what the loss is made of."""
    model, pair = made("transduce"), {"source": ["the", "fox"], "target": ["der", "fuchs"]}
    found = next_symbols(model, pair, top=99)
    assert [place.symbol for place in found] == ["der", "fuchs", "∎"]
    for place in found:
        assert sum(p for _, p in place.alternatives) == pytest.approx(1, abs=1e-5)
    batch = read(model, pair).batch()
    with torch.no_grad():
        loss = float(model.task(model.embedder, model.core, batch).loss)
    assert -sum(np.log(place.p) for place in found) == pytest.approx(loss, rel=1e-5)
    own = next_symbols(model, ["the", "fox"])
    assert own[-1].symbol == "∎" and all(place.rank == 0 for place in own[:-1])  # the model's own target


def test_tokens_are_symbols_one_by_one(made: Made) -> None:
    vocabulary = Word().fit(["the fox and the dog\n"])
    parts = {"embedder": {"kind": "symbols", "size": 6}, "core": CORE, "task": {"kind": "generate"}}
    config = {**parts, "batching": {"kind": "streams"}}
    model = Model.from_config(config, {"input": vocabulary}).eval()
    found = next_symbols(model, ["the", "fox", "sang"])
    assert [place.symbol for place in found] == ["fox", "<unk>"]
    assert found == next_symbols(model, "the fox sang")
