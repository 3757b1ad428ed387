"""The task of tagging, against the same models written out in torch and against all tag sequences."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra import registry
from recurra.data.codecs.labels import Labels
from recurra.data.fields import Codecs
from recurra.errors import ConfigError
from recurra.nn.embedders import SymbolEmbedder
from recurra.tasks.naming import LabelOptions
from recurra.tasks.tag import Tag
from recurra.types import Batch, Field, Lengths, Sizes

B, T, D, H, V, K, L = 4, 5, 4, 6, 9, 3, 4


class Core(nn.Module):
    """tanh of a linear layer under the core contract; zeros behind the ends."""

    causal = True
    halves = False

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(D, H)

    def forward(self, x: Tensor, structure: Lengths, state: Any = None) -> tuple[Tensor, Any]:
        y = torch.tanh(self.linear(x))
        if structure.values is not None:
            y = y * (torch.arange(x.shape[1]) < structure.values[:, None])[..., None]
        return y, "the last state"


def made(**settings: Any) -> tuple[SymbolEmbedder, Core, Tag]:
    task: Tag = registry.construct("task", {"kind": "tag", **settings})
    sizes = Sizes(vocabulary=V, embedding=D, core=H, fields={"tags": K, "label": L})
    parts = SymbolEmbedder(size=D).build(sizes), Core(), task.build(sizes)
    for part in parts:
        part.double()
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return parts


def batch(lengths: list[int] | None = None) -> Batch:
    """No symbol twice in a sequence: two equal emissions let two sequences of tags be equally good."""
    fields = {
        "input": torch.rand(B, V).argsort(1)[:, :T],
        "tags": torch.randint(K, (B, T)),
        "label": torch.randint(L, (B,)),
    }
    return Batch(fields, Lengths(None if lengths is None else torch.tensor(lengths)))


def emissions(embedder: nn.Module, core: Core, task: Tag, given: Batch) -> Tensor:
    y, _ = core(*embedder(given))
    return F.linear(y, task.emissions.weight, task.emissions.bias)


def scores_of_all(task: Tag, z: Tensor) -> dict[tuple[int, ...], Tensor]:
    """The score of every sequence of tags, for emissions z [n, K]."""
    assert task.crf is not None
    found = {}
    for tags in product(range(K), repeat=len(z)):
        score = task.crf.start[tags[0]] + task.crf.end[tags[-1]] + sum(z[t, k] for t, k in enumerate(tags))
        found[tags] = score + sum(task.crf.transitions[i, j] for i, j in pairwise(tags))
    return found


def test_softmax_is_a_plain_model() -> None:
    embedder, core, task = made()
    given = batch([5, 2, 0, 3])
    output = task(embedder, core, given)
    z = emissions(embedder, core, task, given)
    valid = torch.arange(T) < given.structure.values[:, None]
    loss = F.cross_entropy(z[valid], given.fields["tags"][valid], reduction="sum")
    assert torch.allclose(output.loss, loss, rtol=1e-12)
    assert (output.targets, output.sequences, output.state) == (10, 3, "the last state")
    leaves = [p for part in (embedder, core, task) for p in part.parameters()]
    found, expected = torch.autograd.grad(output.loss, leaves), torch.autograd.grad(loss, leaves)
    for a, b in zip(found, expected, strict=True):
        assert (a - b).abs().max() <= 1e-12 * b.abs().max()
    asked = task.ask(embedder, core, given)
    assert set(asked) == {"tags"}
    assert torch.allclose(asked["tags"], z.log_softmax(2), rtol=0, atol=1e-12)
    best = z.argmax(2).tolist()
    decoded = task.decode(asked, given.structure)
    assert decoded == {"tags": [best[0], best[1][:2], [], best[3][:3]]}


def test_crf_is_the_sum_over_all_sequences() -> None:
    embedder, core, task = made(decoder="crf")
    lengths = [5, 2, 0, 3]
    given = batch(lengths)
    z = emissions(embedder, core, task, given)
    loss, best = torch.zeros(()), []
    for b, n in enumerate(lengths):
        if n == 0:
            best.append([])
            continue
        everything = scores_of_all(task, z[b, :n])
        true = tuple(given.fields["tags"][b, :n].tolist())
        loss = loss + torch.stack(list(everything.values())).logsumexp(0) - everything[true]
        best.append(list(max(everything, key=lambda tags: everything[tags].item())))
    output = task(embedder, core, given)
    assert torch.allclose(output.loss, loss, rtol=1e-12)
    assert (output.targets, output.sequences) == (10, 3)
    asked = task.ask(embedder, core, given)
    assert set(asked) == {"tags", "transitions", "start", "end"}
    assert torch.allclose(asked["tags"], z, rtol=0, atol=1e-12)
    assert task.decode(asked, given.structure) == {"tags": best}


@pytest.mark.parametrize("decoder", ["softmax", "crf"])
def test_the_labels_loss_is_weighed_and_added(decoder: str) -> None:
    embedder, core, task = made(decoder=decoder, intent=True, intent_weight=0.3, intent_pooling="mean")
    given = batch([5, 2, 0, 3])
    given.fields["label"][1] = -100  # a label that training never saw
    assert task.label is not None
    y, _ = core(*embedder(given))
    pooled = torch.stack([y[0].mean(0), y[3, :3].mean(0)])
    logits = F.linear(pooled, task.label.linear.weight, task.label.linear.bias)
    of_label = F.cross_entropy(logits, given.fields["label"][[0, 3]], reduction="sum")
    together = task(embedder, core, given)
    asked = task.ask(embedder, core, given)
    assert torch.allclose(asked["label"][[0, 3]], logits.log_softmax(1), rtol=0, atol=1e-12)
    decoded = task.decode(asked, given.structure)
    assert decoded["label"] == asked["label"].argmax(1).tolist() and len(decoded["tags"]) == B
    task.label = None
    alone = task(embedder, core, given)
    assert torch.allclose(together.loss, alone.loss + 0.3 * of_label, rtol=1e-12)
    assert (together.targets, together.sequences) == (alone.targets, alone.sequences) == (10, 3)


@pytest.mark.parametrize("decoder", ["softmax", "crf"])
def test_unknown_tags_are_no_targets(decoder: str) -> None:
    embedder, core, task = made(decoder=decoder)
    given = batch()
    given.fields["tags"][0, 2] = -100
    output = task(embedder, core, given)
    assert (output.targets, output.sequences) == (B * T - 1, B)
    either = []  # any tag in that place: the probabilities add up
    for k in range(K):
        given.fields["tags"][0, 2] = k
        either.append(-task(embedder, core, given).loss)
    assert torch.allclose(output.loss, -torch.stack(either).logsumexp(0), rtol=1e-12)


@pytest.mark.parametrize("decoder", ["softmax", "crf"])
def test_what_an_ensemble_says_is_averaged_entry_by_entry(decoder: str) -> None:
    given = batch([5, 2, 0, 3])
    models = [made(decoder=decoder, intent=True) for _ in range(3)]
    each = [task.ask(embedder, core, given) for embedder, core, task in models]
    mean = {name: torch.stack([p[name] for p in each]).mean(0) for name in each[0]}
    task = models[0][2]
    decoded = task.decode(mean, given.structure)
    assert [len(tags) for tags in decoded["tags"]] == [5, 2, 0, 3]
    if decoder == "softmax":
        assert decoded["tags"][0] == torch.stack([p["tags"][0] for p in each]).sum(0).argmax(1).tolist()
    else:
        assert task.crf is not None
        with torch.no_grad():
            for parameter, name in zip(task.crf.parts, ("transitions", "start", "end"), strict=True):
                parameter.copy_(mean[name])
        everything = scores_of_all(task, mean["tags"][0])
        assert decoded["tags"][0] == list(max(everything, key=lambda tags: everything[tags].item()))


def test_dropout_in_training_only() -> None:
    embedder, core, task = made(dropout=0.5)
    given = batch()
    assert len({task(embedder, core, given).loss.item() for _ in range(4)}) == 4
    task.eval()
    assert len({task(embedder, core, given).loss.item() for _ in range(4)}) == 1


def example(tags: str, **rest: Any) -> dict[str, Any]:
    return {"tokens": ["w"] * len(tags.split()), "tags": tags.split(), **rest}


def test_iob1_is_found_converted_and_said() -> None:
    task = Tag()
    examples = [example("I-PER I-PER O I-LOC B-LOC", place="a:1"), example("O O", place="a:7"), {"tokens": ["x"]}]
    assert task.detected(examples) == "iob1"
    assert task.settled(examples) == {"scheme": "iob1", "notes": []}
    prepared, notes = task.prepare(examples)
    assert [e.get("tags") for e in prepared] == [["B-PER", "I-PER", "O", "B-LOC", "B-LOC"], ["O", "O"], None]
    assert prepared[0]["place"] == "a:1" and prepared[0]["tokens"] == examples[0]["tokens"]
    assert examples[0]["tags"][0] == "I-PER"
    assert notes == ["The tags are written as iob1; the model's are bio."]


def test_a_scheme_may_be_chosen_to_train() -> None:
    prepared, notes = Tag(train_scheme="bioes").prepare([example("B-PER I-PER O B-LOC")])
    assert prepared[0]["tags"] == ["B-PER", "E-PER", "O", "S-LOC"]
    assert notes == ["The tags are written as bio; the model's are bioes."]
    assert Tag(scheme="bmes").detected([example("B-X I-X")]) == "bmes"


def test_malformed_places_are_counted_and_said() -> None:
    examples = [example("B-A O", place="f:1"), example("O I-A I-B", place="f:4"), example("I-A", place="f:8")]
    prepared, notes = Tag(scheme="bio").prepare(examples)
    assert [e["tags"] for e in prepared[1:]] == [["O", "B-A", "B-B"], ["B-A"]]
    assert notes == [
        "In 3 places the tags are no bio, first at f:4. They are read as conlleval reads them: where no span can go "
        "on, one begins."
    ]
    _, notes = Tag(scheme="bio").prepare([example("I-A")])
    assert notes[0].startswith("In 1 place the tags are no bio, first at a sentence of no known place.")


def test_tags_without_spans_stay_as_they_are() -> None:
    examples = [example("NOUN VERB"), example("DET")]
    task = Tag()
    assert task.detected(examples) == "none"
    assert task.prepare(examples) == (examples, [])
    assert task.score(examples, examples).metrics == {"accuracy": 100, "sentence_accuracy": 100}


@pytest.mark.parametrize("train_scheme", ["bio", "bioes"])
def test_spans_score_the_same_in_any_scheme(train_scheme: str) -> None:
    gold = [example("B-A I-A O B-B"), example("O B-A B-A")]
    said = [example("B-A I-A O O"), example("B-B B-A B-A")]
    task: Tag = registry.construct("task", {"kind": "tag", "train_scheme": train_scheme})
    found = task.score(task.prepare(gold)[0], task.prepare(said)[0]).metrics
    assert found == pytest.approx(
        {"f1": 75, "precision": 75, "recall": 75, "accuracy": 500 / 7, "sentence_accuracy": 0}
    )


def test_the_main_metric_is_among_the_scores() -> None:
    gold = [example("B-A O", label="x")]
    known: Any = {"tags": Labels().fit([["O", "I-A"]]), "label": Labels().fit([["y", "z"]])}
    for scheme in ("auto", "bio", "none"):
        task: Tag = registry.construct("task", {"kind": "tag", "scheme": scheme, "intent": True})
        name, direction = task.main_metric
        found = task.score(gold, gold, known).metrics
        assert found[name] == 100 and direction == "max"
        assert (found["intent_accuracy"], found["unseen_tags"], found["unseen_labels"]) == (100, 1, 1)


def test_what_it_learns_from() -> None:
    assert list(Tag().fields) == ["input", "tags"] and list(Tag(intent=True).fields) == ["input", "tags", "label"]
    assert [name for name, field in Tag(intent=True).fields.items() if field.learned] == ["tags", "label"]
    assert Tag().fields["tags"].along and not Tag(intent=True).fields["label"].along
    assert Tag().baselines == ("single-words", "window-statistics") and not Tag().causal


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dropout": 1.0}, r"task.dropout = 1.0, expected 0 or more and less than 1"),
        ({"intent_weight": 0.0}, r"task.intent_weight = 0.0, expected more than 0. For tags alone set task.intent = f"),
        ({"decoder": "krf"}, r"task.decoder = 'krf': did you mean 'crf'\?"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(**settings)


def test_steps_of_numbers_are_told_in_runs() -> None:
    codecs = Codecs(
        {"input": Field(("vectors",), {"kind": "vectors"}), "tags": Field(("tags",), {"kind": "tags"}, along=True)}
    ).fit([{"vectors": np.zeros((3, 2)), "tags": ["walk", "walk", "sit"]}])
    task = registry.construct("task", {"kind": "tag", "scheme": "none"}).build(Sizes(core=H, fields={"tags": 2}))
    log_p = torch.log(torch.tensor([[[0.9, 0.1], [0.7, 0.3], [0.2, 0.8]]]))
    (found,) = task.answers({"tags": log_p}, [{"vectors": np.zeros((3, 2))}], codecs, LabelOptions(top=1))
    assert found["tags"] == ["walk", "walk", "sit"] and "tokens" not in found.json()
    assert found["runs"] == [{"label": "walk", "from": 1, "to": 2}, {"label": "sit", "from": 3, "to": 3}]
    assert found.text() == "1–2\twalk\t0.800\n3–3\tsit\t0.800\n"
    (part,) = found.parts
    assert part.page()["tokens"] == ["1–2", "3–3"]
    assert [each["label"] for each in part.page()["spans"]] == ["walk", "sit"]
