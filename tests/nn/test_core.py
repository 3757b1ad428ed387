"""The recurrent core's settings reach its layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from recurra import registry
from recurra.types import Lengths, Sizes

B, T, D = 3, 6, 4


@pytest.mark.parametrize(
    ("name", "value"),
    [("dropout", 0.4), ("recurrent_dropout", 0.3), ("weight_dropout", 0.5), ("zoneout", 0.2), ("variational", True)],
)
def test_a_recipe_sets_every_dropout(name: str, value: Any) -> None:
    settings = {"kind": "recurrent", "hidden_size": 5, "num_layers": 2, "dropout": 0.4 if name == "variational" else 0}
    core = registry.construct("core", {**settings, name: value}).build(Sizes(embedding=D))
    assert getattr(core.layers, name) == value
    x = torch.randn(B, T, D)
    assert not torch.equal(core(x, Lengths())[0], core(x, Lengths())[0])
    core.eval()
    assert torch.equal(core(x, Lengths())[0], core(x, Lengths())[0])
