"""The embedder that knows how characters are read: sums, what is learnt together, what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from recurra import registry
from recurra.errors import ConfigError
from recurra.nn.reading_embedder import ReadingEmbedder
from recurra.types import Batch, Sizes

SYMBOLS = ["?", "光", "霜", "陽", "風", "，", "5x8"]
D, MARKS = 5, 1


def made(**settings: Any) -> ReadingEmbedder:
    embedder: ReadingEmbedder = registry.construct("embedder", {"kind": "readings", "size": D, **settings})
    embedder = embedder.build(Sizes(vocabulary=len(SYMBOLS) + MARKS))
    embedder.describe(SYMBOLS)
    return embedder


def test_what_is_read_alike_differs_by_own_vectors_alone() -> None:
    embedder = made()
    sound = embedder.weight - embedder.own
    unknown, guang, shuang, yang, feng, *others = sound
    assert torch.allclose(guang, shuang) and not torch.allclose(guang, yang) and not torch.allclose(guang, feng)
    assert torch.equal(torch.stack([unknown, *others]), torch.zeros(4, D))


def test_vectors_looked_up_are_rows_of_the_matrix_and_learn_the_same() -> None:
    embedder, symbols = made(init_range=0.1), torch.randint(len(SYMBOLS) + MARKS, (4, 3))
    x = embedder(Batch({"input": symbols.t()}))[0]
    y = torch.randn_like(x)
    (x * y).sum().backward()
    found = [parameter.grad for parameter in embedder.parameters()]
    embedder.zero_grad()
    rows = embedder.weight[symbols].transpose(0, 1)
    assert torch.allclose(x, rows, atol=1e-6)
    (rows * y).sum().backward()
    for one, parameter in zip(found, embedder.parameters(), strict=True):
        assert one is not None and parameter.grad is not None and torch.allclose(one, parameter.grad, atol=1e-5)


def test_three_parts_weigh_alike_at_the_start() -> None:
    torch.manual_seed(1)
    embedder = made(size=4000, init_range=0.3)
    variance = embedder.weight.detach().var(1)
    assert float(variance[1:5].mean()) == pytest.approx(0.03, rel=0.05)  # that of U(−0.3, 0.3)
    assert float(variance[5:].mean()) == pytest.approx(0.01, rel=0.05)


def test_readings_are_kept_with_the_weights() -> None:
    embedder, other = made(), ReadingEmbedder(size=D).build(Sizes(vocabulary=len(SYMBOLS) + MARKS))
    other.load_state_dict(embedder.state_dict())
    assert torch.equal(other.weight, embedder.weight)


def test_symbols_that_are_no_chinese_characters_are_refused() -> None:
    embedder = ReadingEmbedder(size=D).build(Sizes(vocabulary=3))
    with pytest.raises(ConfigError, match=r"^embedder.kind = 'readings' is for Chinese characters, but none of the sy"):
        embedder.describe(["the", "a"])
