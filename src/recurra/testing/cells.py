"""What every cell must show on every backend: gradients, equality of engines, lengths, chunks, directions.

A check raises AssertionError with the numbers that disagree. All of them use random weights and random data.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

from recurra.engine import Time, aten
from recurra.engine.layer import Layer
from recurra.equations.language import Cell
from recurra.nn.recurrent import Recurrent
from recurra.registry import find

EXACT = 1e-12
"""Largest difference in float64, relative to the largest entry of the tensor compared."""


@dataclass(frozen=True)
class Configuration:
    """One way of running a layer; sizes are odd on purpose."""

    name: str
    layers: int = 1
    bidirectional: bool = False
    lengths: tuple[int, ...] | None = None
    packed: bool = False
    given_state: bool = True
    steps: int = 7
    batch: int = 3
    hidden: int = 5
    """Units; inputs are two fewer, or as many for a cell that reads x itself."""
    options: tuple[tuple[str, Any], ...] = ()


CONFIGURATIONS = (
    Configuration("one layer"),
    Configuration("zero state", given_state=False),
    Configuration("one step, one sequence", steps=1, batch=1),
    Configuration("stacked", layers=3),
    Configuration("bidirectional", layers=2, bidirectional=True),
    Configuration("summed directions", bidirectional=True, options=(("merge", "sum"),)),
    Configuration("lengths with zero", lengths=(4, 0, 7)),
    Configuration("all empty", lengths=(0, 0, 0)),
    Configuration("bidirectional lengths", layers=2, bidirectional=True, lengths=(2, 7, 5)),
    Configuration("packed", layers=2, lengths=(3, 7, 1), packed=True),
    Configuration("truncated", options=(("truncate", 3),)),
    Configuration("truncated lengths", lengths=(2, 7, 5), options=(("truncate", 2),)),
    Configuration("masked", options=(("recurrent_dropout", 0.4), ("zoneout", 0.3))),
    Configuration("masked lengths", lengths=(2, 0, 6), options=(("recurrent_dropout", 0.4), ("zoneout", 0.3))),
    Configuration("many inputs", lengths=(2, 7, 5), hidden=13),
    Configuration("many inputs, masked", hidden=13, options=(("recurrent_dropout", 0.4), ("zoneout", 0.3))),
)
"""The ways of running a layer in which every engine equals the plain loop."""


@dataclass
class Case:
    """A layer with random weights and data for one configuration."""

    layer: Recurrent
    x: Tensor
    state: tuple[Tensor, ...] | None
    configuration: Configuration
    given: Mapping[str, Any]
    """What the cell reads beside x: dt [T, B], seen and since [T, B, I]; of packed sequences nothing."""

    def run(self, backend: str, dtype: torch.dtype = torch.float64) -> list[Tensor]:
        """Outputs, final states and the gradients of everything, for a loss that weighs all outputs differently."""
        layer = self.layer.to(dtype)
        layer.backend = backend
        x = self.x.to(dtype).requires_grad_()
        state = None if self.state is None else tuple(s.to(dtype).requires_grad_() for s in self.state)
        given: Any = state[0] if state is not None and len(state) == 1 else state
        beside = {name: value.to(dtype).requires_grad_(name != "seen") for name, value in self.given.items()}
        torch.manual_seed(4)
        setting = self.configuration
        if setting.packed:
            rows, finals = layer(pack_padded_sequence(x, torch.tensor(setting.lengths), enforce_sorted=False), given)
            y = rows.data
        else:
            lengths = None if setting.lengths is None else torch.tensor(setting.lengths)
            y, finals = layer(x, given, lengths, **beside)
        finals = finals if isinstance(finals, tuple) else (finals,)
        generator = torch.Generator().manual_seed(5)
        loss = x.new_zeros(())
        for o in (y, *finals):
            loss = loss + (o * torch.randn(o.shape, generator=generator, dtype=torch.float64).to(o)).sum()
        times = [value for value in beside.values() if value.requires_grad]
        leaves = [x, *(state or ()), *times, *layer.parameters()]
        grads = torch.autograd.grad(loss, leaves, allow_unused=True)
        return [y, *finals, *(torch.zeros_like(v) if g is None else g for v, g in zip(leaves, grads, strict=True))]


def make_case(cell: Cell, configuration: Configuration, seed: int = 0, device: torch.device | str = "cpu") -> Case:
    """A layer of the cell with random weights and data; the same for the same arguments, whatever the device."""
    torch.manual_seed(1000 * seed + len(configuration.name))
    hidden = configuration.hidden
    inputs = hidden if cell.reads_input else hidden - 2
    options = dict(configuration.options)
    if inputs == hidden:
        options["merge"] = "sum"  # the layer above reads x itself, which must keep its width
    if not cell.has_recurrent_product:
        options.pop("recurrent_dropout", None)
    layer = Recurrent(
        cell,
        inputs,
        hidden,
        configuration.layers,
        bidirectional=configuration.bidirectional,
        dtype=torch.float64,
        **options,
    )
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    x = torch.randn(configuration.steps, configuration.batch, inputs, dtype=torch.float64)
    count = configuration.layers * (2 if configuration.bidirectional else 1)
    state = tuple(torch.randn(count, configuration.batch, hidden, dtype=torch.float64) for _ in cell.state)
    given = tuple(s.to(device) for s in state) if configuration.given_state else None
    beside = {} if configuration.packed else {n: v.to(device) for n, v in draw_given(cell, x).items()}
    return Case(layer.to(device), x.to(device), given, configuration, beside)


def draw_given(cell: Cell, x: Tensor) -> dict[str, Any]:
    """What a cell takes beside x [T, B, I], at random: steps from a tenth to four times the usual one, half of the
    values missing."""
    drawn = {
        "dt": torch.rand_like(x[..., 0]) * 3.9 + 0.1,
        "seen": torch.randint(2, x.shape, device=x.device).to(x.dtype),
        "since": torch.rand_like(x) * 3.9 + 0.1,
    }
    return {name: drawn[name] for name in cell.takes}


def relative(value: Tensor, oracle: Tensor) -> float:
    """Largest difference over the oracle's largest entry."""
    if value.shape != oracle.shape:
        raise AssertionError(f"shapes {tuple(value.shape)} and {tuple(oracle.shape)} differ")
    if oracle.numel() == 0:
        return 0.0
    scale = float(oracle.detach().abs().max())
    return float((value.double() - oracle.double()).detach().abs().max()) / (scale or 1.0)


