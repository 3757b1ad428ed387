"""DRAW against its equations, written down naively from the paper, and its gradients against finite differences."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from recurra.nn.draw import DrawNetwork
from recurra.nn.filterbank import filters

B, R, C, Z, H, T = 2, 4, 5, 3, 4, 3


def network(read: int = 0, write: int = 0, cell: str = "lstm", decoder: str | None = None) -> DrawNetwork:
    torch.manual_seed(3)
    made = DrawNetwork(R, C, Z, H, None, cell, decoder, read, write).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.4)
    return made


def pictures(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(B, R * C, generator=generator, dtype=torch.float64)
    return x, torch.randn(B, T, Z, generator=generator, dtype=torch.float64)


def naive_filters(p: Tensor, N: int) -> tuple[list[list[Tensor]], list[list[Tensor]], Tensor]:
    """F_X [N][A], F_Y [N][B] and γ of one picture's five numbers, equations 22 to 26."""
    g_x = (C + 1) / 2 * (p[0] + 1)
    g_y = (R + 1) / 2 * (p[1] + 1)
    variance, gamma = torch.exp(p[2]), torch.exp(p[4])
    delta = (max(C, R) - 1) / (N - 1) * torch.exp(p[3])

    def bank(g: Tensor, pixels: int) -> list[list[Tensor]]:
        rows = []
        for i in range(1, N + 1):
            mean = g + (i - N / 2 - 0.5) * delta
            weights = [torch.exp(-((a - mean) ** 2) / (2 * variance)) for a in range(1, pixels + 1)]
            total = sum(weights)
            rows.append([w / total for w in weights])
        return rows

    return bank(g_x, C), bank(g_y, R), gamma


def naive_read(image: Tensor, p: Tensor, N: int) -> list[Tensor]:
    """γ F_Y x F_Xᵀ of one picture [R, C], equation 27, row by row."""
    F_x, F_y, gamma = naive_filters(p, N)
    found = []
    for j in range(N):
        for i in range(N):
            found.append(gamma * sum(F_y[j][b] * image[b, a] * F_x[i][a] for b in range(R) for a in range(C)))
    return found


def naive_write(patch: Tensor, p: Tensor, N: int) -> list[Tensor]:
    """F_Yᵀ w F_X / γ of one patch [N, N], equation 29."""
    F_x, F_y, gamma = naive_filters(p, N)
    return [
        sum(F_y[j][b] * patch[j, i] * F_x[i][a] for j in range(N) for i in range(N)) / gamma
        for b in range(R)
        for a in range(C)
    ]


