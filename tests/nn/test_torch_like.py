"""RNN, LSTM and GRU against torch.nn: values, states and all gradients."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

import recurra.nn
from recurra.errors import ConfigError
from recurra.testing.cells import relative

LAYERS = [
    ("LSTM", {}),
    ("LSTM", {"proj_size": 3}),
    ("GRU", {}),
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu"}),
]
FORMS: list[dict[str, Any]] = [
    {},
    {"num_layers": 2, "bidirectional": True},
    {"num_layers": 3, "bias": False, "batch_first": True},
]


@pytest.mark.parametrize("dtype, bound", [(torch.float64, 1e-12), (torch.float32, 2e-6)], ids=["float64", "float32"])
@pytest.mark.parametrize("packed", [False, True], ids=["padded", "packed"])
@pytest.mark.parametrize("form", FORMS, ids=["one layer", "stacked both ways", "stacked no bias"])
@pytest.mark.parametrize("name, options", LAYERS, ids=["lstm", "lstm projected", "gru", "rnn tanh", "rnn relu"])
@pytest.mark.parametrize("backend", ["auto", "torch"])
@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_equals_torch_nn(
    name: str, options: dict, form: dict, packed: bool, dtype: torch.dtype, bound: float, backend: str
) -> None:
    torch.manual_seed(3)
    peer = getattr(torch.nn, name)(5, 7, dtype=dtype, **options, **form)
    ours = getattr(recurra.nn, name)(5, 7, dtype=dtype, backend=backend, **options, **form)
    ours.load_state_dict(peer.state_dict())
    x = torch.randn((4, 9, 5) if form.get("batch_first") else (9, 4, 5), dtype=dtype)
    count = form.get("num_layers", 1) * (2 if form.get("bidirectional") else 1)
    widths = [options.get("proj_size") or 7, *([7] if name == "LSTM" else [])]
    states = [torch.randn(count, 4, w, dtype=dtype) for w in widths]
    found = []
    for layer in (ours, peer):
        inputs = [t.clone().requires_grad_() for t in (x, *states)]
        given = tuple(inputs[1:]) if name == "LSTM" else inputs[1]
        if packed:
            lengths = torch.tensor([3, 9, 1, 6])
            bundle = pack_padded_sequence(inputs[0], lengths, form.get("batch_first", False), enforce_sorted=False)
            y, finals = layer(bundle, given)
            y = y.data
        else:
            y, finals = layer(inputs[0], given)
        finals = finals if isinstance(finals, tuple) else (finals,)
        loss = (y * y.sin()).sum() + sum((f * f.cos()).sum() for f in finals)
        found.append((y, *finals, *torch.autograd.grad(loss, [*inputs, *layer.parameters()])))
    for value, oracle in zip(*found, strict=True):
        assert relative(value, oracle) <= bound


@pytest.mark.parametrize("name, options", LAYERS, ids=["lstm", "lstm projected", "gru", "rnn tanh", "rnn relu"])
def test_weights_load_both_ways(name: str, options: dict) -> None:
    peer = getattr(torch.nn, name)(5, 7, 2, bidirectional=True, **options)
    ours = getattr(recurra.nn, name)(5, 7, 2, bidirectional=True, **options)
    assert list(ours.state_dict()) == list(peer.state_dict())
    ours.load_state_dict(peer.state_dict())
    peer.load_state_dict(ours.state_dict())


def test_without_a_batch() -> None:
    peer, ours = torch.nn.GRU(3, 4), recurra.nn.GRU(3, 4)
    ours.load_state_dict(peer.state_dict())
    x, state = torch.randn(6, 3), torch.randn(1, 4)
    for value, oracle in zip(ours(x, state), peer(x, state), strict=True):
        assert relative(value, oracle) <= 2e-6


@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole-lstm", "layer-norm-lstm", "min-gru"])
def test_autocast_errs_no_more_than_the_plain_loop_under_autocast(cell: str) -> None:
    torch.manual_seed(0)
    layer, x = recurra.nn.Recurrent(cell, 24, 32), torch.randn(12, 8, 24)

    def run(backend: str, low: bool) -> tuple[torch.Tensor, torch.Tensor]:
        layer.backend = backend
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            y = layer(x)[0]
        y.float().square().sum().backward()
        return y.float(), layer.weight_ih_l0.grad.clone()

    exact, loop, ours = run("reference", False), run("reference", True), run("torch", True)
    for value, plain, truth in zip(ours, loop, exact, strict=True):
        assert 0 < relative(value, truth) <= 2 * relative(plain, truth)


def test_sum_of_directions_is_a_special_readout() -> None:
    """V [h; g] = V₁ h + V₂ g; with V₁ = V₂ the concatenated directions give what the summed ones do."""
    torch.manual_seed(1)
    joined = recurra.nn.LSTM(3, 4, bidirectional=True, dtype=torch.float64)
    summed = recurra.nn.LSTM(3, 4, bidirectional=True, merge="sum", dtype=torch.float64)
    summed.load_state_dict(joined.state_dict())
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    V1, V2 = torch.randn(2, 5, 4, dtype=torch.float64)
    both, sums = joined(x)[0], summed(x)[0]
    h, g = both[..., :4], both[..., 4:]
    assert relative(both @ torch.cat((V1, V2), 1).t(), h @ V1.t() + g @ V2.t()) <= 1e-12
    assert relative(both @ torch.cat((V1, V1), 1).t(), sums @ V1.t()) <= 1e-12


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"hidden_size": 0}, "hidden_size must be greater than zero, it is 0"),
        ({"dropout": 1.1}, "dropout = 1.1, expected a share from 0 to 1"),
        ({"zoneout": 1.0}, "zoneout = 1.0, expected a share from 0 to below 1"),
        ({"proj_size": 4}, "proj_size = 4, expected 0"),
        ({"merge": "mean"}, "merge = 'mean', expected 'concat' or 'sum'"),
        ({"backend": "tourch"}, "unknown backend 'tourch': did you mean 'torch'"),
        ({"cell": "lstn"}, "unknown cell 'lstn': did you mean 'lstm'"),
        ({"cell": "gru", "proj_size": 2}, "cannot be projected to another size"),
    ],
)
def test_wrong_options_are_refused(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence.replace("(", r"\(")):
        recurra.nn.Recurrent(**({"cell": "lstm", "input_size": 3, "hidden_size": 4} | arguments))


def test_copies_and_pickles_as_torch_nn_does() -> None:
    layer, x = recurra.nn.Recurrent("peephole-lstm", 3, 4), torch.randn(5, 2, 3)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert other.cell is layer.cell
        assert torch.equal(other(x)[0], layer(x)[0])


def test_wrong_shapes_are_refused() -> None:
    layer = recurra.nn.LSTM(3, 4)
    with pytest.raises(ConfigError, match=r"input has shape \(5, 2, 4\)"):
        layer(torch.randn(5, 2, 4))
    with pytest.raises(ConfigError, match="state of 'lstm' has shapes"):
        layer(torch.randn(5, 2, 3), (torch.zeros(1, 3, 4), torch.zeros(1, 3, 4)))
    with pytest.raises(ConfigError, match="lengths must be one number from 0 to 5"):
        layer(torch.randn(5, 2, 3), None, torch.tensor([1, 6]))
    with pytest.raises(ConfigError, match="Unknown nonlinearity 'elu', expected 'tanh'"):
        recurra.nn.RNN(3, 4, nonlinearity="elu")
    with pytest.raises(ConfigError, match="backend 'aten' cannot run this layer"):
        recurra.nn.Recurrent("min-gru", 3, 4, backend="aten")(torch.randn(5, 2, 3))
