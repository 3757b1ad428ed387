"""`recurra stream`: answers come while the input does; what cannot be streamed is refused before any is read."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recurra import cli, load, storage
from recurra.answers.notes import NOTHING
from recurra.errors import CheckpointError

from .conftest import COLUMNS, TABLE, sentence, train

LINES = "the quiet house\n\nand zq"
VERB = importlib.import_module("recurra.cli.stream")


class Pipe:
    """What is piped in, in pieces as they come."""

    encoding = "utf-8"

    def __init__(self, *pieces: bytes | BaseException) -> None:
        self.buffer, self.pieces = self, list(pieces)

    def read1(self, most: int) -> bytes:
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, BaseException):
            raise piece
        return piece


def piped(monkeypatch: pytest.MonkeyPatch, *pieces: bytes | str | BaseException) -> None:
    raw = [piece.encode() if isinstance(piece, str) else piece for piece in pieces]
    monkeypatch.setattr(sys, "stdin", Pipe(*raw))


def answered(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    assert cli.call(["stream", *words, "--json"]) == 0, capsys.readouterr().err
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture(scope="module")
def labelling(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Runs that label and read forwards only."""
    folder = tmp_path_factory.mktemp("stream")
    (folder / "my.conll").write_text(COLUMNS, encoding="utf-8")
    (folder / "my.csv").write_text(TABLE, encoding="utf-8")
    found = {}
    for name, recipe, file, *more in (
        ("tags", "tagger", "my.conll"),
        ("crf", "tagger", "my.conll", "--set", "task.decoder=crf"),
        ("label", "classifier", "my.csv", "--set", "task.ngrams=0"),
    ):
        found[name] = str(folder / name)
        words = train(recipe, str(folder / file), "--set", "core.bidirectional=false", *more, out=found[name])
        assert cli.call(words) == 0
    return found


