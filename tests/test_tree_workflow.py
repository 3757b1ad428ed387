"""Trees from files to answers: trained, asked, scored, resumed; what cannot be is refused in a sentence."""

from __future__ import annotations

import json
import random
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

import recurra
import recurra.diagnostics.brief
from recurra.cli import call
from recurra.data.batching.layout import laid
from recurra.data.codecs.trees import TreeCodec
from recurra.data.readers.conllu import ConlluReader
from recurra.data.readers.trees import TreesReader, nodes_of, parse
from recurra.data.trees import depths, numbered
from recurra.diagnostics.reading import frozen_copy
from recurra.errors import ConfigError, DataError
from recurra.registry import construct
from recurra.types import Batch

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


def test_errors_by_node_are_autograds(run: Any) -> None:
    """Against autograd through the engine that goes node by node, a loss at the roots alone."""
    examples = list(islice(TreesReader(nodes=True).read(run.path.parent / "valid.txt"), 5))
    model = run.model
    parts = frozen_copy(model, torch.float64)
    encoded = model.codecs.encode_all(examples)
    fields, _, lengths = laid(encoded, dict(model.codecs.layouts))
    batch = Batch(fields, lengths=lengths)
    found = parts.task.errors_by_node(parts.embedder, parts.core, batch)
    for row, example in enumerate(examples):
        words, *parents = example["tree"]
        vectors = parts.embedder(Batch({"input": batch.fields["input"][row : row + 1]}))[0][0]
        layer, states = parts.task.layer, dict[int, Any]()
        for node in sorted(range(len(parents)), key=lambda k: numbered(parents, words)[k, 1]):
            own = sorted(range(len(parents)), key=lambda k: numbered(parents, words)[k, 2])
            below = [states[k] for k in own if parents[k] == node]
            x = layer.weight_ih @ vectors[node] if node < words else 0.0
            a = x + layer.bias_ih
            if below:
                a = a + layer.weight_left @ below[0][0] + layer.weight_right @ below[1][0]
            f, r, i, o, g = a.chunk(5)
            c = i.sigmoid() * g.tanh()
            if below:
                c = c + f.sigmoid() * below[0][1] + r.sigmoid() * below[1][1]
            h = (o.sigmoid() * c.tanh()).requires_grad_()
            h.retain_grad()
            states[node] = (h, c)
        root = parents.index(-1)
        label = model.codecs["node_labels"].encode([example["node_labels"][root]])
        loss = torch.nn.functional.cross_entropy(parts.task.linear(states[root][0])[None], torch.from_numpy(label))
        loss.backward()
        norms = torch.stack([states[k][0].grad.norm() for k in range(len(parents))])
        assert torch.allclose(found[row, : len(parents)], norms, atol=1e-12)
        assert not found[row, len(parents) :].any()


def test_a_tree_is_looked_inside(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for asked in ([], ["--text", "((this) ((is) ((not) (bad))))"]):
        assert call(["inspect", str(run.path), *asked, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        (answer,) = run.predict("((this) ((is) ((not) (bad))))")
        if asked:
            assert found["tree"] == answer["tree"] and found["tree_reach"]["nodes"] == [1, 2, 2, 2]
            assert found["attribution"]["decisions"][0]["name"] == answer["label"] == "4"
        assert found["tree_reach"]["shares"][0] == 1 and "with every node down" in found["tree_reach"]["conclusion"]
        assert "it has no beginning" in found["left_out"]["earliness"]
    page = tmp_path / "page.html"
    assert call(["inspect", str(run.path), *asked, "--out", str(page)]) == 0
    assert "what is said of every node" in capsys.readouterr().out
    assert "A tree of 7 nodes" in page.read_text() and "nodes below the root" in page.read_text()
    assert call(["predict", str(run.path), asked[1], "--save", str(tmp_path / "tree.svg")]) == 0
    assert (tmp_path / "tree.svg").read_text().startswith("<svg xmlns=")
    assert recurra.diagnostics.brief.brief(run.model, asked[1])["tree_reach"]["trees"] == 1


def test_depths() -> None:
    assert depths(numbered([3, 3, 4, 4, -1], 3)).tolist() == [2, 2, 1, 1, 0]
    assert len(depths(numbered([], 0))) == 0
    chain = numbered([*range(1, 50_000), -1], 50_000)
    assert depths(chain).tolist() == [*range(49_999, -1, -1)]
