"""The same cells in their other written forms: weights are converted and the outputs agree."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.nn import GRU, LSTM, Recurrent
from recurra.testing.cells import relative

D = torch.float64


def test_lstm_as_one_product_of_h_and_x() -> None:
    """i, f, o, g from W·[h, x] + b, as many texts write it, with W = [W_hh W_ih] and b = b_ih + b_hh."""
    torch.manual_seed(0)
    layer = LSTM(3, 4, dtype=D)
    x = torch.randn(6, 2, 3, dtype=D)
    W = torch.cat((layer.weight_hh_l0, layer.weight_ih_l0), 1)
    b = layer.bias_ih_l0 + layer.bias_hh_l0
    h, c, outputs = torch.zeros(2, 4, dtype=D), torch.zeros(2, 4, dtype=D), []
    for t in range(6):
        i, f, g, o = (torch.cat((h, x[t]), 1) @ W.t() + b).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    assert relative(layer(x)[0], torch.stack(outputs)) <= 1e-12


def _gru_whose_gate_writes_the_new(layer: Recurrent, x: Tensor) -> Tensor:
    """Cho's other convention, h = (1 - z) h + z n, where z lets the new state in: the weights of z change sign."""
    W, U = layer.weight_ih_l0.clone(), layer.weight_hh_l0.clone()
    b, d = layer.bias_ih_l0.clone(), layer.bias_hh_l0.clone()
    H = layer.hidden_size
    for tensor in (W, U, b, d):
        tensor[H : 2 * H] *= -1
    h, outputs = torch.zeros(x.shape[1], H, dtype=D), []
    for step in x:
        ir, iz, i_n = (step @ W.t() + b).chunk(3, 1)
        hr, hz, hn = (h @ U.t() + d).chunk(3, 1)
        n = torch.tanh(i_n + torch.sigmoid(ir + hr) * hn)
        z = torch.sigmoid(iz + hz)
        h = (1 - z) * h + z * n
        outputs.append(h)
    return torch.stack(outputs)


def test_gru_with_either_meaning_of_the_update_gate() -> None:
    torch.manual_seed(1)
    layer, x = GRU(3, 4, dtype=D), torch.randn(6, 2, 3, dtype=D)
    with torch.no_grad():
        assert relative(layer(x)[0], _gru_whose_gate_writes_the_new(layer, x)) <= 1e-12


def test_coupled_gates_are_an_lstm_with_i_of_one_minus_f() -> None:
    """σ(-v) = 1 - σ(v): an LSTM whose input gate has the forget gate's weights with the other sign."""
    torch.manual_seed(2)
    coupled, full = Recurrent("coupled-lstm", 3, 4, dtype=D), LSTM(3, 4, dtype=D)
    x = torch.randn(6, 2, 3, dtype=D)
    with torch.no_grad():
        for name, parameter in full.named_parameters():
            f, g, o = getattr(coupled, name).chunk(3)
            parameter.copy_(torch.cat((-f, f, g, o)))
        assert relative(coupled(x)[0], full(x)[0]) <= 1e-12


def test_peepholes_of_zero_are_no_peepholes() -> None:
    torch.manual_seed(3)
    peephole, plain = Recurrent("peephole-lstm", 3, 4, dtype=D), LSTM(3, 4, dtype=D)
    x = torch.randn(6, 2, 3, dtype=D)
    with torch.no_grad():
        for name, parameter in peephole.named_parameters():
            if name.startswith("peephole"):
                parameter.zero_()
            else:
                parameter.copy_(getattr(plain, name))
        assert relative(peephole(x)[0], plain(x)[0]) <= 1e-12
        peephole.peephole_o_l0.fill_(1.0)
        assert relative(peephole(x)[0], plain(x)[0]) > 1e-3


def test_both_resets_agree_where_the_reset_gate_is_open() -> None:
    """With r = 1 the product may stand before or after the reset."""
    torch.manual_seed(4)
    after, before = GRU(3, 4, dtype=D), Recurrent("gru-reset-before", 3, 4, dtype=D)
    x = torch.randn(6, 2, 3, dtype=D)
    H = 4
    with torch.no_grad():
        after.bias_ih_l0[:H] = 50.0  # σ(50) is 1 in float64
        after.bias_hh_l0[2 * H :] = 0.0  # the other form has no bias inside the reset
        before.weight_ih_l0.copy_(after.weight_ih_l0)
        before.bias_ih_l0.copy_(after.bias_ih_l0)
        before.weight_hh_l0.copy_(after.weight_hh_l0[: 2 * H])
        before.bias_hh_l0.copy_(after.bias_hh_l0[: 2 * H])
        before.weight_candidate_l0.copy_(after.weight_hh_l0[2 * H :])
        assert relative(before(x)[0], after(x)[0]) <= 1e-12


def test_min_gru_by_hand() -> None:
    """Two steps of one unit, worked out: z = σ(0) = 1/2, candidates 1 and 3, from h = 0: 0.5, then 1.75."""
    layer = Recurrent("min-gru", 1, 1, bias=False, dtype=D)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.tensor([[0.0], [1.0]]))
        y, h = layer(torch.tensor([[[1.0]], [[3.0]]], dtype=D))
    assert y.flatten().tolist() == [0.5, 1.75]
    assert h.item() == 1.75


def test_min_lstm_by_hand() -> None:
    """f = i: both are scaled to one half, whatever they are."""
    layer = Recurrent("min-lstm", 1, 1, bias=False, dtype=D)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.tensor([[0.7], [0.7], [1.0]]))
        y, _ = layer(torch.tensor([[[1.0]], [[3.0]]], dtype=D))
    assert torch.allclose(y.flatten(), torch.tensor([0.5, 1.75], dtype=D))


def test_layer_norm_lstm_by_its_formula() -> None:
    """Ba, Kiros & Hinton 2016, eq. 20-22, written out with torch's layer norm."""
    torch.manual_seed(5)
    H = 4
    layer, x = Recurrent("layer-norm-lstm", 3, H, dtype=D), torch.randn(5, 2, 3, dtype=D)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))

        def row(name: str) -> Tensor:
            return torch.cat([getattr(layer, f"{name}_{k}_l0") for k in "ifgo"])

        norm = torch.nn.functional.layer_norm
        h, c, outputs = torch.zeros(2, H, dtype=D), torch.zeros(2, H, dtype=D), []
        for step in x:
            a = norm(step @ layer.weight_ih_l0.t(), (4 * H,), row("gain_ih"))
            a = a + norm(h @ layer.weight_hh_l0.t(), (4 * H,), row("gain_hh")) + row("shift")
            i, f, g, o = a.chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(norm(c, (H,), layer.gain_c_l0, layer.shift_c_l0))
            outputs.append(h)
        assert relative(layer(x)[0], torch.stack(outputs)) <= 1e-12
