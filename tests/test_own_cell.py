"""A cell of one's own, written as equations in a recipe: trained, saved, opened from nothing but the run's folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import recurra
from recurra import cli
from recurra import config as configuration
from recurra.errors import ConfigError
from recurra.workflow.plan import make_plan

PROSE = Path(__file__).parent / "fixtures" / "prose.txt"
EQUATIONS = """\
# Forgets as much as it writes.
f = sigmoid(f)
n = tanh(n.input + project(f * h, "candidate"))
h = (1 - f) * h + f * n * unit("gain", 1.0)
"""
TINY = {
    "core.hidden_size": 12,
    "embedder.size": 6,
    "batching.streams": 8,
    "batching.steps": 16,
    "training.epochs": 1,
    "training.schedule": "constant",
    "training.threads": 1,
    "training.device": "cpu",
    "baseline.order": 3,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a recipe file with equations."""
    base = tmp_path_factory.mktemp("own")
    recipe = configuration.with_settings(configuration.load_recipe("char-lm"), TINY)
    del recipe["core"]["cell"]
    recipe["core"]["equations"] = EQUATIONS
    written = configuration.dump_toml(recipe)
    assert f'equations = """\n{EQUATIONS}"""' in written
    (base / "mine.toml").write_text(written, encoding="utf-8")
    recurra.train(base / "mine.toml", PROSE, out=base / "run")
    return base / "run"


def test_a_run_is_all_that_is_needed(folder: Path) -> None:
    """Another process answers as this one does."""
    run = recurra.load(folder)
    cell = run.model.core.layers.cell
    assert (cell.name, cell.gates, cell.state) == ("equations", ("f", "n"), ("h",))
    assert {"weight_candidate_l0", "gain_l0"} <= {name for name, _ in run.model.core.layers.named_parameters()}
    code = "import sys, recurra; print(repr(recurra.load(sys.argv[1]).predict(sys.argv[2])))"
    command = [sys.executable, "-c", code, str(folder), "the old house"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == repr(run.predict("the old house"))


def test_the_command_line_goes_on_with_it(folder: Path, capsys) -> None:
    assert cli.call(["predict", str(folder), "the", "--length", "20"]) == 0
    assert len(capsys.readouterr().out) >= 20
    assert cli.call(["train", str(folder), "--resume", "--set", "training.epochs=2"]) == 0
    with pytest.raises(ConfigError, match=re.escape("core.cell was None when")):
        make_plan(folder, settings={"core.cell": "gru"}, resume=True)


def test_equations_on_the_command_line_stand_in_the_place_of_the_recipe_s_cell(tmp_path: Path) -> None:
    written = configuration.parse_settings([f"core.equations={EQUATIONS}"])
    plan = make_plan("char-lm", [PROSE], settings=written, out=tmp_path / "run")
    assert plan.config["core"]["equations"] == EQUATIONS.strip()
    assert "cell" not in plan.config["core"]


def test_a_cell_s_name_stands_in_the_place_of_the_recipe_s_equations(folder: Path, tmp_path: Path) -> None:
    recipe = folder.parent / "mine.toml"
    plan = make_plan(recipe, [PROSE], settings={"core.cell": "gru"}, out=tmp_path / "run")
    assert plan.config["core"]["cell"] == "gru"
    assert "equations" not in plan.config["core"]
    plan = make_plan(recipe, [PROSE], settings={"core.cell": "none"}, out=tmp_path / "run")
    assert plan.config["core"]["equations"] == EQUATIONS


def test_both_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_bytes(b"\xff")  # would be refused if it were read
    settings = {**TINY, "core.cell": "gru", "core.equations": EQUATIONS}
    with pytest.raises(
        ConfigError, match=r"core.cell = 'gru' and core.equations both say what the core computes: keep"
    ):
        recurra.train("char-lm", text, out=tmp_path / "run", settings=settings)
    with pytest.raises(ConfigError, match=r"core.equations = 3 is a int, expected str \| None"):
        recurra.train("char-lm", text, out=tmp_path / "run", settings={"core.equations": 3})


def test_an_error_in_equations_is_said_before_data_are_read_and_torch_is_loaded(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_bytes(b"\xff")
    code = (
        "import sys; from recurra import cli; code = cli.call(sys.argv[1:]);"
        "assert not {'torch', 'sympy'} & set(sys.modules); sys.exit(code)"
    )
    words = ["train", "char-lm", str(text), "--out", str(tmp_path / "run"), "--set", "core.equations=h = tahn(s)"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("recurra: core.equations:1:5: unknown function 'tahn': did you mean 'tanh'")
    assert not (tmp_path / "run").exists()
