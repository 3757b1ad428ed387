"""Trees from files to answers: trained, asked, scored, resumed; what cannot be is refused in a sentence."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

import recurra
from recurra.cli import call
from recurra.data.codecs.trees import TreeCodec
from recurra.data.readers.conllu import ConlluReader
from recurra.data.readers.trees import TreesReader, nodes_of, parse
from recurra.errors import ConfigError, DataError
from recurra.registry import construct

SMALL = {
    "embedder.size": 12,
    "task.hidden_size": 12,
    "training.epochs": 12,
    "training.learning_rate": 0.02,
    "training.average": 0.0,
    "training.threads": 1,
    "embedder.dropout": 0.0,
    "task.dropout": 0.0,
    "task.recurrent_dropout": 0.0,
    "vocabulary.min_count": 1,
}


def trees(count: int, seed: int) -> str:
    """Sentences whose label is turned around by "not" beside a word."""
    draw, lines = random.Random(seed), []
    for _ in range(count):
        good, turned = draw.random() < 0.5, draw.random() < 0.5
        word, own = ("fine", 4) if good else ("bad", 0)
        label = own if not turned else 4 - own
        phrase = f"({label} (2 not) ({own} {word}))" if turned else f"({own} {word})"
        lines.append(f"({label} (2 {draw.choice(['it', 'that', 'this'])}) ({label} (2 is) {phrase}))\n")
    return "".join(lines)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("trees")
    for part, count in (("train", 120), ("valid", 30), ("test", 30)):
        (folder / f"{part}.txt").write_text(trees(count, len(part)))
    data = {f"data.{part}": [str(folder / f"{part}.txt")] for part in ("valid", "test")}
    return recurra.train("tree-sentiment", str(folder / "train.txt"), out=folder / "run", settings={**SMALL, **data})


def test_negation_is_learned(run: Any) -> None:
    scores = run.report["scores"]["model"]["metrics"] if "model" in run.report["scores"] else run.report["scores"]
    assert "node_accuracy" in json.dumps(scores)
    (answer,) = run.predict("((this) ((is) ((not) (bad))))")
    assert answer["label"] == "4"
    tree = answer["tree"]
    assert [tree["label"], tree["children"][0]["token"]] == ["4", "this"]
    turned = tree["children"][1]["children"][1]["children"]
    assert [(each["token"], each["label"]) for each in turned] == [("not", "2"), ("bad", "0")]
    (with_labels,) = run.predict("(0 (1 this) (1 (1 is) (1 (1 not) (1 bad))))")
    assert with_labels == answer  # labels that are asked with are not looked at


def test_what_is_no_tree_is_refused(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for text, said in (
        ("this is not bad", "'this' outside of all brackets"),
        ("((this) (is)", r"1 '(' without ')'"),
        ("(() (is))", "no word in"),
        ("((a) (b) (c))", "a node over word 1 with 3 children, expected 2 at most"),
    ):
        assert call(["predict", str(run.path), text]) == 2
        assert said in capsys.readouterr().err
    assert call(["stream", str(run.path)]) == 2
    assert "cannot be streamed" in capsys.readouterr().err
    assert call(["export", str(run.path), "--out", str(run.path.parent / "onnx")]) == 2
    assert "every tree has heights of its own" in capsys.readouterr().err


def test_nodes_of_files(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("(3 (2 It) (4 (2 's) (1 (0 not) (4 good))))\n(2 (2 so) (1 bad))\n")
    first, _ = TreesReader(nodes=True).read(path)
    assert first["tree"] == [4, 4, 5, 6, 6, -1, 4, 5]
    assert first["node_labels"] == ["2", "2", "0", "4", "3", "4", "1"]
    (two,) = TreesReader(nodes=True, classes="two").read(path)  # the second root is neutral
    assert two["node_labels"] == [None, None, "negative", "positive", "positive", "positive", "negative"]
    words, phrases = parse("((really (so)) bad)", "here:1", asked=True)  # the first in a bracket is a label
    assert (words, nodes_of(words, phrases)) == (["so", "bad"], ([3, 2, -1, 2], ["", None, "", "really"]))
    with pytest.raises(ConfigError, match="makes an example of every phrase"):
        TreesReader(nodes=True, phrases=True)


def test_deep_trees_are_read_and_refused_by_name(tmp_path: Path) -> None:
    deep = 100_000
    line = "(2 (2 a) " * deep + "(2 b)" + ")" * deep
    (tmp_path / "deep.txt").write_text(line + "\n")
    (example,) = TreesReader(nodes=True).read(tmp_path / "deep.txt")
    assert len(example["tree"]) == 2 * deep + 2
    with pytest.raises(DataError, match="a tree of the height 100,000, expected 100 at most"):
        TreeCodec().encode(example["tree"])


def test_dependencies(tmp_path: Path) -> None:
    rows = [("It", "PRON", 2), ("works", "VERB", 0), ("well", "ADV", 2)]
    lines = [f"{k}\t{w}\t_\t{t}\t_\t_\t{head}\t_\t_\t_" for k, (w, t, head) in enumerate(rows, 1)]
    path = tmp_path / "a.conllu"
    path.write_text("\n".join([*lines, "", "# label = good", *lines, ""]))
    plain, labelled = ConlluReader(nodes=True).read(path)
    assert plain["tree"] == [3, 1, -1, 1] and plain["node_labels"] == ["PRON", "VERB", "ADV"]
    assert labelled["node_labels"] == [None, "good", None] and labelled["label"] == "good"
    path.write_text("\n".join(lines).replace("\t0\t", "\t3\t"))
    with pytest.raises(DataError, match=r"a\.conllu:1: a tree with 0 roots"):
        list(ConlluReader(nodes=True).read(path))
    path.write_text("\n".join(lines).replace("\t0\t", "\t_\t"))
    with pytest.raises(DataError, match=r"a\.conllu:2: the head '_', expected the number of a word"):
        list(ConlluReader(nodes=True).read(path))


def test_a_cut_tree_is_refused() -> None:
    codec = construct("codec", {"kind": "tree"})
    with pytest.raises(DataError, match="a tree over 3 words, of which 2 are read: a tree cannot be cut"):
        codec.batched([codec.encode([3, 3, 3, 4, 4, -1])], 2)
