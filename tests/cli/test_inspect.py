"""`recurra inspect`: words, a page and JSON; what cannot be looked at is said in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from recurra import cli, inspect, workflow
from recurra.errors import ConfigError, DataError

from .conftest import answered, sentence


def test_words_and_a_page_of_the_runs_own_text(run, here, capsys):
    assert cli.call(["inspect", str(run), "--out", "report.html", "--length", "60"]) == 0
    said = capsys.readouterr().out
    assert "how far gradients reach" in said and "page: report.html" in said
    assert "60 symbols, from the beginning of its own" in said
    assert Path("report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_text_and_a_file_as_json(run, here, capsys):
    assert answered(capsys, "inspect", str(run), "--text", "the house")["tokens"] == list("the house")
    Path("my.txt").write_text("the house\n", encoding="utf-8")
    found = answered(capsys, "inspect", str(run), "--file", "my.txt")
    assert found["tokens"] == list("the house\n") and found["origin"] == "from the beginning of my.txt"


def test_every_drawing_in_a_folder(run, here, capsys):
    for _ in range(2):  # once more writes the same over them
        assert cli.call(["inspect", str(run), "--figures", "figures", "--length", "30"]) == 0
        assert "figures in figures: gradient_flow-1.svg" in capsys.readouterr().err
    assert Path("figures/gradient_flow-1.svg").read_text(encoding="utf-8").startswith("<svg xmlns")


def test_the_same_in_python(run):
    found = inspect(run, text="the house", length=5)
    assert found.tokens == tuple("the h")
    with pytest.raises(ConfigError, match="both a text and a file"):
        inspect(run, text="a", file="b")
    with pytest.raises(DataError, match="a length of 2, expected 3"):
        workflow.inspect(run, length=2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "is no run"),
        (["{run}", "--text", "a", "--file", "b"], "--text and --file both name a text"),
        (["{run}", "--file", "missing.txt"], "missing.txt"),
        (["{run}", "--text", ""], "there is nothing to look at"),
        (["{run}", "--out", "no/such/report.html"], "there is no folder no/such"),
        (["{run}", "--out", "."], "is a folder"),
        (["{run}", "--figures", "no/such/folder"], "there is no folder no/such"),
        (["{run}", "--figures", "{run}/config.toml"], "is a file. Name a folder"),
        (["{run}", "--txt", "a"], "--txt"),
        (["{run}", "--length", "1"], "a length of 1, expected 3 to 1,000 symbols"),
        (["{run}", "--length", "1001"], "a length of 1,001, expected 3 to 1,000 symbols"),
        (["{run}", "--text", "a", "--set", "reader.encoding=latin-1"], "says how a file is read, but none is named"),
        (["{run}", "--file", "x.txt", "--set", "reader.kind=text"], "reader.kind is not for a file that is looked"),
    ],
)
def test_what_cannot_be_done_is_said(run, here, capsys, words, said):
    assert said in sentence(capsys, "inspect", *(word.format(run=run) for word in words))


def test_a_run_whose_text_is_gone_asks_for_one(here, capsys):
    text = Path("my.txt")
    text.write_text("the quiet house and the loud garden. " * 60, encoding="utf-8")
    from .conftest import tiny

    assert cli.call(["train", "char-lm", "my.txt", "--out", "gone", *tiny()]) == 0
    capsys.readouterr()
    text.unlink()
    assert "give a text: --text or --file" in sentence(capsys, "inspect", "gone")


def test_the_first_line_for_a_run_that_labels(runs, here, capsys):
    Path("my.txt").write_text("\nflights from Rome\n", encoding="utf-8")
    found = answered(capsys, "inspect", runs[0], "--file", "my.txt")
    assert found["tokens"] == ["flights", "from", "Rome"] and found["origin"] == "line 2 of my.txt"
    Path("my.txt").write_text("\n \n", encoding="utf-8")
    assert "no line with any text" in sentence(capsys, "inspect", runs[0], "--file", "my.txt")
    assert "of its own" in answered(capsys, "inspect", runs[0])["origin"]


def test_no_page_is_written_through_a_link(run: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.html").write_text("mine")
    Path("report.html").symlink_to("mine.html")
    said = sentence(capsys, "inspect", str(run), "--out", "report.html")
    assert "report.html cannot be written: it is a link to mine.html, expected a regular file. Delete it, or" in said
    assert Path("mine.html").read_text() == "mine"