def _same(values: Sequence[Tensor], oracles: Sequence[Tensor], what: str, tolerance: float = EXACT) -> None:
    for k, (value, oracle) in enumerate(zip(values, oracles, strict=True)):
        error = relative(value, oracle)
        assert error <= tolerance, f"{what}: tensor {k} of shape {tuple(oracle.shape)} differs by {error:.1e}"


def backends(cell: Cell) -> list[str]:
    """The backends that can run this cell, the oracle first."""
    plain = Layer(cell, Time.full(1, 1))
    return ["reference", "torch", "native", *(["aten"] if aten.refuses(plain) is None else [])]


def check_equal(
    cell: Cell,
    configuration: Configuration,
    engines: Sequence[str] | None = None,
    device: torch.device | str = "cpu",
) -> None:
    """Every backend = reference in float64: outputs, states, all gradients. `engines`: those to be checked, without the
    oracle; None: all that run on the CPU."""
    case = make_case(cell, configuration, device=device)
    oracle = case.run("reference")
    for backend in backends(cell)[1:] if engines is None else engines:
        if backend == "aten" and configuration.options and dict(configuration.options) != {"merge": "sum"}:
            continue
        _same(case.run(backend), oracle, f"{cell.name}, {configuration.name}, {backend} against reference")


def check_float32(cell: Cell, engines: Sequence[str] | None = None, device: torch.device | str = "cpu") -> None:
    """float32 no worse than twice the plain loop's own error against float64 and three roundings of the largest entry.

    Errors are the medians over five draws of weights and data: a single draw's largest error is a matter of luck.
    `engines` and `device` as in `check_equal`.
    """
    names = backends(cell) if engines is None else ["reference", *engines]
    errors: dict[str, list[list[float]]] = {}
    for seed in range(5):
        case = make_case(cell, Configuration("float32", steps=20, batch=8, hidden=16), seed=seed, device=device)
        exact = case.run("reference")
        for backend in names:
            found = [relative(v, truth) for v, truth in zip(case.run(backend, torch.float32), exact, strict=True)]
            errors.setdefault(backend, []).append(found)
    allowed = [2 * statistics.median(e) + 3.6e-7 for e in zip(*errors["reference"], strict=True)]
    for backend in names[1:]:
        found = [statistics.median(e) for e in zip(*errors[backend], strict=True)]
        for k, (error, limit) in enumerate(zip(found, allowed, strict=True)):
            assert error <= limit, f"{cell.name}, {backend}, tensor {k}: {error:.1e} > {limit:.1e}"


