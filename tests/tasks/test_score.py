"""A number for a sequence: the formula written out, scales, and trainings on texts and on series."""

from __future__ import annotations

import json
import math
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import recurra
from recurra import cli, registry
from recurra.answers.notes import NOTHING
from recurra.data.codecs.labels import Labels
from recurra.errors import ConfigError, DataError
from recurra.export.opened import load_export
from recurra.export.write import export
from recurra.nn.embedders import SymbolEmbedder
from recurra.tasks.score import Score, ScoreOptions
from recurra.types import Batch, Lengths, Sizes

B, T, D, H, V, G = 5, 6, 4, 7, 9, 3
LENGTHS = [6, 2, 0, 3, 5]
SCALES = [0, 2, 1, -100, 2]
CODECS: Any = {"scale": Labels("label").take(["x", "y", "z"])}


class Core(nn.Module):
    """tanh of a linear layer under the core contract."""

    causal, halves = True, False

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(D, H)

    def forward(self, x: Tensor, structure: Lengths, state: Any = None) -> tuple[Tensor, Any]:
        return torch.tanh(self.linear(x)), "the last state"


def made(**settings: Any) -> tuple[Any, Any, Score]:
    """Embedder, core and task with random weights, float64, in use; the task has seen some numbers."""
    torch.manual_seed(0)
    task: Score = registry.construct("task", {"kind": "score", **settings})
    fields = {"scale": G} if task.by_scale else {}
    parts = SymbolEmbedder(size=D).build(Sizes(vocabulary=V)), Core(), task.build(Sizes(core=H, fields=fields))
    draw = np.random.default_rng(1)
    seen = [
        {"number": draw.normal(5 * (n % G), 1 + n % G, 1), "scale": n % G, "input": [0] * (n + 1)} for n in range(30)
    ]
    task.adapt([{**each, "number": each["number"].astype(np.float32)} for each in seen])
    return tuple(part.double().eval() for part in parts)  # type: ignore[return-value]


def batch() -> Batch:
    torch.manual_seed(2)
    fields = {
        "input": torch.randint(V, (B, T)),
        "number": 4 * torch.randn(B, 1, dtype=torch.float64),
        "scale": torch.tensor(SCALES),
    }
    return Batch(fields, Lengths(torch.tensor(LENGTHS)))


def by_hand(parts: tuple[Any, Any, Score], row: int, scale: int) -> Tensor:
    """z of one sequence in a scale."""
    embedder, core, task = parts
    x = embedder.weight[batch().fields["input"][row, : LENGTHS[row]]]
    v = torch.tanh(core.linear(x)).mean(0)
    if task.with_length:
        lengths = np.log1p(np.arange(1, 31))
        u = (math.log1p(LENGTHS[row]) - lengths.mean()) / lengths.std()
        v = torch.cat((v, torch.tensor([u], dtype=v.dtype)))
    return (task.linear.weight[scale] @ v + task.linear.bias[scale]).detach()


@pytest.mark.parametrize("loss", ["squared", "absolute"])
@pytest.mark.parametrize("with_length", [False, True])
def test_the_loss_is_of_each_sequence_in_its_scale(loss: str, with_length: bool) -> None:
    parts = made(loss=loss, by_scale=True, with_length=with_length)
    embedder, core, task = parts
    out, expected = task.forward(embedder, core, batch()), 0.0
    for row in (0, 1, 4):  # not the empty one, nor that of a scale unseen
        g, number = SCALES[row], float(batch().fields["number"][row])
        error = by_hand(parts, row, g) - (number - task.middle[g]) / task.spread[g]
        expected += float(error.square() if loss == "squared" else error.abs())
    assert out.loss.item() == pytest.approx(expected, rel=1e-6) and (out.targets, out.sequences) == (3, 3)
    said = task.ask(embedder, core, batch())["number"]
    for row, scale in ((0, 1), (3, 2)):
        z = by_hand(parts, row, scale)
        assert said[row, scale].item() == pytest.approx(float(task.middle[scale] + task.spread[scale] * z), rel=1e-6)


