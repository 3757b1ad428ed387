"""The net over columns: time is shortened, padding never leaks, distortions are drawn and repeatable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from recurra import registry
from recurra.errors import ConfigError
from recurra.nn.columns import ColumnEmbedder
from recurra.nn.distortions import Distortions
from recurra.types import Batch, Lengths, Sizes, changes_time

WAYS: list[dict[str, Any]] = [
    {},
    {"channels": [4], "stride": 2, "norm": "none"},
    {"channels": [3, 5], "depth": 2, "stride": 4},
    {"channels": [4, 4], "stride": 1},
]
H = 13


def made(settings: dict[str, Any], rows: int = H) -> Any:
    torch.manual_seed(1)
    found = registry.construct("embedder", {"kind": "columns", "size": 6, **settings}).build(Sizes(width=rows)).double()
    return found.eval()


def pictures(*widths: int, rows: int = H) -> tuple[Tensor, Tensor]:
    x = torch.zeros(len(widths), max(widths), rows, dtype=torch.float64)
    for row, width in enumerate(widths):
        x[row, :width] = torch.rand(width, rows, dtype=torch.float64)
    return x, torch.tensor(widths)


@pytest.mark.parametrize("settings", WAYS)
def test_a_batch_is_read_as_its_pictures_one_by_one(settings: dict[str, Any]) -> None:
    embedder, (x, lengths) = made(settings), pictures(21, 9, 1, 14)
    y, structure = embedder(Batch({"input": x}, Lengths(lengths)))
    stride = settings.get("stride", 4)
    assert structure.values.tolist() == [-(-n // stride) for n in lengths.tolist()]
    assert y.shape == (4, -(-21 // stride), 6) and changes_time(embedder) == (stride > 1)
    assert y.transpose(0, 1).is_contiguous()
    for row, n in enumerate(lengths.tolist()):
        alone, whole = embedder(Batch({"input": x[row : row + 1, :n]}))
        assert whole.values is None
        assert torch.allclose(y[row, : alone.shape[1]], alone[0], atol=1e-12)


@pytest.mark.parametrize("settings", WAYS[1:])
def test_finite_differences_and_every_parameter(settings: dict[str, Any]) -> None:
    embedder, (x, lengths) = made({**settings, "size": 2}, 4).train(), pictures(5, 3, rows=4)
    for name, value in embedder.named_parameters():  # at 0 a rectified pixel of nothing has no derivative
        if name.endswith("bias"):
            torch.nn.init.uniform_(value, 0.1, 0.5)
    weights = dict(embedder.named_parameters())

    def outputs(x: Tensor, *given: Tensor) -> Tensor:
        batch = Batch({"input": x}, Lengths(lengths))
        y, _ = torch.func.functional_call(embedder, dict(zip(weights, given, strict=True)), (batch,))
        return y[0]

    assert torch.autograd.gradcheck(outputs, (x.requires_grad_(), *weights.values()), fast_mode=True)
    total = embedder(Batch({"input": x}, Lengths(lengths)))[0].sum()
    assert all(grad.abs().sum() > 0 for grad in torch.autograd.grad(total, [*weights.values()]))


ALL = {
    "shift": 0.1,
    "shrink": 0.2,
    "rotation": 3,
    "slant": 0.3,
    "elastic": 0.03,
    "stroke": 0.5,
    "blur": 0.5,
    "shade": 0.3,
    "invert": 0.5,
    "noise": 0.1,
}


@pytest.mark.parametrize("name", ALL)
def test_distortions_are_drawn_by_the_seed_and_in_training_alone(name: str) -> None:
    embedder, (x, lengths) = made({name: ALL[name]}), pictures(40, 30)
    batch = Batch({"input": x}, Lengths(lengths))
    assert torch.equal(embedder(batch)[0], embedder(batch)[0])
    embedder.train()
    torch.manual_seed(5)
    one = embedder(batch)[0]
    other = embedder(batch)[0]
    torch.manual_seed(5)
    assert torch.equal(embedder(batch)[0], one) and not torch.equal(one, other)


def test_what_lies_behind_a_picture_is_never_moved_into_it() -> None:
    """Of two batches with other columns behind a picture it is distorted alike."""
    distortions, lengths = (
        Distortions(**ALL | {"stroke": 0, "blur": 0, "noise": 0, "elastic": 0}),
        torch.tensor([30, 40]),
    )
    x = torch.rand(2, 40, H)
    other = x.clone()
    other[0, 30:] = 7
    torch.manual_seed(0)
    one = distortions.applied(x, lengths)
    torch.manual_seed(0)
    again = distortions.applied(other, lengths)
    assert torch.equal(one[0, :30], again[0, :30]) and one.max() <= 1.6


def test_strokes_grow_and_shrink() -> None:
    line = torch.zeros(200, 9, 9)
    line[:, :, 4] = 1
    torch.manual_seed(0)
    ink = Distortions(stroke=0.5).applied(line, None).sum((1, 2)) / 9
    assert ink.min() < 0.6 and ink.max() > 1.8 and abs(float(ink.mean()) - 1.125) < 0.1


def test_a_share_of_pictures_is_inverted_and_shades_have_straight_edges() -> None:
    x = torch.rand(400, 6, 5)
    torch.manual_seed(0)
    found = Distortions(invert=0.25).applied(x, None)
    same, other = (found == x).flatten(1).all(1), (found == 1 - x).flatten(1).all(1)
    assert (same | other).all() and 70 < int(other.sum()) < 130
    added = Distortions(shade=0.3).applied(torch.zeros(400, 20, 10), torch.full((400,), 20))
    assert added.abs().max() <= 0.6 and max(len(each.unique()) for each in added) == 4
    assert all(len(each.unique()) <= 4 for each in added)  # two edges make four parts at most


@pytest.mark.parametrize("shape", [(3, 9, 7), (2, 1, 4), (2, 2, 1), (1, 3, 2)])
def test_strokes_grow_by_the_largest_of_the_pixels_around(shape: tuple[int, ...], monkeypatch) -> None:
    torch.manual_seed(4)
    x = torch.randn(shape)
    for share, largest in ((0.5, True), (-0.5, False)):
        monkeypatch.setattr("recurra.nn.distortions._drawn", lambda x, count, s=share: torch.full((count,), 2 * s))
        around = max_pool2d(x if largest else -x, 3, 1, 1) * (1 if largest else -1)
        assert torch.allclose(Distortions(stroke=0.5).applied(x, None), x + 0.5 * (around - x))


@pytest.mark.parametrize(
    ("settings", "width", "message"),
    [
        ({}, 0, "reads pictures, but the input is symbols"),
        (
            {},
            4,
            r"names 3 blocks, each of half as many rows, but the input has 4\. Name fewer, or set input.height = 8",
        ),
        ({"channels": [4]}, 8, r"embedder.channels = \[4\], expected a number for each of 2 blocks"),
        ({"channels": [0, 4]}, 8, "embedder.channels = 0, expected 1 or more"),
        ({"dropout": 1.0}, 8, "embedder.dropout = 1.0"),
        ({"rotation": 50.0}, 8, "embedder.rotation = 50.0, expected 0 to 45"),
        ({"shrink": 1.0}, 8, "embedder.shrink = 1.0, expected 0 to less than 1"),
        ({"noise": -1.0}, 8, "embedder.noise = -1.0, expected 0 to 1"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], width: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        registry.construct("embedder", {"kind": "columns", **settings}).build(Sizes(width=width))


def test_a_shape_that_no_picture_has() -> None:
    embedder = ColumnEmbedder(size=3).build(Sizes(width=H)).eval()
    y, structure = embedder(Batch({"input": torch.zeros(2, 1, H)}, Lengths(torch.tensor([0, 1]))))
    assert y.shape == (2, 1, 3) and structure.values.tolist() == [0, 1] and np.isfinite(y.detach().numpy()).all()
