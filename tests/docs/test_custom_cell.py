"""The example with a cell of one's own does what it says, and the page on writing cells is true."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from recurra import cli, registry
from recurra.equations.parse import parse
from recurra.errors import ConfigError
from recurra.registry import find
from recurra.testing.cells import Configuration, make_case, relative

ROOT = Path(__file__).parents[2]
PROSE = ROOT / "tests" / "fixtures" / "prose.txt"
PAGE = (ROOT / "docs" / "how-to" / "write-a-cell.md").read_text(encoding="utf-8")
TINY = (
    "core.hidden_size=8 core.num_layers=1 embedder.size=6 batching.streams=4 batching.steps=16 training.epochs=1 "
    "training.schedule=constant training.device=cpu training.threads=1 baseline.order=3"
)


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language]


def test_the_example(tmp_path: Path) -> None:
    example = ROOT / "examples" / "custom_cell.py"
    for file in (example, example.with_name("two_speed.py")):
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 80
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, str(example)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    checked, equal, python, text = done.stdout.splitlines()
    assert checked.startswith("both pass every check")
    assert equal == "equal outputs for equal weights: True"
    assert python.removeprefix("in Python") == text.removeprefix("as text")
    bits, n_gram = map(float, re.findall(r"\d\.\d{4}", python))
    assert bits < n_gram - 0.1
    assert not list(tmp_path.iterdir())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the page's files and a text; what its plugin registers is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    Path("my-cell.txt").write_text(blocks("")[0], encoding="utf-8")
    Path("mine.py").write_text(blocks("python")[0], encoding="utf-8")
    Path("my.txt").write_text(PROSE.read_text(encoding="utf-8"), encoding="utf-8")
    yield tmp_path
    registry._parts.pop(("cell", "one-gate"), None)
    registry._origins.pop(("cell", "one-gate"), None)
    registry._plugins.pop((tmp_path / "mine.py").resolve(), None)


def test_the_page_s_commands(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = "".join(blocks("sh")).splitlines()
    assert len(commands) == 3
    commands.insert(1, "recurra predict run --length 20")
    commands += [re.search(r"`recurra (predict run --plugin mine\.py)`", PAGE)[0].strip("`")]  # type: ignore[index]
    for k, command in enumerate(commands):
        text = Path("my-cell.txt").read_text(encoding="utf-8").rstrip("\n")  # as the shell puts it in
        words = [word.replace("$(cat my-cell.txt)", text) for word in shlex.split(command)]
        if words[1] == "train":
            out = [] if "--out" in words else ["--out", f"run{k}"]
            words += [*out, *(w for setting in TINY.split() for w in ("--set", setting))]
        if "--plugin" in words and words[1] == "predict":
            words[2] = "run3"
        assert cli.call(words[1:]) == 0, (command, capsys.readouterr().err)
    assert parse(text).products.keys() == {"project"}


def test_the_page_s_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, shown = blocks("console")[0].removeprefix("$ ").split("\n", 1)
    assert cli.call(shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out.startswith(shown)


def test_the_page_s_recipe_and_error(folder: Path) -> None:
    assert cli.call(["recipes", "copy", "char-lm", "mine.toml"]) == 0
    recipe = Path("mine.toml").read_text(encoding="utf-8")
    core = blocks("toml")[0]
    section = recipe[recipe.index("[core]") : recipe.index("[task]")]
    Path("mine.toml").write_text(recipe.replace(section, f"{core}\n"), encoding="utf-8")
    settings = [w for s in TINY.split() for w in ("--set", s)]
    assert cli.call(["train", "mine.toml", "my.txt", "--out", "own", *settings]) == 0
    error = re.search(r"^core\.equations:.*Known: sigmoid, tanh, ", PAGE, re.MULTILINE)[0]  # type: ignore[index]
    with pytest.raises(ConfigError, match="^" + re.escape(error)):
        parse(blocks("")[0].replace("project", "projekt"))


def test_the_page_s_peephole_lstm_is_the_registered_one() -> None:
    text = next(block for block in blocks("") if "peephole" in block)
    case = make_case(find("cell", "peephole-lstm"), Configuration("stacked", layers=2))
    ours = make_case(parse(text), case.configuration).layer
    order = ["ifgo".index(gate) for gate in ours.cell.gates]  # which is that of mention
    for name, parameter in case.layer.named_parameters():
        rows = parameter.detach() if "peephole" in name else torch.cat([parameter.detach().chunk(4)[k] for k in order])
        getattr(ours, name).data.copy_(rows)
    assert relative(ours(case.x)[0], case.layer(case.x)[0]) <= 1e-12


def test_the_page_s_python(folder: Path) -> None:
    _, use, check, gaps = blocks("python")
    said: list[object] = []
    space = {"print": lambda *words: said.extend(words)}
    exec(use, space)
    exec(check, space)
    assert said == [(20, 4, 32)]
    assert list(space["same"].state_dict()) == list(space["layer"].state_dict())  # type: ignore[attr-defined]
    exec(gaps, space)
    assert space["y"].shape == (20, 4, 16)  # type: ignore[attr-defined]
    decaying = parse(next(block for block in blocks("") if "dt" in block))
    assert decaying.given == ("dt",) and decaying.gates == ("z", "n")
