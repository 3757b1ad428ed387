"""The task of transducing, against the same model written out in torch, one sequence and one symbol at a time."""

from __future__ import annotations

import math
from typing import Any, Self

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra import registry
from recurra.data.codecs.tokens import Tokens
from recurra.errors import ConfigError, DataError, UnknownName
from recurra.model import Model
from recurra.nn.decoder import Source
from recurra.nn.embedders import SymbolEmbedder
from recurra.tasks.transduce import Transduce, allowed_answers
from recurra.types import Batch, Lengths, Sizes

D, H, R = 4, 6, 5
V_SOURCE, V = 9, 7
END = V
SOURCES = [[3, 1, 8, V_SOURCE], [V_SOURCE], [0, 5, V_SOURCE]]
TARGETS = [[2, END], [4, 0, 6, 6, END], [END]]
TIED = ["none", "output", "all"]


class Core(nn.Module):
    """tanh of a linear layer under the core contract; its state is the sum of what it gave."""

    causal = True
    halves = False

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(D, H)

    def forward(self, x: Tensor, structure: Lengths, state: Any = None) -> tuple[Tensor, Any]:
        y = torch.tanh(self.linear(x))
        if structure.values is not None:
            y = y * (torch.arange(x.shape[1]) < structure.values[:, None])[..., None]
        return y, y.sum(1)


class SumDecoder(nn.Module):
    """h_u = tanh(U x_u + W h_{u−1} + A s) with s the core's final state, h_0 = 0; looks at all of the source alike."""

    def __init__(self, aligns: bool = True) -> None:
        super().__init__()
        self.aligns = aligns
        self.output_size = R

    def build(self, inputs: int, source: int) -> Self:
        self.U, self.W, self.A = (nn.Linear(size, R, bias=False) for size in (inputs, R, source))
        return self

    def start(self, source: Source) -> Any:
        B, T, _ = source.y.shape
        lengths = torch.full((B,), T) if source.lengths is None else source.lengths
        there = (torch.arange(T)[:, None] < lengths).to(source.y)[:, :, None]  # [T, B, 1]
        return there / there.sum(0), source.state, source.y.new_zeros(B, R)

    def forward(self, x: Tensor, state: Any, weights: bool = False) -> tuple[Tensor, Any, Tensor | None]:
        share, s, h = state
        steps = []
        for x_u in x.unbind(1):
            h = torch.tanh(self.U(x_u) + self.W(h) + self.A(s))
            steps.append(h)
        alpha = share[:, :, 0].t()[:, None].expand(-1, len(steps), -1) if weights else None
        return torch.stack(steps).transpose(0, 1), (share, s, h), alpha


@pytest.fixture(autouse=True)
def _sum_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._parts, ("decoder", "sum"), SumDecoder)


def made(seed: int = 0, *, inputs: int = V_SOURCE + 1, aligns: bool = True, **settings: Any) -> tuple[Any, Any, Any]:
    torch.manual_seed(seed)
    decoder = {"kind": "sum", "aligns": aligns}
    task: Transduce = registry.construct("task", {"kind": "transduce", "decoder": decoder, **settings})
    sizes = Sizes(vocabulary=inputs, embedding=D, core=H, fields={"target": V})
    parts = SymbolEmbedder(size=D).build(sizes), Core(), task.build(sizes)
    for part in parts:
        part.double()
    nn.init.normal_(task.bias)
    return parts


def of_both_sizes(tied: str) -> tuple[Any, Any, Any]:
    """One vocabulary for both sides where all is tied: the source's numbers are those below V, then the mark."""
    return made(tied=tied, inputs=V + 1 if tied == "all" else V_SOURCE + 1)


def sources(tied: str) -> list[list[int]]:
    return [[n % V for n in row[:-1]] + [END] for row in SOURCES] if tied == "all" else SOURCES


def padded(rows: list[list[int]], filler: int) -> Tensor:
    """[B, T], time first in memory."""
    T = max(map(len, rows))
    return torch.tensor([row + [filler] * (T - len(row)) for row in rows]).t().contiguous().t()


def batch(tied: str = "none") -> Batch:
    rows = sources(tied)
    fields = {"input": padded(rows, 0), "target": padded(TARGETS, -100)}
    return Batch(fields, Lengths(torch.tensor([len(row) for row in rows])))


