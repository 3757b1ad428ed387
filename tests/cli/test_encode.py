"""recurra encode, as it is called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recurra.cli import call

TEXT = "".join(f"{n % 7} sleeps and {n % 5} runs\n" for n in range(200))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_it_says_what_there_is_and_how_to_train_from_it(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "corpus"
    assert call(["encode", "char-lm", str(file), "--out", str(out), "--processes", "1"]) == 0
    said = capsys.readouterr().out
    assert "characters, in their order, into train" in said
    assert f"Train from it: recurra train char-lm --set data.corpus={out}" in said
    assert call(["encode", "char-lm", str(file), "--out", str(tmp_path / "b"), "--processes", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["corpus"] == str(tmp_path / "b")
    assert found["symbols"] > 3_000
    assert found["notes"] == []
    assert call(["encode", "char-lm", "--set", f"data.corpus={out}", "--out", str(tmp_path / "c")]) == 2
    assert "is encoded already. Name the files to encode, or train from it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["encode", "char-ml", "{file}", "--out", "{out}"], "unknown recipe 'char-ml': did you mean 'char-lm' or"),
        (["encode", "char-lm", "{file}"], "--out"),
        (["encode", "char-lm", "--out", "{out}"], "there are no training data"),
        (["encode", "char-lm", "{file}x", "--out", "{out}"], "no such file: did you mean 'a.txt'?"),
        (["encode", "char-lm", "{file}", "--out", "{out}", "--processes", "0"], "--processes 0, expected 1 or more."),
        (["encode", "char-lm", "{file}", "--out", "{file}", "--processes", "1"], "a.txt"),
        (
            ["encode", "char-lm", "{file}", "--out", "{out}", "--set", "data.corpus={out}"],
            "holds all data, so data.train",
        ),
    ],
)
def test_wrong_words_are_answered(
    words: list[str], said: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "corpus"
    assert call([word.format(file=file, out=out) for word in words]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()
