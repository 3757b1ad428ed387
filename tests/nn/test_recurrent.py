"""The dropouts of `Recurrent`: between layers with one mask a sequence, and on the recurrent weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recurra.engine import Layer, Time, aten
from recurra.errors import ConfigError
from recurra.nn import recurrent
from recurra.nn.dropout import draw_mask
from recurra.nn.recurrent import Recurrent
from recurra.registry import find, names
from recurra.testing.cells import relative

T, B, I, H = 6, 4, 3, 5
LENGTHS = [3, 6, 0, 4]


def made(cell: str = "lstm", **options: Any) -> Recurrent:
    torch.manual_seed(0)
    return Recurrent(cell, I, H, dtype=torch.float64, **options)


def alone(layer: Recurrent, k: int, cell: str) -> Recurrent:
    """Layer k of a stack as a stack of its own, with the same parameters."""
    width = I if k == 0 else layer.output_size
    one = Recurrent(cell, width, H, dtype=torch.float64, bidirectional=layer.bidirectional)
    for name, _ in one.named_parameters():
        setattr(one, name, getattr(layer, name.replace("_l0", f"_l{k}")))
    return one


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [None, LENGTHS, [6] * B])
@pytest.mark.parametrize("cell", ["lstm", "min-gru"])
def test_one_mask_a_sequence_between_layers(cell: str, lengths: list[int] | None, bidirectional: bool) -> None:
    layer = made(cell, num_layers=2, dropout=0.4, variational=True, bidirectional=bidirectional)
    x = torch.randn(T, B, I, dtype=torch.float64, requires_grad=True)
    given = None if lengths is None else torch.tensor(lengths)
    torch.manual_seed(7)
    y, _ = layer(x, None, given)
    alive = [b for b in sorted(range(B), key=lambda b: -(lengths or LENGTHS)[b]) if (lengths or [T] * B)[b]]
    order = alive if lengths is not None else list(range(B))
    torch.manual_seed(7)
    mask = torch.zeros(B, layer.output_size, dtype=torch.float64)
    mask[order] = draw_mask((len(order), layer.output_size), 0.4, x)
    below, _ = alone(layer, 0, cell)(x, None, given)
    expected, _ = alone(layer, 1, cell)(below * mask, None, given)
    assert relative(y, expected) <= 1e-12
    leaves = [x, *layer.parameters()]
    weight = torch.randn_like(y)
    for a, b in zip(*(torch.autograd.grad((v * weight).sum(), leaves) for v in (y, expected)), strict=True):
        assert relative(a, b) <= 1e-12


def test_packed_sequences_have_the_same_masks() -> None:
    layer, x = made(num_layers=3, dropout=0.4, variational=True), torch.randn(T, B, I, dtype=torch.float64)
    lengths = torch.tensor([3, 6, 1, 4])
    torch.manual_seed(7)
    y, _ = layer(x, None, lengths)
    torch.manual_seed(7)
    packed, _ = layer(pack_padded_sequence(x, lengths, enforce_sorted=False))
    assert torch.equal(pad_packed_sequence(packed)[0], y)


@pytest.mark.parametrize("lengths", [None, [T] * B])
def test_no_mask_is_held_for_every_step(lengths: list[int] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, ...]] = []

    def draw(shape: Any, share: float, like: Tensor) -> Tensor:
        drawn.append(tuple(shape))
        return draw_mask(shape, share, like)

    monkeypatch.setattr("recurra.nn.dropout.draw_mask", draw)
    monkeypatch.setattr(recurrent, "draw_mask", draw)
    layer = made(num_layers=3, dropout=0.4, variational=True)
    layer(torch.randn(T, B, I, dtype=torch.float64), None, None if lengths is None else torch.tensor(lengths))
    assert drawn == [(B, H)] * 2


def test_a_batch_of_empty_sequences() -> None:
    layer = made(num_layers=2, dropout=0.4, variational=True)
    y, _ = layer(torch.randn(T, 2, I, dtype=torch.float64), None, torch.tensor([0, 0]))
    assert y.shape == (T, 2, H) and not y.any()


def dropped(layer: Recurrent, share: float) -> dict[str, Tensor]:
    """The parameters with entries of every W_hh zeroed, drawn in the order in which layers and directions run."""
    found = dict(layer.named_parameters())
    matrices = {name: w for name, w in found.items() if name.startswith("weight_hh")}
    return found | {name: w * draw_mask(w.shape, share, w) for name, w in matrices.items()}


@pytest.mark.parametrize("low", [False, True], ids=["float64", "bf16"])
@pytest.mark.parametrize("backend", ["reference", "torch", "native", "aten"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}], ids=["one layer", "both ways"])
def test_weight_dropout_is_another_recurrent_matrix(options: dict[str, Any], backend: str, low: bool) -> None:
    layer = made(weight_dropout=0.5, backend=backend, **options)
    x = torch.randn(T, B, I, dtype=torch.float64, requires_grad=True)
    if low:
        layer, x = layer.float(), x.detach().float().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            if backend == "aten" and aten.lacks(Layer(layer.cell, Time.full(1, 1)), x, True) is not None:
                with pytest.raises(ConfigError, match=r"has no lstm of torch\.bfloat16"):
                    layer(x)
                return
    leaves = [x, *layer.parameters()]
    found = []
    for whole in (False, True):
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            if whole:
                y, state = layer(x)
            else:
                weights = dropped(layer, 0.5)
                layer.eval()  # where nothing is drawn
                y, state = torch.func.functional_call(layer, weights, (x,))
                layer.train()
        loss = y.sin().sum() + state[1].square().sum()
        found.append((y, *state, *torch.autograd.grad(loss, leaves)))
    for oracle, value in zip(*found, strict=True):
        assert torch.equal(value, oracle)
    hh = found[1][3 + 1 + [n for n, _ in layer.named_parameters()].index("weight_hh_l0")]
    assert 0.2 < (hh == 0).float().mean() < 0.8, "an entry that is gone has no gradient"


def test_weight_dropout_anew_for_each_call_and_in_training_only() -> None:
    layer, x = made(weight_dropout=0.5), torch.randn(T, B, I, dtype=torch.float64)
    plain = made()
    assert not torch.equal(layer(x)[0], layer(x)[0])
    before = layer.weight_hh_l0.clone()
    assert torch.equal(layer.eval()(x)[0], plain(x)[0])
    assert torch.equal(layer.weight_hh_l0, before)


@pytest.mark.parametrize("cell", [c for c in names("cell") if find("cell", c).has_recurrent_product])
def test_every_cell_with_a_recurrent_product_can_drop_its_weights(cell: str) -> None:
    torch.manual_seed(0)
    layer, x = Recurrent(cell, H, H, 2, weight_dropout=0.5), torch.randn(T, B, H)
    assert not torch.equal(layer(x)[0], layer(x)[0])


@pytest.mark.parametrize("cell", ["min-gru", "indrnn", "qrnn"])
def test_weight_dropout_without_a_recurrent_product_is_refused(cell: str) -> None:
    with pytest.raises(ConfigError, match=f"weight_dropout = 0.5 zeroes entries of W_hh, but cell '{cell}' has no pro"):
        made(cell, weight_dropout=0.5)
    made(cell)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_impossible_shares_are_refused(share: float) -> None:
    with pytest.raises(ConfigError, match=f"weight_dropout = {share}, expected a share from 0 to below 1"):
        made(weight_dropout=share)
