"""Searching in a form: whatever the search, what is found has it, and is as likely as the model says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recurra.decoding.beam import beam
from recurra.decoding.draw import draw
from recurra.decoding.form import END, MARK, NEVER, WITHIN, in_form
from recurra.decoding.greedy import greedy
from recurra.decoding.hypothesis import Hypothesis
from recurra.errors import ConfigError

from .conftest import Table

V = 8
KINDS = torch.tensor([NEVER, WITHIN, MARK, WITHIN, MARK, WITHIN, NEVER, END])
FORMS = torch.tensor([[2, 3], [1, 2], [3, 1], [5, 4], [2, 3]])


def kinds_of(hypothesis: Hypothesis) -> list[int]:
    return [int(KINDS[token]) for token in hypothesis.tokens]


def found(model: Table, search: str) -> list[Hypothesis]:
    state, begin = model.start(len(FORMS))
    step, state = in_form(model.step, state, FORMS, KINDS)
    common: dict[str, Any] = {"end": V - 1, "longest": 40}
    if search == "draw":
        return draw(step, state, begin, temperature=1.3, top_p=0.9, seed=3, **common)
    if search == "greedy":
        return greedy(step, state, begin, **common)
    return [best for best, *_ in beam(step, state, begin, size=3, **common)]


@pytest.mark.parametrize("search", ["greedy", "draw", "beam"])
@pytest.mark.parametrize("seed", range(4))
def test_what_is_found_has_its_form_and_the_models_probability(search: str, seed: int) -> None:
    model = Table(seed, V)
    for b, hypothesis in enumerate(found(model, search)):
        width, lines = FORMS[b].tolist()
        assert kinds_of(hypothesis) == ([WITHIN] * width + [MARK]) * lines and hypothesis.ended
        p = [model.after(b, hypothesis.tokens[:t])[s] for t, s in enumerate((*hypothesis.tokens, V - 1))]
        assert np.isclose(hypothesis.log_p, sum(p), rtol=1e-12)


def test_of_what_is_allowed_the_likeliest_is_taken() -> None:
    model = Table(1, V)
    tokens = found(model, "greedy")[0].tokens
    for t, token in enumerate(tokens):
        log_p = model.after(0, tokens[:t])
        alike = np.flatnonzero(KINDS.numpy() == int(KINDS[token]))
        assert token == alike[log_p[alike].argmax()]


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ([MARK, END], "no symbol is a character: nothing can be written in a form. Leave search.form out."),
        ([WITHIN, END], "no symbol is a mark that ends a line: nothing"),
        ([WITHIN, MARK], "no symbol is an end mark: nothing"),
    ],
)
def test_symbols_that_make_no_form(kinds: list[int], message: str) -> None:
    def step(state: Any, token: Tensor) -> tuple[Tensor, Any]:
        raise AssertionError

    with pytest.raises(ConfigError, match=f"^{message}"):
        in_form(step, None, FORMS, torch.tensor(kinds))
