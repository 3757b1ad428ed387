"""What evaluate and predict print of runs that label: scores, tables, several runs together, a line a line."""

from __future__ import annotations

import io
import re
import sys

import pytest

from recurra import cli
from recurra.answers.notes import NOTHING

from .conftest import COLUMNS, answered, sentence, write

pytestmark = pytest.mark.usefixtures("here")


def test_evaluate_counts_what_training_never_saw_as_wrong(runs: list[str], capsys) -> None:
    whole = answered(capsys, "evaluate", runs[0], write("a.conll", COLUMNS), "--no-baseline")
    more = answered(capsys, "evaluate", runs[0], write("b.conll", COLUMNS + "\nfrom B-via\n"), "--no-baseline")
    assert (whole["notes"], whole["model"]["unseen_tags"]) == ([], 0)
    assert more["notes"] == ["1 of 201 tags were never seen in training (B-via): the model cannot give them."]
    right = whole["model"]["accuracy"] * 2
    assert more["model"]["accuracy"] == pytest.approx(right / 2.01)
    assert cli.call(["evaluate", runs[2], write("c.csv", "text,label\ngood place,ugly\n"), "--no-baseline"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("c.csv: 1 example of 2 tokens, 0.00% unknown; ")
    assert "\n1 of 1 labels were never seen in training (ugly): the model cannot give them.\n" in said


def test_tables_are_short_unless_asked_for(runs: list[str], capsys) -> None:
    file = write("many.conll", "".join(f"Rome B-x{k}\n\n" for k in range(30)))
    assert cli.call(["evaluate", runs[0], file, "--no-baseline"]) == 0
    assert "types:" not in capsys.readouterr().out
    assert cli.call(["evaluate", runs[0], file, "--no-baseline", "--tables"]) == 0
    said = capsys.readouterr().out
    assert "\ntypes:\ntype " in said and re.search(r"^x29 +0\.00", said, re.MULTILINE)


def test_runs_answer_together(runs: list[str], capsys) -> None:
    assert cli.call(["evaluate", *runs[:2]]) == 0
    said = capsys.readouterr().out
    assert said.startswith("test: 4 examples of 20 tokens")
    assert re.search(r"^2 models +3,\d{3} parameters ", said, re.MULTILINE)
    assert "\nmost frequent tag of each word " in said and "\nsplit: cut 40 examples" in said
    assert answered(capsys, "evaluate", *runs[:2], "--no-baseline")["runs"] == 2
    assert f"{runs[0]} and {runs[2]} cannot answer together: one names tags, the other label" in sentence(
        capsys, "evaluate", runs[0], runs[2]
    )
    near = runs[1].replace("two", "twoo")
    assert f"{near}: no such file: did you mean 'two'?" in sentence(capsys, "evaluate", runs[0], near)


def test_predict_answers_every_line(runs: list[str], capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["flights from Köln", "", "  to 👩‍👩‍👧 e\u0301 \u200b"]
    tokens = [line.split() for line in lines]
    text = "\ufeff" + "\r\n".join(lines)
    found = answered(capsys, "predict", runs[0], "--input", write("s.txt", text))
    assert found[1] == {"notes": [NOTHING]}
    assert [answer.get("tokens", []) for answer in found] == tokens
    assert all(len(answer["tags"]) == len(answer["tokens"]) for answer in found[::2])
    assert answered(capsys, "predict", runs[0], lines[0]) == found[:1]
    assert cli.call(["predict", runs[0], "--input", "s.txt"]) == 0
    printed = capsys.readouterr().out
    assert printed.split("\n\n")[0].split("\n") == [
        f"{token}\t{tag}" for token, tag in zip(tokens[0], found[0]["tags"], strict=True)
    ]

    def pipe(raw: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8"))

    pipe(text.encode())
    assert answered(capsys, "predict", runs[0], "--input", "-") == found
    pipe("Köln".encode("latin-1"))
    said = sentence(capsys, "predict", runs[0], "-i", "-")
    assert "what is piped in:1: byte 0xf6 is not valid utf-8. Name the file's encoding: --set reader.enc" in said
    pipe("Köln".encode("latin-1"))
    latin = answered(capsys, "predict", runs[0], "-i", "-", "--set", "reader.encoding=latin-1")
    assert latin[0]["tokens"] == ["Köln"]
    pipe(b"")
    assert "what is piped in: the file is empty" in sentence(capsys, "predict", runs[0], "--input", "-")
    assert cli.call(["predict", runs[2], "--input", "s.txt"]) == 0
    labels = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert labels.pop(1) == [""] and {label for label, _ in labels} <= {"yes", "no"}
    long = answered(capsys, "predict", runs[0], "to Rome " * 50_000)
    assert len(long[0]["tags"]) == 100_000


def test_predict_refuses_what_it_cannot_read_or_write(runs: list[str], capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in ([], ["a", "--input", "s.txt"]):
        assert f'give something to answer, or a file: recurra predict {runs[0]} "…" or --input' in sentence(
            capsys, "predict", runs[0], *words
        )
    assert "character 3 of the text is not valid utf-8. Put the text into a file: --input FILE" in sentence(
        capsys, "predict", runs[0], "a \udcff"
    )
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert r"'\xf6' cannot be written in ascii, the encoding of the output. Set" in sentence(
        capsys, "predict", runs[0], "Köln"
    )
