"""What every decoder must show: pieces, padding of the source, direction, gradients; random weights, float64.

A decoder is named by its settings, `{"kind": "recurrent", "feeding": "input"}`. A check raises AssertionError with what
disagrees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from recurra import registry
from recurra.decoding.state import reorder
from recurra.nn.decoder import Source
from recurra.testing.cells import EXACT, relative
from recurra.types import Lengths, Shared, Sizes

Settings = Mapping[str, Any]

INPUT, STEPS, PLACES = 4, 7, 5
LENGTHS = (3, 5, 1)
"""Of the sources."""
SMALL: dict[str, Any] = {"hidden_size": 6, "num_layers": 2, "heads": 3, "feed_forward": 7}
"""Keywords that many decoders have, at a size that tests quickly."""
VARIANTS: tuple[dict[str, Any], ...] = (
    {"num_layers": 1},
    {"positions": "rotary"},
    {"look_back": 3},
    {"look_back": 1, "context": "initial", "num_layers": 1},
    {"cell": "lstm", "bridge": "copy"},
    {"cell": "sru"},
    {"context": "initial"},
    {"context": "every-step", "readout_size": 5},
    {"context": "initial", "readout_size": 5},
    *({"attention": kind, "feeding": f} for kind in ("additive", "dot") for f in ("none", "input", "context")),
    {"feeding": "input", "num_layers": 1, "readout_size": 5},
    {"feeding": "context", "num_layers": 1, "readout_size": 5},
)
"""Further settings, each tried with the decoders that know the keywords."""


def decoder_settings(name: str) -> list[dict[str, Any]]:
    """The settings under which a registered decoder is checked: small, and with each of the `VARIANTS` it knows."""
    known = registry.defaults("decoder", name)
    small = {"kind": name, **{k: v for k, v in SMALL.items() if k in known}}
    return [small, *({**small, **variant} for variant in VARIANTS if variant.keys() <= known.keys())]


def make_decoder(settings: Settings, seed: int = 0) -> tuple[Any, Tensor, Source]:
    """A decoder with random weights in float64, in evaluation; x [3, 7, 4], time first in memory; and what a recurrent
    encoder of both directions gave for sources of `LENGTHS`, its y random, not zero, behind the ends."""
    torch.manual_seed(seed)
    decoder = registry.construct("decoder", settings)
    core = {"kind": "recurrent", "cell": settings.get("cell", "gru"), "hidden_size": 3, "bidirectional": True}
    if registry.find("cell", core["cell"]).ties_input:  # wants an input as wide as its h
        core |= {"hidden_size": INPUT, "merge": "sum"}
    encoder = registry.construct("core", {**core, "num_layers": settings.get("num_layers", 1)})
    encoder.build(Sizes(embedding=INPUT)).double()
    lengths = torch.tensor(LENGTHS)
    with torch.no_grad():
        x = torch.randn(PLACES, len(LENGTHS), INPUT, dtype=torch.float64).transpose(0, 1)
        y, state = encoder(x, Lengths(lengths), None)
        behind = torch.arange(PLACES) >= lengths[:, None]
        y = torch.where(behind[:, :, None], torch.randn_like(y), y)
        decoder.build(inputs=INPUT, source=y.shape[2]).double().eval()
        for parameter in decoder.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return (
        decoder,
        torch.randn(STEPS, len(LENGTHS), INPUT, dtype=torch.float64).transpose(0, 1),
        Source(y, lengths, state),
    )


def leaves(state: Any) -> Iterator[Tensor]:
    """The tensors of a nested state."""
    state = state.value if isinstance(state, Shared) else state
    if isinstance(state, Tensor):
        yield state
    elif state is not None:
        for inner in state:
            yield from leaves(inner)


def _same(value: Tensor | None, oracle: Tensor | None, what: str) -> None:
    if value is None or oracle is None:
        assert value is oracle, f"{what} is there in one way only"
    else:
        error = relative(value.double(), oracle.double())
        assert error <= EXACT, f"{what} differs by {error:.1e}"


def _alone(source: Source, b: int) -> Source:
    """One sequence of a source, without its padding."""
    rows, n = torch.tensor([b]), LENGTHS[b]
    return Source(source.y[b : b + 1, :n], None, reorder(source.state, rows))


@torch.no_grad()
def check_shapes(settings: Settings) -> None:
    """h is [B, U, output_size], time first in memory. α, where `aligns` says so, are weights: each step's sum to 1,
    none falls behind the source's end, and asking for them changes nothing."""
    decoder, x, source = make_decoder(settings)
    what = str(dict(settings))
    assert registry.construct("decoder", settings).aligns == decoder.aligns, f"{what}: aligns changes when it is built"
    h, _, nothing = decoder(x, decoder.start(source))
    assert h.shape == (*x.shape[:2], decoder.output_size), f"{what}: h has shape {tuple(h.shape)}"
    assert h.transpose(0, 1).is_contiguous(), f"{what}: h is not time first in memory"
    assert nothing is None, f"{what}: gives weights that nobody asked for"
    with_weights, _, alpha = decoder(x, decoder.start(source), weights=True)
    _same(with_weights, h, f"{what}: h where weights are asked for")
    assert (alpha is not None) == decoder.aligns, f"{what}: aligns = {decoder.aligns}, but weights say otherwise"
    if alpha is not None:
        assert alpha.shape == (*x.shape[:2], PLACES), f"{what}: the weights have shape {tuple(alpha.shape)}"
        _same(alpha.sum(2), torch.ones_like(alpha[:, :, 0]), f"{what}: the sum of a step's weights")
        assert not any(alpha[b, :, n:].any() for b, n in enumerate(LENGTHS)), f"{what}: weights behind the source's end"


