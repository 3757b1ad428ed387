"""Every recipe's model, and every other core, decoder and setting, as ONNX files beside torch."""

from __future__ import annotations

from typing import Any

import pytest

from recurra import config as configuration
from recurra import registry
from recurra.errors import ConfigError
from recurra.export import check
from recurra.export.parts import parts

from .conftest import make_model, remembered

OWN = "gates: f i\nstate: h c\nc = sigmoid(f) * c + i.input\nh = tanh(c)"
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("char-lm", {"core": {"kind": "tdnn", "hidden_size": 8, "delays": 2, "dilation": 2}}),
    ("char-lm", {"core": {"kind": "tdnn", "hidden_size": 8, "delays": 0, "activation": "relu"}}),
    (
        "char-lm",
        {"core": {"kind": "transformer", "hidden_size": 8, "heads": 2, "num_layers": 2, "causal": True, "span": 4}},
    ),
    (
        "char-lm",
        {
            "core": {
                "kind": "transformer",
                "hidden_size": 12,
                "heads": 3,
                "num_layers": 2,
                "causal": True,
                "positions": "rotary",
            }
        },
    ),
    ("char-lm", {"core": {"kind": "identity"}}),
    ("char-lm", {"core.cell": "layer-norm-lstm", "core.num_layers": 2, "core.zoneout": 0.1}),
    ("char-lm", {"core.cell": "depth-gated-lstm", "core.num_layers": 2}),
    ("char-lm", {"core": {"kind": "recurrent", "hidden_size": 8, "equations": OWN}}),
    ("word-lm-small", {"task.softmax": {"kind": "adaptive", "cutoffs": [3, 6], "factor": 2.0}}),
    ("tagger", {"embedder.spelling": {"kind": "recurrent", "size": 4, "hidden_size": 3, "cell": "mgu"}}),
    ("tagger", {"core.bidirectional": False, "embedder.tune": False}),
    ("classifier", {"task.pooling": "last"}),
    ("classifier", {"task.pooling": "middle"}),
    ("dna", {"task.pooling": "middle", "embedder.stride": 1, "embedder.strands": "one"}),
    ("classifier", {"task.pooling": "mean", "core.merge": "sum", "task.multi_label": True}),
    ("classifier", {"task.pooling": "last", "core": {"kind": "both-ways", "cell": "lstm", "hidden_size": 8}}),
    ("classifier", {"core": {"kind": "tdnn", "hidden_size": 8, "causal": False}}),
    (
        "classifier",
        {"core": {"kind": "transformer", "hidden_size": 8, "heads": 2, "num_layers": 2}, "task.pooling": "attention"},
    ),
    ("fill", {"task.sides": "left", "core": {"kind": "recurrent", "hidden_size": 8}}),
    ("pronounce", {"task.decoder.feeding": "input", "task.decoder.attention": "additive"}),
    ("pronounce", {"task.decoder.feeding": "context", "task.decoder.num_layers": 2, "task.decoder.cell": "gru"}),
    ("pronounce", {"task.decoder.attention": "dot", "task.decoder.hidden_size": 16, "task.tied": "none"}),
    ("pronounce", {"task.decoder.context": "initial", "task.decoder.bridge": "copy", "task.decoder.hidden_size": 16}),
    ("pronounce", {"task.decoder.context": "every-step", "task.decoder.cell": "mut1"}),
    ("pronounce", {"task.decoder.context": "initial", "core": {"kind": "tdnn", "hidden_size": 8, "causal": False}}),
    ("pronounce", {"task.decoder.look_back": 2, "task.decoder.num_layers": 2, "task.decoder.dropout": 0.5}),
    ("translate", {"core.bidirectional": False, "task.decoder.readout_size": 6}),
    (
        "translate",
        {
            "core": {"kind": "transformer", "hidden_size": 8, "heads": 2, "feed_forward": 12, "num_layers": 1},
            "task.decoder": {"kind": "transformer", "hidden_size": 8, "heads": 2, "feed_forward": 12, "num_layers": 2},
        },
    ),
    (
        "pronounce",
        {
            "core": {"kind": "transformer", "hidden_size": 8, "heads": 2, "num_layers": 1, "positions": "rotary"},
            "task.decoder": {
                "kind": "transformer",
                "hidden_size": 8,
                "heads": 2,
                "num_layers": 2,
                "positions": "rotary",
            },
        },
    ),
]


RESIZED = {"char-lm-large", "demo-char-lm", "word-lm-medium", "word-lm-small"}
"""Recipes that are others with other sizes, which `make_model` makes all alike."""


@pytest.mark.parametrize("recipe", [name for name in configuration.recipe_names() if name not in RESIZED])
def test_every_recipe_in_onnx_is_the_model_in_torch(recipe: str) -> None:
    if hasattr(registry.find("task", configuration.load_recipe(recipe)["task"]["kind"]), "not_exported"):
        with pytest.raises(ConfigError, match=r"cannot be written as ONNX: .*`recurra predict`"):
            parts(make_model(recipe))
        return
    compare(recipe, {})


@pytest.mark.parametrize(("recipe", "settings"), OTHERS)
def test_every_core_and_decoder_in_onnx_is_that_in_torch(recipe: str, settings: dict[str, Any]) -> None:
    compare(recipe, settings)


def compare(recipe: str, settings: dict[str, Any]) -> None:
    model = make_model(recipe, settings)
    written = list(parts(model))
    if settings and all(name.startswith("task.decoder.") for name in settings):
        written = written[1:]  # the encoder is the recipe's, which is compared above
    assert written
    for part in written:
        assert check.difference(part, remembered(part, {}).SerializeToString()) <= check.TOLERANCE, part.file
