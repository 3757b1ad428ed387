"""Several models that search together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recurra.decoding.beam import beam
from recurra.decoding.ensemble import ensemble
from recurra.errors import ConfigError

from .conftest import Table, Translator, everything


@pytest.mark.parametrize("count", [1, 2, 3])
def test_probabilities_are_averaged(count: int) -> None:
    models = [Table(seed, 6) for seed in range(count)]
    models[0].log_p[:, 1] = -torch.inf
    state = tuple(model.start(4)[0] for model in models)
    log_p, after = ensemble([model.step for model in models])(state, torch.tensor([3, 0, 2, 2]))
    each = [m.step(s, torch.tensor([3, 0, 2, 2])) for m, s in zip(models, state, strict=True)]
    assert torch.allclose(log_p.exp(), torch.stack([one.exp() for one, _ in each]).mean(0), rtol=1e-13)
    assert [torch.equal(a[0], b[0]) for a, (_, b) in zip(after, each, strict=True)] == [True] * count


def test_a_beam_over_an_ensemble_finds_its_best_sequence() -> None:
    models = [Table(seed, 3) for seed in (3, 4)]
    state = tuple(model.start(3)[0] for model in models)
    found = beam(
        ensemble([model.step for model in models]), state, torch.zeros(3).long(), end=2, longest=3, size=81, n_best=4
    )

    def score(b: int, tokens: tuple[int, ...]) -> float:
        each = [[m.after(b, tokens[:t])[v] for t, v in enumerate((*tokens, 2))] for m in models]
        return float(np.log(np.exp(each).mean(0)).sum() / ((6 + len(tokens)) / 6) ** 0.6)

    for b in range(3):
        sequences = [tokens for _, tokens in everything(models[0], b, 2, 3)]
        best = sorted(sequences, key=lambda tokens: -score(b, tokens))[:4]
        assert [h.tokens for h in found[b]] == best
        assert np.allclose([h.score for h in found[b]], [score(b, tokens) for tokens in best], rtol=1e-12)


def test_twice_the_same_model_is_the_model() -> None:
    torch.manual_seed(0)
    model, memory = Translator("lstm", 8), torch.randn(4, 5, 5).double()
    begin = torch.zeros(5).long()
    one = beam(model.step, model.start(memory), begin, end=7, longest=9, n_best=3)
    two = beam(ensemble([model.step] * 2), (model.start(memory),) * 2, begin, end=7, longest=9, n_best=3)
    assert [[h.tokens for h in each] for each in one] == [[h.tokens for h in each] for each in two]


def test_models_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"an ensemble of no models, expected one or more\."):
        ensemble([])
    a, b = Table(0, 5), Table(0, 6)
    step = ensemble([a.step, b.step])
    with pytest.raises(
        ConfigError, match=r"model 2 of the ensemble scores 6 symbols and the first 5: expected models t"
    ):
        step((a.start(2)[0], b.start(2)[0]), torch.tensor([0, 0]))
    with pytest.raises(ConfigError, match=r"state of an ensemble is a tuple of 1, expected a tuple of 2, one for each"):
        step((a.start(2)[0],), torch.tensor([0, 0]))
    with pytest.raises(ConfigError, match=r"the state of an ensemble is a Tensor, expected a tuple of 2"):
        step(torch.zeros(2, 1), torch.tensor([0, 0]))
