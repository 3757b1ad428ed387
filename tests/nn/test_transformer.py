"""The Transformer against torch's own layers with the same weights; positions, span, state; what it refuses.

Pieces, padding and gradients: tests/every.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from recurra import registry
from recurra.errors import ConfigError
from recurra.nn.decoder import Source
from recurra.nn.multi_head import MultiHead
from recurra.nn.transformer import Enter, TransformerCore
from recurra.nn.transformer_decoder import TransformerDecoder
from recurra.types import Batch, Lengths, Sizes

B, T, U, D, H, S = 3, 9, 5, 4, 12, 7
LENGTHS = (9, 2, 5)


def randomised(module: Any) -> Any:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return module.double().eval()


def made(inputs: int = D, **settings: Any) -> TransformerCore:
    torch.manual_seed(4)
    small = {"kind": "transformer", "hidden_size": H, "num_layers": 2, "heads": 3, "feed_forward": 10}
    return randomised(registry.construct("core", {**small, **settings}).build(Sizes(embedding=inputs)))


def made_decoder(inputs: int = D, **settings: Any) -> TransformerDecoder:
    torch.manual_seed(4)
    small = {"kind": "transformer", "hidden_size": H, "num_layers": 2, "heads": 3, "feed_forward": 10}
    return randomised(registry.construct("decoder", {**small, **settings}).build(inputs=inputs, source=S))


def random(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def sinusoid(t: int) -> Tensor:
    """Vaswani et al. 2017, section 3.5, the sines before the cosines."""
    angles = [t / 10000 ** (2 * i / H) for i in range(H // 2)]
    return torch.tensor([f(a) for f in (math.sin, math.cos) for a in angles], dtype=torch.float64)


def copy_attention(ours: MultiHead, theirs: nn.MultiheadAttention) -> None:
    with torch.no_grad():
        parts = (ours.query, ours.keys, ours.values)
        if theirs.in_proj_weight is not None:
            theirs.in_proj_weight.copy_(torch.cat([p.weight for p in parts]))
        else:
            for name, p in zip("qkv", parts, strict=True):
                getattr(theirs, f"{name}_proj_weight").copy_(p.weight)
        theirs.in_proj_bias.copy_(torch.cat((ours.query.bias, torch.zeros(H), ours.values.bias)))
    theirs.out_proj.load_state_dict(ours.output.state_dict())


def torch_layer(ours: Any, make: Any) -> Any:
    """torch's pre-norm layer with the weights of one of ours."""
    layer = make(H, 3, 10, norm_first=True, batch_first=True).double().eval()
    copy_attention(ours.attention, layer.self_attn)
    norms = [ours.norm, ours.relu.norm]
    if hasattr(ours, "across"):
        layer.multihead_attn = nn.MultiheadAttention(H, 3, kdim=S, vdim=S, batch_first=True).double().eval()
        copy_attention(ours.across, layer.multihead_attn)
        norms.insert(1, ours.norm_across)
    for k, norm in enumerate(norms):
        getattr(layer, f"norm{k + 1}").load_state_dict(norm.state_dict())
    layer.linear1.load_state_dict(ours.relu.inner.state_dict())
    layer.linear2.load_state_dict(ours.relu.outer.state_dict())
    return layer


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("inputs", [D, H])
def test_core_is_torch_s_encoder(inputs: int, causal: bool) -> None:
    core = made(inputs, causal=causal)
    x, lengths = random(B, T, inputs), torch.tensor(LENGTHS)
    y, _ = core(x, Lengths(lengths))
    h = x * math.sqrt(inputs)
    if inputs != H:
        h = core.enter.projection(h)
    h = h + torch.stack([sinusoid(t) for t in range(T)])
    padding = torch.arange(T) >= lengths[:, None]
    future = ~torch.ones(T, T, dtype=torch.bool).tril() if causal else None
    for layer in core.layers:
        h = torch_layer(layer, nn.TransformerEncoderLayer)(h, src_mask=future, src_key_padding_mask=padding)
    expected = core.norm(h).masked_fill(padding[:, :, None], 0)
    assert torch.allclose(y, expected, atol=1e-12)
    if not causal:
        assert torch.allclose(core(x, Lengths())[0][:1], y[:1], atol=1e-12)  # the first sequence is full


