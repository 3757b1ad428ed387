"""A layer that is compiled, exported, traced, transformed, or has shapes only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recurra.engine import aten, bptt
from recurra.engine.native import backend as compiled_engine
from recurra.engine.native import build
from recurra.equations.language import cell, sigmoid, tanh
from recurra.errors import ConfigError, WrongValue
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


def test_records_and_traces_are_filled_beside_a_compiled_program() -> None:
    layer, x = made("gru", num_layers=2)
    expected: tuple[list[Any], list[Any]] = ([], [])
    found: tuple[list[Any], list[Any]] = ([], [])
    oracle = outcome(lambda *given: layer(*given, *expected), layer, x, None)
    compiled = torch.compile(layer, backend="aot_eager")
    for one, other in zip(outcome(lambda *given: compiled(*given, *found), layer, x, None), oracle, strict=True):
        torch.testing.assert_close(one, other)
    for one, other in zip(found[0], expected[0], strict=True):
        torch.testing.assert_close(one.values, other.values)
    assert [len(t.states) for t in found[1]] == [6, 6]


def test_a_recorded_program_refuses_to_fill_lists() -> None:
    layer, x = made("gru")
    for lists in (([], None), (None, [])):
        with pytest.raises(WrongValue, match="hand them to the layer itself"):
            torch.export.export(layer, (x.detach(), None, None, *lists))
        assert lists in (([], None), (None, []))
        with pytest.raises(torch._dynamo.exc.Unsupported, match="no such list"):
            torch.compile(layer, fullgraph=True, backend="aot_eager")(x, None, None, *lists)


class Packing(nn.Module):
    """A model that packs its input."""

    def __init__(self, layer: Recurrent) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        y, _ = pad_packed_sequence(self.layer(pack_padded_sequence(2 * x, lengths))[0])
        return y.square()


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_packed_sequences_run_beside_a_compiled_program() -> None:
    layer, x = made("gru")
    model, lengths = Packing(layer), torch.tensor([6, 4, 1])
    expected = torch.autograd.grad(model(x, lengths).sum(), list(layer.parameters()))
    compiled = torch.compile(model, backend="aot_eager")
    found = torch.autograd.grad(compiled(x, lengths).sum(), list(layer.parameters()))
    for one, oracle in zip(found, expected, strict=True):
        torch.testing.assert_close(one, oracle)
    with pytest.raises(torch._dynamo.exc.Unsupported, match="the padded tensor with lengths="):
        torch.compile(layer, fullgraph=True, backend="aot_eager")(pack_padded_sequence(x.detach(), lengths))
    with pytest.raises(WrongValue, match="give the layer the padded tensor and lengths="):
        torch.export.export(layer, (pack_padded_sequence(x.detach(), lengths),))
    with pytest.raises(WrongValue, match="give the layer the padded tensor and lengths="):
        torch.jit.trace(model, (x.detach(), lengths))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torchs_kernel_is_never_exchanged_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph break runs what was asked for; where there is none, the layer is refused."""
    layer, x = made("lstm", backend="aten")
    ran = []
    kernel = aten.run
    monkeypatch.setattr(aten, "run", lambda *given: ran.append(1) or kernel(*given))
    expected = outcome(layer, layer, x, None)
    for found, oracle in zip(outcome(torch.compile(layer, backend="aot_eager"), layer, x, None), expected, strict=True):
        torch.testing.assert_close(found, oracle)
    assert len(ran) == 2
    torch._dynamo.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported, match="take backend='auto'"):
        torch.compile(layer, fullgraph=True, backend="aot_eager")(x)
    for record in (torch.export.export, torch.jit.trace):
        with pytest.raises(ConfigError, match="Make the layer with backend='auto'"):
            record(layer, (x.detach(),))


@pytest.mark.parametrize("backend", ["torch", *(["native"] if build.no_compiler() is None else [])])
def test_the_backend_asked_for_runs_in_a_program(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = made("gru", backend=backend)
    program = torch.export.export(layer, (x.detach(),)).module()
    engines = {"torch": bptt.ThroughTime, "native": compiled_engine.NativeFunction}
    ran = []
    for name, engine in engines.items():
        forward = engine.forward

        def seen(*given: Any, name: str = name, forward: Any = forward) -> Any:
            ran.append(name)
            return forward(*given)

        monkeypatch.setattr(engine, "forward", staticmethod(seen))
    program(x)
    assert ran == [backend]


@pytest.mark.parametrize("mode", ["real", "fake"])
def test_a_graph_made_by_make_fx_computes_when_it_is_called(mode: Any) -> None:
    layer, x = made("gru")
    weights = {n: p.detach() for n, p in layer.named_parameters()}

    def call(weights: dict[str, Tensor], x: Any) -> Any:
        return torch.func.functional_call(layer, weights, (x,))[0]

    program = make_fx(call, tracing_mode=mode)(weights, x.detach())
    other = torch.randn(6, 3, 4)
    torch.testing.assert_close(program(weights, other), layer(other)[0])
    packed = pack_padded_sequence(x.detach(), torch.tensor([6, 4, 1]))
    with pytest.raises(WrongValue, match="give the layer the padded tensor and lengths="):
        make_fx(lambda weights, rows: call(weights, packed._replace(data=rows))[0], tracing_mode=mode)(
            weights, packed.data
        )
    layer.backend = "aten"
    with pytest.raises(ConfigError, match="Make the layer with backend='auto'"):
        make_fx(call, tracing_mode=mode)(weights, x.detach())


@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
def test_autocast_is_as_it_was_recorded(low: torch.dtype) -> None:
    layer, x = made("gru")
    given = x.detach().to(low)
    with torch.autocast("cpu", low):
        expected = layer(given)[0]
        program = torch.export.export(layer, (given,)).module()
    torch.testing.assert_close(program(given)[0], expected)
    assert not torch.equal(expected, layer(given.float())[0])


def test_another_cell_of_a_kernels_name_does_not_run_on_it() -> None:
    """torch's kernels are found by name; a cell of one's own may have any."""

    @cell(name="lstm", gates="i f g o", state="h c", source="none: forgets nothing")
    def other(i: Any, f: Any, g: Any, o: Any, h: Any, c: Any) -> Any:
        c = c + sigmoid(i) * tanh(g) + 0 * f
        return sigmoid(o) * tanh(c), c

    torch.manual_seed(0)
    x, plain = torch.randn(6, 3, 4), Recurrent(other, 4, 5, backend="reference")
    auto = Recurrent(other, 4, 5)
    auto.load_state_dict(plain.state_dict())
    torch.testing.assert_close(auto(x)[0], plain(x)[0])
    with pytest.raises(ConfigError, match="another of that name"):
        Recurrent(other, 4, 5, backend="aten")(x)
