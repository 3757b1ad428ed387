"""What is concluded is said of the numbers at hand, and what answers the first question comes first."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from recurra.diagnostics.attention import AttentionMap, SelfAttention
from recurra.diagnostics.decisions import Attribution, Decision
from recurra.diagnostics.report import conclusions, inspect_model, page, summary

from .conftest import TEXT

SENTENCE = ["the", "quick", "fox", "jumps"]
PAIR = {"source": SENTENCE, "target": ["der", "fuchs"]}
ATTENDS = {"decoder": {"kind": "recurrent", "hidden_size": 6, "context": "attention"}}


@pytest.mark.parametrize(
    ("task", "settings", "given", "first"),
    [
        ("tag", {}, SENTENCE, ["attribution", "gradient_flow"]),
        ("classify", {}, SENTENCE, ["attribution", "gradient_flow"]),
        ("transduce", ATTENDS, PAIR, ["alignment", "next_symbols", "gradient_flow", "attribution"]),
        ("generate", {}, TEXT, ["next_symbols", "gradient_flow", "attribution"]),
    ],
)
def test_what_is_asked_first_comes_first(
    made: Any, task: str, settings: dict[str, Any], given: Any, first: list[str]
) -> None:
    found = inspect_model(made(task, **settings), given)
    written = page(found)
    assert re.findall(r'<section id="(\w+)"', written)[: len(first)] == first
    said = summary(found)
    titles = {"attribution": "what decided", "gradient_flow": "how far gradients", "alignment": "attention of the dec"}
    places = [said.index(titles.get(key, "next symbols:")) for key in first]
    assert places == sorted(places)


def test_each_picture_says_what_it_shows_and_what_follows(made: Any) -> None:
    written = page(inspect_model(made("transduce", **ATTENDS), PAIR))
    for key, section in re.findall(r'<section id="(\w+)">(.*?)</section>', written, re.S):
        if key != "left_out":
            assert 'class="shows"' in section and 'class="here"' in section, key
    assert "forget gate" in written and "f = σ(W_f x + U_f h′ + b_f)" in written


def test_the_gate_that_is_open_is_named(made: Any) -> None:
    model = made()
    for name, weights in model.core.layers.named_parameters():
        weights.data.zero_()
        if name == "bias_ih_l1":
            weights.data[6:12] = 9  # the forget gate of layer 2
    seen = inspect_model(model, TEXT).gates
    said = conclusions.of_gates([g for g in seen.gates if g.shut is not None], seen)
    assert "Most often open is the forget gate f of layer 2, forwards (100% of its values)" in said
    assert conclusions.of_keeping(seen.kept).startswith("Layer 2, forwards, keeps c longest")


def decided(name: str, step: int | None, p: float, *occlusion: float) -> Decision:
    return Decision(name, step, p, np.zeros(len(occlusion)), np.array(occlusion))


def test_decisions_in_words() -> None:
    one = Attribution(("so", "bad"), (decided("no", None, 0.8, 0.1, np.log(2)),), ())
    assert conclusions.of_decisions(one) == (
        "‘no’ has p = 0.8; ‘bad’ counts most: without it the same answer would have 0.4."
    )
    tags = decided("A", 0, 0.9, 2.0, 0.1), decided("B", 1, 0.6, -3.0, 1.0)
    assert conclusions.of_decisions(Attribution(("so", "bad"), tags, ())) == (
        "1 of 2 depend most on the symbol they stand at, the others on another. The least sure is ‘B’ at ‘bad’, "
        "p = 0.6."
    )


def test_attention_in_words() -> None:
    straight = AttentionMap(tuple("abc"), tuple("xyz"), np.eye(3))
    assert "100% of a row lies on one symbol, against 33%" in conclusions.of_alignment(straight)
    assert "is sharp. It goes on or stays at 100%" in conclusions.of_alignment(straight)
    even = AttentionMap(tuple("abc"), tuple("xyz"), np.full((3, 3), 1 / 3))
    assert "spread out" in conclusions.of_alignment(even)
    before = SelfAttention(2, 1, AttentionMap(tuple("abcd"), tuple("abcd"), np.eye(4, k=-1) + 0.01))
    assert "head 1 of layer 2" in conclusions.of_heads([before])
    assert "75% of its symbols look most at the symbol 1 before it" in conclusions.of_heads([before])
