"""Gates by name and kept shares, found in the equations."""

from __future__ import annotations

import pytest

from recurra import registry
from recurra.equations.gates import activations, kept, slope, watched
from recurra.equations.language import Expression, cell, sigmoid

NAMES = {
    "lstm": "i f g o tanh(c)",
    "gru": "r z n",
    "gru-reset-before": "r z n",
    "layer-norm-lstm": "i f g o tanh(c)",
    "janet": "f g f_2",
    "fast-grnn": "z n",
    "ran": "i f tanh(c)",
    "rhn": "n t t2 n2 t3 n3",
    "mut1": "z r tanh(x) n",
    "mut3": "z r n tanh(h)",
    "mogrifier-lstm": "q1 r2 q3 r4 q5 o f i g tanh(c)",
    "multiplicative-lstm": "i f g o tanh(c)",
    "qrnn": "z f o",
    "rnn-identity": "",
}
KEPT = {
    "lstm": {"c": "sigmoid(f)"},
    "gru": {"h": "sigmoid(z)"},
    "mgu": {"h": "subtract(1, sigmoid(f))"},
    "min-lstm": {"h": "divide(sigmoid(f), add(sigmoid(f), sigmoid(i)))"},
    "no-forget-gate-lstm": {"c": "1"},
    "rnn-tanh": {},
    "indrnn": {},
}


@pytest.mark.parametrize("cell", NAMES)
def test_activations_are_called_as_their_gates(cell: str) -> None:
    assert [one.name for one in activations(registry.find("cell", cell))] == NAMES[cell].split()


@pytest.mark.parametrize("cell", KEPT)
def test_what_is_kept_is_the_factor_of_the_old_state(cell: str) -> None:
    found = kept(registry.find("cell", cell))
    assert {state: repr(share) for state, share in found.items()} == KEPT[cell]


@pytest.mark.parametrize("cell", registry.names("cell"))
def test_names_are_distinct(cell: str) -> None:
    found = registry.find("cell", cell)
    names = [one.name for one in activations(found)]
    assert len(set(names)) == len(names)
    assert watched(found).keys() == {*names, *(f"kept {state}" for state in kept(found))}


def test_slopes_of_elman_networks() -> None:
    slopes = {name: slope(registry.find("cell", name)) for name in ("rnn-tanh", "irnn", "rnn-identity", "gru", "lstm")}
    assert slopes == {"rnn-tanh": 1, "irnn": 1, "rnn-identity": 1, "gru": None, "lstm": None}


def test_sums_differences_quotients_and_products_of_the_old_state() -> None:
    """∂(new)/∂(old) with everything else held, of (h − a·h)/b + h·h."""

    @cell(gates="a b", state="h", source="this test")
    def made(a: Expression, b: Expression, h: Expression) -> Expression:
        return (h - sigmoid(a) * h) / sigmoid(b) + h * h

    assert repr(kept(made)["h"]) == "add(divide(subtract(1, sigmoid(a)), sigmoid(b)), add(h, h))"
