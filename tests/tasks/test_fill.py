"""Blanks: nothing leaks, ranks and scores are what they say, and cores that would copy the answer are refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from recurra import registry
from recurra.errors import ConfigError, DataError
from recurra.model import make_parts
from recurra.nn.softmax import IGNORED
from recurra.registry import names
from recurra.tasks.fill import Fill
from recurra.testing.cores import core_settings
from recurra.testing.tasks import TASK_CHECKS
from recurra.types import Batch, Lengths, Sizes

V, D, T = 11, 6, 6
LENGTHS = torch.tensor((6, 4, 1))


def parts(core: dict[str, Any], **task: Any) -> tuple[Any, Any, Fill]:
    """Embedder, core and task, built; raises as a recipe of them would."""
    torch.manual_seed(0)
    made = make_parts({"embedder": {"kind": "symbols", "size": D}, "core": core, "task": {"kind": "fill", **task}})
    embedder = made[0].build(Sizes(vocabulary=V))
    built = made[1].build(Sizes(vocabulary=V, embedding=D))
    filled = made[2].build(Sizes(vocabulary=V, embedding=D, core=built.output_size))
    return tuple(part.double().eval() for part in (embedder, built, filled))  # type: ignore[return-value]


def sequences() -> Tensor:
    return torch.randint(V, (len(LENGTHS), T), generator=torch.Generator().manual_seed(3))


ACCEPTED: list[tuple[dict[str, Any], str]] = []
REFUSED: list[dict[str, Any]] = []
for name in names("core"):
    for settings in core_settings(name):
        made = registry.construct("core", settings)
        ACCEPTED += [
            (settings, side) for side, fits in (("both", getattr(made, "apart", False)), ("left", made.causal)) if fits
        ]
        if not made.causal and not getattr(made, "apart", False):
            REFUSED.append(settings)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize(("core", "sides"), ACCEPTED, ids=str)
def test_no_place_sees_its_own_symbol(core: dict[str, Any], sides: str, lengths: Tensor | None) -> None:
    embedder, built, task = parts(core, sides=sides)
    input = sequences()
    before = task.ask(embedder, built, Batch({"input": input}, Lengths(lengths)))
    for t in range(T):
        changed = input.clone()
        changed[:, t] = (changed[:, t] + 1) % V
        after = task.ask(embedder, built, Batch({"input": changed}, Lengths(lengths)))
        for side, log_p in after.items():
            assert torch.equal(log_p[:, t], before[side][:, t]), (side, t)
            kept = torch.ones(len(input), dtype=torch.bool) if lengths is None else lengths > t
            for other in range(T):
                there = kept & (torch.tensor(True) if lengths is None else lengths > other)
                sees = side == "both" or other > t
                same = (log_p[:, other] == before[side][:, other]).all(1)
                if other != t and getattr(built, "apart", False):  # windows do not reach everywhere
                    assert not (same & there).any() if sees else same[there].all(), (side, t, other)


def test_such_cores_are_there() -> None:
    kinds = {(core["kind"], sides) for core, sides in ACCEPTED}
    assert {("both-ways", "both"), ("recurrent", "left"), ("tdnn", "left")} <= kinds
    assert any(core["kind"] == "recurrent" for core in REFUSED)
    parts({"kind": "recurrent", "bidirectional": True})  # of one layer


@pytest.mark.parametrize("core", REFUSED, ids=str)
def test_a_core_that_would_see_the_symbol_is_refused(core: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"'fill' predicts a symbol from both sides .* Set core.kind = 'both-ways'\."):
        parts(core)
    with pytest.raises(ConfigError, match=r"'fill' predicts what comes next, but this core also reads from the end"):
        parts(core, sides="left")


@pytest.mark.parametrize("check", sorted(TASK_CHECKS.keys() - {"overfits"}))
def test_the_left_side_alone_passes_the_suite(check: str) -> None:
    """It cannot learn by heart how a sequence begins."""
    TASK_CHECKS[check]({"kind": "fill", "sides": "left"})


@pytest.mark.parametrize("tied", [False, True])
def test_the_loss_the_ranks_and_what_is_said_agree(tied: bool) -> None:
    embedder, core, task = parts({"kind": "both-ways", "hidden_size": 5}, tied=tied)
    batch = Batch({"input": sequences()}, Lengths(LENGTHS))
    asked, measured = task.ask(embedder, core, batch), task.measure(embedder, core, batch)
    valid = torch.arange(T) < LENGTHS[:, None]
    loss = torch.zeros((), dtype=torch.float64)
    for side, log_p in asked.items():
        assert torch.allclose(log_p.exp().sum(2), torch.ones((), dtype=torch.float64))
        of_target = log_p.gather(2, batch.fields["input"][..., None])
        ranks = (log_p > of_target).sum(2)[valid]
        for k in (1, 5):
            assert measured.details[f"{side}_top{k}"] == (ranks < k).sum()
        nats = -of_target[..., 0][valid].sum()
        assert torch.allclose(measured.details[f"{side}_nats"], nats, rtol=1e-12)
        loss += nats
    output = task(embedder, core, batch)
    for found in (output, measured, task.measured(asked, batch)):
        assert torch.allclose(found.loss, loss, rtol=1e-12)
        assert torch.allclose(found.details["both_nats"] + found.details["left_nats"], loss, rtol=1e-12)
        assert (found.targets, found.sequences) == (int(LENGTHS.sum()), 3)
    blanks = torch.tensor([[1, 5], [3, -1], [0, -1]])  # two blanks, one, one
    at = Batch({**batch.fields, "blanks": blanks}, batch.structure)
    for side, log_p in task.ask(embedder, core, at).items():
        for b, n in ((0, 0), (0, 1), (1, 0), (2, 0)):
            assert torch.allclose(log_p[b, n], asked[side][b, blanks[b, n]], rtol=0, atol=1e-12)


def test_ties_go_to_the_lower_number() -> None:
    embedder, core, task = parts({"kind": "both-ways", "hidden_size": 5})
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.zero_()
    input = sequences()
    details = task.measure(embedder, core, Batch({"input": input})).details
    assert details["both_top1"] == (input < 1).sum() and details["both_top5"] == (input < 5).sum()
    assert float(details["both_nats"]) == pytest.approx(input.numel() * math.log(V))


def test_scores() -> None:
    task = Fill()
    sums = {"both_top1": 1, "both_top5": 2, "both_nats": math.log(64), "known": 3, "known_top1": 1, "known_top5": 1}
    scores = task.metrics(math.log(64), 4, sums | {"known_nats": math.log(16)})
    assert scores.metrics == pytest.approx({"top1": 25.0, "top5": 50.0, "perplexity": 2 * math.sqrt(2)})
    table = scores.tables["places"]
    assert table["columns"] == ["symbol", "places", "top1", "top5", "perplexity"]
    known, unknown = table["rows"]
    assert known == ["known", 3, pytest.approx(100 / 3), pytest.approx(100 / 3), pytest.approx(16 ** (1 / 3))]
    assert unknown == ["unknown", 1, 0.0, 100.0, pytest.approx(4.0)]
    assert "25.0% of the places hold the unknown symbol" in scores.notes[0]
    with pytest.raises(DataError, match=r"a score over 0 places means nothing\. Evaluate on one sentence or more"):
        task.metrics(0.0, 0, {})


def test_parameters_of_the_left_side_are_those_of_a_run_of_its_own() -> None:
    embedder, core, task = parts({"kind": "both-ways", "hidden_size": 5, "num_layers": 2})
    alone = parts({"kind": "recurrent", "hidden_size": 5, "num_layers": 2}, sides="left")
    assert task.left_size(embedder, core) == sum(p.numel() for part in alone for p in part.parameters())
    assert alone[2].left_size(*alone[:2]) == task.left_size(embedder, core)


def test_wrong_settings() -> None:
    with pytest.raises(ConfigError, match=r"task.dropout = 1, expected 0 or more and less than 1\."):
        Fill(dropout=1)
    with pytest.raises(ConfigError, match=r"task.init_range = 0, expected more than 0, or none for the default\."):
        Fill(init_range=0)
    embedder, _, task = parts({"kind": "both-ways"}, tied=True, init_range=0.01)
    assert float(task.begin.detach().abs().max()) <= 0.01
    with pytest.raises(ConfigError, match=r"task.tied wants an embedder that is one matrix `weight` \[V, 6\], but Lin"):
        linear = torch.nn.Linear(3, 2)
        task._weight(linear)
    assert IGNORED not in task._weight(embedder).shape