def _function(case: Case, backend: str) -> tuple[Callable[..., Any], tuple[Tensor, ...]]:
    names = [n for n, _ in case.layer.named_parameters()]
    assert case.state is not None
    count = len(case.state)
    times = [name for name in case.given if name != "seen"]
    case.layer.backend = backend
    lengths = case.configuration.lengths

    def call(x: Tensor, *rest: Tensor) -> Any:
        state = rest[0] if count == 1 else tuple(rest[:count])
        beside = {**case.given, **dict(zip(times, rest[count:], strict=False))}
        weights = dict(zip(names, rest[count + len(times) :], strict=True))
        bound = None if lengths is None else torch.tensor(lengths)
        y, finals = torch.func.functional_call(case.layer, weights, (x, state, bound), beside)
        return (y, *(finals if isinstance(finals, tuple) else (finals,)))

    leaves = (case.x, *case.state, *(case.given[name] for name in times), *case.layer.parameters())
    return call, tuple(v.detach().clone().requires_grad_() for v in leaves)


def check_finite_differences(cell: Cell) -> None:
    """First and second derivatives of outputs and final state by x, initial state and every parameter."""
    for lengths in (None, (2, 3)):
        case = make_case(cell, Configuration("differences", steps=3, batch=2, lengths=lengths, hidden=4))
        for backend in backends(cell)[1:]:
            call, leaves = _function(case, backend)
            torch.autograd.gradcheck(call, leaves, fast_mode=lengths is not None)
            torch.autograd.gradgradcheck(call, leaves, fast_mode=True)


def check_chunks(cell: Cell) -> None:
    """The whole = chunks = single steps, with the state handed on."""
    case = make_case(cell, Configuration("chunks", layers=2, steps=9))
    assert case.state is not None
    for backend in backends(cell):
        case.layer.backend = backend
        state: Any = case.state if len(case.state) > 1 else case.state[0]
        with torch.no_grad():
            whole = case.layer(case.x, state, **case.given)
            for size in (4, 1):
                pieces, at = [], state
                for k, piece in enumerate(case.x.split(size)):
                    y, at = case.layer(piece, at, **{n: v.split(size)[k] for n, v in case.given.items()})
                    pieces.append(y)
                _same([torch.cat(pieces)], [whole[0]], f"{cell.name}, {backend}: chunks of {size}")
                _same(at if isinstance(at, tuple) else [at], whole[1] if isinstance(at, tuple) else [whole[1]], "state")


def check_padding(cell: Cell) -> None:
    """A batch = its sequences one by one, whatever stands behind their ends."""
    setting = Configuration("padding", layers=2, bidirectional=True, lengths=(4, 0, 7, 1), batch=4)
    case = make_case(cell, setting)
    lengths = torch.tensor(setting.lengths)
    noisy, beside = case.x.clone(), {name: value.clone() for name, value in case.given.items()}
    for b, n in enumerate(setting.lengths or ()):
        for value in (noisy, *beside.values()):
            value[n:, b] = 1e3
    for backend in backends(cell):
        case.layer.backend = backend
        with torch.no_grad():
            y, finals = case.layer(noisy, None, lengths, **beside)
            finals = finals if isinstance(finals, tuple) else (finals,)
            for b, n in enumerate(setting.lengths or ()):
                assert not y[n:, b].any(), f"{cell.name}, {backend}: y behind the end of sequence {b} is not zero"
                if n:
                    alone, last = case.layer(
                        case.x[:n, b : b + 1], **{name: value[:n, b : b + 1] for name, value in case.given.items()}
                    )
                    last = last if isinstance(last, tuple) else (last,)
                    _same([y[:n, b : b + 1]], [alone], f"{cell.name}, {backend}: sequence {b} alone")
                    _same([f[:, b : b + 1] for f in finals], last, f"{cell.name}, {backend}: state of sequence {b}")


def check_directions(cell: Cell) -> None:
    """Both directions on a reversed input = the two directions swapped."""
    case = make_case(cell, Configuration("directions", bidirectional=True))
    layer, H = case.layer, case.layer.hidden_size
    swapped = Recurrent(cell, layer.input_size, H, bidirectional=True, merge=layer.merge, dtype=torch.float64)
    for name in case.given.keys() & {"dt"}:
        case.given[name][0] = 1  # from the end nothing lies behind the first step that is read
    state = layer.state_dict()
    swapped.load_state_dict({k: state[k[:-8] if k.endswith("_reverse") else f"{k}_reverse"] for k in state})
    for backend in backends(cell):
        layer.backend = swapped.backend = backend
        with torch.no_grad():
            y, _ = layer(case.x, **case.given)
            z, _ = swapped(case.x.flip(0), **{name: _turned(name, value) for name, value in case.given.items()})
        mirrored = torch.cat((y[..., H:], y[..., :H]), -1) if layer.merge == "concat" else y
        _same([z.flip(0)], [mirrored], f"{cell.name}, {backend}: directions")


