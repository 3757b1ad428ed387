"""The letters of a cell: named where its author did, else by their equation."""

from __future__ import annotations

import pytest

from recurra import registry
from recurra.equations.language import Expression, cell, sigmoid
from recurra.equations.letters import letters

E = Expression


def test_an_lstm_by_hand() -> None:
    found = {one.name: (one.meaning, one.equation) for one in letters(registry.find("cell", "lstm"))}
    assert found["f"] == ("forget gate", "f = σ(W_f x + U_f h′ + b_f)")
    assert found["c"] == ("memory", "c = f·c′ + i·g") and found["h"] == ("output", "h = o·tanh(c)")
    assert list(found) == ["i", "f", "g", "o", "h", "c"]


def test_parts_of_a_gate_have_biases_of_their_own() -> None:
    found = {one.name: one.equation for one in letters(registry.find("cell", "gru"))}
    assert found["n"] == "n = tanh(W_n x + b_xn + r·(U_n h′ + b_hn))" and found["h"] == "h = (1 − z)·n + z·h′"


def test_a_cell_nobody_named_is_shown_by_its_equations() -> None:
    @cell(gates="a", state="h", source="a test", bias=False)
    def mine(a: E, h: E) -> E:
        """Keeps a share of itself."""
        return h - sigmoid(a) * (h - 1) / 2

    assert [(one.meaning, one.equation) for one in letters(mine)] == [
        ("", "a = σ(W_a x + U_a h′)"),
        ("", "h = h′ − a·(h′ − 1) / 2"),
    ]


@pytest.mark.parametrize("name", registry.names("cell"))
def test_every_letter_of_every_cell_has_an_equation_and_a_meaning(name: str) -> None:
    made = registry.find("cell", name)
    found = {one.name: one.equation for one in letters(made)}
    assert set(made.state) <= set(found) and all(formula.startswith(f"{key} = ") for key, formula in found.items())
    assert [one.name for one in letters(made) if not one.meaning] == []
