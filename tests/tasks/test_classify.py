"""The task of classifying, against the same model written out in torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra import registry
from recurra.data.codecs.labels import Labels
from recurra.data.codecs.ngrams import Ngrams
from recurra.errors import ConfigError, DataError
from recurra.nn.embedders import SymbolEmbedder
from recurra.tasks.classify import Classify
from recurra.types import Batch, Lengths, Sizes

B, T, D, H, V, L = 4, 5, 4, 6, 9, 3
LENGTHS = [5, 2, 0, 3]
FEWER: Any = {"label": Labels().fit([["a", "b"]]), "labels": Labels().fit([["a", "b"]])}
KNOWN: Any = {"label": Labels().fit([list("abc")]), "labels": Labels().fit([list("abc")])}


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


def made(**settings: Any) -> tuple[SymbolEmbedder, Core, Classify]:
    task: Classify = registry.construct("task", {"kind": "classify", **settings})
    sizes = Sizes(vocabulary=V, embedding=D, core=H, fields={"label": L, "labels": L})
    parts = SymbolEmbedder(size=D).build(sizes), Core(), task.build(sizes)
    for part in parts:
        part.double()
    return parts


def batch() -> Batch:
    fields = {
        "input": torch.randint(V, (B, T)),
        "label": torch.randint(L, (B,)),
        "labels": (torch.rand(B, L) < 0.5).float(),
    }
    return Batch(fields, Lengths(torch.tensor(LENGTHS)))


def logits_of(embedder: nn.Module, core: Core, task: Classify, given: Batch, pooling: str) -> Tensor:
    """Of the three sequences that have steps."""
    y, _ = core(*embedder(given))
    rows = [y[b, :n] for b, n in enumerate(LENGTHS) if n]
    ways = {"last": lambda r: r[-1], "mean": lambda r: r.mean(0), "max": lambda r: r.amax(0)}
    ways["all"] = lambda r: torch.cat([ways[kind](r) for kind in ("mean", "max", "last")])
    pooled = torch.stack([ways[pooling](r) for r in rows])
    return F.linear(pooled, task.label.linear.weight, task.label.linear.bias)


FULL = [0, 1, 3]


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "all"])
def test_one_label(pooling: str) -> None:
    embedder, core, task = made(pooling=pooling)
    given = batch()
    z = logits_of(embedder, core, task, given, pooling)
    loss = F.cross_entropy(z, given.fields["label"][FULL], reduction="sum")
    output = task(embedder, core, given)
    assert torch.allclose(output.loss, loss, rtol=1e-12)
    assert (output.targets, output.sequences, output.state) == (3, 3, "the last state")
    leaves = [p for part in (embedder, core, task) for p in part.parameters()]
    for a, b in zip(torch.autograd.grad(output.loss, leaves), torch.autograd.grad(loss, leaves), strict=True):
        assert (a - b).abs().max() <= 1e-12 * b.abs().max()
    asked = task.ask(embedder, core, given)
    assert torch.allclose(asked["label"][FULL], z.log_softmax(1), rtol=0, atol=1e-12)
    said = [answer["label"] for answer in task.answers(asked, [{}] * B, KNOWN, task.Options())]
    assert [said[b] for b in FULL] == ["abc"[k] for k in z.argmax(1)] and len(said) == B
    given.fields["label"][1] = -100  # a label that training never saw
    output = task(embedder, core, given)
    assert (output.targets, output.sequences) == (2, 3)
    assert torch.allclose(output.loss, F.cross_entropy(z[[0, 2]], given.fields["label"][[0, 3]], reduction="sum"))


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_several_labels(pooling: str) -> None:
    embedder, core, task = made(pooling=pooling, multi_label=True)
    given = batch()
    z, truth = logits_of(embedder, core, task, given, pooling), given.fields["labels"][FULL]
    p = torch.sigmoid(z)
    loss = -torch.where(truth > 0, p, 1 - p).log().sum()
    output = task(embedder, core, given)
    assert torch.allclose(output.loss, loss, rtol=1e-12)
    assert (output.targets, output.sequences) == (3, 3)
    asked = task.ask(embedder, core, given)
    assert torch.allclose(asked["labels"][FULL], z, rtol=0, atol=1e-12)
    said = [answer["labels"] for answer in task.answers(asked, [{}] * B, KNOWN, task.Options())]
    assert [said[b] for b in FULL] == [["abc"[k] for k in range(L) if row[k] > 0.5] for row in p]


def test_balanced_weights_in_training_only() -> None:
    embedder, core, task = made(class_weights="balanced")
    given, counts = batch(), [6, 3, 1]
    task.set_counts(counts)
    z, label = logits_of(embedder, core, task, given, "last"), given.fields["label"][FULL]
    each = F.cross_entropy(z, label, reduction="none")
    weights = torch.tensor([10 / (3 * n) for n in counts]).double()
    assert sum(w * n for w, n in zip(weights, counts, strict=True)) == pytest.approx(10)
    assert torch.allclose(task(embedder, core, given).loss, (weights[label] * each).sum(), rtol=1e-6)
    assert torch.allclose(task.eval()(embedder, core, given).loss, each.sum(), rtol=1e-12)
    assert "weights" not in task.state_dict()  # a run's weights load whether they were set or not
    plain = made()[2]
    plain.set_counts(counts)
    assert plain.weights is None


def test_dropout_in_training_only() -> None:
    embedder, core, task = made(dropout=0.5)
    given = batch()
    assert len({task(embedder, core, given).loss.item() for _ in range(5)}) > 1
    task.eval()
    assert len({task(embedder, core, given).loss.item() for _ in range(5)}) == 1


def test_scores_of_one_label() -> None:
    task = Classify()
    gold = [{"text": "…", "label": n, "place": f"t:{k}"} for k, n in enumerate("aabc", 1)]
    said = [{"label": n} for n in "aaba"]
    found = task.score(gold, said, FEWER)
    assert found.metrics == pytest.approx({"accuracy": 75, "macro_f1": (80 + 100 + 0) / 3, "unseen_labels": 1})
    assert set(found.tables) == {"labels", "confusion"}
    assert task.main_metric == ("accuracy", "max") and list(task.fields) == ["input", "label"]


def test_scores_of_several_labels() -> None:
    task = Classify(multi_label=True)
    gold = [{"labels": ["a", "b"]}, {"labels": []}, {"labels": ["c"]}]
    said = [{"labels": ["a"]}, {"labels": []}, {"labels": ["a"]}]
    found = task.score(gold, said, FEWER).metrics
    assert found == pytest.approx({"micro_f1": 40, "macro_f1": 200 / 9, "exact_match": 100 / 3, "unseen_labels": 1})
    assert task.main_metric == ("micro_f1", "max") and list(task.fields) == ["input", "labels"]


def test_last_of_directions_that_are_summed_is_refused() -> None:
    embedder, _, task = made()
    core = registry.construct("core", {"kind": "recurrent", "hidden_size": H, "bidirectional": True, "merge": "sum"})
    core.build(Sizes(embedding=D)).double()
    with pytest.raises(ConfigError, match=r'this core does not keep its directions apart. Set core.merge = "concat"'):
        task(embedder, core, batch())


def test_last_is_where_each_direction_has_seen_everything() -> None:
    embedder, _, task = made()
    core = registry.construct("core", {"kind": "recurrent", "hidden_size": H // 2, "bidirectional": True})
    core.build(Sizes(embedding=D)).double()
    given = batch()
    _, finals = core(*embedder(given))
    pooled = finals[0].transpose(0, 1).flatten(1)[FULL]  # h of both directions
    z = F.linear(pooled, task.label.linear.weight, task.label.linear.bias)
    found = task.ask(embedder, core, given)["label"][FULL]
    assert torch.allclose(found, z.log_softmax(1), rtol=0, atol=1e-12)


def test_predictions_must_fit() -> None:
    gold = [{"label": "a", "place": "t:1"}, {"label": "b", "place": "t:2"}]
    with pytest.raises(DataError, match=r"t:2: the prediction has no 'label', it has tags"):
        Classify().score(gold, [{"label": "a"}, {"tags": []}])
    with pytest.raises(DataError, match=r"1 predict\w+ \w*, expected 2|1 predicted names, expected 2"):
        Classify().score(gold, [{"label": "a"}])


def test_balanced_weights_want_counts() -> None:
    embedder, core, task = made(class_weights="balanced")
    with pytest.raises(ConfigError, match=r"wants the counts of the labels: call set_counts before training"):
        task(embedder, core, batch())
    task.eval()(embedder, core, batch())
    for counts in ([1, 2], [3, 0, 1]):
        with pytest.raises(ConfigError, match=r"counts of labels \[.*\], expected 3 of them, each 1 or more"):
            task.set_counts(counts)
    made()[2].set_counts([0])  # of no use, so of no harm


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dropout": -0.1}, r"task.dropout = -0.1, expected 0 or more and less than 1"),
        (
            {"multi_label": True, "class_weights": "balanced"},
            r"weighs one label a sequence, but task.multi_label asks",
        ),
        ({"pooling": "men"}, r"task.pooling = 'men': did you mean 'mean'"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(**settings)


def counting(**settings: Any) -> tuple[SymbolEmbedder, Core, Classify, Batch]:
    """Parts that count n-grams of up to 2 tokens, and a batch; the third sequence has no steps and no n-grams."""
    task: Classify = registry.construct("task", {"kind": "classify", "ngrams": 2, **settings})
    sizes = Sizes(vocabulary=V, embedding=D, core=H, fields={"label": L, "labels": L, "ngrams": 7})
    embedder, core, task = SymbolEmbedder(size=D).build(sizes), Core(), task.build(sizes)
    for part in (embedder, core, task):
        part.double()
    torch.nn.init.normal_(task.plain.weight)
    given = batch()
    numbers = torch.stack([torch.randperm(7)[:4] for _ in range(B)])
    numbers[2] = 7
    counted = {"ngrams": numbers, "ngram_counts": torch.randint(1, 4, (B, 4))}
    return embedder, core, task, Batch({**given.fields, **counted}, given.structure)


@pytest.mark.parametrize("several", [False, True])
def test_ngrams_beside_the_network(several: bool) -> None:
    embedder, core, task, given = counting(multi_label=several)
    task.together.scales.copy_(torch.tensor([0.5, 2.0]))

    def loss(z: Tensor) -> Tensor:
        if several:
            return F.binary_cross_entropy_with_logits(z[FULL], given.fields["labels"][FULL].double(), reduction="sum")
        return F.cross_entropy(z[FULL], given.fields["label"][FULL], reduction="sum")

    asked = task.eval().ask(embedder, core, given)
    network, plain = asked["network_logits"], asked["ngrams_logits"]
    assert torch.allclose(network[FULL], logits_of(embedder, core, task, given, "last"), atol=1e-12)
    assert torch.allclose(plain, task.plain(given.fields["ngrams"], given.fields["ngram_counts"]))
    z = 0.5 * network + 2 * plain
    assert torch.allclose(asked["labels" if several else "label"], z if several else z.log_softmax(1), atol=1e-12)
    output = task(embedder, core, given)
    assert torch.allclose(output.loss, loss(z), rtol=1e-12) and output.penalty is None
    torch.manual_seed(5)
    output = task.train()(embedder, core, given)
    torch.manual_seed(5)
    plain = task.plain(given.fields["ngrams"], given.fields["ngram_counts"])
    assert output.penalty is not None
    assert torch.allclose(output.loss, loss(0.5 * network + 2 * plain), rtol=1e-12)
    assert torch.allclose(output.penalty, loss(network) + loss(plain), rtol=1e-12)  # each learns by itself, too


@pytest.mark.parametrize("several", [False, True])
def test_how_much_ngrams_count_is_said_by_validation(several: bool) -> None:
    embedder, core, task, given = counting(multi_label=several)
    field = task.learned[0]
    codecs: Any = {field: Labels("label-set" if several else "label").take(["a", "b", "c"])}
    if several:
        examples = [{"labels": ["a"]}, {"labels": []}, {"labels": ["b", "c"]}, {"labels": ["b"]}]
    else:
        examples = [{"label": name} for name in ("a", "never seen", "b", "c")]
    asked = task.eval().ask(embedder, core, given)
    (again,) = task.calibrate([asked], [examples], codecs)
    assert not torch.equal(task.together.scales, torch.ones(2))
    for name, value in task.ask(embedder, core, given).items():
        assert torch.allclose(value, again[name], atol=1e-12)
    said = task.answers(again, examples, codecs, task.Options())
    assert all(set(answer["alone"]) == {"network", "ngrams"} for answer in said)
    codecs["ngrams"] = Ngrams().take([str(k) for k in range(7)])
    (network, row), (plain, other) = task.parts_alone(said, 1000, codecs)
    assert (row["name"], other["name"]) == ("its network alone", "its n-grams alone")
    assert row["size"] + other["size"] == 1000
    assert other["size"] == sum(weight.numel() for weight in task.plain.parameters()) == 9 * L
    z = {half: asked[f"{half}_logits"] for half in ("network", "ngrams")}
    for answers, half in ((network, z["network"]), (plain, z["ngrams"])):
        chosen = (
            [["abc"[k] for k in range(L) if r[k] > 0] for r in half] if several else ["abc"[k] for k in half.argmax(1)]
        )
        assert [each[field] for each in answers] == chosen
    assert made()[2].parts_alone(said, 1000, codecs) == []


def test_ngrams_begin_as_logistic_regression() -> None:
    _, _, task, _ = counting()
    encoded = [{"label": k % L, "ngrams": torch.tensor([[k % L, 1], [5, 2]]).numpy()} for k in range(30)]
    assert task.begin_from(encoded).startswith(
        "N-grams: 7 of up to 2 tokens, beginning as logistic regression with λ = "
    )
    plain = task.plain.eval()(torch.tensor([[k, 5] for k in range(L)]), torch.ones(L, 2, dtype=torch.int64))
    assert plain.argmax(1).tolist() == [0, 1, 2]
    assert made()[2].begin_from(encoded) == ""
    with pytest.raises(ConfigError, match=r"task.ngrams = 9, expected 0 \(none\) to 5 tokens"):
        Classify(ngrams=9)


def test_several_readings_of_a_sequence_are_averaged() -> None:
    torch.manual_seed(0)
    task: Classify = registry.construct("task", {"kind": "classify", "pooling": "mean"})
    task.build(Sizes(core=H, readings=2, fields={"label": L})).double()
    embedder, core, _ = made()
    first, second = batch(), batch()

    def both(given: Batch) -> tuple[Tensor, Lengths]:
        x = torch.cat([embedder(each)[0] for each in (first, second)])
        return x, Lengths(torch.tensor(LENGTHS * 2))

    z = [logits_of(embedder, core, task, each, "mean") for each in (first, second)]
    mean = (z[0] + z[1]) / 2
    assert not torch.allclose(z[0], z[1], atol=1e-3)
    asked: Any = task.ask(both, core, first)  # type: ignore[arg-type]
    assert asked["label"].shape == (B, L)
    assert torch.allclose(asked["label"][FULL], mean.log_softmax(1), rtol=0, atol=1e-12)
    output = task(both, core, first)
    loss = F.cross_entropy(mean, first.fields["label"][FULL], reduction="sum")
    assert torch.allclose(output.loss, loss, rtol=1e-12) and output.targets == 3