def _turned(name: str, value: Tensor) -> Any:
    """What is given beside x of the sequence read from its end: a step is as long as the one behind it was."""
    turned = value.flip(0)
    return torch.cat((torch.ones_like(turned[:1]), turned[:-1])) if name == "dt" else turned


def check_usual_steps(cell: Cell) -> None:
    """With usual steps and nothing missing a cell that reads `dt`, `seen` or `since` is its plain form to 0 bits,
    whether that is given or left out. Cells that read none of it have nothing to show."""
    if not cell.given:
        return
    # Rows of 64 bytes: torch's own products round by where a row lies in memory.
    case = make_case(cell, Configuration("usual", layers=2, bidirectional=True, batch=8, hidden=8))
    layer = case.layer
    plain = Recurrent(
        cell.regular, layer.input_size, layer.hidden_size, 2, bidirectional=True, merge=layer.merge, dtype=torch.float64
    )
    plain.load_state_dict({name: case.layer.state_dict()[name] for name in plain.state_dict()})
    ones: dict[str, Any] = {name: torch.ones_like(value) for name, value in case.given.items()}
    for backend in ("reference", "torch", "native"):
        case.layer.backend = plain.backend = backend
        with torch.no_grad():
            oracle = plain(case.x)[0]
            for given in (ones, {}):
                y = case.layer(case.x, **given)[0]
                assert torch.equal(y, oracle), f"{cell.name}, {backend}: another than its plain form at usual steps"


def check_causal(cell: Cell) -> None:
    """Changing x after t leaves y up to t alone."""
    case = make_case(cell, Configuration("causal", layers=2))
    assert case.layer.causal
    changed = case.x.clone()
    changed[4:] += 1
    later = {name: value.clone() for name, value in case.given.items()}
    for value in later.values():
        value[4:] += 1
    for backend in backends(cell):
        case.layer.backend = backend
        with torch.no_grad():
            before = case.layer(case.x, **case.given)[0]
            for x, beside in ((changed, case.given), *([(case.x, later)] if later else [])):
                after = case.layer(x, **beside)[0]
                assert torch.equal(before[:4], after[:4]), f"{cell.name}, {backend}: y up to t depends on later x"
                assert not torch.equal(before[4:], after[4:])


def check_every_parameter(cell: Cell) -> None:
    """Every parameter of every layer and direction gets a gradient."""
    case = make_case(cell, Configuration("gradients", layers=2, bidirectional=True))
    for backend in backends(cell):
        case.layer.backend = backend
        case.layer.zero_grad()
        case.layer(case.x, **case.given)[0].square().sum().backward()
        for name, parameter in case.layer.named_parameters():
            assert parameter.grad is not None and parameter.grad.any(), f"{cell.name}, {backend}: no gradient at {name}"


def check_overfits(cell: Cell) -> None:
    """Four random examples are learnt by heart."""
    torch.manual_seed(0)
    hidden = 24
    inputs = hidden if cell.reads_input else 6
    layer, head = Recurrent(cell, inputs, hidden), torch.nn.Linear(hidden, 3)
    x, target = torch.randn(5, 4, inputs), torch.randint(3, (5, 4))
    beside = draw_given(cell, x)
    optimiser = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.02)
    loss = torch.tensor(9.0)
    for _ in range(400):
        loss = torch.nn.functional.cross_entropy(head(layer(x, **beside)[0]).flatten(0, 1), target.flatten())
        if loss < 0.05:
            return
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    raise AssertionError(f"{cell.name}: loss on four examples is still {loss.item():.3f} after 400 steps")


CELL_CHECKS: dict[str, Callable[[Cell], None]] = {
    "float32": check_float32,
    "finite differences": check_finite_differences,
    "chunks": check_chunks,
    "padding": check_padding,
    "directions": check_directions,
    "usual steps": check_usual_steps,
    "causal": check_causal,
    "every parameter": check_every_parameter,
    "overfits": check_overfits,
}
"""What a cell must show beside the equality of engines in each of `CONFIGURATIONS`, by name; `check_cell` does all."""


def check_cell(cell: Cell | str) -> None:
    """All conformance checks for one cell; raises AssertionError with the first that fails."""
    cell = find("cell", cell) if isinstance(cell, str) else cell
    for configuration in CONFIGURATIONS:
        check_equal(cell, configuration)
    for check in CELL_CHECKS.values():
        check(cell)