def test_decoder_is_torch_s_decoder() -> None:
    decoder = made_decoder()
    x, lengths = random(B, U, D), torch.tensor(LENGTHS)
    source = Source(random(B, T, S), lengths)
    h, _, alpha = decoder(x, decoder.start(source), weights=True)
    z = decoder.enter.projection(x * math.sqrt(D)) + torch.stack([sinusoid(t) for t in range(U)])
    padding, future = torch.arange(T) >= lengths[:, None], ~torch.ones(U, U, dtype=torch.bool).tril()
    for layer in decoder.layers:
        theirs = torch_layer(layer, nn.TransformerDecoderLayer)
        z = theirs(z, source.y, tgt_mask=future, memory_key_padding_mask=padding)
    assert torch.allclose(h, decoder.norm(z), atol=1e-12)
    assert alpha is not None and torch.allclose(alpha.sum(2), torch.ones(B, U).double())


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_weights_are_those_of_the_last_layer_but_one(layers: int) -> None:
    decoder = made_decoder(num_layers=layers)
    source = Source(random(B, T, S))
    x = random(B, U, D)
    _, _, alpha = decoder(x, decoder.start(source), weights=True)
    seen = []
    across = decoder.layers[max(0, layers - 2)].across
    across.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    decoder(x, decoder.start(source))
    theirs = nn.MultiheadAttention(H, 3, kdim=S, vdim=S).double()
    copy_attention(across, theirs)
    memory = source.y.transpose(0, 1)
    _, expected = theirs(seen[0], memory, memory)
    assert torch.allclose(alpha, expected, atol=1e-13)


def test_multi_head_is_torch_s() -> None:
    torch.manual_seed(5)
    ours = randomised(MultiHead(H, 3, S))
    theirs = nn.MultiheadAttention(H, 3, kdim=S, vdim=S).double()
    copy_attention(ours, theirs)
    x, memory, padding = random(U, B, H), random(T, B, S), torch.arange(T) >= torch.tensor(LENGTHS)[:, None]
    y, alpha = ours(x, ours.read(memory), ~padding[:, None, None], weights=True)
    expected, weights = theirs(x, memory, memory, key_padding_mask=padding, average_attn_weights=False)
    assert torch.allclose(y, expected, atol=1e-13) and torch.allclose(alpha, weights, atol=1e-13)
    without, nothing = ours(x, ours.read(memory), ~padding[:, None, None])
    assert torch.allclose(without, y, atol=1e-13) and nothing is None


def test_any_length_and_an_odd_width() -> None:
    enter = Enter(5, 5, 0.0, "sinusoidal")
    h, _ = enter(torch.zeros(1, 1, 5), torch.tensor([[20_000]]), 1)
    angles = 20_000 / 10000 ** (torch.arange(0, 6, 2, dtype=torch.float64) / 6)
    assert torch.allclose(h[0, 0], torch.cat((angles.sin(), angles.cos()))[:5].float(), atol=2e-3)


def test_rotary_attention_knows_distances_only() -> None:
    torch.manual_seed(6)
    heads, enter = randomised(MultiHead(H, 3, H)), Enter(H, H, 0.0, "rotary")
    x = random(T, 1, H)
    results = []
    for first in (0, 100):
        _, turn = enter(x, torch.arange(first, first + T)[:, None], 3)
        results.append(heads(x, heads.read(x, turn), turn=turn, weights=True))
    (y, alpha), (later, alpha_later) = results
    assert torch.allclose(alpha, alpha_later, atol=1e-12) and torch.allclose(y, later, atol=1e-12)
    _, plain = heads(x, heads.read(x), weights=True)
    assert not torch.allclose(alpha, plain, atol=1e-3)
    _, turn = enter(x, torch.arange(T)[:, None], 3)
    (keys, _), whole = heads.read(x, turn), heads.keys(x)
    assert torch.allclose(keys.square().sum(2), whole.square().sum(2), atol=1e-12)  # turned, not stretched


@pytest.mark.parametrize("positions", ["sinusoidal", "rotary"])
@pytest.mark.parametrize("span", [3, 100])
def test_sequences_that_pause(span: int, positions: str) -> None:
    """Sequences go on after pieces of which they had a part, or none."""
    core, x = made(causal=True, span=span, positions=positions), random(B, T, D)
    whole, final = core(x, Lengths(), None)
    begins, state = torch.zeros(B, dtype=torch.int64), None
    for lengths in ((4, 0, 1), (0, 2, 2), (2, 3, 1), (3, 4, 5)):
        counts = torch.tensor(lengths)
        piece = torch.stack([torch.nn.functional.pad(x[b, i : i + 5], (0, 0, 0, 5))[:5] for b, i in enumerate(begins)])
        y, state = core(piece, Lengths(counts), state)
        for b, (i, n) in enumerate(zip(begins, lengths, strict=True)):
            assert torch.allclose(y[b, :n], whole[b, i : i + n], atol=1e-12)
        begins = begins + counts
    assert begins.tolist() == [T] * B == state[1].flatten().tolist()
    for (keys, values), (k, v) in zip(state[0], final[0], strict=True):
        newest = min(span - 1, T)
        assert torch.allclose(keys[len(keys) - newest :], k, atol=1e-12)
        assert torch.allclose(values[len(values) - newest :], v, atol=1e-12)


