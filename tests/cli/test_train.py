"""train, evaluate and predict as words; what the workflow does is tested with it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from recurra import cli
from recurra.engine import short

from .conftest import PROSE, tiny


def test_train_reports_scores_beside_the_baseline(tmp_path, capsys) -> None:
    out = tmp_path / "run"
    assert cli.call(["train", "char-lm", str(PROSE), "--out", str(out), "--seed", "3", *tiny()]) == 0
    said = capsys.readouterr()
    for line in ("model ", "kneser-ney, order 2", "kneser-ney, order 3", "split: cut ", "seed 3, 1 threads, cpu"):
        assert f"\n{line}" in said.out
    assert "valid: " in said.out
    assert "test: " in said.out
    assert "epoch 1.00" in said.err
    assert "a sample (temperature 0.8, seed 3):" in said.out


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16"), (False, "float32")])
def test_the_report_says_which_precision_auto_was(
    native: bool, precision: str, tmp_path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(short, "multiplies", lambda device: native)
    out = tmp_path / "run"
    assert cli.call(["train", "char-lm", str(PROSE), "--out", str(out), "--precision", "auto", *tiny()]) == 0
    said = capsys.readouterr()
    assert f"\nseed 0, 1 threads, cpu, {precision}, torch " in said.out
    assert json.loads((out / "report.json").read_text(encoding="utf-8"))["precision"] == precision
    assert "precision bf16" not in said.out + said.err  # `auto` needs no warning


@pytest.mark.parametrize("native", [True, False])
def test_where_bfloat16_gains_nothing_it_is_said_before_training_and_in_the_report(
    native: bool, tmp_path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(short, "multiplies", lambda device: native)
    out = tmp_path / "run"
    assert cli.call(["train", "char-lm", str(PROSE), "--out", str(out), "--precision", "bf16", *tiny()]) == 0
    said, note = capsys.readouterr(), "precision bf16: this processor does not multiply bfloat16"
    before, begun, _ = said.err.partition("epoch ")
    assert begun and (note in before) is (note in said.out) is not native
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["precision"] == "bf16" and ("precision_note" in report) is not native


def test_json_is_one_object_on_stdout(tmp_path, capsys) -> None:
    out = tmp_path / "run"
    assert cli.call(["train", "char-lm", str(PROSE), "-o", str(out), "--json", *tiny()]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said.pop("run") == str(out)
    assert said == json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert [row["order"] for row in said["scores"]["test"]["baseline"]] == [2, 3]


def test_evaluate(run: Path, capsys) -> None:
    assert cli.call(["evaluate", str(run), "--device", "cpu", "--json"]) == 0
    scored = json.loads(capsys.readouterr().out)
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert (scored.pop("data"), scored.pop("split")) == ("test", report["split"])
    assert scored == report["scores"]["test"]
    assert cli.call(["evaluate", str(run), str(PROSE), "--no-baseline"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{PROSE}: ")
    assert "kneser-ney" not in said


def test_predict(run: Path, capsys) -> None:
    words = ["predict", str(run), "The ", "--length", "40", "--seed", "5"]
    assert cli.call(words) == 0
    said = capsys.readouterr().out
    assert said.startswith("The ")
    assert len(said) == len("The ") + 40 + 1
    assert cli.call([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"prompt": "The ", "text": said[4:-1], "seed": 5}]
    assert cli.call([*words[:-1], "6"]) == 0
    assert capsys.readouterr().out != said
    assert cli.call([*words, "--temperature", "0", "--top-k", "3", "--top-p", "0.9"]) == 0


def test_predict_tells_of_unknown_symbols(run: Path, capsys) -> None:
    assert cli.call(["predict", str(run), "☃☃ a", "--length", "3"]) == 0
    assert capsys.readouterr().err == "recurra: the run does not know '☃' (character 1).\n"


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, capsys) -> None:
    out = tmp_path / "run"
    words = ["train", "char-lm", str(PROSE), "--out", str(out), *tiny("training.epochs=100000")]
    with subprocess.Popen(
        [sys.executable, "-m", "recurra", *words],
        stderr=subprocess.PIPE,
        text=True,
        # pytest itself may have been started to ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as training:
        assert training.stderr is not None
        while "epoch 2" not in training.stderr.readline():
            assert training.poll() is None
        training.send_signal(signal.SIGINT)
        told = training.stderr.read().splitlines()
    last = next(line for line in reversed(told) if line.startswith("recurra: "))  # other libraries tell of their end
    assert training.returncode == 130
    assert last.startswith("recurra: stopped after step ")
    assert last.endswith(f"and saved. Go on: recurra train {out} --resume")
    assert cli.call(["predict", str(out), "--length", "3"]) == 0
    steps = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])["epoch"]
    assert cli.call(["train", str(out), "--resume", "--set", f"training.epochs={int(steps) + 2}", "--json"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["epochs"] == int(steps) + 2
    assert len(report["commands"]) == 2


def test_max_minutes_leaves_a_usable_run(tmp_path, capsys) -> None:
    out = tmp_path / "run"
    words = [
        "train",
        "char-lm",
        str(PROSE),
        "--out",
        str(out),
        *tiny("training.epochs=100000"),
        "--max-minutes",
        "0.03",
    ]
    assert cli.call([*words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ended"] == "time"
    assert cli.call(["predict", str(out), "--length", "3"]) == 0


@pytest.mark.parametrize("verb", ["predict", "evaluate"])
def test_threads_are_those_asked_for_and_given_back(verb: str, run: Path, monkeypatch, capsys) -> None:
    seen = []
    monkeypatch.setattr(torch, "set_num_threads", seen.append)
    before = torch.get_num_threads()
    assert cli.call([verb, str(run), "--threads", "3"]) == 0
    assert seen == [3, before]
    assert cli.call([verb, str(run), "--threads", "0"]) == 2
    assert "threads = 0, expected 1 or more." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--resume"], "is no run. A run is the folder"),
        (["--set", "core.hiden_size=3"], "unknown key core.hiden_size: did you mean 'hidden_size'"),
        (["--set", "core.bidirectional=true"], "Set core.bidirectional = false."),
        (["--device", "cudaa"], "device 'cudaa' is unknown to torch"),
        (["--precision", "bf61"], 'Did you mean "bf16"?'),
        (["--seed", "-1"], "training.seed = -1, expected a whole number from 0"),
        (["--set", "baseline.kind=kneser-nay"], "unknown baseline 'kneser-nay': did you mean 'kneser-ney'"),
        (["--set", "data.valid_fraction=0"], "there are no validation examples. Name a file with --valid"),
        (
            ["--set", "training.learning_rate=1e30", "--set", "training.clip_norm=none"],
            "Try a lower training.learning_",
        ),
    ],
)
def test_wrong_settings(words: list[str], message: str, tmp_path, capsys) -> None:
    assert cli.call(["train", "char-lm", str(PROSE), "--out", str(tmp_path / "run"), *tiny(), *words]) == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("recurra: ")
    assert message in last
