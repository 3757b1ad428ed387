"""The task of answering, against the same model written out story by story; and the recipe, from file to answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import recurra
from recurra import registry
from recurra.data.codecs.labels import Labels
from recurra.errors import ConfigError, DataError
from recurra.nn.embedders import SymbolEmbedder
from recurra.nn.memory import in_order
from recurra.tasks.answer import Answer, sentences_of
from recurra.types import Batch, Lengths, Sizes

B, T, D, H, V, L = 4, 8, 4, 6, 9, 3
LENGTHS = [8, 5, 0, 3]
NAMES = ["attic", "cellar", "yard"]
KNOWN: Any = {"label": Labels().fit([NAMES])}
SEGMENTS = [[0, 0, 0, 1, 1, 2, 2, 2], [0, 0, 1, 1, 1, 9, 9, 9], [3] * 8, [0, 0, 0, 7, 7, 7, 7, 7]]
STORIES = [[(0, 3), (3, 5), (5, 8)], [(0, 2), (2, 5)], [], [(0, 3)]]
"""Where the segments of each sequence begin and end."""


class Core(nn.Module):
    """A running mean of a linear layer's tanh: it must begin anew with every sentence."""

    causal = True
    halves = False

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(D, H)

    def forward(self, x: Tensor, structure: Lengths, state: Any = None) -> tuple[Tensor, Any]:
        assert structure.values is not None and structure.values.min() >= 1 and state is None
        return torch.tanh(self.linear(x)).cumsum(1), "the last state"


def made(**settings: Any) -> tuple[SymbolEmbedder, Core, Answer]:
    task: Answer = registry.construct("task", {"kind": "answer", **settings})
    sizes = Sizes(vocabulary=V, embedding=D, core=H, fields={"label": L})
    parts = SymbolEmbedder(size=D).build(sizes), Core(), task.build(sizes)
    for part in parts:
        part.double()
        with torch.no_grad():
            for parameter in part.parameters():
                parameter.copy_(torch.randn_like(parameter))
    return parts


def batch() -> Batch:
    fields = {
        "input": torch.randint(V, (B, T)),
        "segments": torch.tensor(SEGMENTS),
        "label": torch.randint(L, (B,)),
    }
    return Batch(fields, Lengths(torch.tensor(LENGTHS)))


def logits_of(embedder: SymbolEmbedder, core: Core, task: Answer, given: Batch, b: int) -> Tensor:
    vectors = []
    for begin, end in STORIES[b]:
        x = embedder.weight[given.fields["input"][b, begin:end]][:, None]  # [W, 1, D]
        y = torch.tanh(core.linear(x)).cumsum(0)
        J = torch.tensor([end - begin])
        vectors.append((in_order(x, J) + in_order(y, J) @ task.read.weight.t())[0])
    *story, question = vectors
    o = task.memory(torch.stack(story)[None], question[None])[0] if story else question
    return task.answer(o)


@pytest.mark.parametrize("settings", [{}, {"hops": 1}, {"hops": 3, "both": False}])
def test_the_loss_and_the_answers(settings: dict[str, Any]) -> None:
    embedder, core, task = made(**settings)
    given, full = batch(), [0, 1, 3]
    z = torch.stack([logits_of(embedder, core, task, given, b) for b in full])
    loss = F.cross_entropy(z, given.fields["label"][full], reduction="sum")
    output = task(embedder, core, given)
    assert torch.allclose(output.loss, loss, rtol=1e-12)
    assert (output.targets, output.sequences, output.state) == (3, 3, None)
    leaves = [p for part in (embedder, core, task) for p in part.parameters()]
    for a, b in zip(torch.autograd.grad(output.loss, leaves), torch.autograd.grad(loss, leaves), strict=True):
        assert (a - b).abs().max() <= 1e-11 * b.abs().max()
    asked = task.ask(embedder, core, given)
    assert torch.allclose(asked["label"][full], z.log_softmax(1), rtol=0, atol=1e-12)
    said = [answer["label"] for answer in task.answers(asked, [{}] * B, KNOWN, task.Options())]
    assert [said[b] for b in full] == [NAMES[k] for k in z.argmax(1)] and len(said) == B
    given.fields["label"][1] = -100  # an answer that training never saw
    output = task(embedder, core, given)
    assert (output.targets, output.sequences) == (2, 3)


