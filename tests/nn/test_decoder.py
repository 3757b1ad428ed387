"""The recurrent decoder against its papers' equations, step by step with torch's cells; bridges; what it refuses.

Pieces, padding and gradients: tests/every.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from recurra import registry
from recurra.errors import ConfigError
from recurra.nn.bridge import summary
from recurra.nn.decoder import RecurrentDecoder, Source
from recurra.types import Lengths, Sizes

B, T, U, D, S, H = 3, 5, 4, 7, 8, 6
LENGTHS = (5, 2, 4)


def made(source: int = S, **settings: Any) -> RecurrentDecoder:
    torch.manual_seed(2)
    decoder: RecurrentDecoder = registry.construct("decoder", {"kind": "recurrent", "hidden_size": H, **settings})
    return decoder.build(inputs=D, source=source).double().eval()


def random_source(**settings: Any) -> Source:
    """What a recurrent encoder gave."""
    torch.manual_seed(3)
    small = {"kind": "recurrent", "cell": "gru", "hidden_size": S // 2, "bidirectional": True}
    core = registry.construct("core", {**small, **settings})
    lengths = torch.tensor(LENGTHS)
    with torch.no_grad():
        y, state = core.build(Sizes(embedding=D)).double()(torch.randn(B, T, D, dtype=torch.float64), Lengths(lengths))
    return Source(y, lengths, state)


def random_x() -> Tensor:
    return torch.randn(U, B, D, dtype=torch.float64).transpose(0, 1)


def gru(decoder: RecurrentDecoder, layer: int, inputs: int) -> nn.GRUCell:
    """torch's cell with a layer's weights."""
    cell = nn.GRUCell(inputs, decoder.hidden_size).double()
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in decoder.layers[layer].state_dict().items()})
    return cell


def linear(layer: Any, *parts: Tensor) -> Tensor:
    joined = torch.cat(parts, -1) @ layer.weight.t()
    return joined if layer.bias is None else joined + layer.bias


def maxout(layer: Any, *parts: Tensor) -> Tensor:
    """The larger one of unit i of the first half and unit i of the second."""
    return linear(layer, *parts).unflatten(-1, (2, -1)).amax(-2)


def context(attend: Any, q: Tensor, source: Source) -> Tensor:
    """c [B, S] for queries [B, H], sequence by sequence."""
    cs = []
    for b, n in enumerate(LENGTHS):
        m = source.y[b, :n]
        if attend.kind == "additive":
            e = torch.tanh(linear(attend.query, q[b]) + linear(attend.keys, m)) @ attend.v
        else:
            e = m @ (linear(attend.query, q[b]) if attend.kind == "general" else q[b] / S**0.5)
        cs.append(e.softmax(0) @ m)
    return torch.stack(cs)


@torch.no_grad()
def test_the_source_makes_the_first_states_only() -> None:
    """Sutskever et al. 2014: torch.nn.GRU started from the bridge, outputs added from the second layer on."""
    decoder, source, x = made(context="initial", num_layers=2), random_source(), random_x()
    h, _, alpha = decoder(x, decoder.start(source), weights=True)
    first = torch.tanh(linear(decoder.first.dense, summary(source))).chunk(2, 1)
    states, expected = list(first), []
    for t in range(U):
        states[0] = gru(decoder, 0, D)(x[:, t], states[0])
        states[1] = gru(decoder, 1, H)(states[0], states[1])
        expected.append(states[0] + states[1])
    assert torch.allclose(h, torch.stack(expected, 1), atol=1e-13)
    assert alpha is None and not decoder.aligns


@torch.no_grad()
def test_a_vector_of_the_source_at_every_step() -> None:
    """Cho et al. 2014, appendix A.1: c = tanh(V h_T) in each step's input and in the maxout output."""
    decoder, source, x = made(context="every-step", readout_size=5), random_source(), random_x()
    h, _, _ = decoder(x, decoder.start(source))
    c = torch.tanh(linear(decoder.vector, summary(source)))
    s, expected = torch.tanh(linear(decoder.first.dense, c)), []
    for t in range(U):
        s = gru(decoder, 0, D + H)(torch.cat((x[:, t], c), 1), s)
        expected.append(maxout(decoder.readout, s, x[:, t], c))
    assert torch.allclose(h, torch.stack(expected, 1), atol=1e-13)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["additive", "general"])
def test_context_feeding(kind: str) -> None:
    """Bahdanau et al. 2015, appendix A: α from s_{t−1}, c_t into the cell and into the maxout output."""
    decoder, source, x = made(feeding="context", attention=kind), random_source(), random_x()
    h, _, _ = decoder(x, decoder.start(source))
    s, expected = torch.tanh(linear(decoder.first.dense, summary(source))), []
    for t in range(U):
        c = context(decoder.attend, s, source)
        s = gru(decoder, 0, D + S)(torch.cat((x[:, t], c), 1), s)
        expected.append(maxout(decoder.readout, s, x[:, t], c))
    assert torch.allclose(h, torch.stack(expected, 1), atol=1e-13)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["additive", "general"])
