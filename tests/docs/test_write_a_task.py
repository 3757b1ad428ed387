"""The page on writing tasks is true: its file is a plugin that does what the page says."""

from __future__ import annotations

import io
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import recurra
from recurra import answers, cli, registry
from recurra.tasks import contract, scored, writing

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "write-a-task.md").read_text(encoding="utf-8")
WORDS = {"good": 1.0, "great": 2.0, "bad": -1.0, "awful": -2.0}
SMALL = ["--set", "training.epochs=12", "--set", "training.device=cpu", "--threads", "1"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    plugin, _ = blocks("python")
    (recipe,) = blocks("toml")
    lines = [
        f"{3 + a + b / 2}\tthe soup was {x} and the bar was {y}" for x, a in WORDS.items() for y, b in WORDS.items()
    ]
    files = {"rate.py": plugin, "rate.toml": recipe, "ratings.tsv": "\n".join(lines * 8) + "\n"}
    files |= {"reviews.txt": "the soup was good\nthe bar was bad\n", "other.tsv": "\n".join(lines) + "\n"}
    for name, text in files.items():
        Path(name).write_text(text, encoding="utf-8")
    yield tmp_path
    for key, module in [*registry._origins.items()]:
        if module.startswith("recurra_plugin_"):
            registry._parts.pop(key, None), registry._origins.pop(key)
    registry._plugins.clear()


def test_its_commands_run_and_its_task_passes_its_checks(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime", reason="the extra export is not installed")
    (lines,) = blocks("sh")
    commands = [shlex.split(line)[1:] for line in lines.splitlines()]
    assert [words[0] for words in commands].count("predict") == 3 and commands[-1][0] == "serve"
    printed = []
    for words in commands[:-1]:  # the last one goes on for ever
        if "<" in words:
            file = Path(words[words.index("<") + 1])
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes()), encoding="utf-8"))
            words = words[: words.index("<")]
        code = cli.call([*words, *SMALL] if words[0] == "train" else words)
        out, err = capsys.readouterr()
        assert code == 0, (words, err)
        printed.append(out)
    assert re.search(r"examples answered per second\n +size  absolute error\nmodel .*\nmean ", printed[0])
    assert len(printed[1].strip().split(".")[1]) <= 1  # --digits 1
    assert len(json.loads(printed[2])) == 2 and len(printed[4].split()) == 16  # word and number
    run = recurra.load("rates", plugins=["rate.py"])
    row = run.report["scores"]["test"]
    assert row["model"]["absolute_error"] < row["baseline"][0]["absolute_error"]
    exec(compile(blocks("python")[1], "write-a-task.md", "exec"), {})


def test_the_page_names_every_protocol_and_every_part() -> None:
    protocols = {
        name
        for module in (contract, scored, writing)
        for name, found in vars(module).items()
        if getattr(found, "_is_protocol", False) and found.__module__ == module.__name__
    }
    listed = set(re.findall(r"`([A-Z]\w+)`", PAGE))
    assert protocols - {"Task", "Asks", "Answers", "Asker"} <= listed
    assert {kind.__name__ for kind in vars(answers).values() if getattr(kind, "kind", None)} <= listed | {"Part"}
