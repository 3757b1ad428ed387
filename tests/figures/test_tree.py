"""A tree as a picture: who is drawn where, in which colour, and that whatever a word is, the file is one picture."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from recurra.answers import Answer, Tree
from recurra.errors import ConfigError
from recurra.figures.tree import APART, HIGH, LOW, MIDDLE, PILL, boxes, colour, in_order, is_scale, placed

FIVE = ["0", "1", "2", "3", "4"]


def drawn(draw: random.Random, words: int) -> Tree:
    """A tree over words of any length, nodes of one to three children."""
    if words == 1:
        return Tree(draw.choice(FIVE), token="w" * draw.randint(1, 30), p=draw.random())
    count = min(words, draw.randint(1, 3))
    if count == 1:
        return Tree(draw.choice(FIVE), (drawn(draw, words - 1),), "own")
    cuts = sorted(draw.sample(range(1, words), count - 1))
    sizes = [b - a for a, b in zip([0, *cuts], [*cuts, words], strict=True)]
    return Tree(draw.choice(FIVE), tuple(drawn(draw, size) for size in sizes))


@pytest.mark.parametrize("seed", range(8))
def test_nodes_do_not_meet(seed: int) -> None:
    tree = drawn(random.Random(seed), 12)
    nodes, wide = placed(tree)
    for each in nodes:
        assert each.height == 1 + max((-1, *(n.height for n in nodes if n.parent is each)))
    found = boxes(tree, FIVE)
    rows: dict[float, list[tuple[float, float]]] = {}
    for each in found["nodes"]:
        assert each["x"] - each["wide"] / 2 >= 0 and each["x"] + each["wide"] / 2 <= wide + 0.1
        assert PILL / 2 <= each["y"] <= found["height"]
        rows.setdefault(each["y"], []).append((each["x"] - each["wide"] / 2, each["x"] + each["wide"] / 2))
    for row in rows.values():
        row.sort()
        assert all(end <= begin for (_, end), (begin, _) in pairwise(row))
    words = [each for each in found["nodes"] if each["word"] is not None]
    assert len({each["y"] for each in words}) == 1  # in a line
    assert [each["x"] for each in words] == sorted(each["x"] for each in words)


def test_colours_go_from_end_to_end() -> None:
    assert in_order(["10", "9", "-1.5"]) == ["-1.5", "9", "10"] and in_order(["b", "a"]) == ["b", "a"]
    assert is_scale(FIVE) and is_scale(["negative", "positive"]) and not is_scale(["NP", "VP", "S"])
    assert [colour(label, FIVE) for label in ("0", "2", "4")] == [LOW, MIDDLE, HIGH]
    assert colour("3", FIVE)[0] > MIDDLE[0] - 40 and colour("negative", ["negative", "positive"]) == LOW
    assert colour("VP", ["NP", "VP", "S"]) == APART[1] and colour("new", FIVE) == MIDDLE


def test_the_file_is_a_picture_whatever_the_words_are() -> None:
    tree = Tree(
        "4", (Tree("<b>", token='"&\n<script>'), Tree("0", token="愛", p=0.25)), p=1.0, labels=("4", "<b>", "0")
    )
    root = ET.fromstring(Answer((tree,)).saved(".svg"))
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["4", "<b>", '"&⏎<script>', "0", "愛"]
    titles = [each.text for each in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["4, 100%", "<b>", "0, 25%"]
    with pytest.raises(ConfigError, match=r"a file that ends in \.png, expected \.svg"):
        Answer((tree,)).saved(".png")
    assert Tree("b", (Tree("a", token="x"), Tree("b", token="y"))).scale == ["a", "b"]


def test_a_deep_tree_is_drawn_without_recursion() -> None:
    tree = Tree("0", token="end")
    for _ in range(5_000):
        tree = Tree("1", (tree,))
    assert boxes(tree, FIVE)["nodes"][-1]["word"] == "end"