def test_mean_spread_and_bounds_are_those_of_the_training_numbers_by_scale() -> None:
    _, _, task = made(by_scale=True, clip=True)
    draw = np.random.default_rng(1)
    numbers = np.array([draw.normal(5 * (n % G), 1 + n % G, 1)[0] for n in range(30)], np.float32).astype(float)
    for g in range(G):
        own = numbers[g::G]
        found = [float(task.middle[g]), float(task.spread[g]), *task.bounds[:, g].tolist()]
        assert found == pytest.approx([own.mean(), own.std(), own.min(), own.max()], rel=1e-6)
    clipped = task._in_units(torch.full((1, G), 99.0, dtype=torch.float64))
    torch.testing.assert_close(clipped[0], task.bounds[1])


def test_a_gaussian_has_a_loss_and_a_range_of_its_own() -> None:
    embedder, core, task = made(by_scale=True, emission={"kind": "gaussian"})
    out, expected = task.forward(embedder, core, batch()), 0.0
    y, _ = core(embedder(batch())[0], batch().structure)
    given = task.emission.distribution(task._vector(y, batch().structure, core))
    said = task.ask(embedder, core, batch())
    for row in (0, 1, 4):
        g, number = SCALES[row], batch().fields["number"][row, 0]
        normal = torch.distributions.Normal(given["mean"][row, g], given["spread"][row, g])
        expected -= normal.log_prob((number - task.middle[g]) / task.spread[g]).item()
        low, high = (task.middle[g] + task.spread[g] * normal.icdf(torch.tensor(q)) for q in (0.1, 0.9))
        assert said["low"][row, g].item() == pytest.approx(float(low), rel=1e-5)
        assert said["high"][row, g].item() == pytest.approx(float(high), rel=1e-5)
    assert out.loss.item() == pytest.approx(expected, rel=1e-6)
    (answer,) = task.answers({k: v[:1].detach() for k, v in said.items()}, [{"scale": "x"}], CODECS, ScoreOptions())
    assert answer["low"] < answer["number"] < answer["high"]
    quantiles = made(emission={"kind": "quantiles", "levels": (0.1, 0.5, 0.9)})
    assert quantiles[2].ask(*quantiles[:2], batch()).keys() == {"number", "low", "high"}


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention", "all"])
def test_step_by_step_it_says_what_it_says_of_the_whole(pooling: str) -> None:
    embedder, core, task = made(pooling=pooling, by_scale=True, with_length=True, match_spread=True)
    whole = task.ask(embedder, core, batch())["number"][0]
    y, memory = core(embedder(batch())[0], batch().structure)[0], None
    for t in range(LENGTHS[0]):
        said, memory = task.follow(embedder, y[:1, t], memory)
    torch.testing.assert_close(said["number"][0], whole)
    told = task.followed("word", 3, None, said, CODECS, 0)
    assert told["token"] == "word" and list(told["numbers"].values()) == pytest.approx(whole.tolist())


def test_numbers_are_matched_to_the_truth_of_validation_examples() -> None:
    _embedder, _core, task = made(by_scale=True, match_spread=True)
    draw = np.random.default_rng(3)
    asked = {"network_z": torch.from_numpy(draw.normal(size=(40, G)))}
    asked["number"] = task._in_units(task.together([asked["network_z"]]))
    examples = [{"number": float(draw.normal(7, 3)), "scale": "xy"[n % 2]} for n in range(40)]
    halves = [{name: each[rows] for name, each in asked.items()} for rows in (slice(0, 25), slice(25, 40))]
    found = torch.cat([e["number"] for e in task.calibrate(halves, [examples[:25], examples[25:]], CODECS)])
    for g in range(2):
        truth = np.array([each["number"] for each in examples[g::2]])
        said = found[g::2, g].detach().numpy()
        assert said.mean() == pytest.approx(truth.mean()) and said.std() == pytest.approx(truth.std())
    torch.testing.assert_close(found[:, 2], asked["number"][:, 2])  # of which there was no example
    (kept,) = made(by_scale=True)[2].calibrate([{"number": asked["number"]}], [examples], CODECS)
    torch.testing.assert_close(kept["number"], asked["number"])


