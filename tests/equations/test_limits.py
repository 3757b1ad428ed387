"""Equations that would take for ever, or all memory: each limit, just below and just above."""

from __future__ import annotations

import time

import pytest
import torch

from recurra.equations import derive as derivation
from recurra.equations import gates, grammar, language
from recurra.equations.derive import derive
from recurra.equations.language import Cell
from recurra.equations.parse import parse
from recurra.errors import ConfigError
from recurra.nn import Recurrent


def tower(line: str, times: int, first: str = "a = sigmoid(s)") -> str:
    """Equations that assign a over and over."""
    return "\n".join(["gates: s", first, *[line] * times, "h = tanh(a + h)"])


def cell_of(text: str) -> Cell:
    cell = parse(text, name="limits")
    derive(cell)
    return cell


@pytest.mark.parametrize(
    ("line", "times", "first"),
    [("a = a * a", 40, "a = 3"), ("a = a ** 16", 9, "a = 3"), ("a = a + a", 98, "a = " + "9" * 290)],
)
def test_numbers_do_not_grow_for_ever(line: str, times: int, first: str) -> None:
    began = time.monotonic()
    with pytest.raises(ConfigError, match=r"^core\.equations:\d+:5: this number is too large\.$"):
        cell_of(tower(line, times, first).replace("tanh(a", "tanh(s + a"))
    assert time.monotonic() - began < 10


def test_numbers_are_computed_as_floats() -> None:
    cell = cell_of("gates: s\na = 2\na = a * a\na = a ** 3 / 2 - 1\nh = tanh(s + a * h)")
    assert [node.label for node in cell.nodes if node.op == "number"] == ["31"]
    layer, x = Recurrent(cell, 3, 4), torch.randn(5, 2, 3)
    same = Recurrent(parse("gates: s\nh = tanh(s + 31 * h)", name="same"), 3, 4)
    same.load_state_dict(layer.state_dict())
    assert torch.equal(layer(x)[0], same(x)[0])


def test_squares_of_values_are_no_numbers() -> None:
    cell_of(tower("a = a * a", 40))


@pytest.mark.parametrize("line", ["a = a * 1e300", "a = a / 1e-300", "a = a * 99999999999999999999999999"])
def test_a_product_with_values_that_no_float_holds(line: str) -> None:
    cell_of(tower(line, 1))
    with pytest.raises(ConfigError, match="comes to a number that is too large"):
        cell_of(tower(line, 30))


def test_lines() -> None:
    most = grammar.MOST_LINES
    cell_of(tower("a = a + h", most - 2).replace("h\nh = tanh(a + h)", "h\nh = tanh(a)"))
    with pytest.raises(ConfigError, match=rf"^core\.equations:{most + 2}:1: a line too many: .* {most} equations"):
        cell_of(tower("a = a + h", most - 1))


def test_characters() -> None:
    text = "gates: s\nh = tanh(s)\n"
    cell_of(text + "#" * (grammar.MOST_CHARACTERS - len(text)))
    with pytest.raises(ConfigError, match=r"^core\.equations: 20,001 characters of equations, expected 20,000 at most"):
        cell_of(text + "#" * (grammar.MOST_CHARACTERS - len(text) + 1))


@pytest.mark.parametrize(("before", "after"), [("tanh(", ")"), ("-", ""), ("(h + ", ")"), ("", " + h"), ("2 * (", ")")])
def test_depth(before: str, after: str) -> None:
    deepest = grammar.DEEPEST
    gates.kept(cell_of(f"gates: s\nh = {before * deepest}s{after * deepest}"))
    for depth in (deepest + 1, 5_000):
        with pytest.raises(ConfigError, match=r"nested (more than|too deep)|cannot be read|characters of"):
            cell_of(f"gates: s\nh = {before * depth}s{after * depth}")


def test_lines_put_into_one_another() -> None:
    with pytest.raises(ConfigError, match=r"its equations are nested too deeply when they are put into one another"):
        cell_of(tower("a = a * h + h", 90))


def sums(terms: int) -> str:
    """Equations of `terms` products of values and parameters, 4 nodes each."""
    lines = [f'a = a + h * unit("by{k}")' for k in range(terms)]
    return "\n".join(["gates: s", "a = tanh(s)", *lines, "h = a"])


def test_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    count = len(cell_of(sums(20)).nodes)
    parse.__globals__["_parse"].cache_clear()
    monkeypatch.setattr(language, "MOST_NODES", count)
    assert len(cell_of(sums(20)).nodes) == count
    parse.__globals__["_parse"].cache_clear()
    monkeypatch.setattr(language, "MOST_NODES", count - 1)
    with pytest.raises(ConfigError, match=rf"has {count} operators, functions and symbols, expected {count - 1} at"):
        cell_of(sums(20))


def test_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    text = tower("a = tanh(a * h + h)", 9)
    derived = derive(parse(text, name="limits"))
    derive.cache_clear()
    for most in range(20, 400):
        monkeypatch.setattr(derivation, "MOST_OPERATIONS", most)
        try:
            derive(parse(text, name="limits"))
            break
        except ConfigError as error:
            assert f"operations a step forward and backward, expected {most} at most" in str(error)
    assert 50 < most < 399 and derived.forward


def test_the_largest_that_there_may_be_is_derived_in_time() -> None:
    began = time.monotonic()
    cell_of(tower("a = tanh(a * h + h)", 96))
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("2", "core.equations:2:14: project takes values of the step, here is a number. Write its result."),
        ("-2.5", "core.equations:2:14: project takes values of the step, here is a number. Write its result."),
        ('unit("u")', "cell 'limits': project takes values of the step, here is u, which is the same at every step"),
        ('tanh(scalar("u") * 2)', "project takes values of the step, here is tanh, which is the same at every step"),
        ('scalar("u") * 2', "project takes values of the step, here is a formula, which is the same at every step"),
    ],
)
def test_a_product_of_what_is_the_same_at_every_step(argument: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        cell_of(f"gates: s\nh = tanh(s + project({argument}))")
    assert said in str(error.value)
    cell_of(f"gates: s\nh = tanh(s + project({argument} * h))")


def test_a_norm_of_a_parameter() -> None:
    with pytest.raises(ConfigError, match="layer_norm takes values of the step, here is u"):
        cell_of('gates: s\np, q = layer_norm(s, unit("u"))\nh = tanh(p + q)')