def test_input_feeding(kind: str) -> None:
    """Luong et al. 2015, section 3.3: h̃_{t−1} beside x_t, α from h_t, h̃_t = tanh(W [c_t; h_t])."""
    decoder, source, x = made(feeding="input", attention=kind, readout_size=5), random_source(), random_x()
    h, _, _ = decoder(x, decoder.start(source))
    s, expected = torch.tanh(linear(decoder.first.dense, summary(source))), []
    fed = torch.zeros(B, 5, dtype=torch.float64)
    for t in range(U):
        s = gru(decoder, 0, D + 5)(torch.cat((x[:, t], fed), 1), s)
        fed = torch.tanh(linear(decoder.readout, context(decoder.attend, s, source), s))
        expected.append(fed)
    assert torch.allclose(h, torch.stack(expected, 1), atol=1e-13)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["additive", "general"])
def test_nothing_fed_back(kind: str) -> None:
    """The query is the lowest layer's h_t; the layers above read c_t, too."""
    decoder, source, x = made(attention=kind, num_layers=3), random_source(), random_x()
    h, _, _ = decoder(x, decoder.start(source))
    states = list(torch.tanh(linear(decoder.first.dense, summary(source))).chunk(3, 1))
    expected = []
    for t in range(U):
        out = states[0] = gru(decoder, 0, D)(x[:, t], states[0])
        c = context(decoder.attend, out, source)
        for k in (1, 2):
            states[k] = gru(decoder, k, H + S)(torch.cat((out, c), 1), states[k])
            out = out + states[k]
        expected.append(torch.tanh(linear(decoder.readout, c, out)))
    assert torch.allclose(h, torch.stack(expected, 1), atol=1e-13)


