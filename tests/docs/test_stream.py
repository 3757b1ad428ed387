"""The commands and the code on the page about streaming run, with small runs in the place of the reader's."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from recurra import cli

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "stream.md").read_text(encoding="utf-8")
PROSE = (ROOT / "tests" / "fixtures" / "prose.txt").read_text(encoding="utf-8")
TINY = "core.hidden_size=8 training.epochs=1 training.schedule=constant training.device=cpu training.threads=1"
TEXT = "embedder.size=8 core.num_layers=1 batching.streams=4 batching.steps=16 baseline.order=3"
TAGS = "embedder.size=8 embedder.spelling.size=4 embedder.spelling.filters=4"


def small(*settings: str) -> list[str]:
    return [word for several in (TINY, *settings) for setting in several.split() for word in ("--set", setting)]


def commands() -> list[str]:
    return "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).splitlines()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.txt").write_text(PROSE[:2000], encoding="utf-8")
    Path("my.log").write_text("a line\nanother\n", encoding="utf-8")
    Path("prose.txt").write_text(PROSE, encoding="utf-8")
    Path("sentences.txt").write_text("to Bern\nfrom Rome\n", encoding="utf-8")
    Path("my.conll").write_text("to O\nBern B-to\n\nfrom O\nRome B-from\n\n" * 20, encoding="utf-8")
    assert cli.call(["train", "char-lm", "prose.txt", "--out", "run", *small(TEXT)]) == 0


def test_the_page_is_true(here: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines = commands()
    (training,) = (line for line in lines if line.startswith("recurra train"))
    assert cli.call([*shlex.split(training)[1:], *small(TAGS)]) == 0
    asked = [line for line in lines if "recurra stream" in line]
    assert len(asked) == 6
    for line in asked:
        words = shlex.split(line, comments=True)
        source = words[words.index("<") + 1] if "<" in words else "my.log"
        words = words[words.index("recurra") + 1 :]
        words = words[: words.index("<")] if "<" in words else words
        capsys.readouterr()
        with Path(source).open(encoding="utf-8") as file:
            monkeypatch.setattr(sys, "stdin", file)
            assert cli.call(words) == 0, (line, capsys.readouterr().err)
        assert capsys.readouterr().out
    python = "".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    found: dict[str, object] = {}
    exec(python, found)
    assert len(found["answers"]) == 3  # type: ignore[arg-type]
