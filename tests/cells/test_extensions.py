"""What the newer cells ask of the language: starts, products of several parts and of x's width, values of parameters
alone, states that do not depend on the past."""

from __future__ import annotations

import pytest
import torch

from recurra.equations.derive import derive
from recurra.equations.language import (
    Expression,
    cell,
    layer_norm,
    project,
    raw_input,
    scalar,
    sigmoid,
    softplus,
    tanh,
    unit,
)
from recurra.equations.statements import names_out
from recurra.errors import ConfigError
from recurra.nn import Recurrent
from recurra.registry import find
from recurra.testing.cells import CONFIGURATIONS, check_equal, relative

D = torch.float64
E = Expression


def equal_on_both_backends(layer: Recurrent, x: torch.Tensor, tolerance: float = 1e-12) -> None:
    """Outputs, states and gradients of the torch backend are the reference's, with lengths."""
    found = []
    for backend in ("reference", "torch"):
        layer.backend = backend
        torch.manual_seed(9)
        y, finals = layer(x, None, torch.tensor([4, 6, 0]))
        finals = finals if isinstance(finals, tuple) else (finals,)
        loss = y.sin().sum() + sum(s.square().sum() for s in finals)
        found.append((y, *finals, *torch.autograd.grad(loss, [x, *layer.parameters()])))
    for value, oracle in zip(found[1], found[0], strict=True):
        assert relative(value, oracle) <= tolerance


def test_irnn_starts_by_adding_up() -> None:
    """W_hh is the identity, the biases are zero, in every layer and direction; W_ih is drawn, and small."""
    layer = Recurrent("irnn", 3, 4, 2, bidirectional=True)
    for name, parameter in layer.named_parameters():
        if name.startswith("weight_hh"):
            assert torch.equal(parameter, torch.eye(4)), name
        elif name.startswith("bias"):
            assert not parameter.any(), name
        else:
            assert parameter.unique().numel() == parameter.numel(), name
            assert parameter.abs().max() < 0.006, name
    assert Recurrent("irnn", 3, 4, bias=False).weight_hh_l0.equal(torch.eye(4))


def test_an_identity_in_every_square_of_several_gates() -> None:
    @cell(gates="a b", state="h", source="test", start={"weight_hh": "identity", "weight_up": 0.5})
    def two(a: E, b: E, h: E) -> E:
        return tanh(a) * sigmoid(b) + project(h, "up")

    layer = Recurrent(two, 3, 4)
    assert torch.equal(layer.weight_hh_l0, torch.cat((torch.eye(4), torch.eye(4))))
    assert (layer.weight_up_l0 == 0.5).all()


def test_mistakes_in_a_start_are_named() -> None:
    def made(**start: float | str) -> None:
        @cell(gates="a", state="h", source="test", start=start)  # type: ignore[arg-type]
        def starts(a: E, h: E) -> E:
            return tanh(a)

        Recurrent(starts, 3, 4)

    with pytest.raises(ConfigError, match=r"'weight_hx' starts.*weight_hh.* Its weights: weight_ih, weight_hh"):
        made(weight_hx=1.0)
    with pytest.raises(
        ConfigError, match="starts weight_hh at 'orthogonal', expected a number, 'identity' or a distribution"
    ):
        made(weight_hh="orthogonal")


@pytest.mark.parametrize("name", ["up", "hh"])
def test_two_products_of_one_name_are_refused(name: str) -> None:
    @cell(gates="a", state="h", source="test")
    def twice(a: E, h: E) -> E:
        return project(tanh(a), name) + project(tanh(h), "up")

    with pytest.raises(ConfigError, match=f"has two products called '{name}'.*a name of its own"):
        derive(twice)


def test_a_product_of_several_parts_is_several_products() -> None:
    @cell(gates="a", state="h", source="test")
    def together(a: E, h: E) -> E:
        one, two, three = project(tanh(a), "all", 3)
        return sigmoid(one) * tanh(two) + 0.5 * tanh(three)

    @cell(gates="a", state="h", source="test")
    def apart(a: E, h: E) -> E:
        one, two, three = (project(tanh(a), name) for name in ("one", "two", "three"))
        return sigmoid(one) * tanh(two) + 0.5 * tanh(three)

    torch.manual_seed(0)
    x = torch.randn(5, 2, 3, dtype=D)
    for backend in ("reference", "torch"):
        layer, other = (Recurrent(c, 3, 4, dtype=D, backend=backend) for c in (together, apart))
        weights = layer.state_dict()
        whole = weights.pop("weight_all_l0")
        assert whole.shape == (12, 4)
        parts = dict(zip(("weight_one_l0", "weight_two_l0", "weight_three_l0"), whole.split(4), strict=True))
        other.load_state_dict(weights | parts)
        assert relative(layer(x)[0], other(x)[0]) <= 1e-12
    for configuration in CONFIGURATIONS[:3]:
        check_equal(together, configuration)


