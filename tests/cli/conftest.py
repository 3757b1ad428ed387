from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from recurra import cli

PROSE = Path(__file__).parent.parent / "fixtures" / "prose.txt"
TINY = [
    *("core.hidden_size=12", "core.num_layers=1", "embedder.size=6", "batching.streams=4", "batching.steps=16"),
    *("training.epochs=1", "training.schedule=constant", "training.device=cpu", "baseline.order=3"),
]

SMALL = [
    *("core.hidden_size=8", "embedder.size=8", "training.epochs=2", "training.schedule=constant"),
    "training.device=cpu",
]
SPELLED = ["embedder.spelling.size=4", "embedder.spelling.filters=4"]
PLACES = ("Rome", "Bern", "Oslo", "Lima", "Köln")
SENTENCES = [
    [("flights", "O"), ("from", "O"), (PLACES[k % 5], "B-from"), ("to", "O"), (PLACES[(k + 1 + k // 5) % 5], "B-to")]
    for k in range(40)
]
COLUMNS = "\n".join("".join(f"{word} {tag}\n" for word, tag in pairs) for pairs in SENTENCES)
TABLE = "text,label\n" + "".join(
    f"{'good' if k % 2 else 'bad'} place {k},{'yes' if k % 2 else 'no'}\n" for k in range(40)
)


def tiny(*settings: str) -> list[str]:
    """Options that make a recipe small enough for a test."""
    options = [word for setting in (*TINY, *settings) for word in ("--set", setting)]
    return [*options, "--threads", "1"]


def sentence(capsys, *words: str) -> str:
    """What is said of words that must be refused."""
    assert cli.call(list(words)) == 2
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    *_, last = said.err.splitlines()
    assert last.startswith("recurra: ")
    return str(last)


def train(recipe: str, *words: str, out: str = "run", settings: Sequence[str] = SMALL) -> list[str]:
    """Words that train a small model that labels."""
    own = SPELLED if recipe in ("tagger", "ner", "slots") else []
    options = [word for setting in (*settings, *own) for word in ("--set", setting)]
    return ["train", recipe, *words, "--out", out, "--threads", "1", *options]


def write(name: str, content: str | bytes) -> str:
    """A file in the current folder."""
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return name


def answered(capsys, *words: str) -> Any:
    """The JSON that a verb prints."""
    assert cli.call([*words, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    """A run trained for one epoch on the prose; not to be changed."""
    out = tmp_path_factory.mktemp("cli") / "run"
    assert cli.call(["train", "char-lm", str(PROSE), "--out", str(out), *tiny()]) == 0
    return out


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two seeds of a tagger, then a classifier; not to be changed."""
    folder = tmp_path_factory.mktemp("labels")
    for name, text in (("my.conll", COLUMNS), ("my.csv", TABLE)):
        (folder / name).write_text(text, encoding="utf-8")
    found = [str(folder / name) for name in ("one", "two", "labels")]
    for out, (recipe, file, *more) in zip(
        found, (("tagger", "my.conll"), ("tagger", "my.conll", "--seed", "1"), ("classifier", "my.csv")), strict=True
    ):
        assert cli.call(train(recipe, str(folder / file), *more, out=out)) == 0
    return found
