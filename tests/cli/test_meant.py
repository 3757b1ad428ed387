"""Options that `recurra train` has not, and the settings that they mean; settings that are refused before any data."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import sentence

MEANT = [
    (["char-lm", "x.txt", "--epochs", "3"], "--set training.epochs=3"),
    (["--epochs", "3"], "--set training.epochs=3"),
    (["char-lm", "x.txt", "--lr=0.1"], "--set training.learning_rate=0.1"),
    (["char-lm", "x.txt", "--lr"], "--set training.learning_rate=…"),
    (["tagger", "x.txt", "--batch-size", "8"], "--set batching.size=8"),
    (["char-lm", "x.txt", "--batch-size", "8"], "--set batching.streams=8"),
    (["tagger", "x.txt", "--hidden-size", "-3"], "--set core.hidden_size=-3"),
    (["tagger", "x.txt", "--core.hidden_size", "3"], "--set core.hidden_size=3"),
    (["tagger", "x.txt", "--training-patience", "3"], "--set training.patience=3"),
    (
        ["tagger", "x.txt", "--dropout", "0.1", "--out", "y"],
        "--set embedder.dropout=0.1 or --set core.dropout=0.1 or --set task.dropout=0.1",
    ),
]


@pytest.mark.parametrize(("words", "move"), MEANT)
def test_an_option_that_is_a_setting_is_answered_with_the_setting(words: list[str], move: str, capsys) -> None:
    said = sentence(capsys, "train", *words)
    option = next(word for word in words if word.startswith("--")).partition("=")[0]
    assert said == f"recurra: Unknown option: {option}. It is a setting of the recipe: {move}"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "char-lm", "x.txt", "--zzz", "1"], "Unknown option: --zzz."),
        (["train", "char-lm", "x.txt", "--max-minute", "1"], "Did you mean --max-minutes?"),
        (["evaluate", "run", "--epochs", "1"], "Unknown option: --epochs."),
    ],
)
def test_an_option_that_is_no_setting_is_answered_as_ever(words: list[str], said: str, capsys) -> None:
    assert sentence(capsys, *words).endswith(said)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("core.hidden_size=-3", "core.hidden_size = -3, expected 1 or more."),
        ("core.num_layers=0", "core.num_layers = 0, expected 1 or more."),
        ("core.dropout=-1", "core.dropout = -1.0, expected a share from 0 to 1."),
        ("core.zoneout=1", "core.zoneout = 1.0, expected a share from 0 to below 1."),
        ("core.init_range=0", "core.init_range = 0.0, expected more than 0, or none for the cell's own."),
        ("core.hidden_size=100000000", "core.hidden_size = 100000000, expected 16,777,216 at most."),
    ],
)
@pytest.mark.parametrize("recipe", ["tagger", "fill"])
def test_a_core_that_cannot_be_is_refused_by_its_setting_before_any_data_are_read(
    recipe: str, setting: str, said: str, tmp_path: Path, capsys
) -> None:
    (tmp_path / "no.data").write_bytes(b"\xff\xfe\x00")  # which no reader takes
    words = ["train", recipe, str(tmp_path / "no.data"), "--set", setting, "--out", str(tmp_path / "run")]
    assert sentence(capsys, *words) == f"recurra: {said}"


def test_no_baseline_is_refused_with_how_to_leave_it_out(tmp_path: Path, capsys) -> None:
    said = sentence(capsys, "train", "tagger", "x.txt", "--set", "baseline.kind=none", "--out", str(tmp_path / "run"))
    assert said.startswith('recurra: baseline.kind = "none", expected the name of a baseline: ar, ')
    assert said.endswith(" To be scored without it, train or evaluate with --no-baseline.")