def log_p_by_hand(embedder: Any, core: Any, task: Any, source: list[int], target: list[int], tied: str) -> Tensor:
    """log ŷ [U, V + 1] of one pair."""
    if tied == "none":
        E, W = task.embedding, task.weight
    else:
        E = embedder.weight if tied == "all" else task.embedding
        W = E @ task.projection.weight  # V (P h) = (V P) h
    y = torch.tanh(core.linear(embedder.weight[torch.tensor(source)]))
    s, h, token, rows = y.sum(0), torch.zeros(R).double(), END, []
    decoder = task.decoder
    for wanted in target:
        h = torch.tanh(decoder.U.weight @ E[token] + decoder.W.weight @ h + decoder.A.weight @ s)
        z = W @ h + task.bias
        rows.append(z - z.exp().sum().log())
        token = wanted
    return torch.stack(rows)


@pytest.mark.parametrize("tied", TIED)
def test_the_loss_is_that_of_a_loop_over_symbols(tied: str) -> None:
    embedder, core, task = of_both_sizes(tied)
    given = batch(tied)
    loss = torch.zeros(()).double()
    for source, target in zip(sources(tied), TARGETS, strict=True):
        log_p = log_p_by_hand(embedder, core, task, source, target, tied)
        for u, wanted in enumerate(target):
            loss = loss - log_p[u, wanted]
    output = task(embedder, core, given)
    assert (output.targets, output.sequences) == (sum(map(len, TARGETS)), 3)
    assert torch.allclose(output.loss, loss, rtol=1e-12)
    leaves = {n: p for part in (embedder, core, task) for n, p in part.named_parameters(prefix=type(part).__name__)}
    found, expected = (torch.autograd.grad(value, list(leaves.values())) for value in (output.loss, loss))
    for name, a, b in zip(leaves, found, expected, strict=True):
        assert (a - b).abs().max() <= 1e-11 * b.abs().max(), name


@pytest.mark.parametrize("tied", TIED)
def test_steps_give_the_same(tied: str) -> None:
    embedder, core, task = of_both_sizes(tied)
    expected = [
        log_p_by_hand(embedder, core, task, source, TARGETS[1], tied) for source in sources(tied)
    ]  # what follows in one target, after each of the sources
    state, token = task.start(embedder, core, batch(tied)), torch.full((3,), task.end)
    for u, wanted in enumerate(TARGETS[1]):
        log_p, state = task.step(embedder, core, state, token)
        assert torch.allclose(log_p, torch.stack([rows[u] for rows in expected]), rtol=0, atol=1e-12)
        token = torch.full((3,), wanted)


def test_label_smoothing_in_training_only() -> None:
    embedder, core, task = made(label_smoothing=0.2)
    pairs = list(zip(SOURCES, TARGETS, strict=True))
    log_p = torch.cat([log_p_by_hand(embedder, core, task, s, t, "none") for s, t in pairs])
    truth = torch.tensor([n for target in TARGETS for n in target])
    smooth = F.cross_entropy(log_p, truth, reduction="sum", label_smoothing=0.2)
    assert torch.allclose(task(embedder, core, batch()).loss, smooth, rtol=1e-12)
    plain = F.cross_entropy(log_p, truth, reduction="sum")
    assert torch.allclose(task.eval()(embedder, core, batch()).loss, plain, rtol=1e-12)


def test_dropout_in_training_only() -> None:
    embedder, core, task = made(dropout=0.5)
    assert len({task(embedder, core, batch()).loss.item() for _ in range(5)}) == 5
    task.eval()
    assert len({task(embedder, core, batch()).loss.item() for _ in range(5)}) == 1
    assert torch.allclose(task(embedder, core, batch()).loss, made()[2](embedder, core, batch()).loss)


def test_a_pair_that_is_all_padding_counts_for_nothing() -> None:
    embedder, core, task = made()
    given = batch()
    given.fields["target"][2] = -100
    output = task(embedder, core, given)
    assert (output.targets, output.sequences) == (7, 2)
    row = log_p_by_hand(embedder, core, task, SOURCES[2], TARGETS[2], "none")[0, END]
    assert torch.allclose(output.loss, task(embedder, core, batch()).loss + row, rtol=1e-12)


