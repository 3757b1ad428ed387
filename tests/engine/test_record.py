"""Recorded ‖∂L/∂h_t‖: every engine that records gives the reference's, and nothing else changes by it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from recurra import registry
from recurra.engine import Record
from recurra.testing.cells import Configuration, make_case, relative

SETTINGS = (
    Configuration("stacked, lengths", layers=2, lengths=(4, 0, 7)),
    Configuration("both directions", bidirectional=True, lengths=(2, 7, 5)),
    Configuration("truncated", options=(("truncate", 3),)),
)
COMPILED = ("lstm", "gru", "sru", "layer-norm-lstm", "multiplicative-lstm")


def run(cell: str, setting: Configuration, backend: str, recorded: bool = True) -> tuple[list[Record], list[Tensor]]:
    case = make_case(registry.find("cell", cell), setting)
    layer, record = case.layer, [] if recorded else None
    layer.backend = backend
    lengths = None if setting.lengths is None else torch.tensor(setting.lengths)
    state = case.state[0] if len(case.state) == 1 else case.state
    y, _ = layer(case.x, state, lengths, record)
    torch.manual_seed(3)
    (y * torch.randn_like(y)).sum().backward()
    return record or [], [y.detach(), *(p.grad for p in layer.parameters())]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda one: one.name)
@pytest.mark.parametrize("cell", registry.names("cell"))
def test_all_engines_record_the_same(cell: str, setting: Configuration) -> None:
    oracle, _ = run(cell, setting, "reference")
    for backend in ("torch", "native") if cell in COMPILED else ("torch",):
        found, _ = run(cell, setting, backend)
        assert len(found) == len(oracle) == (2 if "truncated" not in setting.name else 1)
        for one, true in zip(found, oracle, strict=True):
            assert one.reverse == true.reverse
            assert sorted(one.norms) == sorted(true.norms)
            for t, norms in true.norms.items():
                assert relative(one.norms[t], norms) <= 1e-12, (backend, t)


@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole-lstm", "layer-norm-lstm"])
def test_recording_changes_nothing_else(cell: str) -> None:
    for recorded, plain in zip(
        run(cell, SETTINGS[0], "native")[1], run(cell, SETTINGS[0], "native", recorded=False)[1], strict=True
    ):
        assert torch.equal(recorded, plain)


def test_means_from_each_sequences_own_end() -> None:
    """Lengths 3 and 1: one step before the end there is the longer sequence alone."""
    record = Record(norms={0: torch.tensor([1.0, 8.0]), 1: torch.tensor([2.0]), 2: torch.tensor([4.0])})
    assert record.from_the_end.tolist() == [6.0, 2.0, 1.0]
    assert record.values.tolist() == [pytest.approx(65**0.5), 2.0, 4.0]
    assert Record().from_the_end.numel() == 0


def test_means_of_sequences_of_one_length() -> None:
    norms = torch.rand(4, 3)
    record = Record(norms={t: norms[t] for t in (2, 0, 3, 1)})
    assert record.from_the_end.tolist() == pytest.approx([float(norms[t].mean()) for t in (3, 2, 1, 0)])