def test_summary_of_a_bidirectional_encoder() -> None:
    for cell in ("gru", "lstm"):
        source = random_source(cell=cell, num_layers=2)
        ends = [torch.cat((source.y[b, n - 1, : S // 2], source.y[b, 0, S // 2 :])) for b, n in enumerate(LENGTHS)]
        assert torch.allclose(summary(source), torch.stack(ends))


@pytest.mark.parametrize("settings", [{"bidirectional": False}, {"merge": "sum"}])
def test_summary_of_an_encoder_as_wide_as_its_states(settings: dict[str, Any]) -> None:
    source = random_source(**settings)
    ends = torch.stack([source.y[b, n - 1] for b, n in enumerate(LENGTHS)])
    assert torch.equal(summary(source), ends)
    if "merge" not in settings:
        assert torch.allclose(ends, source.state[0])


@pytest.mark.parametrize("core", [{"kind": "tdnn", "causal": False}, {"kind": "transformer", "heads": 2}])
def test_summary_of_an_encoder_without_a_recurrent_state(core: dict[str, Any]) -> None:
    built = registry.construct("core", {**core, "hidden_size": S}).build(Sizes(embedding=D)).eval()
    lengths = torch.tensor(LENGTHS)
    y, state = built(torch.randn(B, T, D), Lengths(lengths))
    means = torch.stack([y[b, :n].mean(0) for b, n in enumerate(LENGTHS)])
    assert torch.allclose(summary(Source(y, lengths, state)), means, atol=1e-6)
    assert torch.allclose(summary(Source(y)), y.mean(1), atol=1e-6)


def test_an_empty_source_has_a_summary_of_zeros() -> None:
    y = torch.randn(2, 3, S)
    for state in (None, torch.randn(1, 2, S)):
        assert not summary(Source(y, torch.tensor((0, 2)), state))[0].any()


def test_states_copied() -> None:
    source = random_source(cell="lstm", num_layers=2)
    decoder = made(cell="lstm", num_layers=2, bridge="copy", hidden_size=S)
    _, states, _ = decoder.start(source)
    for layer in range(2):
        for k in range(2):
            both = torch.cat((source.state[k][2 * layer], source.state[k][2 * layer + 1]), 1)
            assert torch.equal(states[layer][k], both)
    one = random_source(bidirectional=False, hidden_size=H)
    assert torch.equal(made(bridge="copy", source=H).start(one)[1][0][0], one.state[0])


def test_states_that_cannot_be_copied() -> None:
    expected = r"as the decoder has, 1 × \(1, 3, 6\), but the encoder's are"
    for source, found in (
        (random_source(num_layers=2), r"1 × \(2, 3, 8\)"),
        (random_source(cell="lstm"), r"2 × \(1, 3, 8\)"),
    ):
        with pytest.raises(ConfigError, match=f"{expected} {found}. Set bridge = 'dense'"):
            made(bridge="copy").start(source)
    with pytest.raises(ConfigError, match=r"wants the states of a recurrent encoder, .* but this one has none. Set"):
        made(bridge="copy").start(Source(torch.randn(B, T, S).double()))


def test_dropout_in_training_only() -> None:
    source, x = random_source(), random_x()
    for settings in ({}, {"num_layers": 2, "context": "initial"}, {"feeding": "input"}, {"feeding": "context"}):
        decoder = made(dropout=0.5, **settings)
        one, two = (decoder(x, decoder.start(source))[0] for _ in range(2))
        assert torch.equal(one, two)
        decoder.train()
        one, two = (decoder(x, decoder.start(source))[0] for _ in range(2))
        assert not torch.equal(one, two)


def test_start_of_the_weights() -> None:
    for parameter in made(init_range=0.01, attention="additive").parameters():
        assert 0 < float(parameter.detach().abs().max()) <= 0.01


def test_backends_agree() -> None:
    source, x = random_source(), random_x()
    settings: dict[str, Any]
    for settings in ({}, {"context": "every-step"}):
        outputs = []
        for backend in ("auto", "torch", "reference"):
            decoder = made(backend=backend, **settings)
            outputs.append(decoder(x, decoder.start(source))[0])
        assert torch.allclose(outputs[0], outputs[1], atol=1e-13) and torch.allclose(outputs[0], outputs[2], atol=1e-13)


@torch.no_grad()
def test_looking_back_adds_what_was_found_in_the_own_steps_so_far() -> None:
    """Step by step, head by head; the score turns by the distance alone: Re(q k* e^{i θ (u − j)}) for pairs (i, i + 1)
    of entries as complex numbers."""
    decoder, source, x = made(look_back=1, hidden_size=4, context="initial"), random_source(), random_x()
    layer = decoder.own
    assert layer is not None
    for parameter in layer.parameters():
        parameter.add_(torch.randn_like(parameter))
    found, _, _ = decoder(x, decoder.start(source))
    own, decoder.own = decoder.own, None
    h, _, _ = decoder(x, decoder.start(source))
    z, attention = own.norm(h), own.attention
    q, k, v = linear(attention.query, z), linear(attention.keys, z), linear(attention.values, z)
    q, k = (torch.complex(t[..., :2], t[..., 2:]) for t in (q, k))
    theta = torch.tensor([1.0, 10000**-0.5], dtype=torch.float64)
    for u in range(U):
        turned = torch.polar(torch.ones(2, dtype=torch.float64), theta * torch.arange(u, -1, -1.0)[:, None])
        scores = (q[:, u, None] * k[:, : u + 1].conj() * turned).real.sum(2) / 2  # √d is 2
        c = (scores.softmax(1)[:, :, None] * v[:, : u + 1]).sum(1)
        assert torch.allclose(found[:, u], h[:, u] + linear(attention.output, c), atol=1e-12)


@pytest.mark.parametrize("settings", [{"attention": "additive", "feeding": "context"}, {"feeding": "input"}, {}])
def test_sixteen_bits(settings: dict[str, Any]) -> None:
    decoder, source = made(**settings).float(), random_source()
    source = Source(source.y.float(), source.lengths, source.state.float())
    x = random_x().float()
    exact = decoder(x, decoder.start(source))[0]
    with torch.autocast("cpu", torch.bfloat16):
        short = decoder(x, decoder.start(source))[0]
        short.float().square().sum().backward()
    assert torch.allclose(short.float(), exact, atol=0.05)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_size": 0}, r"task.decoder.hidden_size = 0, expected 1 or more"),
        ({"num_layers": 0}, r"task.decoder.num_layers = 0, expected 1 or more"),
        ({"readout_size": 0}, r"task.decoder.readout_size = 0, expected 1 or more"),
        ({"dropout": 1.0}, r"task.decoder.dropout = 1.0, expected 0 or more and less than 1"),
        ({"init_range": 0.0}, r"task.decoder.init_range = 0.0, expected more than 0, or none for the default"),
        ({"cell": "grau"}, r"unknown cell 'grau': did you mean 'gru'"),
        ({"backend": "nativ"}, r"backend = 'nativ': did you mean 'native'"),
        (
            {"context": "initial", "feeding": "input"},
            r"feeding = 'input' feeds .* context = 'initial' has no attention",
        ),
        (
            {"look_back": -1},
            r"task.decoder.look_back = -1, expected 0, or heads that each take an equal and even share",
        ),
        ({"look_back": 2}, r"task.decoder.look_back = 2, expected 0, or heads .* of hidden_size = 6"),
        (
            {"look_back": 1, "feeding": "input"},
            r"look_back = 1 reads all steps at once, but feeding = 'input' makes each wait",
        ),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"context": "initialy"},
            r"task.decoder.context = 'initialy': did you mean 'initial'\? Expected one of initial",
        ),
        (
            {"attention": "genral"},
            r"task.decoder.attention = 'genral': did you mean 'general'\? Expected one of additive",
        ),
        ({"feeding": "inputs"}, r"task.decoder.feeding = 'inputs': did you mean 'input'\? Expected one of none, input"),
        ({"bridge": "dens"}, r"task.decoder.bridge = 'dens': did you mean 'dense'\? Expected one of dense, copy"),
    ],
)
def test_errors_of_direct_calls(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RecurrentDecoder(**settings)