@torch.no_grad()
def check_pieces(settings: Settings) -> None:
    """The whole = pieces = single steps with the state handed on: h, weights and final state."""
    decoder, x, source = make_decoder(settings)
    whole, final, alpha = decoder(x, decoder.start(source), weights=True)
    for size in (3, 1):
        state, hs, alphas = decoder.start(source), [], []
        for piece in x.split(size, 1):
            h, state, found = decoder(piece, state, weights=True)
            hs.append(h)
            alphas += [found] if found is not None else []
        what = f"{dict(settings)}, pieces of {size}"
        _same(torch.cat(hs, 1), whole, what)
        _same(torch.cat(alphas, 1) if alphas else None, alpha, f"{what}: weights")
        for k, (s, o) in enumerate(zip(leaves(state), leaves(final), strict=True)):
            _same(s, o, f"{what}: state {k}")


@torch.no_grad()
def check_one_by_one(settings: Settings) -> None:
    """A batch = its sequences one by one, whatever stands behind the ends of the sources, NaN even."""
    decoder, x, source = make_decoder(settings)
    for noise in (None, float("nan")):
        y = source.y.clone()
        for b, n in enumerate(LENGTHS):
            y[b, n:] = y[b, n:] if noise is None else noise
        h, _, alpha = decoder(x, decoder.start(Source(y, source.lengths, source.state)), weights=True)
        for b, n in enumerate(LENGTHS):
            one, _, found = decoder(x[b : b + 1], decoder.start(_alone(source, b)), weights=True)
            what = f"{dict(settings)}, sequence {b} alone"
            _same(h[b : b + 1], one, what)
            _same(None if alpha is None else alpha[b : b + 1, :, :n], found, f"{what}: weights")


@torch.no_grad()
def check_causal(settings: Settings) -> None:
    """Changing x after t leaves h up to t alone; h depends on x and on the source."""
    decoder, x, source = make_decoder(settings)
    changed = x.clone()
    changed[:, 4:] += 1
    before, after = (decoder(v, decoder.start(source))[0] for v in (x, changed))
    assert torch.equal(before[:, :4], after[:, :4]), f"{dict(settings)}: h before t depends on x after it"
    assert not torch.equal(before[:, 4:], after[:, 4:]), f"{dict(settings)}: h does not depend on x"
    state = reorder(source.state, torch.tensor([1, 2, 0]))
    other = decoder(x, decoder.start(Source(source.y.flip(0), source.lengths, state)))[0]
    assert not torch.equal(before, other), f"{dict(settings)}: h does not depend on the source"


@torch.no_grad()
def check_batch_axis(settings: Settings) -> None:
    """Axis −2 of every tensor of a state is the batch: sequences reordered on the way go on as they would have."""
    decoder, x, source = make_decoder(settings)
    rows = torch.tensor([2, 0, 0, 1])
    for length in (0, 2):
        state = decoder.start(source)
        if length:
            _, state, _ = decoder(x[:, :length], state)
        for k, leaf in enumerate(leaves(state)):
            assert leaf.ndim > 1 and leaf.shape[-2] == len(LENGTHS), (
                f"{dict(settings)}: tensor {k} of the state has shape {tuple(leaf.shape)}, expected the batch, "
                f"{len(LENGTHS)}, on axis −2"
            )
        h, _, _ = decoder(x[:, length:], state)
        again, _, _ = decoder(x[rows, length:], reorder(state, rows))
        _same(again, h[rows], f"{dict(settings)}, reordered after {length} steps")


def check_every_parameter(settings: Settings) -> None:
    """Every parameter gets a gradient, in training."""
    decoder, x, source = make_decoder(settings)
    decoder.train()(x, decoder.start(source))[0].square().sum().backward()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), f"{dict(settings)}: no gradient at {name}"


def check_finite_differences(settings: Settings) -> None:
    """Derivatives of h by x, what the encoder gave and every parameter."""
    decoder, x, source = make_decoder(settings)
    names = [n for n, _ in decoder.named_parameters()]
    given = list(leaves(source.state))

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = decoder

        def forward(self, x: Tensor, source: Source) -> Tensor:
            h: Tensor = self.decoder(x, self.decoder.start(source))[0]
            return h

    whole = Whole()

    def call(x: Tensor, y: Tensor, *rest: Tensor) -> Any:
        states, weights = rest[: len(given)], rest[len(given) :]
        state = states if isinstance(source.state, tuple) else states[0]
        named = {f"decoder.{n}": w for n, w in zip(names, weights, strict=True)}
        return torch.func.functional_call(whole, named, (x, Source(y, source.lengths, state)))

    values = (x[:, :3], source.y, *given, *decoder.parameters())
    torch.autograd.gradcheck(call, tuple(v.detach().clone().requires_grad_() for v in values), fast_mode=True)


DECODER_CHECKS: dict[str, Callable[[Settings], None]] = {
    "shapes": check_shapes,
    "pieces": check_pieces,
    "one by one": check_one_by_one,
    "causal": check_causal,
    "batch axis": check_batch_axis,
    "every parameter": check_every_parameter,
    "finite differences": check_finite_differences,
}
"""What a decoder must show, by name; `check_decoder` does all."""


def check_decoder(settings: str | Settings) -> None:
    """All conformance checks for a decoder: its settings, or its registered name for all of `decoder_settings`.

    Raises AssertionError with the first that fails.
    """
    for one in decoder_settings(settings) if isinstance(settings, str) else [settings]:
        for check in DECODER_CHECKS.values():
            check(one)
