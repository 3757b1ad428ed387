"""The word embedder: own vectors beside spelt ones, dropout of words, ready vectors, what it refuses."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from recurra import registry
from recurra.errors import ConfigError
from recurra.nn.embedders import WordEmbedder
from recurra.types import Batch, Sizes

B, T, D, V, U, C = 3, 4, 5, 7, 6, 8
SPELLING = {"kind": "convolution", "size": 3, "filters": 4}


def made(**settings: Any) -> WordEmbedder:
    embedder: WordEmbedder = registry.construct("embedder", {"kind": "words", "size": D, **settings})
    return embedder.build(Sizes(vocabulary=V, fields={"characters": 9}))


def batch() -> Batch:
    return Batch(
        {
            "input": torch.randint(1, V, (T, B)).t(),
            "spellings": torch.randint(9, (U, C)),
            "spelling_lengths": torch.randint(1, C + 1, (U,)),
            "spelling": torch.randint(U, (T, B)).t(),
        }
    )


@pytest.mark.parametrize("spelling", [SPELLING, {"kind": "recurrent", "hidden_size": 2}])
def test_a_words_own_vector_and_its_spelling_side_by_side(spelling: dict[str, Any]) -> None:
    embedder, words = made(spelling=spelling), batch()
    assert list(embedder.fields) == ["characters"] and not made().fields
    x = embedder(words)[0]
    assert x.shape == (B, T, embedder.output_size) == (B, T, D + 4)
    assert x.transpose(0, 1).is_contiguous()
    assert torch.equal(x[:, :, :D], embedder.weight[words.fields["input"]])
    spelt = embedder.spelling(words.fields["spellings"], words.fields["spelling_lengths"])
    assert torch.equal(x[:, :, D:], spelt[words.fields["spelling"]])
    x.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in embedder.parameters())


def test_without_a_spelling_only_the_numbers_are_read() -> None:
    embedder, words = made(), batch()
    only = Batch({"input": words.fields["input"]})
    assert torch.equal(embedder(only)[0], embedder.weight[words.fields["input"]])
    assert embedder.output_size == D


def test_word_dropout_makes_words_unknown_in_training_and_keeps_their_spelling() -> None:
    embedder = made(word_dropout=0.3, spelling=SPELLING)
    many = Batch({**batch().fields, "input": torch.randint(1, V, (B, 3000)), "spelling": torch.randint(U, (B, 3000))})
    x = embedder(many)[0]
    unknown = (x[:, :, :D] == embedder.weight[0]).all(2)
    assert unknown.float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert torch.equal(x[:, :, :D][~unknown], embedder.weight[many.fields["input"]][~unknown])
    trained = x[:, :, D:]
    embedder.eval()
    whole = embedder(many)[0]
    assert torch.equal(whole[:, :, D:], trained)
    assert torch.equal(whole[:, :, :D], embedder.weight[many.fields["input"]])


def test_dropout_of_entries() -> None:
    embedder, words = made(dropout=0.25, size=400), batch()
    x = embedder(words)[0]
    kept = x != 0
    assert torch.allclose(x[kept], embedder.weight[words.fields["input"]][kept] / 0.75)
    assert 0.72 < kept.float().mean() < 0.78


@pytest.mark.parametrize("tune", [True, False])
def test_ready_vectors_are_adopted_and_stay_unless_tuned(tune: bool) -> None:
    embedder = made(tune=tune)
    start = embedder.weight.detach().clone()
    vectors = torch.randn(V, D)
    vectors[[0, 3]] = 0
    embedder.adopt(vectors)
    given = vectors.any(1)
    found = embedder.look_up(torch.arange(V))
    assert torch.equal(found[given], vectors[given])
    assert torch.equal(found[~given], start[~given])
    for again in (embedder, copy.deepcopy(embedder), made(tune=tune)):
        again.load_state_dict(embedder.state_dict())
        again.zero_grad()
        again(Batch({"input": torch.arange(V)[None]}))[0].square().sum().backward()
        assert again.weight.grad is not None
        assert torch.equal(again.weight.grad.any(1), torch.ones(V, dtype=torch.bool) if tune else ~given)


def test_start_of_the_vectors() -> None:
    embedder = WordEmbedder(size=50).build(Sizes(vocabulary=200))
    assert embedder.weight.abs().max() <= (3 / 50) ** 0.5
    assert embedder.weight.std().item() == pytest.approx(50**-0.5, rel=0.05)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, r"embedder.size = 0, expected 1 or more"),
        ({"dropout": 1.0}, r"embedder.dropout = 1.0, expected 0 or more and less than 1"),
        ({"word_dropout": -0.5}, r"embedder.word_dropout = -0.5, expected 0 or more and less than 1"),
        (
            {"spelling": {"kind": "convolution", "filter": 3}},
            r"unknown key embedder.spelling.filter: did you mean 'filters'",
        ),
        ({"spelling": {"kind": "convolutoin"}}, r"unknown spelling 'convolutoin': did you mean 'convolution'"),
        ({"spelling": {"size": 3}}, r"\[embedder.spelling\] names no kind. Known: convolution, recurrent"),
        ({"spelling": "convolution"}, r"embedder.spelling = 'convolution' is a str, expected dict | None"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(**settings)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"vectors have shape \(7, 4\), expected \(7, 5\).*--set embedder.size=4"):
        made().adopt(torch.zeros(V, 4))
    with pytest.raises(ConfigError, match=r"the batch has no field \"spellings\".*embedder.spelling = none"):
        made(spelling=SPELLING)(Batch({"input": torch.zeros(B, T, dtype=torch.int64)}))