def test_attention_is_by_hops_and_sentences() -> None:
    embedder, core, task = made(hops=3)
    weights = task.attention(embedder, core, batch())
    assert weights.shape == (B, 3, 2), "the question is no sentence of the story"
    assert (weights[0] > 0).all() and (weights[0, -1].sum() <= 1) and not weights[1, :, 1:].any()
    assert not weights[[2, 3]].any(), "nothing to attend to"
    assert "weights" not in vars(task.memory) and not task.state_dict().keys() & {"attention", "weights"}


def test_a_batch_of_empty_sequences() -> None:
    embedder, core, task = made()
    given = Batch(batch().fields, Lengths(torch.zeros(B, dtype=torch.int64)))
    assert task(embedder, core, given).loss == 0 and task(embedder, core, given).targets == 0


def test_dropout_in_training_only() -> None:
    embedder, core, task = made(dropout=0.5)
    given = batch()
    assert len({task(embedder, core, given).loss.item() for _ in range(5)}) > 1
    task.eval()
    assert len({task(embedder, core, given).loss.item() for _ in range(5)}) == 1


def test_sentences_are_found_by_their_ends() -> None:
    text = "mary left . why ?! 3.5 miles。 so it is"
    assert sentences_of(text.split()) == [0, 0, 0, 1, 1, 2, 2, 3, 3, 3]
    assert sentences_of(["Where", "?", "?"]) == [0, 0, 0] and sentences_of([]) == []
    assert sentences_of(["?", "a."]) == [0, 1]
    own = {"tokens": ["a", ".", "b"], "segments": [0, 1, 1]}
    bare = {"tokens": ["a", ".", "b"], "label": "x"}
    assert Answer().prepare([own, bare]) == ([own, {**bare, "segments": [0, 0, 1]}], [])


def test_scores() -> None:
    gold = [{"label": n, "place": f"t:{k}"} for k, n in enumerate("aabc", 1)]
    found = Answer().score(gold, [{"label": n} for n in "aaba"], {"label": Labels().fit([["a", "b"]])})
    assert found.metrics["accuracy"] == 75 and found.metrics["unseen_labels"] == 1
    with pytest.raises(DataError, match="t:1"):
        Answer().score(gold, [{"tags": []}] * 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hops": 0}, r"task\.hops = 0, expected 1 or more\."),
        ({"dropout": 1.0}, r"task\.dropout = 1\.0, expected 0 or more and less than 1\."),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Answer(**settings)


def test_a_batch_without_segments_is_refused() -> None:
    embedder, core, task = made()
    fields = {name: value for name, value in batch().fields.items() if name != "segments"}
    with pytest.raises(ConfigError, match=r'the batch has no field "segments"\. Give it, or prepare the examples: mod'):
        task(embedder, core, Batch(fields))


@pytest.mark.parametrize("core", [{}, {"core.kind": "recurrent", "core.cell": "gru", "core.hidden_size": 4}])
def test_from_stories_to_answers(core: dict[str, Any], tmp_path: Path) -> None:
    """The recipe learns who is where; a run answers a text, whose sentences it finds by itself."""
    generator = torch.Generator().manual_seed(0)
    names, places = ("Ann", "Bo"), ("attic", "cellar", "yard")

    def choose(words: tuple[str, ...]) -> str:
        return words[int(torch.randint(len(words), (), generator=generator))]

    lines = []
    for _ in range(150):
        where, number = {}, 1
        for _ in range(3):
            name, place = choose(names), choose(places)
            where[name] = place
            lines += [f"{number} {name} went to the {place}.", f"{number + 1} Where is {name}?\t{place}\t{number}"]
            number += 2
        asked = choose(tuple(where))
        lines.append(f"{number} Where is {asked}?\t{where[asked]}")
    path = tmp_path / "stories.txt"
    path.write_text("\n".join(lines))
    settings = {"embedder.size": 16, "training.epochs": 12, "training.threads": 1, **core}
    run: Any = recurra.train("answer", path, out=tmp_path / "run", settings=settings)
    assert "cut 150 stories, each with its questions, shuffled" in run.report["split"]
    scores = run.report["scores"]["test"]
    assert scores["model"]["accuracy"] > 90 > max(row["accuracy"] for row in scores["baseline"])
    said = recurra.load(tmp_path / "run").predict(
        "Ann went to the yard. Bo went to the attic. Ann went to the cellar. Where is Ann?",
        ["Ann", "went", "to", "the", "yard", ".", "Where", "is", "Ann", "?"],
    )
    assert [answer["label"] for answer in said] == ["cellar", "yard"]
    again = run.evaluate(path, baseline=False)
    assert again["examples"] == 600 and again["model"]["accuracy"] > 90
