"""Backpropagation through time as it is derived by hand (docs/maths/bptt.md), in float64 against the engines.

s_t = U x_t + W h_{t-1} + b, h_t = tanh(s_t), o_t = V h_t + c, ŷ_t = softmax(o_t), L = -Σ_t log ŷ_t[y_t].
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from recurra.engine import Record
from recurra.nn import RNN, Recurrent
from recurra.testing.cells import relative

T, I, H, K = 6, 3, 4, 5
D = torch.float64


@pytest.fixture(params=["reference", "torch", "aten"])
def problem(request: pytest.FixtureRequest) -> dict:
    torch.manual_seed(7)
    rnn = RNN(I, H, dtype=D, backend=request.param)
    V, c = torch.randn(K, H, dtype=D, requires_grad=True), torch.randn(K, dtype=D, requires_grad=True)
    x, y = torch.randn(T, 1, I, dtype=D, requires_grad=True), torch.randint(K, (T,))
    h = rnn(x)[0]
    loss = torch.nn.functional.cross_entropy(h[:, 0] @ V.t() + c, y, reduction="sum")
    loss.backward()
    return {"rnn": rnn, "V": V, "c": c, "x": x, "y": y, "h": h.detach()[:, 0]}


def by_hand(p: dict) -> dict[str, Tensor]:
    """The formulas, step by step, in the order of the derivation."""
    rnn, V, h, x = p["rnn"], p["V"].detach(), p["h"], p["x"].detach()[:, 0]
    U, W = rnn.weight_ih_l0.detach(), rnn.weight_hh_l0.detach()
    one_hot = torch.nn.functional.one_hot(p["y"], K).to(D)
    e = torch.softmax(h @ V.t() + p["c"].detach(), 1) - one_hot  # ŷ_t - y_t
    before = torch.cat((torch.zeros(1, H, dtype=D), h[:-1]))
    slope = 1 - h**2
    delta = torch.zeros(T, H, dtype=D)  # δ_t = ∂L/∂s_t
    arriving = torch.zeros(H, dtype=D)
    for t in range(T - 1, -1, -1):
        delta[t] = slope[t] * (V.t() @ e[t] + arriving)
        arriving = W.t() @ delta[t]
    return {
        "V": e.t() @ h,
        "c": e.sum(0),
        "U": delta.t() @ x,
        "W": delta.t() @ before,
        "b": delta.sum(0),
        "x": delta @ U,
        "delta": delta,
        "e": e,
    }


def test_every_gradient_is_the_sum_over_time(problem: dict) -> None:
    hand, rnn = by_hand(problem), problem["rnn"]
    found = {
        "V": problem["V"].grad,
        "c": problem["c"].grad,
        "U": rnn.weight_ih_l0.grad,
        "W": rnn.weight_hh_l0.grad,
        "b": rnn.bias_hh_l0.grad,
        "x": problem["x"].grad[:, 0],
    }
    for name, gradient in found.items():
        assert relative(gradient, hand[name]) <= 1e-12, name
    assert relative(rnn.bias_ih_l0.grad, rnn.bias_hh_l0.grad) <= 1e-12


def test_error_of_one_step_is_a_product_of_jacobians(problem: dict) -> None:
    """δ_{t,k} = ∂L_t/∂s_k = (Π_{j=k}^{t-1} diag(1 - h_j²) Wᵀ) δ_{t,t}, by one backward per chosen t."""
    hand, rnn = by_hand(problem), problem["rnn"]
    W, V, slope = rnn.weight_hh_l0.detach(), problem["V"].detach(), 1 - problem["h"] ** 2
    for t in (T - 1, 2):
        x = problem["x"].detach().requires_grad_()
        logits = rnn(x)[0][t, 0] @ V.t() + problem["c"].detach()
        loss = torch.nn.functional.cross_entropy(logits[None], problem["y"][t : t + 1])
        (gradient,) = torch.autograd.grad(loss, x)
        error = slope[t] * (V.t() @ hand["e"][t])
        for k in range(t, -1, -1):
            if k < t:
                error = slope[k] * (W.t() @ error)
            below = rnn.weight_ih_l0.detach().t() @ error  # the error passed to the layer below
            assert relative(gradient[k, 0], below) <= 1e-12, (t, k)
        assert not gradient[t + 1 :].any()


@pytest.mark.parametrize("backend", ["reference", "torch"])
@pytest.mark.parametrize("cell", ["rnn-tanh", "lstm", "gru"])
def test_recorded_norms_are_those_of_the_gradients(cell: str, backend: str) -> None:
    """‖∂L/∂h_t‖ on the way of the backward = the norm by one derivative at a time, lengths and layers included."""
    torch.manual_seed(8)
    layer = Recurrent(cell, I, H, 2, dtype=D, backend=backend, truncate=0)
    x, lengths = torch.randn(T, 3, I, dtype=D), torch.tensor([6, 2, 4])
    record: list[Record] = []
    y, _ = layer(x, None, lengths, record)
    weight = torch.randn(T, 3, H, dtype=D)
    (y * weight).sum().backward()
    assert [len(r.values) for r in record] == [T, T]
    # The last step's h of the top layer feeds nothing but y.
    assert torch.allclose(record[1].values[-1], weight[-1, 0].norm())

    def later(t: int) -> float:
        """The same by cutting the top layer at t: run on from a state that is a leaf."""
        with torch.no_grad():
            below, _ = Recurrent.forward(_layers(layer, 0, 1), x, None, lengths)
            _, state = _layers(layer, 1, 2)(below[: t + 1], None, lengths.clamp(max=t + 1))
        states = state if isinstance(state, tuple) else (state,)
        leaf = states[0].clone().requires_grad_()
        rest = (lengths - (t + 1)).clamp(min=0)
        given = (leaf, *states[1:]) if len(states) > 1 else leaf
        out, _ = _layers(layer, 1, 2)(below[t + 1 :], given, rest)
        alive = (lengths > t).to(D)[:, None]
        loss = (out * weight[t + 1 :]).sum() + (leaf[0] * weight[t] * alive).sum()
        return torch.autograd.grad(loss, leaf)[0].norm().item()

    for t in (0, 1, 3):
        assert record[1].values[t].item() == pytest.approx(later(t), rel=1e-10)


def _layers(layer: Recurrent, first: int, end: int) -> Recurrent:
    """A layer of its own with the weights of layers `first` to `end`."""
    inputs = I if first == 0 else H
    part = Recurrent(layer.cell, inputs, H, end - first, dtype=D, backend="reference")
    own = {k: v for k, v in layer.state_dict().items() if first <= int(k.split("_l")[1]) < end}
    part.load_state_dict({f"{k.split('_l')[0]}_l{int(k.split('_l')[1]) - first}": v for k, v in own.items()})
    return part