@pytest.mark.parametrize("name", ["mogrifier-lstm", "qrnn"])
@pytest.mark.parametrize("sizes", [(3, 5), (7, 4)])
def test_products_of_x_in_either_width(name: str, sizes: tuple[int, int]) -> None:
    torch.manual_seed(0)
    I, H = sizes
    x = torch.randn(6, 3, I, dtype=D, requires_grad=True)
    for options in ({}, {"num_layers": 2, "bidirectional": True}, {"truncate": 2}, {"zoneout": 0.3}):
        equal_on_both_backends(Recurrent(name, I, H, dtype=D, **options), x)


@pytest.mark.parametrize("name", ["mogrifier-lstm", "qrnn"])
@pytest.mark.parametrize("sizes", [(3, 5), (7, 4)])
def test_the_backend_chosen_by_itself_knows_both_widths(name: str, sizes: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = Recurrent(name, *sizes, dtype=D)
    assert layer.cell.mixes_widths
    x = torch.randn(6, 3, sizes[0], dtype=D, requires_grad=True)
    found = []
    for backend in ("reference", "auto"):
        layer.backend = backend
        y, _ = layer(x)
        found.append((y, *torch.autograd.grad(y.sin().sum(), [x, *layer.parameters()])))
    for oracle, value in zip(*found, strict=True):
        assert relative(value, oracle) <= 1e-12


def test_a_parameter_may_be_called_as_a_value_would_be() -> None:
    """Without a name of its own tanh(c) would be called tanh_c, and the gate's value i."""

    @cell(gates="i", state="h c", source="test")
    def collides(i: E, h: E, c: E) -> tuple[E, E]:
        c = c * 0.5 + sigmoid(i) * unit("tanh_c") + tanh(i * unit("t")) * unit("v_t")
        return tanh(c), c

    for configuration in CONFIGURATIONS[:3]:
        check_equal(collides, configuration)


def test_shapes_of_products_of_x() -> None:
    shapes = {n.removesuffix("_l0"): tuple(p.shape) for n, p in Recurrent("mogrifier-lstm", 3, 5).named_parameters()}
    assert shapes["weight_q1"] == (3, 5) and shapes["weight_r2"] == (5, 3)
    assert shapes["weight_gates_x"] == (20, 3) and shapes["weight_gates_h"] == (20, 5)
    assert tuple(Recurrent("qrnn", 3, 5).weight_before_l0.shape) == (15, 3)


def test_values_as_wide_as_the_input() -> None:
    """Norms, functions, several parts and a scalar, all in x's width, with a loop-carried factor."""

    @cell(gates="a", state="h", source="test")
    def wide(a: E, h: E) -> E:
        first, second = project(h, "down", 2, width="input")
        seen = layer_norm(raw_input() * sigmoid(first) + scalar("bend", 0.3), tanh(second))
        return tanh(a + project(seen[0] * seen[1] - raw_input(), "back"))

    assert not wide.ties_input
    torch.manual_seed(0)
    x = torch.randn(6, 3, 4, dtype=D, requires_grad=True)
    equal_on_both_backends(Recurrent(wide, 4, 3, 2, dtype=D), x, 1e-11)


def test_x_beside_units_ties_the_sizes() -> None:
    @cell(gates="a", state="h", source="test")
    def meets(a: E, h: E) -> E:
        return tanh(a) + project(raw_input() * unit("scale"), "back")

    assert meets.ties_input
    with pytest.raises(ConfigError, match="uses x itself, so input_size must be hidden_size = 4"):
        Recurrent(meets, 3, 4)


def test_what_is_made_of_parameters_alone() -> None:
    """Functions of vectors and numbers have no row per time step, and are not kept for the backward."""

    @cell(gates="a", state="h", source="test")
    def constant(a: E, h: E) -> E:
        rate = sigmoid(scalar("rate", 0.2)) * softplus(unit("bend", 0.4)) + 1 - unit("bend", 0.4)
        return rate * tanh(a) + (1 - rate) * h * sigmoid(scalar("rate", 0.2))

    assert derive(constant).kept == ("a",)
    for configuration in CONFIGURATIONS:
        check_equal(constant, configuration)


def test_a_state_of_the_input_alone() -> None:
    """What the next step reads of this step's x: written in the loop though nothing carried enters it."""

    @cell(gates="a b", state="h m", source="test")
    def remembers(a: E, b: E, h: E, m: E) -> tuple[E, E]:
        return tanh(a) * sigmoid(m), tanh(b.input) * 2  # type: ignore[attr-defined]

    for configuration in CONFIGURATIONS:
        check_equal(remembers, configuration)


def test_a_function_of_an_old_state_is_not_called_as_if_it_were_one() -> None:
    """Names that end in _prev are the states' own; MUT3 reads tanh(h)."""
    made = {n for st in derive(find("cell", "mut3")).forward for n in names_out(st)}
    assert "tanh_old_h" in made and not any(n.endswith("_prev") for n in made)
