"""The task of predicting the next symbol, against the same model written out in torch."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra import registry
from recurra.checkpoint import weights
from recurra.data.codecs.characters import Character
from recurra.data.codecs.word import Word
from recurra.errors import ConfigError, DataError
from recurra.model import Model, make_parts
from recurra.nn.dropout import draw_mask
from recurra.nn.embedders import SymbolEmbedder
from recurra.tasks.generate import Generate
from recurra.types import Batch, Lengths, Sizes

B, T, D, H, V = 3, 6, 5, 8, 7


class Core(nn.Module):
    """`nn.LSTM` under the core contract; padded steps give zero, and the state is that of the last valid step."""

    def __init__(self, D: int = D) -> None:
        super().__init__()
        self.lstm = nn.LSTM(D, H, batch_first=True)

    def forward(self, x: Tensor, structure: Lengths, state: Any = None) -> tuple[Tensor, Any]:
        if structure.values is None:
            return self.lstm(x, state)
        packed = nn.utils.rnn.pack_padded_sequence(x, structure.values, batch_first=True, enforce_sorted=False)
        y, state = self.lstm(packed, state)
        return nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])[0], state


def made(D: int = D, **settings: Any) -> tuple[SymbolEmbedder, Core, Generate]:
    task: Generate = registry.construct("task", {"kind": "generate", **settings})
    sizes = Sizes(vocabulary=V, embedding=D, core=H)
    parts = SymbolEmbedder(size=D, init_range=0.5).build(sizes), Core(D), task.build(sizes)
    for part in parts:
        part.double()
    return parts


def symbols(*shape: int) -> Tensor:
    return torch.randint(V, shape[::-1]).t()


def batch(lengths: list[int] | None = None) -> Batch:
    values = None if lengths is None else torch.tensor(lengths)
    return Batch({"input": symbols(B, T), "target": symbols(B, T)}, Lengths(values))


@pytest.mark.parametrize("tied", [False, True])
def test_loss_and_gradients_are_those_of_a_plain_model(tied: bool) -> None:
    embedder, core, task = made(D=H if tied else D, tied=tied)
    given = batch()
    state = (torch.randn(1, B, H).double(), torch.randn(1, B, H).double())
    output = task(embedder, core, given, state)
    y, last = core.lstm(F.embedding(given.fields["input"], embedder.weight), state)
    weight = embedder.weight if tied else task.weight
    logits = F.linear(y, weight, task.bias)
    loss = F.cross_entropy(logits.flatten(0, 1), given.fields["target"].flatten(), reduction="sum")
    assert torch.allclose(output.loss, loss, rtol=1e-12)
    assert (output.targets, output.sequences, output.details) == (B * T, B, {})
    assert all(torch.allclose(a, b, rtol=1e-12) for a, b in zip(output.state, last, strict=True))
    leaves = [p for part in (embedder, core, task) for p in part.parameters()]
    assert len(leaves) == (6 if tied else 7)
    found, expected = torch.autograd.grad(output.loss / 5, leaves), torch.autograd.grad(loss / 5, leaves)
    for a, b in zip(found, expected, strict=True):
        assert (a - b).abs().max() <= 1e-12 * b.abs().max()


def test_padding_counts_for_nothing() -> None:
    embedder, core, task = made()
    lengths = [4, 6, 1]
    given = batch(lengths)
    output = task(embedder, core, given)
    alone = torch.zeros(())
    for b, n in enumerate(lengths):
        fields = {name: values[b : b + 1, :n] for name, values in given.fields.items()}
        alone = alone + task(embedder, core, Batch(fields)).loss
    assert torch.allclose(output.loss, alone, rtol=1e-12)
    assert (output.targets, output.sequences) == (sum(lengths), B)


def test_ignored_targets_and_empty_sequences_are_not_counted() -> None:
    embedder, _, task = made()
    given = batch([2, 0, 3])
    given.fields["target"][0, 1] = -100

    def core(x: Tensor, structure: Lengths, state: Any) -> tuple[Tensor, Any]:
        return torch.randn(B, T, H).double(), None

    output = task(embedder, core, given)
    assert (output.targets, output.sequences) == (4, 2)


def test_steps_give_the_distributions_of_the_whole() -> None:
    embedder, core, task = made()
    ids = symbols(B, T)
    logits = F.linear(core.lstm(embedder(Batch({"input": ids}))[0])[0], task.weight, task.bias)
    state = None
    for t in range(T):
        log_p, state = task.step(embedder, core, state, ids[:, t])
        assert log_p.shape == (B, V)
        assert torch.allclose(log_p, logits[:, t].log_softmax(1), rtol=0, atol=1e-12)


ADAPTIVE = {"kind": "adaptive", "cutoffs": [2, 4], "factor": 2}


def test_an_adaptive_softmax_steps_as_it_learns() -> None:
    embedder, core, task = made(softmax=ADAPTIVE)
    assert {name.split(".")[0] for name, _ in task.named_parameters()} == {"adaptive"}
    given = batch()
    output, state, total = task(embedder, core, given), None, torch.zeros(())
    for t in range(T):
        log_p, state = task.step(embedder, core, state, given.fields["input"][:, t])
        assert torch.allclose(log_p.exp().sum(1), torch.ones(B).double())
        total = total - log_p.gather(1, given.fields["target"][:, t, None]).sum()
    assert torch.allclose(output.loss, total, rtol=1e-12)


@pytest.mark.parametrize("softmax", ["full", ADAPTIVE])
def test_predictions_are_what_the_loss_is_summed_of(softmax: str | dict) -> None:
    embedder, core, task = made(softmax=softmax)
    given = batch([4, 6, 1])
    log_p, y, state = task.predictions(embedder, core, given)
    output = task(embedder, core, given)
    assert log_p.shape == (T, B) and y.shape == (T, B, H)
    assert not log_p[4:, 0].any() and (log_p[:4, 0] < 0).all()
    assert torch.allclose(-log_p.sum(), output.loss, rtol=1e-12)
    assert torch.equal(y, core(*embedder(given))[0].transpose(0, 1))
    assert all(torch.equal(a, b) for a, b in zip(state, output.state, strict=True))


def config(**task: Any) -> dict[str, Any]:
    parts = {"embedder": {"kind": "symbols", "size": 4}, "core": {"kind": "recurrent", "hidden_size": H}}
    return {**parts, "task": {"kind": "generate", **task}}


def test_an_adaptive_softmax_wants_symbols_by_frequency() -> None:
    text = "a b b c c c d d d d e e e e e f f f f f f"
    Model.from_config(config(softmax=ADAPTIVE), {"input": Word().fit([text])})
    with pytest.raises(ConfigError, match=r"numbered by falling frequency, those of the vocabulary Character are not"):
        Model.from_config(config(softmax=ADAPTIVE), {"input": Character().fit([text])})
    Model.from_config(config(), {"input": Character().fit([text])})
    with pytest.raises(ConfigError, match=r"vocabulary Byte are not. Set vocabulary.kind = \"word\", or task.softmax"):
        make_parts({**config(softmax=ADAPTIVE), "vocabulary": {"kind": "byte"}})  # before any data are read


def test_dropout_on_the_cores_output_in_training_only() -> None:
    embedder, core, task = made(dropout=0.5)
    given = batch()
    losses = {task(embedder, core, given).loss.item() for _ in range(4)}
    assert len(losses) == 4
    task.eval()
    assert len({task(embedder, core, given).loss.item() for _ in range(4)}) == 1

    torch.manual_seed(3)
    found = task.train()(embedder, core, given).loss
    torch.manual_seed(3)
    y = F.dropout(core(*embedder(given))[0].transpose(0, 1), 0.5)
    logits, target = F.linear(y, task.weight, task.bias), given.fields["target"].t()
    assert torch.allclose(found, F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="sum"), rtol=1e-12)


def test_variational_dropout_on_the_cores_output() -> None:
    embedder, core, task = made(dropout=0.5, variational=True)
    given = batch()
    torch.manual_seed(3)
    found = task(embedder, core, given).loss
    torch.manual_seed(3)
    y = core(*embedder(given))[0].transpose(0, 1)
    logits = F.linear(y * draw_mask((B, H), 0.5, y), task.weight, task.bias)
    expected = F.cross_entropy(logits.flatten(0, 1), given.fields["target"].t().flatten(), reduction="sum")
    assert torch.allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("lengths", [None, [4, 6, 1]])
@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 0.0), (0.0, 1.5), (0.7, 0.3)])
def test_penalties_of_activations(alpha: float, beta: float, lengths: list[int] | None) -> None:
    """α mean (m ⊙ h)² + β mean (h' − h)² for each target, beside a loss that is as without them."""
    settings = {"dropout": 0.4, "activation_penalty": alpha, "slowness_penalty": beta}
    embedder, core, task = made(**settings)
    given = batch(lengths)
    torch.manual_seed(3)
    output = task(embedder, core, given)
    torch.manual_seed(3)
    h = core(*embedder(given))[0].transpose(0, 1)
    dropped = F.dropout(h, 0.4)
    ends = lengths or [T] * B
    squares = torch.cat([dropped[:n, b].square().flatten() for b, n in enumerate(ends)])
    changes = torch.cat([(h[1:n, b] - h[: n - 1, b]).square().flatten() for b, n in enumerate(ends)])
    expected = output.targets * (alpha * squares.mean() + beta * changes.mean())
    assert torch.allclose(output.penalty, expected, rtol=1e-12)
    leaves = list(core.parameters())
    for a, b in zip(torch.autograd.grad(output.penalty, leaves), torch.autograd.grad(expected, leaves), strict=True):
        assert torch.allclose(a, b, rtol=1e-10)
    task.activation_penalty = task.slowness_penalty = 0.0
    torch.manual_seed(3)
    plain = task(embedder, core, given)
    assert torch.equal(plain.loss, output.loss) and plain.penalty is None
    task.activation_penalty = 1.0
    assert task.eval()(embedder, core, given).penalty is None


def test_rows_dropped_from_the_input_stay_in_a_tied_output() -> None:
    _, core, task = made(D=H, tied=True)
    embedder = SymbolEmbedder(size=H, init_range=0.5, row_dropout=0.5).build(Sizes(vocabulary=V)).double()
    given = batch()
    torch.manual_seed(4)
    found = task(embedder, core, given).loss
    torch.manual_seed(4)
    weight = embedder.weight
    rows = draw_mask((V, 1), 0.5, weight)
    assert 0 < (rows == 0).sum() < V
    y, _ = core(F.embedding(given.fields["input"], rows * weight), Lengths())
    logits = F.linear(y, weight, task.bias)
    expected = F.cross_entropy(logits.flatten(0, 1), given.fields["target"].flatten(), reduction="sum")
    assert torch.allclose(found, expected, rtol=1e-12)
    for a, b in zip(*(torch.autograd.grad(v, embedder.weight) for v in (found, expected)), strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-12)


def test_first_weights() -> None:
    _, _, task = made()
    assert task.weight is not None
    assert 0.2 < task.weight.abs().max() <= 1 / math.sqrt(H)
    assert not task.bias.any()
    _, _, task = made(init_range=0.1)
    assert task.weight is not None
    assert 0.08 < task.weight.abs().max() <= 0.1
    assert 0 < task.bias.abs().max() <= 0.1
    _, _, task = made(D=H, tied=True, init_range=0.1)
    assert [name for name, _ in task.named_parameters()] == ["bias"]
    assert 0 < task.bias.abs().max() <= 0.1


def test_metrics() -> None:
    task = Generate()
    found = task.metrics(20 * math.log(7), 10, {}).metrics
    assert found == pytest.approx(
        {"perplexity": 49, "bits_per_symbol": 2 * math.log2(7), "nats_per_symbol": 2 * math.log(7)}
    )
    assert task.metrics(1e6, 10, {}).metrics["perplexity"] == math.inf
    name, direction = task.main_metric
    assert name in found and direction == "min"


def test_a_score_of_nothing_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"a score over 0 target symbols means nothing. Evaluate on two symbols or more"
    ):
        Generate().metrics(0.0, 0)


