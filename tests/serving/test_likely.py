"""Probabilities of labels beside those of all that could be said."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from recurra.data.former import label_codecs
from recurra.errors import ConfigError
from recurra.types import Batch, Lengths

WORDS = ["the", "quick", "fox", "jumps"]


def potentials(run: Any) -> dict[str, torch.Tensor]:
    encoded = label_codecs(run.model.vocabularies).encode({"tokens": WORDS})
    batch = Batch({"input": torch.from_numpy(encoded["input"])[None]}, Lengths(torch.tensor([len(WORDS)])))
    with torch.no_grad():
        found = run.model.task.potentials(run.model.embedder, run.model.core, batch)
    return {name: scores.detach() for name, scores in found.items()}


def test_a_crfs_tag_has_the_share_of_all_ways_that_have_it(small_runs: dict[str, Any]) -> None:
    run = small_runs["slots"]
    found = potentials(run)
    z, A = found["tags"][0].double(), found["transitions"].double()
    names = run.model.vocabularies["tags"].symbols
    scores = {}
    for way in itertools.product(range(len(names)), repeat=len(WORDS)):
        score = found["start"][way[0]] + found["end"][way[-1]] + sum(z[t, k] for t, k in enumerate(way))
        scores[way] = float(score + sum(A[i, j] for i, j in itertools.pairwise(way)))
    weights = torch.tensor(list(scores.values()), dtype=torch.float64).softmax(0)
    answer, _, _ = run.predict(WORDS, ["fox"], WORDS[:2], top=2)
    for t, (tag, p) in enumerate(zip(answer["tags"], answer["p"], strict=True)):
        share = sum(float(w) for way, w in zip(scores, weights, strict=True) if names[way[t]] == tag)
        assert p == pytest.approx(share, rel=1e-5)
    label = found["label"][0].exp()
    assert [one["p"] for one in answer["likeliest"]] == pytest.approx(label.topk(2).values.tolist(), rel=1e-5)


def test_a_softmaxs_tag_and_labels_of_several(small_runs: dict[str, Any]) -> None:
    run = small_runs["pos"]
    (answer,) = run.predict(WORDS, top=1)
    assert answer["p"] == pytest.approx(potentials(run)["tags"][0].exp().amax(1).tolist(), rel=1e-5)
    run = small_runs["labels"]
    (answer,) = run.predict(WORDS, top=9)
    expected = potentials(run)["labels"][0].sigmoid().sort(descending=True).values.tolist()
    assert [one["p"] for one in answer["likeliest"]] == pytest.approx(expected, rel=1e-5)


def test_without_top_there_are_none(small_runs: dict[str, Any]) -> None:
    assert set(small_runs["slots"].predict(WORDS)[0]) == {"tokens", "tags", "label"}
    with pytest.raises(ConfigError, match="top = -1, expected 0 or more labels"):
        small_runs["slots"].predict(WORDS, top=-1)


def test_attention_of_a_target(small_runs: dict[str, Any]) -> None:
    whole, empty = small_runs["pairs"].predict("the quick fox", "", attention=True, beam=1)
    assert [row.index(max(row[:-1])) for row in whole["attention"][:-1]] == whole["alignment"]
    assert len(whole["attention"]) == len(whole["target_tokens"]) + 1 and "attention" not in empty
    assert "attention" not in small_runs["pairs"].predict("the fox", alignment=True)[0]
