from __future__ import annotations

import json
import tomllib

import pytest

from recurra import cli, config


def test_list(capsys) -> None:
    assert cli.call(["recipes"]) == 0
    listed = capsys.readouterr().out
    assert [line.split()[0] for line in listed.splitlines()] == config.recipe_names()
    assert cli.call(["recipes", "list", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == config.recipe_names()


def test_show(capsys) -> None:
    assert cli.call(["recipes", "show", "char-lm"]) == 0
    assert config.read(capsys.readouterr().out) == config.load_recipe("char-lm")
    assert cli.call(["recipes", "show", "char-lm", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == config.load_recipe("char-lm")


def test_copy(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.call(["recipes", "copy", "char-lm"]) == 0
    assert capsys.readouterr().out == "char-lm.toml is yours to change: recurra train char-lm.toml …\n"
    assert tomllib.loads((tmp_path / "char-lm.toml").read_text(encoding="utf-8")) == config.load_recipe("char-lm")
    assert cli.call(["recipes", "copy", "word-lm-small", "char-lm.toml"]) == 2
    assert "char-lm.toml cannot be written (File exists). Name another file." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lst"], 'Did you mean "list"?'),
        (["show"], "which recipe? `recurra recipes show NAME`; known: "),
        (["show", "char-ln"], "unknown recipe 'char-ln': did you mean 'char-lm'"),
        (["copy", "char-ln"], "unknown recipe 'char-ln': did you mean 'char-lm'"),
    ],
)
def test_wrong_words(words: list[str], message: str, capsys) -> None:
    assert cli.call(["recipes", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_recipe_that_is_no_utf8_is_said_so(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_bytes(b'description = "x"\n# \xff\n')
    for words in (["show", "bad.toml"], ["copy", "bad.toml", "other.toml"]):
        assert cli.call(["recipes", *words]) == 2
        assert "bad.toml:2: byte 0xff is not valid UTF-8. A recipe looks like" in capsys.readouterr().err