def test_answers_by_scale() -> None:
    _, _, task = made(by_scale=True, round=0.5)
    asked = {"number": torch.tensor([[1.3, 2.74, 8.26]])}
    assert task.answers(asked, [{"scale": "z"}], CODECS, ScoreOptions())[0].json() == {"number": 8.5}
    assert task.answers(asked, [{}], CODECS, ScoreOptions("y"))[0].json() == {"number": 2.5}
    assert task.answers(asked, [{}], CODECS, ScoreOptions())[0].json() == {"x": 1.5, "y": 2.5, "z": 8.5}
    with pytest.raises(DataError, match=r"a\.csv:3: training never saw the scale 'w', expected one of x, y, z\. Name"):
        task.answers(asked, [{"scale": "w", "place": "a.csv:3"}], CODECS, ScoreOptions())
    with pytest.raises(ConfigError, match=r"scale = 'x', but this run knows no scales \(task\.by_scale\)"):
        made()[2].answers({"number": asked["number"][:, :1]}, [{}], {}, ScoreOptions("x"))


def test_what_the_best_weights_are_chosen_by() -> None:
    assert made()[2].main_metric == ("mse", "min") and made(loss="absolute")[2].main_metric == ("mae", "min")
    assert made(round=1.0)[2].main_metric == ("kappa", "max")


