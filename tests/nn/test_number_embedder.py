"""Vectors of numbers as the core's input: as they are, or by one layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recurra.errors import ConfigError
from recurra.registry import construct
from recurra.types import Batch, Lengths, Sizes


def test_numbers_as_they_are() -> None:
    embedder = construct("embedder", {"kind": "numbers"}).build(Sizes(width=3))
    given = torch.randn(2, 5, 3)
    assert embedder.output_size == 3 and torch.equal(embedder(Batch({"input": given}))[0], given)
    assert not list(embedder.parameters())


def test_numbers_by_a_layer() -> None:
    embedder = construct("embedder", {"kind": "numbers", "size": 4}).build(Sizes(width=3))
    given = torch.randn(2, 5, 3)
    x = embedder(Batch({"input": given.double()}))[0]
    weight, bias = embedder.linear.weight, embedder.linear.bias
    torch.testing.assert_close(x, torch.einsum("btw,dw->btd", given, weight) + bias)
    assert x.shape == (2, 5, 4) and embedder.output_size == 4 and x.transpose(0, 1).is_contiguous()
    x.sum().backward()
    assert all(parameter.grad is not None for parameter in embedder.parameters())


def test_dropout_in_training_only() -> None:
    embedder = construct("embedder", {"kind": "numbers", "dropout": 0.5}).build(Sizes(width=3))
    given = Batch({"input": torch.ones(4, 50, 3)})
    assert set(embedder(given)[0].unique().tolist()) == {0.0, 2.0}
    assert torch.equal(embedder.eval()(given)[0], given.fields["input"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, r'embedder\.size = 0, expected 1 or more, or "none" for the numbers as they are\.'),
        ({"dropout": 1.0}, r"embedder\.dropout = 1\.0, expected 0 or more and less than 1\."),
        ({"size": 1 << 40}, r"embedder\.size"),
    ],
)
def test_settings_out_of_range(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        construct("embedder", {"kind": "numbers", **settings})


def test_symbols_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"reads numbers, but the input is symbols. Set embedder.kind = 'symbols'"):
        construct("embedder", {"kind": "numbers"}).build(Sizes(vocabulary=7))


def test_what_training_adds_to_numbers() -> None:
    given = Batch({"input": torch.full((400, 50, 3), 2.0)})
    seen = {}
    for name in ("noise", "shift", "scaling"):
        embedder = construct("embedder", {"kind": "numbers", name: 0.1}).build(Sizes(width=3))
        seen[name] = embedder(given)[0]
        assert torch.equal(embedder.eval()(given)[0], given.fields["input"])
    within = {name: float(x.std(1).mean()) for name, x in seen.items()}  # over the steps of a sequence
    between = {name: float(x.mean(1).std()) for name, x in seen.items()}  # over sequences and numbers
    assert within["noise"] == pytest.approx(0.1, rel=0.1) and within["shift"] == within["scaling"] == 0
    assert between["shift"] == pytest.approx(0.1, rel=0.1) and between["scaling"] == pytest.approx(0.2, rel=0.1)
    with pytest.raises(ConfigError, match=r"embedder\.noise = -1\.0, expected a spread of 0 or more\."):
        construct("embedder", {"kind": "numbers", "noise": -1.0})


def test_a_sequence_at_a_changing_speed() -> None:
    embedder = construct("embedder", {"kind": "numbers", "warp": 0.5}).build(Sizes(width=2))
    lengths = torch.tensor([9, 5, 1, 0])
    ramp = torch.arange(9.0)[None, :, None].expand(4, 9, 2)
    x = embedder(Batch({"input": ramp}, Lengths(lengths)))[0]
    for row, length in enumerate(lengths.tolist()):
        seen = x[row, :length, 0]  # of a ramp, where each step was taken from
        assert torch.equal(x[row, :, 0], x[row, :, 1]) and torch.equal(x[row, length:], ramp[row, length:])
        if length > 1:
            assert seen[0] == 0 and seen[-1] == pytest.approx(length - 1, abs=1e-5) and (seen.diff() > 0).all()
            assert (seen - ramp[row, :length, 0]).abs().max() > 0.05
    assert torch.equal(embedder.eval()(Batch({"input": ramp}, Lengths(lengths)))[0], ramp)


def test_sequences_read_at_so_many_places() -> None:
    embedder, random = (
        construct("embedder", {"kind": "numbers", "steps": 7}).build(Sizes(width=2)),
        torch.manual_seed(0),
    )
    lengths, given = torch.tensor([9, 7, 1, 0]), torch.randn(4, 9, 2, generator=random)
    x, structure = embedder(Batch({"input": given}, Lengths(lengths)))
    assert x.shape == (4, 7, 2) and structure.values.tolist() == [7, 7, 7, 0] and embedder.changes_time
    for row, n in enumerate(lengths.tolist()[:3]):
        for k in range(2):
            expected = np.interp(np.linspace(0, n - 1, 7), np.arange(n), given[row, :n, k].numpy())
            assert np.allclose(x[row, :, k].numpy(), expected, atol=1e-6)
    whole, structure = embedder(Batch({"input": given[:2, :9]}))
    assert structure.values is None and torch.allclose(whole[0], x[0])
    none, structure = embedder(Batch({"input": given[:, :0]}))
    assert none.shape == (4, 7, 2) and structure.values.tolist() == [0, 0, 0, 0]
    assert not construct("embedder", {"kind": "numbers"}).changes_time
    with pytest.raises(ConfigError, match=r'embedder\.steps = 1, expected 2 or more, or "none"'):
        construct("embedder", {"kind": "numbers", "steps": 1})
    with pytest.raises(ConfigError, match=r'embedder\.steps = 7 moves values to other steps.* Set it to "none"'):
        construct("embedder", {"kind": "numbers", "steps": 7}).build(Sizes(width=2, fields={"seen": 2}))
