"""recurra bench"""

from __future__ import annotations

import json

import pytest

from recurra import cli
from recurra.bench import cells


def test_rows_and_file(capsys, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "check_cell", lambda name: None)
    file = tmp_path / "found.json"
    words = ["bench", "cells", "lstm", "--threads", "1", "--shape", "5,4,3,8", "--seconds", "0.1", "--out", str(file)]
    assert cli.call(words) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["cell", "T,B,I,H", "threads"]
    assert all(f"{name} ratio" in head for name in ("training", "inference", "bf16"))
    assert row.split()[:3] == ["lstm", "5,4,3,8", "1"]
    found = json.loads(file.read_text())
    assert found["results"][0]["cell"] == "lstm" and "processor" in found["machine"]
    assert cli.call([*words[:-2], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["results"][0]["threads"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cells", "lstn"], "did you mean 'lstm'"),
        (["cells", "lstm", "--shape", "5,4,3"], "--shape 5,4,3 is no shape"),
        (["cells", "lstm", "--shape", "5,4,0,8"], "is no shape"),
        (["cell"], "cells"),
    ],
)
def test_what_is_wrong_is_said(capsys, words: list[str], said: str) -> None:
    assert cli.call(["bench", *words]) == 2
    assert said in capsys.readouterr().err