def naive_lstm(weights: dict[str, Tensor], x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    gates = weights["weight_ih_l0"] @ x + weights["bias_ih_l0"] + weights["weight_hh_l0"] @ h + weights["bias_hh_l0"]
    i, f, g, o = gates.chunk(4)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def naive_loss(net: DrawNetwork, x: Tensor, noise: Tensor) -> Tensor:
    """Equations 1 to 12 for each picture by itself, with loops; the cells are LSTMs."""
    encoder, decoder = (dict(cell.layer.named_parameters()) for cell in (net.encoder, net.decoder))
    total = x.new_zeros(())
    for one, draws in zip(x, noise, strict=True):
        canvas = net.canvas
        h_enc, c_enc = net.encoder.first
        h_dec, c_dec = net.decoder.first
        for t in range(T):
            error = one - 1 / (1 + torch.exp(-canvas))  # (3)
            if net.read_size:
                p = net.where.weight @ h_dec + net.where.bias  # type: ignore[union-attr]
                sides = [one.view(R, C), error.view(R, C)]
                r = torch.stack([v for side in sides for v in naive_read(side, p, net.read_size)])  # (27)
            else:
                r = torch.cat((one, error))  # (17)
            h_enc, c_enc = naive_lstm(encoder, torch.cat((r, h_dec)), h_enc, c_enc)  # (5)
            both = net.code.weight @ h_enc + net.code.bias
            mean, sigma = both[:Z], torch.exp(both[Z:])  # (1, 2)
            z = mean + sigma * draws[t]  # (6)
            total = total + 0.5 * (mean**2 + sigma**2 - torch.log(sigma**2)).sum() - Z / 2  # (11)
            h_dec, c_dec = naive_lstm(decoder, z, h_dec, c_dec)  # (7)
            w = net.patch.weight @ h_dec + net.patch.bias
            if net.write_size:
                p = net.where_written.weight @ h_dec + net.where_written.bias  # type: ignore[union-attr]
                w = torch.stack(naive_write(w.view(net.write_size, net.write_size), p, net.write_size))
            canvas = canvas + w  # (8)
        p_x = 1 / (1 + torch.exp(-canvas))
        total = total - (one * torch.log(p_x) + (1 - one) * torch.log(1 - p_x)).sum()  # (9)
    return total


def loss(net: DrawNetwork, x: Tensor, noise: Tensor) -> Tensor:
    made = net.encode(x, x, noise)
    again = torch.nn.functional.binary_cross_entropy_with_logits(made.canvases[-1], x, reduction="sum")
    return again + torch.stack(made.kl).sum()


@pytest.mark.parametrize(("read", "write"), [(0, 0), (2, 3), (3, 0), (0, 2)])
def test_loss_and_gradients_are_those_of_the_equations(read: int, write: int) -> None:
    net, (x, noise) = network(read, write), pictures()
    found, oracle = loss(net, x, noise), naive_loss(net, x, noise)
    assert torch.allclose(found, oracle, rtol=1e-12)
    weights = dict(net.named_parameters())
    ours = torch.autograd.grad(found, list(weights.values()))
    theirs = torch.autograd.grad(oracle, list(weights.values()))
    for name, one, other in zip(weights, ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-11), name


@pytest.mark.parametrize(
    ("cell", "decoder"), [("lstm", "gru"), ("mgu", None), ("ran", "rnn-tanh"), ("min-lstm", "indrnn")]
)
@pytest.mark.parametrize(("read", "write"), [(0, 0), (2, 2)])
def test_gradients_by_finite_differences(cell: str, decoder: str | None, read: int, write: int) -> None:
    net, (x, noise) = network(read, write, cell, decoder), pictures(1)
    weights = list(net.parameters())

    def of(*given: Tensor) -> Tensor:
        with torch.no_grad():
            for own, value in zip(weights, given, strict=True):
                own.copy_(value)
        return loss(net, x, noise)

    now = [w.detach().clone() for w in weights]
    grads = torch.autograd.grad(loss(net, x, noise), weights)
    generator = torch.Generator().manual_seed(5)
    for k, grad in enumerate(grads):
        direction = torch.randn(grad.shape, generator=generator, dtype=torch.float64)
        step, sides = 1e-6, []
        for sign in (1, -1):
            moved = [w.clone() for w in now]
            moved[k] += sign * step * direction
            sides.append(float(of(*moved).detach()))
        slope = (sides[0] - sides[1]) / (2 * step)
        assert slope == pytest.approx(float((grad * direction).sum()), rel=1e-5, abs=1e-6)


def test_kl_is_that_of_torchs_distributions() -> None:
    net, (x, noise) = network(), pictures()
    seen: list[Tensor] = []
    net.code.register_forward_hook(lambda module, given, out: seen.append(out.detach()))
    made = net.encode(x, x, noise)
    for kl, both in zip(made.kl, seen, strict=True):
        mean, log_sigma = both.chunk(2, 1)
        q = torch.distributions.Normal(mean, log_sigma.exp())
        prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
        assert torch.allclose(kl, torch.distributions.kl_divergence(q, prior).sum(1), rtol=1e-12)


def test_filters_against_loops_and_finite_differences() -> None:
    generator = torch.Generator().manual_seed(2)
    given = torch.randn(B, 5, generator=generator, dtype=torch.float64) * 0.5
    image = torch.rand(B, R, C, generator=generator, dtype=torch.float64)
    patch = torch.randn(B, 9, generator=generator, dtype=torch.float64)
    window, _ = filters(given, 3, R, C)
    for k in range(B):
        assert torch.allclose(window.read(image)[k], torch.stack(naive_read(image[k], given[k], 3)), rtol=1e-12)
        assert torch.allclose(window.write(patch)[k], torch.stack(naive_write(patch[k].view(3, 3), given[k], 3)))

    def both(p: Tensor, image: Tensor, patch: Tensor) -> tuple[Tensor, Tensor]:
        made, _ = filters(p, 3, R, C)
        return made.read(image), made.write(patch)

    leaves: Any = tuple(each.requires_grad_() for each in (given, image, patch))
    assert torch.autograd.gradcheck(both, leaves, rtol=1e-5)


def test_a_window_over_the_whole_picture_reads_it_as_it_is() -> None:
    """N filters, one a pixel, so sharp that each sees its own alone: g̃ = 0, δ = 1, γ = 1."""
    N = 6
    parameters = torch.tensor([[0.0, 0.0, -8.0, 0.0, 0.0]], dtype=torch.float64)
    image = torch.rand(1, N, N, dtype=torch.float64)
    window, where = filters(parameters, N, N, N)
    assert torch.allclose(window.vertical[0], torch.eye(N, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(window.read(image), image.flatten(1))
    assert torch.allclose(window.write(image.flatten(1)), image.flatten(1))
    assert where[0].tolist() == pytest.approx([3.5, 3.5, 5.0, math.exp(-4)])


def test_what_is_written_with_more_intensity_is_read_alike() -> None:
    """γ of the reader multiplies, that of the writer divides."""
    parameters = torch.tensor([[0.1, -0.2, 0.3, -0.5, 0.0]], dtype=torch.float64)
    louder = parameters.clone()
    louder[:, 4] = math.log(2)
    image, patch = torch.rand(1, R, C, dtype=torch.float64), torch.rand(1, 9, dtype=torch.float64)
    (one, _), (two, _) = filters(parameters, 3, R, C), filters(louder, 3, R, C)
    assert torch.allclose(2 * one.read(image), two.read(image))
    assert torch.allclose(one.write(patch), 2 * two.write(patch))


def test_a_window_far_outside_is_finite() -> None:
    parameters = torch.tensor([[90.0, -90.0, -3.0, 2.0, 0.0]], requires_grad=True)
    window, _ = filters(parameters, 3, R, C)
    read = window.read(torch.rand(1, R, C))
    read.sum().backward()  # type: ignore[no-untyped-call]
    assert read.isfinite().all()
    assert parameters.grad is not None and parameters.grad.isfinite().all()


def test_one_filter_has_no_distance_to_the_next() -> None:
    window, where = filters(torch.zeros(2, 5), 1, R, C)
    assert window.vertical.shape == (2, 1, R)
    assert window.horizontal.shape == (2, 1, C)
    assert where.isfinite().all()


@pytest.mark.parametrize(("read", "write"), [(0, 0), (2, 2)])
def test_what_is_drawn_of_the_codes_is_what_was_drawn_again(read: int, write: int) -> None:
    net, (x, noise) = network(read, write), pictures()
    made = net.encode(x, x, noise)
    again = net.decode(made.stacked("codes"))
    assert torch.allclose(again.stacked("canvases"), made.stacked("canvases"), rtol=1e-12)
    assert not again.kl


def test_what_the_core_gives_is_read_in_the_place_of_the_picture() -> None:
    torch.manual_seed(0)
    net = DrawNetwork(R, C, Z, H, 7).double()
    x, noise = pictures()
    y = torch.randn(B, 7, dtype=torch.float64)
    made = net.encode(y, x, noise)
    other = net.encode(y + 1, x, noise)
    assert made.canvases[0].shape == (B, R * C)
    assert not torch.allclose(made.canvases[0], other.canvases[0])


@pytest.mark.parametrize("cell", ["lstm", "min-lstm"])
def test_one_product_for_all_steps_is_the_same(cell: str) -> None:
    """What is alike at every step is computed once where the cell allows it; here it is computed at each."""
    net, (x, noise) = network(cell=cell), pictures()
    step, look = net.encoder.prepared(), net._looking(x, x, net.encode(x, x, noise))
    fast_look, fast = net._whole(x, x)
    h, state = torch.randn(B, H, dtype=torch.float64), net.encoder.start(B)
    canvas = torch.randn(B, R * C, dtype=torch.float64)
    for one, other in zip(step(look(canvas, h), state), fast(fast_look(canvas, h), state), strict=True):
        assert torch.allclose(one, other, rtol=1e-12)
