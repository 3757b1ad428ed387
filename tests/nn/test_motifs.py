"""Motif detectors: mixtures, both strands, lengths, and settings that are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from recurra.data.codecs.bases import Bases
from recurra.errors import ConfigError
from recurra.nn.motifs import MotifEmbedder
from recurra.types import Batch, Lengths, Sizes

CODEC = Bases()


def made(**settings: Any) -> MotifEmbedder:
    torch.manual_seed(0)
    built = MotifEmbedder(**{"size": 5, "width": 4, "stride": 2, **settings}).build(Sizes(mixtures=CODEC.mixtures))
    return built.double().eval()


def batch(*texts: str) -> Batch:
    numbers = [torch.from_numpy(CODEC.encode(text)) for text in texts]
    lengths = torch.tensor([*map(len, numbers)])
    padded = torch.nn.utils.rnn.pad_sequence(numbers, batch_first=True)
    return Batch({"input": padded}, Lengths(lengths))


def test_an_uncertain_base_is_the_mean_of_what_it_may_be() -> None:
    embedder = made(strands="one", width=1, stride=1)
    x = embedder(batch("ACGTR"))[0][0]
    linear = embedder.detectors.weight[:, :, 0].T + embedder.detectors.bias
    assert torch.allclose(x[:4], linear.relu())
    assert torch.allclose(x[4], ((linear[0] + linear[2]) / 2).relu())


def test_detectors_are_a_convolution_and_a_maximum() -> None:
    embedder = made(strands="one")
    x, structure = embedder(batch("ACGTTGA"))
    shares = torch.tensor(CODEC.mixtures.shares, dtype=torch.float64)[torch.from_numpy(CODEC.encode("ACGTTGA"))]
    rows = torch.cat((torch.zeros(1, 4), shares, torch.zeros(2, 4)))  # a step before, two behind: four are one motif
    W, c = embedder.detectors.weight, embedder.detectors.bias
    found = torch.stack([(torch.einsum("dkw,wk->d", W, rows[t : t + 4]) + c).relu() for t in range(7)])
    expected = torch.stack([found[t : t + 2].amax(0) for t in range(0, 7, 2)])
    assert torch.allclose(x[0], expected)
    assert structure.values is not None and structure.values.tolist() == [4]


def test_the_second_reading_is_that_of_the_other_strand() -> None:
    for settings in ({}, {"depth": 3}, {"width": 5, "stride": 3}):
        both, one = made(**settings), made(**settings, strands="one")
        one.load_state_dict(both.state_dict())
        texts = ["ACGTTGAR", "GATTA", "", "N"]
        x, structure = both(batch(*texts))
        assert len(x) == 8 and both.readings == 2
        assert structure.values is not None
        assert structure.values.tolist() == one(batch(*texts, *texts))[1].values.tolist()
        for k, text in enumerate((*texts, *map(CODEC.reverse_complement, texts))):
            alone = one(batch(text))[0][0]
            assert torch.allclose(x[k, : len(alone)], alone), (settings, text)  # nor does padding leak


def test_training_leaves_bases_unread() -> None:
    embedder = made(strands="one", width=1, stride=1, unread=0.5).train()
    x = embedder(batch("A" * 200))[0][0]
    unknown = made(strands="one", width=1, stride=1)(batch("N"))[0][0, 0]
    share = torch.isclose(x, unknown).all(1).double().mean()
    assert 0.35 < share < 0.65


def test_settings_that_cannot_be() -> None:
    for settings, message in (
        ({"width": 0}, r"embedder\.width = 0, expected 1 or more"),
        ({"unread": 1.0}, r"embedder\.unread = 1\.0, expected 0 or more and less than 1"),
    ):
        with pytest.raises(ConfigError, match=message):
            MotifEmbedder(**settings)
    with pytest.raises(ConfigError, match=r"reads bases, .+ Set vocabulary\.kind = 'bases'"):
        MotifEmbedder().build(Sizes(vocabulary=15))
