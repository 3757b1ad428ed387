"""The softmax as an emission: of its own matrix, and of another's."""

from __future__ import annotations

import pytest
import torch

from recurra.nn.emissions.categorical import Categorical


def test_a_tied_one_takes_the_matrix_it_is_given() -> None:
    torch.manual_seed(0)
    own, tied = Categorical().build(5, 7), Categorical().build(5, 7, tied=True)
    assert [name for name, _ in tied.named_parameters()] == ["bias"]
    y, target = torch.randn(3, 4, 5), torch.randint(7, (3, 4))
    for name in ("loss", "log_p"):
        expected = getattr(own, name)(y, target)
        assert torch.equal(getattr(tied, name)(y, target, own.weight), expected)
    expected = own.distribution(y)["log_probabilities"]
    assert torch.equal(tied.distribution(y, own.weight)["log_probabilities"], expected)
    with pytest.raises(TypeError, match="wants the matrix it is tied to"):
        tied.loss(y, target)