def test_tied_sizes_must_agree() -> None:
    with pytest.raises(ConfigError, match=r"embedder's is 5 and the core's 8. Set embedder.size = 8, or task.tied = f"):
        made(tied=True)


def test_tied_needs_an_embedder_with_a_matrix() -> None:
    _, core, task = made(D=H, tied=True)

    class Sine(nn.Module):
        def forward(self, batch: Batch) -> tuple[Tensor, Lengths]:
            return torch.sin(batch.fields["input"][..., None] * torch.arange(H).double()), batch.structure

    with pytest.raises(ConfigError, match=r"wants an embedder with a matrix `weight` \[V, D\], but Sine has none"):
        task(Sine(), core, batch())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dropout": 1.0}, r"task.dropout = 1.0, expected 0 or more and less than 1"),
        ({"dropout": -0.5}, r"task.dropout = -0.5, expected"),
        ({"init_range": -1.0}, r"task.init_range = -1.0, expected more than 0"),
        ({"activation_penalty": -1.0}, r"task.activation_penalty = -1.0, expected a finite number from 0, which is no"),
        ({"slowness_penalty": math.inf}, r"task.slowness_penalty = Infinity, expected a finite number"),
        ({"softmax": "adaptve"}, r"unknown softmax 'adaptve': did you mean 'adaptive'\? Known: adaptive, full"),
        ({"softmax": {"cutoffs": [3]}}, r"unknown softmax 'None'"),
        ({"softmax": {"kind": "adaptive", "cutofs": [3]}}, r"key task.softmax.cutofs: did you mean 'cutoffs'"),
        ({"softmax": {"kind": "full", "factor": 2}}, r"task.softmax.factor is for the adaptive softmax. Set task.so"),
        ({"softmax": "adaptive", "tied": True}, r"which an adaptive softmax has not. Set task.tied = false, or task.s"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(**settings)


def test_weights_keep_the_names_that_older_runs_have() -> None:
    for softmax, names in (
        ("full", ["bias", "weight"]),
        (ADAPTIVE, [f"adaptive.{n}" for n in ("head", "bias", "down.0", "down.1", "up.0", "up.1")]),
    ):
        assert list(weights(made(softmax=softmax)[2])) == names


def test_any_emission_of_a_symbol_will_do_and_no_other() -> None:
    _, _, task = made(softmax="categorical")
    assert task.emission.outputs == ("log_probabilities",)
    with pytest.raises(ConfigError, match=r"unknown softmax 'gaussian'. Known: adaptive, full"):
        made(softmax="gaussian")
