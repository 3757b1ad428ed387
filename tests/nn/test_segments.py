"""Segments of a series: each variable alone or all together, the first filled with zeros in front."""

from __future__ import annotations

import pytest
import torch

from recurra.errors import ConfigError
from recurra.nn.segments import SegmentEmbedder
from recurra.types import Batch, Lengths, Sizes


def made(**settings: object) -> SegmentEmbedder:
    torch.manual_seed(0)
    return SegmentEmbedder(**settings).build(Sizes(width=2)).double()  # type: ignore[arg-type]


@pytest.mark.parametrize("apart", [True, False])
def test_by_hand(apart: bool) -> None:
    embedder = made(segment=3, size=4, apart=apart)
    series = torch.randn(2, 8, 2, dtype=torch.float64)
    x, structure = embedder(Batch({"input": series}))
    assert (
        structure.values is None
        and x.shape == ((4, 3, 4) if apart else (2, 3, 4))
        and x.transpose(0, 1).is_contiguous()
    )
    for b in range(2):
        filled = torch.cat((torch.zeros(1, 2, dtype=torch.float64), series[b]))
        for k, piece in enumerate(filled.split(3)):
            for variable in range(2) if apart else [0]:
                s = piece[:, variable] if apart else piece.flatten()
                expected = (embedder.linear.weight @ s + embedder.linear.bias).relu()
                assert torch.allclose(x[2 * b + variable if apart else b, k], expected, atol=1e-12)


@pytest.mark.parametrize("apart", [True, False])
def test_a_batch_of_different_lengths_is_its_sequences_alone(apart: bool) -> None:
    embedder, lengths = made(segment=3, size=4, apart=apart), [8, 3, 7, 2, 0]
    series = torch.randn(5, 8, 2, dtype=torch.float64)
    x, structure = embedder(Batch({"input": series}, Lengths(torch.tensor(lengths))))
    assert structure.values is not None
    rows = 2 if apart else 1
    for b, n in enumerate(lengths):
        alone, _ = embedder(Batch({"input": series[b : b + 1, :n]}))
        for variable in range(rows):
            row = rows * b + variable
            assert int(structure.values[row]) == -(-n // 3) == alone.shape[1]
            assert torch.allclose(x[row, : -(-n // 3)], alone[variable], atol=1e-12)


def test_what_it_refuses() -> None:
    for settings, said in (({"segment": 0}, "segment = 0"), ({"size": 0}, "size"), ({"dropout": 1.0}, "dropout = 1.0")):
        with pytest.raises(ConfigError, match=said):
            SegmentEmbedder(**settings)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="reads numbers, but the input is symbols"):
        SegmentEmbedder().build(Sizes(vocabulary=9))
    assert SegmentEmbedder(segment=2, apart=False).changes_time and SegmentEmbedder(segment=1).changes_time
    assert not SegmentEmbedder(segment=1, apart=False).changes_time