def test_the_alignment_is_the_decoders_attention() -> None:
    embedder, core, task = made()
    alpha = task.alignment(embedder, core, batch())
    assert alpha.shape == (3, 5, 4) and task.aligns
    shares = torch.tensor([[1, 1, 1, 1], [4, 0, 0, 0], [4 / 3, 4 / 3, 4 / 3, 0]]).double() / 4
    assert torch.allclose(alpha, shares[:, None].expand(3, 5, 4))
    embedder, core, task = made(aligns=False)
    assert not task.aligns
    with pytest.raises(ConfigError, match=r"this decoder has no attention, .* task.decoder.context = \"attention\""):
        task.alignment(embedder, core, batch())


@pytest.mark.parametrize("tied", TIED)
def test_what_is_tied_is_one_matrix(tied: str) -> None:
    task = of_both_sizes(tied)[2]
    own = {"none": {"embedding": (V + 1, D), "weight": (V + 1, R)}, "output": {"embedding": (V + 1, D)}, "all": {}}
    shapes = {n: tuple(p.shape) for n, p in task.named_parameters() if not n.startswith("decoder.")}
    expected = own[tied] | {"bias": (V + 1,)} | ({} if tied == "none" else {"projection.weight": (D, R)})
    assert shapes == expected and task.end == V


def test_no_projection_where_the_widths_are_equal() -> None:
    task = Transduce({"kind": "sum"}, tied="output")
    task.build(Sizes(vocabulary=3, embedding=R, core=H, fields={"target": V}))
    assert task.projection is None


def test_how_the_weights_start() -> None:
    sizes = Sizes(vocabulary=300, embedding=64, core=H, fields={"target": 500})
    task = Transduce({"kind": "sum"}).build(sizes)
    assert task.embedding is not None and task.weight is not None
    assert task.embedding.std().item() == pytest.approx(1 / 8, rel=0.02)
    assert 0.99 / math.sqrt(R) < task.weight.abs().max().item() <= 1 / math.sqrt(R)
    assert not task.bias.any()
    task = Transduce({"kind": "sum"}, init_range=0.05).build(sizes)
    for weights in (task.embedding, task.weight, task.bias):
        assert weights is not None and 0.04 < weights.abs().max().item() <= 0.05
    task = Transduce({"kind": "sum"}, tied="output", init_range=0.05).build(sizes)
    assert task.projection is not None and 0.04 < task.projection.weight.abs().max().item() <= 0.05


def test_a_model_counts_the_mark() -> None:
    vocabularies: dict[str, Any] = {"input": Tokens().fit([["a", "b"]]), "target": Tokens().fit([list("wxyz")])}
    config = {
        "embedder": {"kind": "symbols", "size": D},
        "core": {"kind": "recurrent", "hidden_size": H, "bidirectional": True},
        "task": {"kind": "transduce", "decoder": {"kind": "recurrent", "hidden_size": R}},
    }
    model = Model.from_config(config, vocabularies)
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert shapes["embedder.weight"] == (3 + 1, D)
    assert shapes["task.embedding"] == (5 + 1, D) and shapes["task.weight"] == (5 + 1, R)
    assert model.task.end == 5
    given = Batch({"input": torch.tensor([[1, 3], [3, 0]]), "target": torch.tensor([[4, 5]] * 2)})
    state = model.task.start(model.embedder, model.core, given)
    log_p, state = model.step(state, torch.tensor([5, 5]))
    rest, _ = model.step(state, torch.tensor([4, 4]))
    assert torch.allclose(model.eval().loss(given).loss, -(log_p[:, 4] + rest[:, 5]).sum(), rtol=1e-5)


def test_bfloat16_autocast_is_close() -> None:
    embedder, core, task = (part.float() for part in made())
    exact = task(embedder, core, batch()).loss
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = task(embedder, core, batch()).loss
        state = task.start(embedder, core, batch())
        log_p, _ = task.step(embedder, core, state, torch.full((3,), END))
    assert found.dtype == log_p.dtype == torch.float32
    assert torch.allclose(found, exact, rtol=0.02)
    assert torch.allclose(log_p.exp().sum(1), torch.ones(3), atol=1e-5)


