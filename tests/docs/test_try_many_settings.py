"""The commands of the pages on sweeps and many files, on one machine, in an array and on Ray, are such as there are."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

import recurra
from recurra import cli, trials
from recurra.cli import batch
from recurra.trials import Found

from .commands import HOW_TO

PAGES = {name: (HOW_TO / f"{name}.md").read_text(encoding="utf-8") for name in ("try-many-settings", "slurm", "ray")}
COMMANDS = [
    shlex.split(line.removeprefix("exec ").replace("$SLURM_ARRAY_TASK_ID", "3"))[1:]
    for page in PAGES.values()
    for line in "".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL)).splitlines()
    if re.match(r"(exec )?recurra ", line)
]
ROWS = [
    re.findall(r"`(?:--random )?([^`]+)`", row.split("|")[1])
    for row in PAGES["try-many-settings"].splitlines()
    if row.startswith("| `--random")
]
TAGGED = "".join(f"flights O\nfrom O\n{place} B-from\n\n" for place in ("Rome", "Oslo", "Bern", "Lima") * 5)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The files that the pages name; what would be done, in the place of doing it."""
    monkeypatch.chdir(tmp_path)
    Path("my.conll").write_text(TAGGED, encoding="utf-8")
    asked: list[Any] = []

    def planned(sweep: Any, *_: Any) -> Found:
        asked.append(sweep)
        return Found(sweep.asked.out, sweep.names, (), sweep.count)

    monkeypatch.setattr(trials, "_run", planned)
    monkeypatch.setattr(batch, "answer", lambda *words: asked.append((batch.check(words[2]), *words)))
    return asked


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command(words: list[str], here: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    if "ray" in words:
        pytest.importorskip("ray", reason="ray is not installed")
    assert cli.call(words) == 0, capsys.readouterr().err
    assert len(here) == 1


def test_there_are_commands_of_both_kinds_on_each_page() -> None:
    assert [words[0] for words in COMMANDS] == ["sweep"] * 4 + ["predict"] * 2 + ["sweep", "predict"] * 2


def test_what_can_be_drawn(here: list[Any]) -> None:
    drawn = [each if "=" in each else f"core.hidden_size={each}" for row in ROWS for each in row]
    assert len(drawn) == 5
    for each in drawn:
        assert cli.call(["sweep", "tagger", "my.conll", "--random", each, "--trials", "3"]) == 0


def test_the_time_of_halving(here: list[Any]) -> None:
    from recurra.trials.halving import rungs, whole_time

    (words,) = (words for words in COMMANDS if "--halving" in words)
    assert cli.call(words) == 0
    (sweep,) = here
    steps = rungs(sweep.count, sweep.asked.halving, sweep.asked.max_minutes)
    assert [(each.trials, each.minutes) for each in steps] == [(18, 1), (6, 3), (2, 9)] and whole_time(steps) == 42


def test_python(here: list[Any]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGES["try-many-settings"], re.DOTALL)
    exec(compile("\n".join(block.splitlines()[:3]), "page", "exec"), {})
    assert here[0].count == 2
    assert {"settings", "score", "trial", "failed"} <= {*recurra.trials.results.Result.__dataclass_fields__}


def test_every_option_is_on_a_page() -> None:
    import inspect

    from recurra.cli.sweep import sweep

    words = " ".join(PAGES.values())
    own = set(inspect.signature(sweep).parameters) - {
        "recipe",
        "files",
        "plugin",
        "json",
        "valid",
        "test",
    }
    assert [name for name in sorted(own) if f"--{name.rstrip('_').replace('_', '-')}" not in words] == []
    assert sys.modules["recurra.cli.sweep"]
