"""Curves of trainings and runs beside each other: what stands there is what the runs wrote."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from recurra.diagnostics.comparison import compare
from recurra.diagnostics.curves import curves
from recurra.diagnostics.report import comparison_page, comparison_summary
from recurra.diagnostics.report.summary import sparkline
from recurra.errors import CheckpointError, ConfigError

RUNS = Path(__file__).parents[1] / "fixtures" / "runs"


def logged(folder: Path, *lines: dict[str, object]) -> Path:
    folder.mkdir(exist_ok=True)
    whole = [{"step": k, "epoch": float(k), "minutes": k / 10, **line} for k, line in enumerate(lines, 1)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in whole))
    return folder


def variant(folder: Path, old: str = "", new: str = "") -> Path:
    """A copy of the stored classifier with another setting."""
    shutil.copytree(RUNS / "classifier", folder)
    config = folder / "config.toml"
    written = config.read_text()
    assert old in written
    config.write_text(written.replace(old, new))
    return folder


def test_the_curves_are_the_lines_of_the_log() -> None:
    found = curves(RUNS / "classifier")
    lines = [json.loads(line) for line in (RUNS / "classifier" / "metrics.jsonl").read_text().splitlines()]
    assert found.metric == "accuracy" and found.steps.tolist() == [line["step"] for line in lines]
    assert found.loss.tolist() == [line["loss"] for line in lines]
    known, values = found.series["validation: accuracy"]
    assert values.tolist() == [line["valid_accuracy"] for line in lines if "valid_accuracy" in line]
    assert known.tolist() == ["valid_accuracy" in line for line in lines]
    assert found.best == max(k for k, line in enumerate(lines) if line.get("best"))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([(3.0, 2.0, True), (2.0, 1.0, True)], "The last validation was the best (f1 1): it was still getting better"),
        ([(3.0, 2.0, True), (2.0, 2.5, False), (1.0, 2.6, False)], "epoch 1; 2 validations after it were no better, w"),
        (
            [(3.0, 2.0, True), (3.5, 2.5, False)],
            "1 validation after it was no better, and the loss in training",
        ),
        ([(3.0, 2.0, True)], "It was validated once (f1 2)"),
    ],
)
def test_how_a_training_ended_is_told(tmp_path: Path, lines: list[tuple[float, float, bool]], said: str) -> None:
    written = [{"loss": loss, "valid_f1": valid, "best": best} for loss, valid, best in lines]
    assert said in curves(logged(tmp_path, *written)).conclusion


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ([5.0, 4.0, 3.0, 2.0, 1.0], "was still falling"),
        ([5.0, 4.0, 3.0, 3.0, 3.0], "had stopped falling, at 3"),
        ([5.0], "ended before it was validated"),
    ],
)
def test_a_training_without_validations(tmp_path: Path, losses: list[float], said: str) -> None:
    assert said in curves(logged(tmp_path, *({"loss": loss} for loss in losses))).conclusion


def test_a_log_without_a_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has no line: the training was stopped"):
        curves(tmp_path)


def test_scores_and_the_settings_that_differ(tmp_path: Path) -> None:
    other = variant(tmp_path / "wide", "hidden_size = 8", "hidden_size = 16")
    (tmp_path / "wide" / "report.json").unlink()
    found = compare([RUNS / "classifier", other])
    report = json.loads((RUNS / "classifier" / "report.json").read_text())
    assert dict(found.differing) == {"core.hidden_size": (8, 16)}
    assert dict(found.runs[0].scores) == {
        name: value for name, value in report["scores"]["test"]["model"].items() if not name.startswith("unseen")
    }
    assert found.metrics == tuple(found.runs[0].scores) and not found.runs[1].scores
    assert f"{other} has no scores yet" in found.notes[0]
    said, page = comparison_summary(found), comparison_page(found)
    assert re.search(r"core.hidden_size +8 +16", said) and "<td>core.hidden_size</td><td>8</td><td>16</td>" in page
    accuracy = f"{report['scores']['test']['model']['accuracy']:,.4g}"
    assert accuracy in said and f"<td>{accuracy}</td>" in page
    assert page.count('class="line c1') == 4 and "http:" not in page and "https:" not in page
    again = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert again["runs"][0]["curves"]["metric"] == "accuracy" and again["differing"]["core.hidden_size"] == [8, 16]


def test_what_makes_scores_incomparable_is_noted() -> None:
    notes = " ".join(compare([RUNS / "classifier", RUNS / "topics"]).notes)
    assert "different data" in notes


def test_a_name_is_shown_and_never_run(tmp_path: Path) -> None:
    odd = variant(tmp_path / "<script>")
    page = comparison_page(compare([RUNS / "classifier", odd]))
    assert page.count("<script>") == 1 and "No setting differs" in page


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["classifier"], "1 runs, expected 2 to 12"),
        (["classifier", "classifier"], "is named twice"),
        (["classifier", "tagger"], "does classify and .* does tag: their scores and losses are not of the same thing"),
    ],
)
def test_what_cannot_be_compared_is_refused(names: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        compare([RUNS / name for name in names])


def test_a_sparkline_goes_where_its_values_are() -> None:
    drawn = sparkline(np.array([0.0, 0.5, 1.0]), np.array([1.0, 0.0, 0.5]), 0.0, 1.0)
    assert drawn == "█" * 20 + "▁" * 19 + "▅"
    assert sparkline(np.array([0.5]), np.array([2.0]), 2.0, 2.0) == " " * 20 + "▅"
