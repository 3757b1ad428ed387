"""Seeds of examples of their own."""

from __future__ import annotations

import numpy as np
import torch

from recurra.nn.chance import normal, seeds_of, uniform


def test_a_picture_draws_the_same_alone_and_among_others() -> None:
    pictures = torch.rand(4, 3, 5)
    seeds = seeds_of(pictures)
    assert len(set(seeds)) == 4
    assert seeds_of(pictures[2:3]) == seeds[2:3]
    assert seeds_of(pictures.double()) == seeds
    whole = normal(seeds, (3, 2), pictures)
    assert torch.equal(normal(seeds[1:2], (3, 2), pictures)[0], whole[1])
    assert torch.equal(whole[0], torch.from_numpy(np.random.default_rng((seeds[0], 0)).standard_normal((3, 2), "f4")))
    assert normal(seeds, (3, 2), pictures.double()).dtype == torch.float64


def test_numbers_are_of_their_distribution_and_the_two_are_others() -> None:
    like, seeds = torch.zeros(1), list(range(200))
    drawn, even = normal(seeds, (100,), like), uniform(seeds, (100,), like)
    assert abs(float(drawn.mean())) < 0.03
    assert abs(float(drawn.std()) - 1) < 0.03
    assert abs(float(even.mean()) - 0.5) < 0.01
    assert 0 <= float(even.min()) <= float(even.max()) < 1
    assert abs(float(torch.corrcoef(torch.stack((drawn.flatten(), even.flatten())))[0, 1])) < 0.03


def test_of_nothing_nothing_is_drawn() -> None:
    assert normal([], (3, 2), torch.zeros(1)).shape == (0, 3, 2)
