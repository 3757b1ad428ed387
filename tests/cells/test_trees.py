"""Cells over trees: what they are of a chain, what they refuse, and trees that are very deep."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recurra.data.trees import numbered
from recurra.engine.layer import Record
from recurra.equations.language import Expression, cell, project, sigmoid, tanh, total
from recurra.errors import ConfigError, DataError
from recurra.nn.tree_layer import TreeLayer
from recurra.registry import find
from recurra.testing.tree_cells import chain, trees_of

E = Expression


def test_a_chain_of_the_plain_recursive_network_is_the_vanilla_one() -> None:
    torch.manual_seed(0)
    tree, oracle = TreeLayer("tree-rnn", 4, 6).double(), torch.nn.RNN(4, 6).double()
    with torch.no_grad():
        oracle.weight_ih_l0.copy_(tree.weight_ih)
        oracle.weight_hh_l0.copy_(tree.weight_left)
        oracle.bias_ih_l0.copy_(tree.bias_ih)
        oracle.bias_hh_l0.zero_()
    x = torch.randn(1, 9, 4, dtype=torch.float64)
    (h,) = tree(x, trees_of([chain(9)], [9]))
    y, _ = oracle(x[0])
    assert (h[:-1] - y).abs().max() < 1e-12
    weights = torch.randn_like(y)
    found = torch.autograd.grad((h[:-1] * weights).sum(), [tree.weight_ih, tree.weight_left])
    wanted = torch.autograd.grad((y * weights).sum(), [oracle.weight_ih_l0, oracle.weight_hh_l0])
    for one, other in zip(found, wanted, strict=True):
        assert (one - other).abs().max() < 1e-12 * other.abs().max().clamp(min=1)


def test_a_chain_of_the_child_sum_lstm_is_the_lstm() -> None:
    torch.manual_seed(1)
    tree, oracle, H = TreeLayer("child-sum-lstm", 4, 6).double(), torch.nn.LSTM(4, 6).double(), 6
    with torch.no_grad():
        f, i, o, g = tree.weight_ih.split(H)
        oracle.weight_ih_l0.copy_(torch.cat((i, f, g, o)))
        i, o, g = tree.weight_sum.split(H)
        oracle.weight_hh_l0.copy_(torch.cat((i, tree.weight_each, g, o)))
        f, i, o, g = tree.bias_ih.split(H)
        oracle.bias_ih_l0.copy_(torch.cat((i, f, g, o)))
        oracle.bias_hh_l0.zero_()
    x = torch.randn(1, 9, 4, dtype=torch.float64)
    h, c = tree(x, trees_of([chain(9)], [9]))
    y, (_, last) = oracle(x[0])
    assert (h[:-1] - y).abs().max() < 1e-12 and (c[8] - last[0]).abs().max() < 1e-12


def test_siblings_stand_in_the_order_of_their_words() -> None:
    """A word has a smaller number than a phrase, but may stand on its right."""
    torch.manual_seed(2)
    layer, x = TreeLayer("tree-rnn", 3, 4).double(), torch.randn(1, 3, 3, dtype=torch.float64)
    (h,) = layer(x, trees_of([[3, 3, 4, 4, -1]], [3]))  # ((0 1) 2)
    words = torch.tanh(x[0] @ layer.weight_ih.T + layer.bias_ih)
    pair = torch.tanh(layer.bias_ih + layer.weight_left @ words[0] + layer.weight_right @ words[1])
    root = torch.tanh(layer.bias_ih + layer.weight_left @ pair + layer.weight_right @ words[2])
    assert torch.allclose(h[4], root, rtol=0, atol=1e-12)


def test_a_very_deep_chain() -> None:
    """100,000 nodes deep: nothing calls itself."""
    depth = 100_000
    assert numbered(chain(depth), depth)[-1].tolist() == [-1, depth - 1, 0, 1]
    depth = 3_000  # three times what Python lets calls nest
    layer, x = TreeLayer("child-sum-lstm", 1, 2), torch.randn(1, depth, 1)
    h, _ = layer(x, trees_of([chain(depth)], [depth]))
    h[depth - 1].sum().backward()
    assert layer.weight_each.grad is not None and layer.weight_each.grad.isfinite().all()


def test_a_node_with_too_many_children() -> None:
    layer = TreeLayer("tree-lstm", 2, 3)
    with pytest.raises(ConfigError, match=r"a node with 3 children, expected 2 at most.*'tree-lstm'.*child-sum-lstm"):
        layer(torch.randn(1, 4, 2), trees_of([[1, -1, 1, 1]], [4]))


@pytest.mark.parametrize(
    ("parents", "words", "message"),
    [
        ([-1, -1], 2, "a tree with 2 roots, expected one"),
        ([1, 0], 2, "a tree with 0 roots"),
        ([-1, 2, 1], 3, "node 1 is below itself"),
        ([-1, 7], 2, "node 1 has the parent 7, expected one of 0 to 1"),
        ([1, -1, 1], 1, "node 2 has neither a word nor children"),
    ],
)
def test_what_is_no_tree(parents: list[int], words: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        numbered(parents, words)
    assert numbered([], 0).shape == (0, 4)


def test_what_cells_over_trees_may_not_hold() -> None:
    def each(s: E, h: E) -> E:
        return tanh(s)

    def made(equations: object, gates: str = "s", children: str = "each") -> object:
        return cell(name="mine", gates=gates, state="h", children=children, source="here")(equations).nodes  # type: ignore[arg-type,attr-defined]

    made(each)
    for equations, message in (
        (lambda s, h: tanh(s) + h, "h is one of every child's, but stands outside of total"),
        (lambda s, h: tanh(s) + total(sigmoid(s) * h), "s is one of every child's"),
        (lambda s, h: tanh(s.input), "holds a part of a gate, expected whole gates"),
        (lambda s, h: tanh(s) + total(project(h)), "holds project"),
    ):
        with pytest.raises(ConfigError, match=message):
            made(equations)
    with pytest.raises(ConfigError, match="has children by position, which are no sum"):
        made(lambda s, h_left, h_right: tanh(s) + total(h_left), children="left right")
    with pytest.raises(ConfigError, match="sums over children, but has none"):
        made(lambda s, h: total(h), children="")


def test_recurrent_dropout_where_there_is_nothing_to_mask() -> None:
    with pytest.raises(ConfigError, match=r"'tree-rnn' has no mask.*tree-lstm"):
        TreeLayer("tree-rnn", 2, 3, recurrent_dropout=0.5)


def test_a_cell_over_trees_is_found_again_from_a_pickle() -> None:
    import copy
    import pickle

    lstm = find("tree-cell", "tree-lstm")
    assert pickle.loads(pickle.dumps(lstm)) is lstm and copy.deepcopy(lstm) is lstm


def test_what_is_asked_of_the_numbers_of_a_tree() -> None:
    """Columns: parent, height, first word, whether it is a word."""
    found = numbered([3, 3, 4, 4, -1], 3)
    assert np.array_equal(found, [[3, 0, 0, 1], [3, 0, 1, 1], [4, 0, 2, 1], [4, 1, 0, 0], [-1, 2, 0, 0]])


@pytest.mark.parametrize("name", ["tree-rnn", "tree-lstm", "child-sum-rnn", "child-sum-lstm"])
def test_both_engines_record_the_errors_of_nodes(name: str) -> None:
    torch.manual_seed(3)
    layer = TreeLayer(name, 3, 4).double()
    x = torch.randn(2, 4, 3, dtype=torch.float64)
    tree = trees_of([[4, 4, 5, 5, 6, 6, -1], [1, -1]], [4, 2])
    found = []
    for backend in ("levels", "reference"):
        layer.backend, record = backend, Record()  # type: ignore[assignment]
        h = layer(x, tree, record)[0]
        h[tree.root].square().sum().backward()
        found.append(record.norms[0])
    assert found[0].shape == (tree.nodes,) and (found[0] > 0).all()
    torch.testing.assert_close(found[1], found[0], rtol=1e-10, atol=0)