def test_settings_out_of_range() -> None:
    for settings, said in (
        ({"round": 0.0}, "round = 0.0, expected more than 0"),
        ({"dropout": 1.0}, "dropout = 1.0"),
        ({"ngrams": 6}, "ngrams = 6, expected 0 .none. to 5"),
        ({"emission": {"kind": "bernoulli"}}, "expected one of numbers"),
        ({"emission": {"kind": "gaussian"}, "ngrams": 2}, r"half of it is not the network's\. Set task\.ngrams = 0"),
    ):
        with pytest.raises(ConfigError, match=said):
            Score(**settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reviews of two kinds: stars are how often "good" stands there; points are twice as many."""
    draw, lines = np.random.default_rng(0), ["score,kind,text"]
    for n in range(240):
        good = int(draw.integers(1, 5))
        words = draw.permutation(["good"] * good + ["bad"] * int(draw.integers(0, 4)) + list("abcdef")[: 1 + n % 6])
        kind = ("stars", "points")[n % 2]
        lines.append(f"{good if n % 2 == 0 else 2 * good},{kind},{' '.join(words)}")
    path = tmp_path_factory.mktemp("reviews") / "reviews.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


SMALL = {
    "reader.scale": "kind",
    "task.by_scale": True,
    "task.ngrams": 2,
    "task.clip": True,
    "task.round": 1.0,
    "task.dropout": 0.0,
    "embedder.size": 12,
    "embedder.dropout": 0.0,
    "core.hidden_size": 16,
    "training.epochs": 12,
    "training.learning_rate": 0.02,
    "training.threads": 1,
}


@pytest.fixture(scope="module")
def run(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return recurra.train("scorer", file, out=tmp_path_factory.mktemp("runs") / "run", settings=SMALL)


def test_a_training_is_scored_by_scale_beside_its_baselines(run: Any) -> None:
    scores = run.report["scores"]["test"]
    rows = {row["name"]: row["kappa"] for row in scores["baseline"]}
    assert list(rows) == ["mean of the training numbers", "a line through its length", "ridge on words and bigrams"]
    assert scores["model"]["kappa"] > 0.9 > rows["a line through its length"] > rows["mean of the training numbers"]
    (table,) = (scores["tables"][name] for name in ("scales",))
    assert [row[0] for row in table["rows"]] == ["stars", "points"]
    assert "Each score is the mean over 2 scales." in scores["notes"]


def test_a_text_is_asked_in_a_scale_or_in_all(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    text = "a good b good bad c good"
    assert run.predict(text, scale="stars")[0].json() == {"number": 3.0}
    assert run.predict(text)[0].json() == {"stars": 3.0, "points": 6.0}
    assert run.predict({"text": text, "scale": "points"})[0]["number"] == 6.0
    assert cli.call(["predict", str(run.path), text, "--scale", "points"]) == 0
    assert capsys.readouterr().out.strip() == "6"
    assert cli.call(["predict", str(run.path), text, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"stars": 3.0, "points": 6.0}]
    with pytest.raises(ConfigError, match=r"scale = 'star': did you mean 'stars'\? This run knows"):
        run.predict(text, scale="star")
    assert sorted(run.predict(text)[0].text().split("\n")) == ["points\t6", "stars\t3"]
    assert run.predict("")[0].json() == {"notes": [NOTHING]}


def test_a_file_of_its_own_is_evaluated(run: Any, file: Path, tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text("score,kind,text\n2,stars,good a good\n8,points,good good good good b\n")
    found = run.evaluate(tmp_path / "more.csv", baseline=False)
    assert found["model"]["mae"] == 0 and found["model"]["kappa"] == 1


def test_an_export_says_the_same(run: Any, tmp_path: Path) -> None:
    texts = ["a good b good bad c", "good", "bad new words bad good good good"]
    export(run, tmp_path / "out")
    exported = load_export(tmp_path / "out")
    for one, other in zip(run.predict(*texts), exported.predict(*texts), strict=True):
        assert one.json() == other.json()
    answer = runpy.run_path(str(tmp_path / "out" / "client.py"))["answer"]
    for text in texts:
        assert answer(text) == run.predict(text)[0].json()
    with pytest.raises(SystemExit, match="--top is for models that name something"):
        answer(texts[0], top=2)


def test_series_are_scored_too(tmp_path: Path) -> None:
    """The number is the slope of the second variable."""
    draw, lines = np.random.default_rng(4), []
    for _ in range(160):
        T, slope = int(draw.integers(5, 15)), float(draw.normal())
        series = np.stack([draw.normal(size=T), slope * np.arange(T)], 1)
        lines.append(json.dumps({"series": series.round(4).tolist(), "number": slope}))
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    settings = {
        "reader.kind": "jsonl-series",
        "vocabulary.kind": "scaled",
        "embedder.kind": "numbers",
        "task.ngrams": 0,
        "core.hidden_size": 16,
        "task.dropout": 0.0,
        "training.epochs": 20,
        "training.learning_rate": 0.02,
        "training.threads": 1,
    }
    run = recurra.train("scorer", tmp_path / "a.jsonl", out=tmp_path / "run", settings=settings)
    scores = run.report["scores"]["test"]
    rows = {row["name"]: row["mse"] for row in scores["baseline"]}
    assert list(rows)[-1] == "ridge on statistics of 4 windows" and next(iter(scores["model"])) == "mse"
    assert scores["model"]["mse"] < 0.3 * rows["mean of the training numbers"]
    (answer,) = run.predict([[0.0, 0.5 * t] for t in range(8)])
    assert abs(answer["number"] - 0.5) < 0.5


def test_a_scale_that_no_column_is_named_for(file: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"csv:2: no scale in this .* Say where it stands: --set reader\.scale=COLUMN"):
        recurra.train("scorer", file, out=tmp_path / "run", settings={"task.by_scale": True})


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("", r"a\.csv:4: no number, expected one in the column 'score'\. Write one there, or leave the row out"),
        ("good", r"a\.csv:4: 'good' in the column 'score' is no number, expected one such as 8 or 3\.5"),
        ("-inf", r"a\.csv:4: -inf in the column 'score' is not finite, expected a number"),
        ("nan", r"a\.csv:4: nan in the column 'score' is not finite"),
    ],
)
def test_a_number_that_is_none(cell: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"text,score\na b,1\nc,2\nd,{cell}\n")
    with pytest.raises(DataError, match=said):
        recurra.train("scorer", tmp_path / "a.csv", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
