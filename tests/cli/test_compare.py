"""`recurra compare`: a table, curves and settings in words, as a page and as JSON; what cannot be is a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from recurra import cli, compare

from .conftest import answered, sentence

RUNS = Path(__file__).parents[1] / "fixtures" / "runs"
ONE, OTHER = (str(RUNS / name) for name in ("classifier", "topics"))


def test_words_a_page_and_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(["compare", ONE, OTHER, "--out", "compare.html"]) == 0
    said = capsys.readouterr().out
    assert "loss in training" in said and "settings that differ" in said and "page: compare.html" in said
    assert Path("compare.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [run["name"] for run in answered(capsys, "compare", ONE, OTHER)["runs"]] == [ONE, OTHER]
    assert compare(ONE, OTHER).runs[0].curves is not None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "0 runs to compare. Name two or more of one task"),
        ([ONE], "1 run to compare"),
        ([ONE, str(RUNS / "clasifier")], "is no run: did you mean 'classifier'"),
        ([ONE, str(RUNS / "tagger")], "are not of the same thing"),
        ([ONE, OTHER, "--out", "no/such/page.html"], "there is no folder no/such"),
        ([ONE, OTHER, "--uot", "page.html"], "--uot"),
    ],
)
def test_what_cannot_be_done_is_said(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert said in sentence(capsys, "compare", *words)
