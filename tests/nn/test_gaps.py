"""What embedders make of gaps, and what cores read of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from recurra.errors import ConfigError
from recurra.nn import Recurrent
from recurra.nn.both_ways import BothWaysCore
from recurra.nn.core import RecurrentCore
from recurra.nn.layers import Layers
from recurra.nn.number_embedder import NumberEmbedder
from recurra.nn.segments import SegmentEmbedder
from recurra.types import Batch, Gaps, Lengths, Sizes

B, T, W, H = 4, 6, 3, 5
LENGTHS = torch.tensor((4, 0, 6, 1))


def batch(lengths: Tensor | None = None) -> Batch:
    torch.manual_seed(0)
    fields = {"input": torch.randn(B, T, W), "seen": torch.randint(2, (B, T, W)).float()}
    fields |= {"since": torch.rand(B, T, W) * 3, "dt": torch.rand(B, T, 1) * 3}
    return Batch(fields, Lengths(lengths))


def sizes(**fields: int) -> Sizes:
    return Sizes(width=W, fields=fields)


def test_numbers_as_they_are_go_on_with_all_that_is_said_of_them() -> None:
    given = batch(LENGTHS)
    x, structure = NumberEmbedder().build(sizes(seen=W, since=W, dt=1))(given)
    assert torch.equal(x, given.fields["input"]) and structure.values is LENGTHS and structure.gaps is not None
    assert torch.equal(structure.gaps.dt, given.fields["dt"][..., 0])
    assert structure.gaps.seen is not None and torch.equal(structure.gaps.seen, given.fields["seen"])
    assert structure.gaps.since is not None and torch.equal(structure.gaps.since, given.fields["since"])
    bare = NumberEmbedder().build(sizes(seen=W))(Batch({"input": given.fields["input"]}))[1].gaps
    assert bare is not None and bare.seen is not None and bool((bare.seen == 1).all() and (bare.dt == 1).all())
    for embedder in (NumberEmbedder(gaps=False).build(sizes(seen=W)), NumberEmbedder().build(sizes())):
        assert embedder(given)[1].gaps is None
    with pytest.raises(ConfigError, match=r"embedder\.warp = 0\.2 moves values to other steps"):
        NumberEmbedder(warp=0.2).build(sizes(seen=W))
    assert set(NumberEmbedder().fields) == {"dt", "seen", "since"} and not NumberEmbedder(gaps=False).fields


def test_a_layer_of_numbers_reads_which_were_seen() -> None:
    given, embedder = batch(), NumberEmbedder(size=7).build(sizes(seen=W))
    x, structure = embedder(given)
    assert embedder.linear is not None
    oracle = embedder.linear(torch.cat((given.fields["input"], given.fields["seen"]), 2))
    assert torch.allclose(x, oracle, atol=1e-6)
    assert structure.gaps is not None and structure.gaps.seen is None
    assert torch.equal(structure.gaps.dt, given.fields["dt"][..., 0])


@pytest.mark.parametrize("size", [None, 7])
def test_variables_apart_have_their_own_gaps(size: int | None) -> None:
    given, embedder = batch(LENGTHS), NumberEmbedder(size=size, apart=True).build(sizes(seen=W))
    x, structure = embedder(given)
    assert x.shape == (B * W, T, size or 1) and embedder.output_size == (size or 1) and embedder.changes_time
    assert structure.values is not None and structure.values.tolist() == [n for n in LENGTHS.tolist() for _ in range(W)]
    for b in range(B):
        for k in range(W):
            fields = {name: each[b : b + 1, :, k : k + 1] for name, each in given.fields.items() if name != "dt"}
            alone = NumberEmbedder(size=size).build(Sizes(width=1, fields={"seen": 1}))
            alone.load_state_dict(embedder.state_dict())
            own, of_own = alone(Batch({**fields, "dt": given.fields["dt"][b : b + 1]}))
            assert torch.allclose(x[b * W + k], own[0], atol=1e-6)
            for name in ("dt", "seen", "since"):
                here, there = (getattr(each.gaps, name) for each in (structure, of_own))
                assert (here is None) == (there is None) == (size is not None and name != "dt")
                assert here is None or torch.equal(here[b * W + k], there[0])


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_segments_have_what_was_seen_behind_them(apart: bool, lengths: Tensor | None) -> None:
    given, embedder = batch(lengths), SegmentEmbedder(segment=4, size=7, apart=apart).build(sizes(seen=W))
    x, structure = embedder(given)
    rows = x.unflatten(0, (B, W)) if apart else x[:, None]
    for b, n in enumerate([T] * B if lengths is None else lengths.tolist()):
        pieces = []
        for name in ("input", "seen"):
            values = torch.cat((torch.zeros(-n % 4, W), given.fields[name][b, :n]))
            pieces.append(values.unflatten(0, (-1, 4)))  # [n, 4, W]
        both = torch.cat(pieces, 2).unflatten(2, (2, W))  # [n, 4, 2, W]
        for k in range(W if apart else 1):
            row = both[..., k].transpose(1, 2).flatten(1) if apart else both.flatten(1)
            assert torch.allclose(rows[b, k, : len(row)], embedder.linear(row).relu(), atol=1e-6)
    assert structure.gaps is None and set(embedder.fields) == {"seen"}
    assert SegmentEmbedder(gaps=False).build(sizes(seen=W)).linear.in_features == 24


def gaps(given: Batch) -> Gaps:
    return Gaps(given.fields["dt"][..., 0], given.fields["seen"], given.fields["since"])


@pytest.mark.parametrize("cell", ["gru-d", "cfc", "gru"])
def test_a_core_hands_its_cell_what_that_reads(cell: str) -> None:
    given, core = batch(), RecurrentCore(Layers(cell=cell, hidden_size=H, num_layers=2)).build(Sizes(embedding=W))
    x = given.fields["input"]
    y = core(x, Lengths(LENGTHS, gaps(given)))[0]
    beside: dict[str, Any] = {"dt": gaps(given).dt, "seen": gaps(given).seen, "since": gaps(given).since}
    oracle = core.layers(x, None, LENGTHS, **{name: beside[name] for name in core.layers.cell.takes})[0]
    assert torch.equal(y, oracle)
    assert torch.equal(y, core(x, Lengths(LENGTHS))[0]) == (cell == "gru")


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("cell", ["gru-d", "cfc"])
def test_both_ways_are_the_two_directions_of_a_layer(cell: str, lengths: Tensor | None) -> None:
    given = batch()
    core = BothWaysCore(Layers(cell=cell, hidden_size=H)).build(Sizes(embedding=W)).double()
    layer = Recurrent(cell, W, H, bidirectional=True, batch_first=True, dtype=torch.float64)
    weights = dict(core.forwards.state_dict()) | {f"{n}_reverse": v for n, v in core.backwards.state_dict().items()}
    layer.load_state_dict(weights)
    said = Gaps(*(value.double() for value in (gaps(given).dt, given.fields["seen"], given.fields["since"])))
    x = given.fields["input"].double()
    y = core(x, Lengths(lengths, said))[0]
    oracle = layer(x, None, lengths, **said.taken(layer.cell.takes))[0]
    assert torch.allclose(y, oracle, rtol=0, atol=1e-12)
