"""What training changes in spectra: drawn for each sequence, never behind its end, and exactly what it says."""

from __future__ import annotations

import pytest
import torch

from recurra.errors import ConfigError
from recurra.nn.number_embedder import NumberEmbedder
from recurra.nn.spectral import Spectral
from recurra.types import Batch, Lengths, Sizes

T, B, W = 20, 3, 12
LENGTHS = torch.tensor([20, 7, 12])


def given() -> torch.Tensor:
    x = torch.randn(T, B, W, generator=torch.Generator().manual_seed(0)).double()
    return x * (torch.arange(T)[:, None] < LENGTHS)[:, :, None]


def test_frequency_masks_lie_in_every_block_alike() -> None:
    torch.manual_seed(1)
    x = given()
    found = Spectral(bands=4, frequency_masks=1, frequency_width=2).changed(x, LENGTHS)
    zero = (found == 0) & (x != 0)  # [T, B, W]
    of_bands = zero.view(T, B, 3, 4).any(0).any(1)  # [B, 4]
    assert zero.any() and (of_bands.sum(1) <= 2).all()
    assert torch.equal(found, torch.where(of_bands.repeat(1, 3)[None], torch.zeros_like(x), x))


def test_time_masks_are_a_share_of_each_sequence() -> None:
    torch.manual_seed(2)
    x, seen = given(), torch.zeros(T, B, dtype=torch.bool)
    for _ in range(30):
        found = Spectral(time_masks=1, time_width=0.3).changed(x, LENGTHS)
        gone = ((found == 0) & (x != 0)).all(2)
        assert (gone.sum(0) <= (0.3 * LENGTHS)).all()
        assert torch.equal(found, torch.where(gone[:, :, None], torch.zeros_like(x), x))
        seen |= gone
    assert (seen.sum(0) > LENGTHS // 2).all()


def test_a_stretch_moves_bands() -> None:
    torch.manual_seed(3)
    line = torch.arange(4.0).double().expand(T, B, 4).repeat(1, 1, 3)  # band k of each block is k
    found = Spectral(bands=4, stretch=0.2).changed(line, None)
    factor = found[0, :, 1]
    expected = (torch.arange(4.0).double() * factor[:, None]).clamp(max=3).repeat(1, 3)
    assert len(set(factor.tolist())) == B and torch.allclose(found, expected.expand(T, B, W))


def test_only_training_changes() -> None:
    embedder = NumberEmbedder(spectral=Spectral(bands=4, stretch=0.1, time_masks=2, frequency_masks=1)).build(
        Sizes(width=W)
    )
    batch = Batch({"input": given().float().transpose(0, 1)}, Lengths(LENGTHS))
    assert torch.equal(embedder.eval()(batch)[0], batch.fields["input"])
    torch.manual_seed(4)
    changed, _ = embedder.train()(batch)
    assert not torch.equal(changed, batch.fields["input"])
    assert not changed[1, 7:].any() and not changed[2, 12:].any()
    empty = Batch({"input": torch.zeros(2, 0, W)}, Lengths(torch.zeros(2, dtype=torch.int64)))
    assert embedder(empty)[0].shape == (2, 0, W)


def test_numbers_out_of_range() -> None:
    with pytest.raises(ConfigError, match=r"embedder.stretch = -1, expected 0 or more"):
        Spectral(stretch=-1)
    with pytest.raises(ConfigError, match=r"embedder.time_width = 1.5, expected a share"):
        Spectral(time_width=1.5)
    with pytest.raises(ConfigError, match=r"embedder.bands = 5, but a step has 12 numbers, expected a multiple"):
        NumberEmbedder(spectral=Spectral(bands=5)).build(Sizes(width=W))
