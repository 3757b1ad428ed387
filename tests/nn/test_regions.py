"""Regions of pictures: the net against torch's own layers, step by step; pictures changed in training, exactly."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from recurra.errors import ConfigError
from recurra.nn.regions import RegionEmbedder
from recurra.nn.views import Views
from recurra.types import Batch, Lengths, Sizes, regions_of


def made(side: int = 16, **settings: Any) -> RegionEmbedder:
    torch.manual_seed(0)
    made = RegionEmbedder(**{"channels": (4, 6, 5), "size": 7, **settings}).build(Sizes(width=3 * side)).double().eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made


def pictures(count: int, side: int = 16) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randint(0, 256, (count, side, 3 * side), dtype=torch.uint8)


def by_hand(embedder: RegionEmbedder, rows: torch.Tensor) -> torch.Tensor:
    """Each picture by itself, through layers of torch's."""
    found = []
    for picture in rows:
        H = len(picture)
        x = (picture.double().reshape(H, H, 3) / 127.5 - 1).permute(2, 0, 1)[None]  # [1, 3, H, W]
        p = embedder.patch
        x = F.unfold(x, p, stride=p).reshape(1, 3, p, p, H // p, H // p)
        x = x.permute(0, 2, 3, 1, 4, 5).reshape(1, 3 * p * p, H // p, H // p)  # rows, columns, colours
        for k, block in enumerate(embedder.blocks):
            for each in (block.first, *block.others):
                read = x if each is not block.first else None
                x = F.conv2d(x, each.convolution.weight, each.convolution.bias, padding=1)
                if each.norm is not None:
                    x = F.group_norm(x, 1, each.norm.weight, each.norm.bias, each.norm.eps)
                x = x.relu() if read is None else x.relu() + read
            if k + 1 < len(embedder.blocks):
                x = F.max_pool2d(x, 2)
        found.append(F.linear(x[0].flatten(1).t(), embedder.linear.weight, embedder.linear.bias))
    return torch.stack(found)


@pytest.mark.parametrize("settings", [{}, {"depth": 1, "patch": 1}, {"norm": "none", "patch": 4, "channels": (4, 6)}])
def test_the_net_is_that_of_torchs_layers(settings: dict[str, Any]) -> None:
    embedder, rows = made(**settings), pictures(3)
    y, structure = embedder(Batch({"input": rows}))
    assert structure.values is None and embedder.changes_time
    torch.testing.assert_close(y, by_hand(embedder, rows), rtol=1e-9, atol=1e-9)
    side = 16 // embedder.region_pixels
    assert y.shape == (3, side**2, 7)
    alone, there = embedder(Batch({"input": rows[1:2].float()}, Lengths(torch.tensor([16]))))  # as an export gives them
    torch.testing.assert_close(alone[0], y[1], rtol=1e-9, atol=1e-9)
    assert there.values.tolist() == [side**2]


def test_regions_are_counted_by_row_and_column() -> None:
    class Codec:
        side = 32

    assert regions_of(made(32), Codec()) == (4, 4)
    assert regions_of(torch.nn.Linear(1, 1), Codec()) is None
    embedder, rows = made(32, channels=(4, 6), depth=1, norm="none"), pictures(1, 32)  # 8 × 8 regions
    changed = rows.clone()
    changed[0, 4:8, 3 * 28 :] = 255 - changed[0, 4:8, 3 * 28 :]  # the second from the top, the last on the right
    apart = (embedder(Batch({"input": rows}))[0] - embedder(Batch({"input": changed}))[0]).abs().sum(2)[0]
    found = {*apart.nonzero()[:, 0].tolist()}
    assert 8 + 7 in found and found <= {8 * row + column for row in range(4) for column in (5, 6, 7)}


def test_dropout_and_views_are_for_training_alone() -> None:
    embedder, rows = made(dropout=0.5, views=Views(mirror=True, turn=True, light=0.3)), pictures(2)
    once, again = (embedder(Batch({"input": rows}))[0] for _ in range(2))
    assert torch.equal(once, again)
    embedder.train()
    assert not torch.equal(embedder(Batch({"input": rows}))[0], once)


def test_mirrors_and_turns_are_exact() -> None:
    torch.manual_seed(2)
    x = torch.randn(64, 3, 6, 6, dtype=torch.float64)
    seen = Views(mirror=True, turn=True).applied(x)
    kinds = set()
    for one, before in zip(seen, x, strict=True):
        ways = {
            (turns, mirrored): torch.rot90(before.flip(2) if mirrored else before, turns, (1, 2))
            for turns in range(4)
            for mirrored in (False, True)
        }
        fitting = [way for way, picture in ways.items() if torch.allclose(one, picture, atol=1e-9)]
        assert len(fitting) == 1
        kinds.add(fitting[0])
    assert len(kinds) == 8


def test_shift_zoom_tilt_and_light_stay_in_their_bounds() -> None:
    torch.manual_seed(3)
    ramp = torch.linspace(-1, 1, 32, dtype=torch.float64).expand(200, 1, 32, 32).contiguous()
    step = 2 / 31
    moved = (Views(shift=0.125).applied(ramp) - ramp)[:, 0, 8:24, 8:24].mean((1, 2))
    assert float(moved.abs().max()) <= 4 * step + 1e-9 and float(moved.abs().max()) > 3 * step
    zoomed = Views(zoom=0.5).applied(ramp)[:, 0, 16]
    slopes = (zoomed[:, 1:] - zoomed[:, :-1]).mean(1) / step
    assert float(slopes.min()) >= 0.5 - 1e-9 and float(slopes.max()) <= 1 + 1e-9 and float(slopes.min()) < 0.6
    lit = Views(light=0.2).applied(ramp)
    assert float((lit - ramp).abs().max()) <= 0.4 + 1e-9 and float(lit.mean((1, 2, 3)).abs().max()) <= 0.2 + 1e-9
    tilted = Views(tilt=10.0).applied(ramp)[:, 0, 15:17, 8:24]
    assert not torch.allclose(tilted[:, 0], tilted[:, 1])
    assert torch.equal(Views().applied(ramp), ramp)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": ()}, r"embedder\.channels = \[\], expected a number for each block"),
        ({"depth": 0}, r"embedder\.depth = 0, expected 1 or more"),
        ({"dropout": 1.0}, r"embedder\.dropout = 1\.0, expected 0 or more and less than 1"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RegionEmbedder(**settings)


def test_views_and_sides_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match=r"embedder\.zoom = 0\.95, expected 0 to 0\.9"):
        Views(zoom=0.95)
    with pytest.raises(ConfigError, match=r"8 pixels wide, but input\.side = 20 is no multiple.*input\.side = 24"):
        made(20)
    with pytest.raises(ConfigError, match="reads coloured pictures, but the input is symbols"):
        RegionEmbedder().build(Sizes(vocabulary=9))
    with pytest.raises(ConfigError, match="but the input is 7 numbers a step"):
        RegionEmbedder().build(Sizes(width=7))
