"""A run asked from many places: its rows are its own forecasts, and their scores NumPy's."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import recurra
from recurra import cli, registry
from recurra.errors import ConfigError, DataError

L, H = 16, 6
SMALL = {
    "task.look_back": L,
    "task.horizon": H,
    "task.segment": 3,
    "task.season": 12,
    "task.scale": "window",
    "task.subtract": "season",
    "embedder.segment": 3,
    "embedder.size": 8,
    "core.hidden_size": 8,
    "training.epochs": 2,
    "training.threads": 1,
}
FIXTURE = Path(__file__).parents[1] / "fixtures" / "runs" / "classifier"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draw, t = np.random.default_rng(0), np.arange(240)
    rows = [
        f"{name},{n},{size * (5 + np.sin(2 * np.pi * n / 12)) + size * draw.normal(0, 0.2):.4f}\n"
        for name, size in (("a", 1), ("b,c", 1000))
        for n in t
    ]
    path = tmp_path_factory.mktemp("series") / "long.csv"
    path.write_text("unique_id\tds\ty\n" + "".join(row.replace(",", "\t") for row in rows).replace("b\tc", "b,c"))
    return path


@pytest.fixture(scope="module")
def run(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return recurra.train("forecast", file, out=tmp_path_factory.mktemp("runs") / "waves", settings=SMALL)


def test_rows_and_scores_are_those_of_its_forecasts(run: Any, file: Path, tmp_path: Path) -> None:
    found = recurra.backtest(run.path, file, windows=4, stride=5, owa=True, rows=tmp_path / "rows.csv")
    assert (found.series, found.windows, found.horizon, found.stride) == (2, 8, H, 5)
    examples = list(registry.construct("reader", {"kind": "series"}).read(file))
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as opened:
        head, *rows = csv.reader(opened)
    assert head == [
        "unique_id",
        "ds",
        "cutoff",
        "y",
        "waves",
        *(f"waves-{e}-{n}" for n in (80, 90) for e in ("lo", "hi")),
    ]
    assert len(rows) == 8 * H and {row[0] for row in rows} == {"a", "b,c"}
    y, said, scaled = [], [], []
    for k, (name, cutoff) in enumerate((e["id"], c) for e in examples for c in (219, 224, 229, 234)):
        example = next(each for each in examples if each["id"] == name)
        (answer,) = run.predict({"series": example["series"][:cutoff]}, level=90)
        some = rows[k * H : (k + 1) * H]
        assert {(row[0], row[2]) for row in some} == {(name, str(cutoff - 1))}
        assert [row[1] for row in some] == [str(t) for t in range(cutoff, cutoff + H)]
        numbers = np.array([[float(cell) for cell in row[3:]] for row in some])
        assert np.allclose(numbers[:, 0], example["series"][cutoff : cutoff + H, 0])
        assert np.allclose(numbers[:, 1], answer.parts[0].forecast, rtol=1e-4)
        assert np.allclose(numbers[:, 4], answer.parts[0].low, rtol=1e-4)
        y.append(numbers[:, 0]), said.append(numbers[:, 1])
        x = example["series"][:cutoff, 0]
        scaled.append(np.abs(y[-1] - said[-1]).mean() / np.abs(x[12:] - x[:-12]).mean())
    own = found.scores["waves"]
    assert own["mae"] == pytest.approx(np.abs(np.array(y) - said).mean()) and own["mase"] == pytest.approx(
        np.mean(scaled)
    )
    assert list(found.scores) == ["waves", "the last value again", "the last 12 again", "Naive 2"]
    assert found.scores["Naive 2"]["owa"] == pytest.approx(1) and len(found.by_step["waves"]) == H
    assert 0 < own["coverage_80"] <= own["coverage_90"] <= 100 and len(found.shown) == 6


def test_its_own_test_has_what_lies_before_in_front(run: Any, file: Path) -> None:
    """The first place is where the test begins; what repeating errs is told from all before."""
    found = recurra.backtest(run.path)
    assert (found.data, found.windows, found.stride) == ("test", 2 * 8, H)
    whole = recurra.backtest(run.path, file, windows=8)
    assert found.scores == whole.scores
    assert (run.path / "backtest.csv").read_text(encoding="utf-8").count("\n") == 1 + 16 * H


def test_what_cannot_be_asked(run: Any, file: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.csv"
    short.write_text("unique_id,ds,y\n" + "".join(f"a,{n},{n}\n" for n in range(L + H - 1)), encoding="utf-8")
    with pytest.raises(DataError, match=rf"no series has {L + H} steps, {L} to look back on and a horizon of {H}"):
        recurra.backtest(run.path, short)
    with pytest.raises(ConfigError, match="whose task is classify, says nothing of what follows"):
        recurra.backtest(FIXTURE)
    with pytest.raises(ConfigError, match="windows = 0, expected 1 or more"):
        recurra.backtest(run.path, file, windows=0)
    both = tmp_path / "both.csv"
    both.write_text(short.read_text() + "".join(f"b,{n},{n % 5}\n" for n in range(L + H)), encoding="utf-8")
    found = recurra.backtest(run.path, both, rows=tmp_path / "rows.csv")
    assert found.windows == 1 and found.notes == ["1 of 2 series too short, left out."]


def test_the_command_line(run: Any, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, rows = tmp_path / "page.html", tmp_path / "rows.csv"
    words = ["backtest", str(run.path), str(file), "--windows", "3", "--rows", str(rows)]
    assert cli.call([*words, "--out", str(page)]) == 0
    said = capsys.readouterr().out
    assert "6 windows of 2 series, 6 steps ahead" in said and "ranges of 80 % hold" in said and f"rows: {rows}" in said
    drawn = page.read_text(encoding="utf-8")
    assert drawn.count('class="band"') == 6 and "The last windows" in drawn
    assert cli.call([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["windows"] == 6
    assert cli.call(["backtest", str(run.path), str(tmp_path / "no.csv")]) == 2
    assert cli.call(["backtest", str(run.path), "--stride", "0"]) == 2


def test_what_was_not_seen_is_no_truth(tmp_path: Path) -> None:
    """Values that the reader filled are read by the run, but nothing is compared with them."""
    draw, t = np.random.default_rng(5), np.arange(160)
    values = 5 + np.sin(2 * np.pi * t / 12) + draw.normal(0, 0.1, 160)
    gone = draw.random(160) < 0.2
    file = tmp_path / "gaps.csv"
    rows = (f"{n},{'' if lost else f'{value:.4f}'}\n" for n, value, lost in zip(t, values, gone, strict=True))
    file.write_text("ds,y\n" + "".join(rows), encoding="utf-8")
    run = recurra.train("forecast", file, out=tmp_path / "run", settings={**SMALL, "reader.missing": "seen"})
    recurra.backtest(run.path, file, windows=2, rows=tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as opened:
        _, *written = csv.reader(opened)
    assert [row[3] == "" for row in written] == gone[-2 * H :].tolist() and any(row[3] == "" for row in written)
    found = recurra.backtest(run.path, file, windows=2, rows=tmp_path / "rows.csv")
    errors = [abs(float(row[3]) - float(row[4])) for row in written if row[3]]
    assert found.scores["run"]["mae"] == pytest.approx(np.mean(errors))
