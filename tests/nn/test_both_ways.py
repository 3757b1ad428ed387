"""Two readings of a sequence that never see each other."""

from __future__ import annotations

import pytest
import torch

from recurra.nn.both_ways import BothWaysCore
from recurra.nn.core import RecurrentCore
from recurra.nn.layers import Layers
from recurra.types import Lengths, Sizes

LENGTHS = torch.tensor((4, 0, 7, 1))


def core(**settings: int) -> BothWaysCore:
    torch.manual_seed(0)
    return BothWaysCore(Layers(hidden_size=5, **settings)).build(Sizes(embedding=3)).double().eval()


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_one_layer_is_a_bidirectional_layer(lengths: torch.Tensor | None) -> None:
    mine = core()
    other = RecurrentCore(Layers(hidden_size=5), bidirectional=True).build(Sizes(embedding=3)).double().eval()
    weights = dict(mine.forwards.named_parameters())
    weights |= {f"{name}_reverse": value for name, value in mine.backwards.named_parameters()}
    other.layers.load_state_dict({name: value.detach() for name, value in weights.items()})
    x = torch.randn(4, 7, 3, dtype=torch.float64)
    assert torch.allclose(mine(x, Lengths(lengths))[0], other(x, Lengths(lengths))[0], rtol=0, atol=1e-12)


def test_two_layers_keep_apart_where_a_bidirectional_stack_does_not() -> None:
    x = torch.randn(4, 7, 3, dtype=torch.float64)
    changed = x.clone()
    changed[:, 3] += 1
    other = (
        RecurrentCore(Layers(hidden_size=5, num_layers=2), bidirectional=True).build(Sizes(embedding=3)).double().eval()
    )
    for made, apart in ((core(num_layers=2), True), (other, False)):
        before, after = (made(v, Lengths())[0] for v in (x, changed))
        left, right = (
            torch.equal(before[:, t, half], after[:, t, half]) for t, half in ((2, slice(5)), (4, slice(5, 10)))
        )
        assert (left, right) == (apart, apart) and made.apart == apart


def test_a_state_goes_on_at_both_ends() -> None:
    made, x = core(), torch.randn(2, 6, 3, dtype=torch.float64)
    y, _ = made(x, Lengths())
    _, (last, _) = made(x[:, :3], Lengths())
    _, (_, first) = made(x[:, 3:], Lengths())
    begin, _ = made(x[:, :3], Lengths(), (None, first))
    end, _ = made(x[:, 3:], Lengths(), (last, None))
    assert torch.allclose(torch.cat((begin, end), 1), y, rtol=0, atol=1e-12)
    assert all(part.isfinite().all() for state in (last, first) for part in state)


def test_which_cores_keep_their_halves_apart() -> None:
    assert BothWaysCore(Layers(num_layers=3)).apart and RecurrentCore(bidirectional=True).apart
    assert not RecurrentCore().apart and not RecurrentCore(Layers(num_layers=2), bidirectional=True).apart
    assert not RecurrentCore(bidirectional=True, merge="sum").apart


def test_weights_start_where_they_are_told_to() -> None:
    made = BothWaysCore(Layers(hidden_size=4, init_range=0.01)).build(Sizes(embedding=3))
    assert max(float(p.detach().abs().max()) for p in made.parameters()) <= 0.01


def test_a_cell_may_be_written_out_here_too() -> None:
    x = torch.randn(4, 7, 3).double()
    found = []
    for cell in ({"equations": "state: h\nh = tanh(s)"}, {"layers": Layers("rnn-tanh", hidden_size=5)}):
        torch.manual_seed(0)
        settings = {"layers": Layers(hidden_size=5), **cell}
        found.append(BothWaysCore(**settings).build(Sizes(embedding=3)).double()(x, Lengths())[0])
    assert torch.equal(*found)
