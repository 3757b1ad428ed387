"""Frames side by side, against the formula."""

import pytest
import torch

from recurra.errors import ConfigError
from recurra.nn.frames import FrameEmbedder
from recurra.types import Batch, Lengths, Sizes


def made(**settings):
    torch.manual_seed(0)
    return FrameEmbedder(size=4, **settings).build(Sizes(width=3)).double().eval()


@pytest.mark.parametrize(("stride", "around", "T"), [(1, 0, 5), (2, 3, 7), (3, 1, 7), (3, 1, 1), (2, 0, 6), (4, 2, 9)])
def test_a_step_is_the_frames_around_it(stride, around, T):
    embedder, x = made(stride=stride, around=around), torch.randn(1, T, 3, dtype=torch.float64)
    found, structure = embedder(Batch({"input": x}, Lengths(torch.tensor([T]))))
    assert found.shape == (1, -(-T // stride), 4) and structure.values.tolist() == [-(-T // stride)]
    for k in range(found.shape[1]):
        expected = embedder.linear.bias.clone()
        for a in range(-around, around + 1):
            if 0 <= k * stride + a < T:
                expected = expected + embedder.linear.weight[:, :, a + around] @ x[0, k * stride + a]
        torch.testing.assert_close(found[0, k], expected)


def test_what_is_behind_an_end_is_not_read():
    embedder, x = made(), torch.randn(2, 9, 3, dtype=torch.float64)
    both, structure = embedder(Batch({"input": x}, Lengths(torch.tensor([9, 4]))))
    alone, _ = embedder(Batch({"input": x[1:, :4]}))
    assert structure.values.tolist() == [5, 2]
    torch.testing.assert_close(both[1, :2], alone[0])


def test_out_of_range():
    for settings in ({"stride": 0}, {"around": -1}, {"dropout": 1.0}, {"noise": -1.0}):
        with pytest.raises(ConfigError, match=next(iter(settings))):
            FrameEmbedder(**settings)
    with pytest.raises(ConfigError, match="symbols"):
        FrameEmbedder().build(Sizes(vocabulary=3))
