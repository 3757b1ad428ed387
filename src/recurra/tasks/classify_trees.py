"""Name every node of a tree over words, or its root: the sentiment of phrases, of a sentence by its dependencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra import registry
from recurra.answers import Answer, Label, Tree
from recurra.data.fields import Codecs
from recurra.data.readers.trees import nodes_of, parse
from recurra.data.trees import FIRST, PARENT, numbered
from recurra.engine.layer import Record
from recurra.equations.children import EACH
from recurra.errors import ConfigError, DataError
from recurra.nn.softmax import IGNORED
from recurra.nn.tree_layer import TreeLayer
from recurra.registry import part
from recurra.tasks.contract import INPUT, Card
from recurra.tasks.naming import LabelOptions, count_unseen, ranked
from recurra.tasks.scores import Scores, accuracy, label_scores
from recurra.types import Batch, Example, Field, Output, Sizes
from recurra.types import Tree as Structure

NODE_LABELS = Field(("node_labels",), {"kind": "node-labels"}, learned=True)


@part("task", "classify-trees")
class ClassifyTrees(nn.Module):
    """The label of every node k of a tree from its state: ŷ_k = softmax(V h_k + c), L = −Σ_k log ŷ_k[label of k].

    A recursive network of a registered cell over trees, `tree_cell`, goes from the words, what the core gives of each,
    to the root (`TreeLayer`; `recurrent_dropout` is its). With `at` "root" only the root's label is learned, else those
    of all nodes that have one. `dropout` zeroes entries of h.

    Reads "tree" and "node_labels", as the readers trees and conllu give them with `nodes`. The accuracy is the root's;
    "node_accuracy" beside it that of all labelled nodes. What is asked may be written in brackets, with labels, which
    are not looked at, or without: ((It) (works)).

    Source: Socher et al. 2013; Tai, Socher & Manning 2015, Improved semantic representations from tree-structured long
    short-term memory networks, section 4.
    """

    baselines = ("bag",)
    unit = "nodes"
    causal = False
    main_metric = ("accuracy", "max")
    learned = ("node_labels",)
    """The fields it is to name."""
    card = Card("Label", "A tree in brackets.", "((the) ((quick) (fox)))", "tree labeller")
    Options: ClassVar[type] = LabelOptions
    not_exported = (
        "every tree has heights of its own, which a recorded program cannot follow. Ask the run itself: `recurra "
        "predict`, `recurra serve`, or load_run in Python."
    )

    def __init__(
        self,
        tree_cell: str = "tree-lstm",
        hidden_size: int = 150,
        recurrent_dropout: float = 0.0,
        dropout: float = 0.5,
        at: Literal["nodes", "root"] = "nodes",
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ConfigError(f"task.dropout = {dropout}, expected 0 or more and less than 1.")
        if hidden_size < 1:
            raise ConfigError(f"task.hidden_size = {hidden_size}, expected 1 or more.")
        self.tree_cell = registry.find("tree-cell", tree_cell)
        self.hidden_size, self.recurrent_dropout, self.dropout, self.at = hidden_size, recurrent_dropout, dropout, at

    @property
    def fields(self) -> Mapping[str, Field]:
        most = 0 if self.tree_cell.children == EACH else len(self.tree_cell.children)
        tree = Field(("tree",), {"kind": "tree", "children": most})
        return {"input": INPUT, "tree": tree, "node_labels": NODE_LABELS}

    def build(self, sizes: Sizes) -> Self:
        """Make the layers from `sizes.core` units to the labels, `sizes.fields["node_labels"]` of them."""
        self.layer = TreeLayer(self.tree_cell, sizes.core, self.hidden_size, self.recurrent_dropout)
        self.linear = nn.Linear(self.hidden_size, sizes.fields["node_labels"])
        return self

    def forward(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss of a batch, summed over its labelled nodes."""
        tree = _structure(batch)
        h, rows = self._states(embedder, core, batch, tree), tree.root
        label = h.new_full((len(h),), IGNORED, dtype=torch.int64)
        label[tree.row] = batch.fields["node_labels"]
        label[-1] = IGNORED  # the row behind the nodes, which shorter trees are padded with
        rows = (label != IGNORED).nonzero()[:, 0] if self.at == "nodes" else tree.root[label[tree.root] != IGNORED]
        logits = self._logits(F.dropout(h.index_select(0, rows), self.dropout, self.training))
        loss = F.cross_entropy(logits, label[rows], reduction="sum")
        return Output(loss, len(rows), int((tree.root < tree.nodes).sum()))

    def ask(self, embedder: nn.Module, core: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """ "node_labels" [B, K, L]: log ŷ of the nodes as their examples number them."""
        tree = _structure(batch)
        log_p = F.log_softmax(self._logits(self._states(embedder, core, batch, tree)), 1)
        return {"node_labels": log_p[tree.row]}

    def at_the_root(self, encoded: Mapping[str, Any]) -> dict[str, Any]:
        """An encoded example of which only the root's label counts."""
        label = np.full_like(encoded["node_labels"], IGNORED)
        root = encoded["tree"][:, PARENT] < 0
        label[root] = encoded["node_labels"][root]
        return {**encoded, "node_labels": label}

    def errors_by_node(self, embedder: nn.Module, core: nn.Module, batch: Batch) -> Tensor:
        """‖∂L/∂h‖ of every node [B, K] as its example numbers them, L the loss of the roots that have a label."""
        tree, record = _structure(batch), Record()
        y, _ = core(*embedder(batch), None)
        y = y.detach().requires_grad_()
        h = self.layer(y, tree, record)[0]
        label = torch.full((len(h),), IGNORED, dtype=torch.int64, device=h.device)
        label[tree.row] = batch.fields["node_labels"]
        rows = tree.root[tree.root < tree.nodes]
        loss = F.cross_entropy(
            self._logits(h.index_select(0, rows)), label[rows], reduction="sum", ignore_index=IGNORED
        )
        torch.autograd.grad(loss, y)
        return torch.cat((record.norms[0], h.new_zeros(1)))[tree.row]

    def _states(
        self, embedder: nn.Module, core: nn.Module, batch: Batch, tree: Structure, record: Record | None = None
    ) -> Tensor:
        """h of all nodes and a row of zeros [N + 1, H]."""
        y, _ = core(*embedder(batch), None)
        h: Tensor = self.layer(y, tree, record)[0]
        return h

    def _logits(self, h: Tensor) -> Tensor:
        logits: Tensor = self.linear(h)
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    def question(self, example: Example, codecs: Codecs, report: Mapping[str, Any]) -> Example:
        """A tree in brackets as words and nodes; an example that has its "tree" is as it was."""
        if "tree" in example:
            return example
        if not isinstance(example.get("text"), str):
            raise DataError(
                f"{example.get('place', 'a question')}: no tree, only {', '.join(example)}. This run labels trees: "
                "write one in brackets, ((It) (works)), or give its tokens and its tree."
            )
        words, phrases = parse(example["text"], str(example.get("place", "what was asked")), asked=True)
        parents, _ = nodes_of(words, phrases)
        rest = {name: value for name, value in example.items() if name != "text"}
        return {**rest, "tokens": words, "tree": [len(words), *parents]}

    def prepare(self, examples: Sequence[Example]) -> tuple[list[Example], list[str]]:
        """The examples as they are. Raises `DataError` where tree, words and labels are not as many."""
        for example in examples:
            place = str(example.get("place", "an example of no known place"))
            if "tree" not in example:
                raise DataError(
                    f"{place}: no tree, only {', '.join(n for n in example if n != 'place')}. Let the reader give "
                    "them: --set reader.kind=trees --set reader.nodes=true"
                )
            words, nodes = int(example["tree"][0]), len(example["tree"]) - 1
            if "tokens" in example and len(example["tokens"]) != words:
                raise DataError(f"{place}: a tree over {words} words, expected {len(example['tokens'])}, its tokens.")
            if "node_labels" in example and len(example["node_labels"]) != nodes:
                raise DataError(f"{place}: {len(example['node_labels'])} labels of nodes, expected {nodes}, one each.")
        return list(examples), []

    def answers(
        self, asked: Mapping[str, Tensor], examples: Sequence[Example], codecs: Codecs, options: LabelOptions
    ) -> list[Answer]:
        """The root's label and the tree, each node with its label and the probability of that."""
        names, found = codecs["node_labels"].symbols, []
        for log_p, example in zip(asked["node_labels"].cpu(), examples, strict=True):
            parents = example["tree"][1:]
            if not parents:
                found.append(Answer((Label((names[0],), tokens=()),), {"node_labels": []}))
                continue
            p = log_p[: len(parents)].exp()
            best = p.max(1)
            said = [names[k] for k in best.indices.tolist()]
            tree = _nested(example["tree"], example["tokens"], said, best.values.tolist())
            tree = replace(tree, labels=tuple(names))
            root = parents.index(-1)
            likeliest = ranked(p[root], names, options.top)
            label = Label((tree.label,), likeliest=likeliest, tokens=tuple(example["tokens"]))
            found.append(Answer((label, tree), {"node_labels": said}))
        return found

    def score(
        self, gold: Sequence[Example], predicted: Sequence[Mapping[str, Any]], codecs: Codecs | None = None
    ) -> Scores:
        """Scores of the roots' labels, "accuracy" and "macro_f1"; and "node_accuracy" of all nodes with a label, where
        the predictions have trees. Trees whose root has no label are left out."""
        pairs = [(true, guess) for true, guess in zip(gold, predicted, strict=True) if _root_label(true) is not None]
        truths = [str(_root_label(true)) for true, _ in pairs]
        if not truths:
            raise DataError("no root of these trees has a label, so nothing can be scored. Score trees with labels.")
        scores = label_scores(truths, [guess["label"] for _, guess in pairs])
        if all("node_labels" in guess for _, guess in pairs):
            names, said = [], []
            for true, guess in pairs:
                for name, label in zip(true["node_labels"], guess["node_labels"], strict=True):
                    if name is not None:
                        names.append(name)
                        said.append(label)
            scores.metrics["node_accuracy"] = accuracy(names, said)
        if codecs is not None:
            count_unseen(scores, "labels", truths, codecs["node_labels"].symbols)
        return scores


def _structure(batch: Batch) -> Structure:
    return Structure(**{each.name: batch.fields[f"tree_{each.name}"] for each in fields(Structure)})


def _root_label(example: Example) -> str | None:
    """The label at the root; None where there is none."""
    parents = example["tree"][1:]
    found: str | None = example["node_labels"][parents.index(-1)] if parents else None
    return found


def _children(tree: Sequence[int]) -> list[list[int]]:
    """The children of each node of an example's tree, from left to right: by the first word below them."""
    words, *parents = tree
    first = numbered(parents, words)[:, FIRST]
    children: list[list[int]] = [[] for _ in parents]
    for node in np.argsort(first, kind="stable").tolist():
        if parents[node] >= 0:
            children[parents[node]].append(node)
    return children


def _preorder(tree: Sequence[int], children: Sequence[Sequence[int]]) -> list[int]:
    """Every node before those below it."""
    found, todo = [], [tree.index(-1) - 1]
    while todo:
        node = todo.pop()
        found.append(node)
        todo += reversed(children[node])
    return found


def _nested(tree: Sequence[int], words: Sequence[str], labels: Sequence[str], p: Sequence[float]) -> Tree:
    """The tree as an answer shows it."""
    children, made = _children(tree), dict[int, Tree]()
    order = _preorder(tree, children)
    for node in reversed(order):
        token = words[node] if node < len(words) else None
        made[node] = Tree(labels[node], tuple(made[k] for k in children[node]), token, p[node])
    return made[order[0]]