def test_scores_are_those_it_is_set_to() -> None:
    gold = [{"source": "read", "targets": ["R IY D", "R EH D"]}, {"source": "to", "target": "T UW"}]
    said = [{"target": "R EH D"}, {"target": "T OW"}]
    spoken = Transduce({"kind": "sum"}, scores="pronunciation")
    assert spoken.score(gold, said).metrics == pytest.approx({"word_error_rate": 50, "phoneme_error_rate": 20})
    exact = Transduce({"kind": "sum"}, scores="exact")
    assert exact.score(gold, said).metrics == {"exact_match": 50}
    assert spoken.main_metric == ("word_error_rate", "min") and exact.main_metric == ("exact_match", "max")
    pytest.importorskip("sacrebleu")
    translated = Transduce({"kind": "sum"})
    scores = translated.score(gold, said)
    assert translated.main_metric[0] in scores.metrics and "nrefs:var|case:lc" in scores.notes[0]
    assert list(translated.fields) == ["input", "target"] and not translated.causal
    assert all(field.ended for field in translated.fields.values())


def test_allowed_answers() -> None:
    assert allowed_answers({"target": "a", "source": "b"}) == ["a"]
    assert allowed_answers({"targets": ["a", "c"]}) == ["a", "c"]
    assert allowed_answers({"source": "b"}) == []


def test_examples_and_predictions_must_have_a_target() -> None:
    task = Transduce({"kind": "sum"}, scores="exact")
    gold = [{"source": "a", "target": "b", "place": "t:1"}, {"source": "c", "place": "t:2"}]
    with pytest.raises(DataError, match=r"t:2: no 'target' to compare with. Score a file that has it, or predict"):
        task.score(gold, [{"target": "b"}, {"target": "b"}])
    with pytest.raises(DataError, match=r"t:1: the prediction has no 'target', it has tags"):
        task.score(gold[:1], [{"tags": []}])
    with pytest.raises(DataError, match=r"2 predictions, expected 1"):
        task.score(gold[:1], [{"target": "b"}] * 2)


def test_a_batch_without_targets_has_no_loss() -> None:
    embedder, core, task = made()
    given = batch()
    asked = Batch({"input": given.fields["input"]}, given.structure)
    with pytest.raises(DataError, match=r"the examples have no target to learn from or to score"):
        task(embedder, core, asked)
    log_p, _ = task.step(embedder, core, task.start(embedder, core, asked), torch.full((3,), END))
    assert log_p.shape == (3, V + 1)


def test_tying_all_wants_one_vocabulary_and_one_matrix() -> None:
    with pytest.raises(
        ConfigError, match=r"one vocabulary of both sides, but the source has 9 symbols and the target 7"
    ):
        made(tied="all")
    _, core, task = of_both_sizes("all")
    words = registry.construct("embedder", {"kind": "words", "size": D, "spelling": {"kind": "convolution"}})
    words.build(Sizes(vocabulary=V + 1, fields={"characters": 5}))
    with pytest.raises(ConfigError, match=r"embedder that is one matrix `weight` \[V, D\], but WordEmbedder is not"):
        task.step(words, core, None, torch.tensor([END]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dropout": 1.0}, r"task.dropout = 1.0, expected 0 or more and less than 1"),
        ({"label_smoothing": -0.1}, r"task.label_smoothing = -0.1, expected 0 or more and less than 1"),
        ({"init_range": 0.0}, r"task.init_range = 0.0, expected more than 0, or none for the default"),
        ({"tied": "al"}, r"task.tied = 'al': did you mean 'all'"),
        ({"scores": "bleu"}, r"task.scores = 'bleu'. Expected one of 'translation', 'pronunciation', 'exact'"),
        ({"label_smooting": 0.1}, r"unknown key task.label_smooting: did you mean 'label_smoothing'"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(**settings)


def test_a_decoder_must_be_named() -> None:
    with pytest.raises(ConfigError, match=r"task.decoder is missing: add it to the recipe"):
        registry.construct("task", {"kind": "transduce"})
    with pytest.raises(UnknownName, match=r"unknown decoder 'recurent': did you mean 'recurrent'"):
        Transduce({"kind": "recurent"})
    with pytest.raises(ConfigError, match=r"unknown key task.decoder.hiden_size: did you mean 'hidden_size'"):
        Transduce({"kind": "recurrent", "hiden_size": 3})
    with pytest.raises(ConfigError, match=r"^\[task.decoder\] names no kind"):
        Transduce({"hidden_size": 3})