def test_lines_of_a_text(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    piped(monkeypatch, LINES)
    rows = answered(capsys, str(run), "--top", "2")
    session = load(run).session()
    expected = session.feed(LINES)
    assert [(row["line"], row["text"]) for row in rows] == [(1, "the quiet house"), (2, ""), (3, "and zq")]
    assert [row["symbols"] for row in rows] == [16, 1, 6]
    bits = -sum(a["log_p"] for a in expected[17:]) / 6 / 0.6931471805599453
    assert rows[2]["bits_per_symbol"] == pytest.approx(bits, rel=1e-4)
    assert [one["symbol"] for one in rows[2]["next"]] == [one["symbol"] for one in expected[-1]["next"][:2]]
    piped(monkeypatch, LINES)
    assert cli.call(["stream", str(run)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[2].startswith(f"{rows[2]['bits_per_symbol']:.2f}\t") and said[2].endswith("\tand zq")
    assert said[0].count("\t") == 2 and len(said) == 3


def test_each_symbol_as_it_comes(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    piped(monkeypatch, "th", "e\nno", "w")
    rows = answered(capsys, str(run), "--each", "--top", "1")
    assert [(row["line"], row["symbol"]) for row in rows] == [*((1, c) for c in "the\n"), *((2, c) for c in "now")]
    assert rows[0]["bits"] is None and all(row["bits"] > 0 for row in rows[1:])
    piped(monkeypatch, "a b\n")
    assert cli.call(["stream", str(run), "--each"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == ["a", "␣", "b", "⏎"] and lines[0][1] == "–"


def test_what_is_written_is_not_read(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    piped(monkeypatch, LINES)
    plain = answered(capsys, str(run))
    for each in ((), ("--each",)):
        piped(monkeypatch, LINES)
        rows = answered(capsys, str(run), "--continue", "7", "--seed", "2", *each)
        written = [row["continued"] for row in rows if "continued" in row]
        assert [len(text) for text in written] == [7, 7]  # the last line has no end
    session = load(run).session()
    session.feed("the quiet house\n")
    assert written[0] == session.write(7, seed=2)
    piped(monkeypatch, LINES)
    assert [row["next"] for row in answered(capsys, str(run), "--continue", "3")] == [row["next"] for row in plain]
    piped(monkeypatch, "the\n")
    assert cli.call(["stream", str(run), "--continue", "4", "--temperature", "0"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("→ ")


def test_a_state_is_gone_on_from(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    piped(monkeypatch, LINES)
    whole = answered(capsys, str(run))
    rows = []
    for part in ("the quiet house\n\n", "and zq"):
        piped(monkeypatch, part)
        rows += answered(capsys, str(run), "--state", str(tmp_path / "state"), "--step", "module")
    assert rows[2]["bits_per_symbol"] == pytest.approx(whole[2]["bits_per_symbol"], rel=1e-4)


def test_sentences(labelling: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    text = "flights from Rome\n\nto Bern"
    piped(monkeypatch, text)
    rows = answered(capsys, labelling["tags"])
    expected = load(labelling["tags"]).predict("flights from Rome", "to Bern")
    assert [rows[0]["tags"], rows[2]["tags"]] == [one["tags"] for one in expected]
    assert rows[0]["tokens"] == expected[0]["tokens"] and len(rows[0]["p"]) == 3 and len(rows) == 3
    piped(monkeypatch, text)
    each = answered(capsys, labelling["tags"], "--each")
    assert each.pop(3) == {"line": 2, "text": "", "notes": [NOTHING]}
    assert [(row["line"], row["token"]) for row in each] == [
        *((1, token) for token in ("flights", "from", "Rome")),
        *((3, token) for token in ("to", "Bern")),
    ]
    piped(monkeypatch, "to Bern\n")
    assert cli.call(["stream", labelling["tags"]]) == 0
    first, second, blank = capsys.readouterr().out.split("\n")[:3]
    assert first.split("\t")[:2] == ["to", expected[1]["tags"][0]] and second.startswith("Bern\t") and not blank
    piped(monkeypatch, "to Bern\n")
    assert len(answered(capsys, labelling["crf"])[0]["filtered_tags"]) == 2


def test_labels(labelling: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    piped(monkeypatch, "good place\nbad place\n")
    rows = answered(capsys, labelling["label"])
    expected = load(labelling["label"]).predict("good place", "bad place")
    assert [row["label"] for row in rows] == [one["label"] for one in expected]
    piped(monkeypatch, "good place\n\n")
    assert cli.call(["stream", labelling["label"]]) == 0
    assert capsys.readouterr().out == f"{rows[0]['label']}\t{rows[0]['p']:.2f}\tgood place\n\n"
    piped(monkeypatch, "good place\n")
    each = answered(capsys, labelling["label"], "--each")
    assert [row["token"] for row in each] == ["good", "place"] and each[1]["p"] == pytest.approx(rows[0]["p"])


def test_encodings(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    piped(monkeypatch, b"\xef\xbb\xbfthe\r", b"\ncaf\xc3", b"\xa9\n")
    assert [row["text"] for row in answered(capsys, str(run))] == ["the", "café"]
    piped(monkeypatch, b"caf\xe9\n")
    assert answered(capsys, str(run), "--set", "reader.encoding=latin-1")[0]["text"] == "café"


@pytest.mark.parametrize("raw", [b"good\nand\nso \xff on\nmore\n", b"good\nand\nso \xc3"])
def test_broken_bytes_are_named_after_what_came_before(raw: bytes, run: Path, monkeypatch: Any, capsys: Any) -> None:
    piped(monkeypatch, raw)
    assert cli.call(["stream", str(run)]) == 2
    said = capsys.readouterr()
    assert [line.split("\t")[-1] for line in said.out.splitlines()] == ["good", "and"]
    assert "recurra: what is piped in:3: byte 0x" in said.err and "is not valid utf-8. Name its encoding" in said.err


def test_ctrl_c_ends_in_order(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    piped(monkeypatch, "the\nroads\nhou", KeyboardInterrupt())
    assert cli.call(["stream", str(run), "--state", str(tmp_path / "state")]) == 130
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 2
    assert said.err == "\nrecurra: stopped; line 2 was the last that is answered\n"
    assert load(run).session().load(tmp_path / "state").count == 10


@pytest.mark.parametrize("end", [KeyboardInterrupt(), b"\xff"])
def test_a_state_never_is_that_of_half_a_line(
    end: BaseException | bytes, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    state = str(tmp_path / "state")
    piped(monkeypatch, "the\nqui", end)
    assert cli.call(["stream", str(run), "--each", "--state", state]) != 0
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 7 and ("line 1 was" in said.err or "piped in:2" in said.err)
    piped(monkeypatch, "quiet\n")
    (again,) = answered(capsys, str(run), "--state", state)
    piped(monkeypatch, "the\nquiet\n")
    assert again["bits_per_symbol"] == answered(capsys, str(run))[1]["bits_per_symbol"]


def test_an_answer_that_nobody_read_is_none(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def flush(self) -> None:
            if self.getvalue().count("\n") > 1:
                raise BrokenPipeError

    piped(monkeypatch, "the\nquiet\nhouse\n")
    monkeypatch.setattr(sys, "stdout", Closed())
    with contextlib.suppress(BrokenPipeError, OSError, ValueError):  # how the verbs end then is told elsewhere
        cli.call(["stream", str(run), "--state", str(tmp_path / "state")])
    monkeypatch.undo()
    assert load(run).session().load(tmp_path / "state").count == 4


def test_a_state_that_cannot_be_kept_is_refused_before_reading(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    piped(monkeypatch, AssertionError("read"))
    said = sentence(capsys, "stream", str(run), "--state", str(tmp_path / "none" / "s"))
    assert re.search(r"--state \S+/none/s: the folder \S+/none cannot be written to \(No such file", said)
    said = sentence(capsys, "stream", str(run), "--state", str(tmp_path))
    assert "is a folder, expected a file to keep the state in" in said and list(tmp_path.iterdir()) == []

    def refuse(*_: Any) -> None:
        raise CheckpointError("Name another folder with --out.") from OSError(28, "No space left")

    piped(monkeypatch, "the\n")
    monkeypatch.setattr(storage, "write", refuse)
    said = sentence(capsys, "stream", str(run), "--state", str(tmp_path / "s"))
    assert said.endswith("s could not be written (No space left), so the state is lost.") and "--out" not in said


def test_a_line_read_in_pieces_is_answered_as_a_whole(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    text = "the quiet house\nand\n\nso it goes on\nfor good"
    piped(monkeypatch, text)
    whole = answered(capsys, str(run))
    monkeypatch.setattr(VERB, "PIECE", 5)
    piped(monkeypatch, text[:19], *text[19:])
    for row, expected in zip(answered(capsys, str(run)), whole, strict=True):
        assert row.pop("bits_per_symbol") == pytest.approx(expected.pop("bits_per_symbol"), rel=1e-6)
        assert [one.pop("p") for one in row["next"]] == pytest.approx([one.pop("p") for one in expected["next"]])
        assert row == expected


def test_what_cannot_be_streamed_is_refused_before_reading(
    runs: list[str], run: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, labelling: dict[str, str]
) -> None:
    piped(monkeypatch, AssertionError("read"))
    assert "also reads from the end" in sentence(capsys, "stream", runs[0])
    assert "--top is for runs that write" in sentence(capsys, "stream", labelling["tags"], "--top", "3")
    assert "--continue -1, expected 0 or more symbols" in sentence(capsys, "stream", str(run), "--continue", "-1")
    assert "--seed is for what is written after each line" in sentence(capsys, "stream", str(run), "--seed", "3")
    assert "core.cell is part of a trained run" in sentence(capsys, "stream", str(run), "--set", "core.cell=gru")
    assert "no text encoding" in sentence(capsys, "stream", str(run), "--set", "reader.encoding=klingon")
    assert "nowhere is no run" in sentence(capsys, "stream", "nowhere")


def test_answers_come_while_the_input_is_open(run: Path) -> None:
    """In a process of its own: a line goes in, its answer comes out, the pipe still open; then it is interrupted."""
    words = [sys.executable, "-m", "recurra", "stream", str(run)]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, **pipes, env={**os.environ, "PYTHONUNBUFFERED": ""}) as process:
        process.stdin.write(b"the quiet\n")
        process.stdin.flush()
        assert process.stdout.readline().endswith(b"\tthe quiet\n")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert b"line 1 was the last" in process.stderr.read()


def test_a_real_pipe_has_what_is_read_from(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"the\n"), encoding="utf-8"))
    assert answered(capsys, str(run))[0]["text"] == "the"


def test_no_state_is_kept_through_a_link(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "state").symlink_to(tmp_path / "mine")
    said = sentence(capsys, "stream", str(run), "--state", str(tmp_path / "state"))
    assert "state cannot be written: it is a link to " in said
    assert not (tmp_path / "mine").exists()