def test_span() -> None:
    """One layer forgets what is `span` steps ago, two layers what is 2 · span − 1."""
    x = random(1, T, D)
    changed = x.clone()
    changed[:, 0] += 1
    for layers, reach in ((1, 3), (2, 5)):
        core = made(causal=True, span=3, num_layers=layers)
        differs = (core(x, Lengths())[0] != core(changed, Lengths())[0]).any(2)[0]
        assert differs.tolist() == [t < reach for t in range(T)]
        _, state = core(x, Lengths())
        assert [t.shape for pair in state[0] for t in pair] == [(2, 1, H)] * (2 * layers)


def test_a_causal_core_models_language() -> None:
    """Under the task `generate`: the loss of a text = the sum of its steps' log-probabilities."""
    embedder = registry.construct("embedder", {"kind": "symbols", "size": D}).build(Sizes(vocabulary=11)).double()
    core = made(causal=True)
    task = registry.construct("task", {"kind": "generate"}).build(Sizes(vocabulary=11, core=H)).double()
    text = torch.randint(11, (B, T + 1))
    with torch.no_grad():
        output = task(embedder, core, Batch({"input": text[:, :-1], "target": text[:, 1:]}))
        state, total = None, 0.0
        for t in range(T):
            log_p, state = task.step(embedder, core, state, text[:, t])
            total -= float(log_p.gather(1, text[:, t + 1 : t + 2]).sum())
    assert total == pytest.approx(float(output.loss), rel=1e-12)


def test_dropout_in_training_only() -> None:
    core, decoder, x = made(dropout=0.5), made_decoder(dropout=0.5), random(B, T, D)
    source = Source(random(B, T, S))
    calls = (lambda: core(x, Lengths())[0], lambda: decoder(x, decoder.start(source))[0])
    for module, call in zip((core, decoder), calls, strict=True):
        assert torch.equal(call(), call())
        module.train()
        assert not torch.equal(call(), call())


def test_start_of_the_weights() -> None:
    core = TransformerCore(hidden_size=64, feed_forward=128).build(Sizes(embedding=32))
    for linear in (m for m in core.modules() if isinstance(m, nn.Linear)):
        assert linear.bias is None or not linear.bias.any()
        assert linear.weight.std().item() == pytest.approx((2 / sum(linear.weight.shape)) ** 0.5, rel=0.05)


def test_sixteen_bits() -> None:
    core, x = made(causal=True).float(), random(B, T, D).float()
    exact = core(x, Lengths())[0]
    with torch.autocast("cpu", torch.bfloat16):
        short, state = core(x[:, :5], Lengths())
        rest, _ = core(x[:, 5:], Lengths(), state)
    assert torch.allclose(torch.cat((short, rest), 1).float(), exact, atol=0.2)


@pytest.mark.parametrize("kind", ["core", "decoder"])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_size": 0}, r"hidden_size = 0, expected 1 or more"),
        ({"num_layers": 0}, r"num_layers = 0, expected 1 or more"),
        ({"heads": 0}, r"heads = 0, expected 1 or more"),
        ({"feed_forward": 0}, r"feed_forward = 0, expected 1 or more"),
        ({"heads": 5}, r"hidden_size = 12 is no multiple of .*heads = 5, .* Change one of them"),
        ({"dropout": 1.0}, r"dropout = 1.0, expected 0 or more and less than 1"),
        ({"heads": 4, "positions": "rotary"}, r"positions = 'rotary' turns pairs of units, but a head has 3 .* or set"),
    ],
)
def test_impossible_settings_are_refused(kind: str, settings: dict[str, Any], message: str) -> None:
    where = "core." if kind == "core" else "task.decoder."
    with pytest.raises(ConfigError, match=f"{where}{message}"):
        (made if kind == "core" else made_decoder)(**settings)


def test_errors_of_direct_calls() -> None:
    for make in (TransformerCore, TransformerDecoder):
        with pytest.raises(
            ConfigError, match=r"positions = 'rotory': did you mean 'rotary'\? Expected one of sinusoid"
        ):
            make(positions="rotory")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"core.span = 0, expected 1 \(the present step alone\) or more"):
        TransformerCore(causal=True, span=0)
    core, x = made(causal=True, span=4), random(B, T, D)
    _, state = core(x, Lengths())
    with pytest.raises(
        ConfigError, match=r"state of 'transformer' has shapes \[\(3, 3, 12\), .*expected \[\(3, 2, 12\)"
    ):
        core(x[:2], Lengths(), state)
    with pytest.raises(ConfigError, match=r"has shapes \[\(9, 3, 12\), .*expected \[\(3, 3, 12\)"):
        core(x, Lengths(), made(causal=True)(x, Lengths())[1])
