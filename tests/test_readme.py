"""The README's first screen is true: its commands run, and what they print is what stands there, as far as it must."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from recurra.equations.parse import parse
from recurra.nn import Recurrent

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    return re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)[1]  # type: ignore[index]


def transcript() -> list[tuple[str, str]]:
    """(command, its output as printed in the README) of the first screen."""
    parts = re.split(r"^\$ (.*)\n", block("console"), flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str, str]]:
    """(command, printed, really printed), all run in one folder in the order they stand."""
    folder = tmp_path_factory.mktemp("readme")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("OMP_NUM_THREADS", None)
    found = []
    for command, printed in transcript():
        done = subprocess.run(
            command,
            shell=True,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        found.append((command, printed, done.stdout))
    found.append((str(folder), "", ""))
    return found


def rows(text: str, beginning: str) -> list[list[str]]:
    """Table lines that begin so, split where two spaces stand."""
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if line.startswith(beginning)]


def counted(text: str) -> list[str]:
    """The lines that say what was read, and how much of it."""
    return [line for line in text.splitlines() if line.startswith(("Data:", "Vocabulary:", "valid:", "test:"))]


def test_training_prints_what_the_readme_shows(outputs: list[tuple[str, str, str]]) -> None:
    command, printed, real = outputs[0]
    assert command.startswith("recurra train")
    (claimed,), (found,) = rows(printed, "model")[-1:], rows(real, "model")[-1:]
    assert claimed[1] == found[1]  # parameters
    assert [row[:2] for row in rows(printed, "kneser-ney")] == [row[:2] for row in rows(real, "kneser-ney")]
    if "minutes are over" in real:  # the recipe's promise of three minutes: fewer epochs, and a part of the test
        assert counted(printed)[:-1] == counted(real)[:-1]
        assert counted(real)[-1].startswith("test:")
        return
    assert counted(printed) == counted(real)
    assert rows(printed, "kneser-ney") == rows(real, "kneser-ney")  # counting is exact
    for number, now in zip(claimed[2:], found[2:], strict=True):
        assert float(now) == pytest.approx(float(number), rel=0.08)


def test_the_model_is_below_every_n_gram(outputs: list[tuple[str, str, str]]) -> None:
    _, _, real = outputs[0]
    bits = 1 + rows(real, "model")[-1][1:].index(rows(real, "model")[-1][-1])
    model, grams = rows(real, "model")[-1], rows(real, "kneser-ney")[-5:]
    assert len(grams) == 5
    assert float(model[bits]) < min(float(row[bits]) for row in grams)


def test_prediction_writes_as_much_as_it_says(outputs: list[tuple[str, str, str]]) -> None:
    command, printed, real = outputs[1]
    length = int(re.search(r"--length (\d+)", command)[1])  # type: ignore[index]
    assert length <= len(real) <= length + 40
    assert len(set(real)) > 10
    assert printed.strip()


def test_the_cell_prints_as_shown(outputs: list[tuple[str, str, str]]) -> None:
    command, printed, real = outputs[2]
    assert command.startswith("recurra cells")
    assert printed.strip() == real.strip()


def test_the_python_lines_do_the_same(outputs: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """On the run that the command trained: `recurra.train` itself is the same call and would take as long again."""
    import recurra

    monkeypatch.chdir(outputs[-1][0])
    monkeypatch.setattr(recurra, "train", lambda recipe, out: recurra.load(out), raising=False)
    said: list[tuple[object, ...]] = []
    exec(block("python"), {"print": lambda *words: said.append(words)})
    model, best = said[0]
    assert isinstance(model, float) and isinstance(best, float) and model < best
    assert len(str(said[1][0])) == 200


def test_the_cell_in_plain_text_is_a_cell() -> None:
    core = tomllib.loads(block("toml"))["core"]
    layer = Recurrent(parse(core["equations"]), 3, 4)
    assert layer(torch.randn(5, 2, 3))[0].shape == (5, 2, 4)
