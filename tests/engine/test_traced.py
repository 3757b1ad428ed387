"""A layer that is compiled, exported, traced, transformed, or has shapes only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from recurra.engine.native import build
from recurra.errors import ConfigError
from recurra.nn import Recurrent

LENGTHS = (4, 0, 6)
BACKENDS = ("auto", "torch", "reference", *(["native"] if build.no_compiler() is None else []))


@pytest.fixture(autouse=True)
def cold() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def made(cell: str, **options: Any) -> tuple[Recurrent, Tensor]:
    torch.manual_seed(0)
    return Recurrent(cell, 4, 5, **options), torch.randn(6, 3, 4, requires_grad=True)


def outcome(call: Any, layer: Recurrent, x: Tensor, lengths: Tensor | None) -> list[Tensor]:
    y, state = call(x, None, lengths)
    outputs = [y, *(state if isinstance(state, tuple) else (state,))]
    generator = torch.Generator().manual_seed(1)
    loss = sum((o * torch.randn(o.shape, generator=generator)).sum() for o in outputs)
    assert isinstance(loss, Tensor)
    return [*outputs, *torch.autograd.grad(loss, [x, *layer.parameters()])]


@pytest.mark.parametrize(
    ("cell", "ragged"), [("gru", False), ("rnn-tanh", True), ("peephole-lstm", False), ("depth-gated-lstm", True)]
)
def test_a_compiled_layer_is_one_graph_and_says_the_same(cell: str, ragged: bool) -> None:
    layer, x = made(cell, num_layers=2, bidirectional=True)
    lengths = torch.tensor(LENGTHS) if ragged else None
    expected = outcome(layer, layer, x, lengths)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for found, oracle in zip(outcome(compiled, layer, x, lengths), expected, strict=True):
        torch.testing.assert_close(found, oracle)


def test_inductor_trains_a_small_lstm() -> None:
    if build.no_compiler() is not None:
        pytest.skip("inductor needs a compiler, too")
    layer, x = made("lstm")
    expected = outcome(layer, layer, x, None)
    for found, oracle in zip(outcome(torch.compile(layer, fullgraph=True), layer, x, None), expected, strict=True):
        torch.testing.assert_close(found, oracle)


@pytest.mark.parametrize("batch_first", [False, True])
def test_an_exported_layer_takes_other_sizes(batch_first: bool) -> None:
    layer, x = made("gru", batch_first=batch_first, num_layers=2)
    sizes = {k: torch.export.Dim(n, min=2, max=99) for k, n in enumerate(("first", "second"))}
    program = torch.export.export(layer, (x.detach(),), dynamic_shapes=(sizes,)).module()
    other = torch.randn(7, 2, 4)
    torch.testing.assert_close(program(other), layer(other))


def test_an_exported_layer_takes_lengths() -> None:
    layer, x = made("lstm", bidirectional=True)
    lengths = torch.tensor(LENGTHS)
    program = torch.export.export(layer, (x.detach(), None, lengths)).module()
    for given in (lengths, torch.tensor([6, 2, 1])):
        torch.testing.assert_close(program(x, None, given), layer(x, None, given))
    with pytest.raises(ConfigError, match="from 0 to 6"):
        program(x, None, torch.tensor([7, 1, 1]))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_traced_layer_computes_when_it_is_called() -> None:
    layer, x = made("gru")
    traced = torch.jit.trace(layer, (x.detach(),))
    other = torch.randn(6, 3, 4)
    torch.testing.assert_close(traced(other)[0], layer(other)[0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_fake_tensors_have_shapes(backend: str) -> None:
    with torch._subclasses.FakeTensorMode():
        layer = Recurrent("lstm", 4, 5, 2, bidirectional=True, backend=backend)
        x = torch.randn(6, 3, 4, requires_grad=True)
        y, state = layer(x)
        assert y.shape == (6, 3, 10) and [s.shape for s in state] == [(4, 3, 5)] * 2
        y.sum().backward()
        assert x.grad is not None and x.grad.shape == x.shape


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole-lstm"])
def test_gradients_as_a_function(cell: str, backend: str) -> None:
    layer, x = made(cell, backend=backend)
    lengths = torch.tensor(LENGTHS)
    weights = {n: p.detach() for n, p in layer.named_parameters()}

    def loss(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(layer, weights, (x, None, lengths))[0].square().sum()

    found = torch.func.grad(loss)(weights, x.detach())
    grads = torch.autograd.grad(layer(x, None, lengths)[0].square().sum(), list(layer.parameters()))
    for name, oracle in zip(weights, grads, strict=True):
        torch.testing.assert_close(found[name], oracle)
    several = torch.randn(2, *x.shape)
    each = torch.vmap(torch.func.grad(loss), (None, 0))(weights, several)
    for k, one in enumerate(several):
        torch.testing.assert_close(each["weight_hh_l0"][k], torch.func.grad(loss)(weights, one)["weight_hh_l0"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_another_default_device_changes_nothing(backend: str) -> None:
    layer, x = made("lstm", num_layers=2, bidirectional=True, backend=backend)
    lengths = torch.tensor(LENGTHS)
    expected = [outcome(layer, layer, x, given) for given in (None, lengths)]
    with torch.device("meta"):
        for given, oracles in zip((None, lengths), expected, strict=True):
            y, (h, c) = layer(x, None, given)
            for found, oracle in zip((y, h, c), oracles, strict=False):
                torch.testing.assert_close(found, oracle)
            torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])


def test_what_is_watched_is_not_traced() -> None:
    """Records and traces are lists that a call fills: such a call runs as it does untraced."""
    layer, x = made("gru")
    record: list[Any] = []
    layer(x, None, None, record)[0].sum().backward()
    assert len(record) == 1 and record[0].values.shape == (6,)


def test_a_program_of_another_process_says_what_it_lacks() -> None:
    from recurra.engine import operator

    layer, x = made("gru")
    program = torch.export.export(layer, (x.detach(),)).module()
    kept = dict(operator._plans)
    operator._plans.clear()
    try:
        with pytest.raises(ConfigError, match=r"this program was made in another process, where 'gru#"):
            program(x)
    finally:
        operator._plans.update(kept)
