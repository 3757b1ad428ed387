"""Our layers beside torch.nn's of the same weights: outputs, states, all gradients, on every engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from recurra.nn import GRU, LSTM, RNN, Recurrent
from recurra.testing.cells import EXACT, relative

PEERS: dict[str, tuple[Callable[..., Recurrent], Any, dict[str, Any]]] = {
    "lstm": (LSTM, torch.nn.LSTM, {}),
    "gru": (GRU, torch.nn.GRU, {}),
    "rnn-tanh": (RNN, torch.nn.RNN, {}),
    "rnn-relu": (RNN, torch.nn.RNN, {"nonlinearity": "relu"}),
}
"""Cell → our layer, torch's, and the options that both are made with."""
T, B, I, H, LAYERS = 7, 3, 4, 5, 2
LENGTHS = (4, 7, 1)


def check_as_torch(name: str, engines: Sequence[str]) -> None:
    """Two layers in both directions over padded and packed input, in float64; weights are loaded in both directions."""
    ours, theirs, options = PEERS[name]
    torch.manual_seed(0)
    both: dict[str, Any] = {**options, "num_layers": LAYERS, "bidirectional": True, "dtype": torch.float64}
    oracle, layer = theirs(I, H, **both), ours(I, H, **both)
    layer.load_state_dict(oracle.state_dict())
    oracle.load_state_dict(layer.state_dict())
    x = torch.randn(T, B, I, dtype=torch.float64)
    states = tuple(torch.randn(LAYERS * 2, B, H, dtype=torch.float64) for _ in range(2 if name == "lstm" else 1))
    for packed in (False, True):
        wanted = _run(oracle, x, states, packed)
        for engine in engines:
            device = "cuda" if engine == "triton" else "cpu"
            layer.backend = engine
            found = _run(layer.to(device), x.to(device), tuple(s.to(device) for s in states), packed)
            for k, (value, truth) in enumerate(zip(found, wanted, strict=True)):
                error = relative(value.cpu(), truth)
                what = (
                    f"{name} on {engine}, {'packed' if packed else 'padded'}, tensor {k} of shape {tuple(truth.shape)}"
                )
                assert error <= EXACT, f"{what}: {error:.1e} away from torch.nn's"
        layer.to("cpu")


def _run(layer: Any, x: Tensor, states: tuple[Tensor, ...], packed: bool) -> list[Tensor]:
    """Outputs, final states and the gradients of everything, for a loss that weighs all outputs differently."""
    x, states = x.clone().requires_grad_(), tuple(s.clone().requires_grad_() for s in states)
    given: Tensor | PackedSequence = x
    if packed:
        given = pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)
    y, finals = layer(given, states if len(states) > 1 else states[0])
    outputs = [y.data if packed else y, *(finals if isinstance(finals, tuple) else (finals,))]
    generator = torch.Generator().manual_seed(5)
    loss = torch.zeros((), dtype=x.dtype, device=x.device)
    for each in outputs:
        loss = loss + (each * torch.randn(each.shape, generator=generator, dtype=torch.float64).to(each)).sum()
    return [*outputs, *torch.autograd.grad(loss, [x, *states, *layer.parameters()])]
