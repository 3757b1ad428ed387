"""The symbol embedder: values, memory, gradients, what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from recurra import registry
from recurra.errors import ConfigError
from recurra.nn.dropout import draw_mask, dropout
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
    x = embedder(symbols)[0]
    assert embedder.output_size == D
    assert torch.equal(x, embedder.weight[symbols.fields["input"]])
    assert x.transpose(0, 1).is_contiguous()


def test_gradient_is_the_sum_over_a_symbols_places() -> None:
    embedder, symbols = made(), batch()
    y = torch.randn(B, T, D)
    (embedder(symbols)[0] * y).sum().backward()
    expected = torch.zeros(V, D).index_add_(0, symbols.fields["input"].reshape(-1), y.reshape(-1, D))
    assert embedder.weight.grad is not None
    assert torch.allclose(embedder.weight.grad, expected, atol=1e-6)


def test_dropout_in_training_only() -> None:
    embedder, symbols = made(size=400, dropout=0.25), batch()
    x = embedder(symbols)[0]
    rows = embedder.weight[symbols.fields["input"]]
    kept = x != 0
    assert torch.allclose(x[kept], rows[kept] / 0.75)
    assert 0.72 < kept.float().mean() < 0.78
    embedder.eval()
    assert torch.equal(embedder(symbols)[0], rows)


def test_variational_dropout_zeroes_units_of_a_sequence_at_all_its_steps() -> None:
    embedder, symbols = made(size=400, dropout=0.25, variational=True), batch()
    torch.manual_seed(5)
    x = embedder(symbols)[0]
    torch.manual_seed(5)
    mask = draw_mask((B, 400), 0.25, x)
    assert torch.equal(x, embedder.weight[symbols.fields["input"]] * mask[:, None])
    assert x.transpose(0, 1).is_contiguous()
    assert not torch.equal(embedder(symbols)[0], x), "another batch has other masks"
    embedder.eval()
    assert torch.equal(embedder(symbols)[0], embedder.weight[symbols.fields["input"]])


@pytest.mark.parametrize("variational", [False, True])
def test_rows_are_dropped_for_the_whole_batch(variational: bool) -> None:
    embedder = made(row_dropout=0.4, dropout=0.5, variational=variational)
    ids = torch.arange(V).repeat(B, 2)  # every symbol twice in each sequence
    torch.manual_seed(5)
    x = embedder(Batch({"input": ids}))[0]
    torch.manual_seed(5)
    rows = draw_mask((V, 1), 0.4, x)
    left = embedder.weight * rows
    expected = dropout(left[ids.t()].contiguous(), 0.5, True, variational).transpose(0, 1)
    assert set(rows.flatten().tolist()) == {0.0, rows.max().item()}, "some symbols are gone, some are not"
    assert torch.equal(x, expected)
    y = torch.randn_like(x)
    (found,) = torch.autograd.grad((x * y).sum(), embedder.weight)
    (wanted,) = torch.autograd.grad((expected * y).sum(), embedder.weight)
    assert torch.allclose(found, wanted, atol=1e-6)
    assert not found[rows[:, 0] == 0].any()
    embedder.eval()
    assert torch.equal(embedder(Batch({"input": ids}))[0], embedder.weight[ids])


def test_the_share_of_rows_that_are_dropped() -> None:
    embedder = SymbolEmbedder(size=1, row_dropout=0.1).build(Sizes(vocabulary=20_000))
    x = embedder(Batch({"input": torch.arange(20_000)[None]}))[0][0, :, 0]
    kept = x != 0
    assert 0.89 < kept.float().mean() < 0.91
    assert torch.allclose(x[kept], embedder.weight[:, 0][kept] / 0.9)


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
        ({"row_dropout": 1.0}, r"embedder.row_dropout = 1.0, expected 0 or more and less than 1"),
        ({"init_range": 0.0}, r"embedder.init_range = 0.0, expected more than 0"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(**settings)
