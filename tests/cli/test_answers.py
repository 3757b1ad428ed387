"""What is answered at once: help, and words nobody knows."""

from __future__ import annotations

import subprocess
import sys

import pytest

from recurra import cli
from recurra.cli import VERBS

QUICK = {
    "help": (["--help"], 0, "Commands"),
    "nothing": ([], 0, "Commands"),
    "verb help": (["train", "--help"], 0, "--max-minutes"),
    "verb": (["trian"], 2, 'Did you mean "train"?'),
    "option": (["train", "char-lm", "--sede", "1"], 2, "Did you mean --seed?"),
    "recipe": (["train", "char-ln", "my.txt"], 2, "unknown recipe 'char-ln': did you mean 'char-lm'"),
    "cell": (["cells", "lsmt"], 2, "unknown cell 'lsmt': did you mean 'lstm'"),
    "cell of a recipe": (
        ["train", "char-lm", "--set", "core.cell=lsmt"],
        2,
        "unknown cell 'lsmt': did you mean 'lstm'",
    ),
    "data set": (
        ["train", "char-lm", "--set", "data.set=tinyshakespear"],
        2,
        "unknown data set 'tinyshakespear': did you mean 'tinyshakespeare'",
    ),
    "file": (["train", "char-lm", "none.txt"], 2, "none.txt: no such file"),
    "no file": (["train", "char-lm"], 2, "there are no training data. Name files after the recipe"),
    "key of training": (["train", "char-lm", "--set", "training.epoch=1"], 2, "did you mean 'epochs'"),
    "run": (["predict", "none"], 2, "none is no run."),
    "key of dynamic evaluation": (
        ["evaluate", "none", "--dynamic", "--set", "dynamic.learning_rat=1"],
        2,
        "unknown key dynamic.learning_rat: did you mean 'learning_rate'",
    ),
}


@pytest.mark.parametrize("case", QUICK)
def test_it_is_answered_in_a_sentence(case: str, tmp_path) -> None:
    words, code, answer = QUICK[case]
    done = subprocess.run([sys.executable, "-m", "recurra", *words], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == code
    said = " ".join((done.stderr if code else done.stdout).split())
    assert answer in said
    assert code == 0 or said.startswith("recurra: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("case", QUICK)
def test_nothing_heavy_is_imported_for_it(case: str, tmp_path) -> None:
    words = QUICK[case][0]
    code = (
        "import sys; from recurra import cli; cli.call(sys.argv[1:]);"
        "print(sorted({'torch', 'numpy', 'sympy', 'safetensors'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_for_every_word(verb: str, capsys) -> None:
    assert cli.call([verb, "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"Usage: recurra {verb}")
    assert "--json" in said


def test_version(capsys) -> None:
    assert cli.call(["--version"]) == 0
    assert capsys.readouterr().out == "0.1.0\n"


def test_debug_shows_a_traceback_with_the_sentence(capsys) -> None:
    assert cli.call(["cells", "lsmt"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert cli.call(["cells", "lsmt", "--debug"]) == 2
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.splitlines()[-1].startswith("recurra: unknown cell 'lsmt'")


def test_a_reader_who_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m recurra recipes show char-lm | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert done.returncode in (0, cli.CLOSED)
    assert done.stderr == ""
