"""The symbol embedder: values, memory, gradients, what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from recurra import registry
from recurra.errors import ConfigError
from recurra.nn.embedders import SymbolEmbedder
from recurra.types import Batch, Sizes

B, T, D, V = 3, 4, 5, 7


def made(**settings: Any) -> SymbolEmbedder:
    embedder: SymbolEmbedder = registry.construct("embedder", {"kind": "symbols", "size": D, **settings})
    return embedder.build(Sizes(vocabulary=V))


def batch() -> Batch:
    return Batch({"input": torch.randint(V, (T, B)).t()})


def test_rows_of_the_matrix_time_first_in_memory() -> None:
    embedder, symbols = made(), batch()
    x = embedder(symbols)
    assert embedder.output_size == D
    assert torch.equal(x, embedder.weight[symbols.fields["input"]])
    assert x.transpose(0, 1).is_contiguous()


def test_gradient_is_the_sum_over_a_symbols_places() -> None:
    embedder, symbols = made(), batch()
    y = torch.randn(B, T, D)
    (embedder(symbols) * y).sum().backward()
    expected = torch.zeros(V, D).index_add_(0, symbols.fields["input"].reshape(-1), y.reshape(-1, D))
    assert embedder.weight.grad is not None
    assert torch.allclose(embedder.weight.grad, expected, atol=1e-6)


def test_dropout_in_training_only() -> None:
    embedder, symbols = made(size=400, dropout=0.25), batch()
    x = embedder(symbols)
    rows = embedder.weight[symbols.fields["input"]]
    kept = x != 0
    assert torch.allclose(x[kept], rows[kept] / 0.75)
    assert 0.72 < kept.float().mean() < 0.78
    embedder.eval()
    assert torch.equal(embedder(symbols), rows)


def test_range_of_the_first_weights() -> None:
    assert made(size=500).weight.std().item() == pytest.approx(1, abs=0.1)
    uniform = made(size=500, init_range=0.1).weight
    assert uniform.abs().max() <= 0.1
    assert uniform.std().item() == pytest.approx(0.1 / 3**0.5, rel=0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, r"embedder.size = 0, expected 1 or more"),
        ({"dropout": 1.0}, r"embedder.dropout = 1.0, expected 0 or more and less than 1"),
        ({"dropout": -0.1}, r"embedder.dropout = -0.1, expected"),
        ({"init_range": 0.0}, r"embedder.init_range = 0.0, expected more than 0"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(**settings)
