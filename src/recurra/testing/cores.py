"""What every core must show: chunks, padding, direction, gradients; random weights, float64.

A core is named by its settings, `{"kind": "tdnn", "delays": 2}`. A check raises AssertionError with what disagrees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from recurra import registry
from recurra.testing.cells import EXACT, relative
from recurra.types import Lengths, Sizes

Settings = Mapping[str, Any]

INPUT, STEPS = 3, 9
LENGTHS = (4, 0, 9, 1)
SMALL: dict[str, Any] = {"hidden_size": 6, "num_layers": 2, "heads": 3, "feed_forward": 7}
"""Keywords that many cores have, at a size that tests quickly."""
VARIANTS: tuple[dict[str, Any], ...] = (
    {"bidirectional": True},
    {"causal": False},
    {"dilation": 2},
    {"num_layers": 1},
    {"dropout": 0.2, "variational": True, "weight_dropout": 0.3},
    {"causal": True, "span": 100},
    {"causal": True, "span": 4, "positions": "rotary"},
    {"degree": 2, "net": {"kind": "tdnn", "delays": 0, "hidden_size": 5, "num_layers": 1}},
    {"output_lags": 1, "input_lags": 1, "net": {"kind": "recurrent", "cell": "gru", "hidden_size": 4}},
)
"""Further settings, each tried with the cores that know the keyword."""


def core_settings(name: str) -> list[dict[str, Any]]:
    """The settings under which a registered core is checked: small, and once for each of the `VARIANTS` it knows."""
    known = registry.defaults("core", name)
    small = {"kind": name, **{k: v for k, v in SMALL.items() if k in known}}
    return [small, *({**small, **variant} for variant in VARIANTS if variant.keys() <= known.keys())]


def make_core(settings: Settings, seed: int = 0) -> tuple[Any, Tensor]:
    """A core with random weights in float64, in evaluation, and x [4, 9, 3], time first in memory."""
    torch.manual_seed(seed)
    core = registry.construct("core", settings).build(Sizes(embedding=INPUT)).double().eval()
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return core, torch.randn(STEPS, len(LENGTHS), INPUT, dtype=torch.float64).transpose(0, 1)


def _leaves(state: Any) -> Iterator[Tensor]:
    if isinstance(state, Tensor):
        yield state
    elif state is not None:
        for inner in state:
            yield from _leaves(inner)


def _same(value: Tensor, oracle: Tensor, what: str) -> None:
    error = relative(value, oracle)
    assert error <= EXACT, f"{what} differs by {error:.1e}"


def _same_states(state: Any, oracle: Any, what: str) -> None:
    for k, (s, o) in enumerate(zip(_leaves(state), _leaves(oracle), strict=True)):
        _same(s, o, f"{what}: state {k}")


def check_shapes(settings: Settings) -> None:
    """y is [B, T, output_size], time first in memory; `causal` is known before `build` and does not change."""
    unbuilt = registry.construct("core", settings)
    core, x = make_core(settings)
    assert unbuilt.causal == core.causal, f"{settings}: causal changes when the core is built"
    y, _ = core(x, Lengths(), None)
    assert y.shape == (*x.shape[:2], core.output_size), f"{settings}: y has shape {tuple(y.shape)}"
    assert y.transpose(0, 1).is_contiguous(), f"{settings}: y is not time first in memory"


@torch.no_grad()
def check_chunks(settings: Settings) -> None:
    """The whole = chunks = single steps with the state handed on, where causal; full and with lengths."""
    core, x = make_core(settings)
    if not core.causal:
        return
    for lengths in (None, torch.tensor(LENGTHS)):
        whole, final = core(x, Lengths(lengths), None)
        for size in (4, 1):
            state, pieces = None, []
            for start in range(0, STEPS, size):
                piece = x[:, start : start + size]
                part = None if lengths is None else (lengths - start).clamp(0, piece.shape[1])
                y, state = core(piece, Lengths(part), state)
                pieces.append(y)
            what = f"{dict(settings)}, chunks of {size}, lengths {'none' if lengths is None else LENGTHS}"
            _same(torch.cat(pieces, 1), whole, what)
            _same_states(state, final, what)


@torch.no_grad()
def check_padding(settings: Settings) -> None:
    """A batch = its sequences one by one; y is zero behind the ends, and what stands there, NaN even, is not read."""
    core, x = make_core(settings)
    for noise in (1e3, float("nan")):
        noisy = x.clone()
        for b, n in enumerate(LENGTHS):
            noisy[b, n:] = noise
        y, state = core(noisy, Lengths(torch.tensor(LENGTHS)), None)
        for b, n in enumerate(LENGTHS):
            assert not y[b, n:].any(), f"{dict(settings)}: y behind the end of sequence {b} is not zero"
            if n:
                alone, last = core(x[b : b + 1, :n], Lengths(), None)
                _same(y[b : b + 1, :n], alone, f"{dict(settings)}, sequence {b} alone")
                what = f"{dict(settings)}, sequence {b} alone"
                for k, (s, o) in enumerate(zip(_leaves(state), _leaves(last), strict=True)):
                    # A state that grows with time has the newest step last, and zeros before a sequence's first.
                    older, own = s.narrow(-2, b, 1).tensor_split([s.shape[0] - o.shape[0]])
                    assert not older.any(), f"{what}: state {k} is not zero before the first step"
                    _same(own, o, f"{what}: state {k}")


@torch.no_grad()
def check_causal(settings: Settings) -> None:
    """Changing x after t leaves y up to t alone where causal, and does not where the core says it looks ahead."""
    core, x = make_core(settings)
    changed = x.clone()
    changed[:, 5:] += 1
    before, after = (core(v, Lengths(), None)[0] for v in (x, changed))
    untouched = torch.equal(before[:, :5], after[:, :5])
    assert untouched == core.causal, f"{dict(settings)}: causal = {core.causal}, but y before t says otherwise"
    assert not torch.equal(before[:, 5:], after[:, 5:]), f"{dict(settings)}: y does not depend on x"


def check_every_parameter(settings: Settings) -> None:
    """Every parameter gets a gradient, in training."""
    core, x = make_core(settings)
    core.train()(x.requires_grad_(), Lengths(torch.tensor(LENGTHS)), None)[0].square().sum().backward()
    for name, parameter in core.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), f"{dict(settings)}: no gradient at {name}"


def check_finite_differences(settings: Settings) -> None:
    """Derivatives of y and the final state by x, the initial state and every parameter."""
    core, x = make_core(settings)
    names = [n for n, _ in core.named_parameters()]
    _, state = core(x[:3, :2], Lengths(), None)
    given = [s.detach() for s in _leaves(state) if s.is_floating_point()] if core.causal else []
    for lengths in (None, torch.tensor((2, 0, 3))):

        def call(x: Tensor, *rest: Tensor, lengths: Tensor | None = lengths) -> Any:
            initial: Any = None
            if given:
                flat = iter(rest[: len(given)])
                initial = _rebuilt(state, flat)
            weights = dict(zip(names, rest[len(given) :], strict=True))
            y, final = torch.func.functional_call(core, weights, (x, Lengths(lengths), initial))
            return (y, *_leaves(final))

        leaves = (x[:3, 3:6], *given, *core.parameters())
        torch.autograd.gradcheck(call, tuple(v.detach().clone().requires_grad_() for v in leaves), fast_mode=True)


def _rebuilt(state: Any, flat: Iterator[Tensor]) -> Any:
    """A state of the same nesting with other tensors; counts stay."""
    if isinstance(state, Tensor):
        return next(flat) if state.is_floating_point() else state
    return tuple(_rebuilt(inner, flat) for inner in state)


CORE_CHECKS: dict[str, Callable[[Settings], None]] = {
    "shapes": check_shapes,
    "chunks": check_chunks,
    "padding": check_padding,
    "causal": check_causal,
    "every parameter": check_every_parameter,
    "finite differences": check_finite_differences,
}
"""What a core must show, by name; `check_core` does all."""


def check_core(settings: str | Settings) -> None:
    """All conformance checks for a core: its settings, or its registered name for all of `core_settings`.

    Raises AssertionError with the first that fails.
    """
    for one in core_settings(settings) if isinstance(settings, str) else [settings]:
        for check in CORE_CHECKS.values():
            check(one)
