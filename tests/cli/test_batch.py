"""`recurra predict RUN FILES --out answers/`: the answers of each file in its order, gone on with, in shards."""

from __future__ import annotations

import errno
import json
import os
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from recurra import cli, predict
from recurra.errors import DataError
from recurra.runs import batch
from recurra.runs.run import Run

from .conftest import answered, sentence

RUNS = Path(__file__).parents[1] / "fixtures" / "runs"
TAGGER, WRITER, POET = (str(RUNS / name) for name in ("tagger", "writer", "translator"))
LINES = [f"flights from {a} to {b}" for a in ("Rome", "Oslo", "boston") for b in ("Lima", "Bern", "", "denver")]


@pytest.fixture
def files(here: Path) -> list[str]:
    """Three files in a folder and one beside it, of several lengths."""
    Path("in", "more").mkdir(parents=True)
    named = {"in/a.txt": LINES, "in/b.txt": LINES[:5], "in/more/a.txt": LINES[:1], "c.txt": LINES[4:]}
    for name, lines in named.items():
        Path(name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return [*named]


def read(path: str) -> list[Any]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def tree(out: str) -> dict[str, bytes]:
    return {str(each.relative_to(out)): each.read_bytes() for each in Path(out).rglob("*.jsonl")}


def test_a_file_of_answers_for_each_in_the_order_of_its_lines(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.call(["predict", TAGGER, *files, "--out", "answers", "--top", "2"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("4 files answered in ") and "26 answers" in said and said.endswith(" a second: answers\n")
    assert sorted(tree("answers")) == sorted(f"{name}.jsonl" for name in files)
    for name in files:
        lines = Path(name).read_text(encoding="utf-8").splitlines()
        assert read(f"answers/{name}.jsonl") == [each.json() for each in predict(TAGGER, *lines, top=2)]
    again = answered(capsys, "predict", TAGGER, "--out", "answers")
    assert (again["files"], again["before"], again["answers"]) == (0, 4, 0)


def test_stopped_in_the_midst_of_a_file_it_goes_on_there(
    files: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", TAGGER, *files]
    monkeypatch.setattr(batch, "AT_ONCE", 5)
    assert cli.call([*words, "--out", "whole"]) == 0
    real, asked = Run.predict, list[int]()

    def stopped(self: Run, *inputs: Any, **options: Any) -> Any:
        asked.append(len(inputs))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return real(self, *inputs, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "predict", stopped)
        assert cli.call([*words, "--out", "answers"]) == 130
    assert f"Go on: recurra predict {TAGGER} --out answers" in capsys.readouterr().err
    part = Path("answers", "in", "a.txt.jsonl.part")
    assert asked == [5, 5, 2] and len(part.read_text().splitlines()) == 10
    part.write_bytes(part.read_bytes()[:-7])  # a kill may cut a line
    asked.clear()
    with monkeypatch.context() as patched:
        patched.setattr(Run, "predict", lambda self, *i, **o: asked.append(len(i)) or real(self, *i, **o))
        assert cli.call(["predict", TAGGER, "--out", "answers"]) == 0
    assert asked == [5, 2, 5, 1, 5, 3]
    assert tree("answers") == tree("whole") and not part.exists()


def test_shards_are_the_whole(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(["predict", TAGGER, *files, "--out", "whole"]) == 0
    capsys.readouterr()
    counts = [answered(capsys, "predict", TAGGER, *files, "--out", "out", "--shard", f"{k}/3") for k in (1, 2, 3)]
    assert [found["files"] for found in counts] == [2, 1, 1]
    assert tree("out") == tree("whole")


def test_two_processes_are_one(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(["predict", TAGGER, *files, "--out", "whole"]) == 0
    capsys.readouterr()
    found = answered(capsys, "predict", TAGGER, *files, "--out", "out", "--workers", "2")
    assert (found["files"], found["answers"], found["broken"]) == (4, 26, [])
    assert tree("out") == tree("whole") and found["per_second"] > 0
    Path("out", "c.txt.jsonl").unlink()
    found = answered(capsys, "predict", TAGGER, "--out", "out", "--workers", "2")
    assert (found["files"], found["before"], found["answers"]) == (1, 3, 8) and tree("out") == tree("whole")


def test_a_seed_draws_for_all_of_a_file(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--length", "12", "--seed", "3"]
    assert cli.call(["predict", WRITER, "c.txt", "--out", "whole", *options]) == 0
    monkeypatch.setattr(batch, "AT_ONCE", 3)
    assert cli.call(["predict", WRITER, "c.txt", "--out", "answers", *options]) == 0
    assert tree("answers") == tree("whole") and len(read("answers/c.txt.jsonl")) == 8


def test_a_file_that_cannot_be_read_is_left_out(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("in", "b.txt").write_bytes(b"caf\xe9\n")
    assert "1 file could not be read, the others are answered. The first: " in sentence(
        capsys, "predict", TAGGER, *files, "--out", "answers"
    )
    assert len(tree("answers")) == 3 and "in/b.txt.jsonl" not in tree("answers")
    told = ["--set", "reader.encoding=latin-1"]
    assert cli.call(["predict", TAGGER, *files, "--out", "others", *told]) == 0 and len(tree("others")) == 4


def test_a_line_that_cannot_be_answered_leaves_its_file_out(
    files: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = Run.predict

    def predict(self: Run, *inputs: Any, **options: Any) -> Any:
        if len(inputs) == 5:
            raise DataError("no such letter.")
        return real(self, *inputs, **options)

    monkeypatch.setattr(Run, "predict", predict)
    said = sentence(capsys, "predict", TAGGER, *files, "--out", "answers")
    assert "1 file could not be read, the others are answered. The first: " in said
    assert said.endswith("b.txt: no such letter.") and len(tree("answers")) == 3


def test_a_disk_that_is_full(
    files: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Full(BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(batch.storage, "begin", lambda path, data: Full())
    said = sentence(capsys, "predict", TAGGER, *files, "--out", "answers")
    assert "a.txt.jsonl cannot be written, the disk is full" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["c.txt", "--shard", "1/2"], "--shard is for answering files. Name the folder for their answers: --out"),
        (["c.txt", "--on", "ray"], "--on is for answering files."),
        (["c.txt", "--out", "x", "--shard", "0/2"], "--shard 0/2, expected NUMBER/OF, counted from 1"),
        (["c.txt", "--out", "x", "--workers", "0"], "--workers 0, expected a whole number from 1"),
        (["c.txt", "--out", "x", "--address", "auto"], "Add --on ray"),
        (["c.txt", "--out", "x", "--input", "c.txt"], "--input is for what is answered at once."),
        (["d.txt", "--out", "x"], "d.txt is not there. Name files to answer, or a folder of them."),
        (["in/more/none", "--out", "x"], "is not there"),
        (["--out", "x"], "x holds no answers to go on with (predict.json is missing)"),
        (["c.txt", "--out", "x", "--beam", "3"], "beam is no option of this run."),
        (["c.txt", "--out", "in"], "in holds something else. Name a new folder with --out."),
        (["c.txt", "--out", "done", "--top", "1"], "done holds answers by other options, {}."),
        (["in/b.txt", "--out", "done"], "done holds answers to other files."),
        (["--out", "done", "--top", "1"], "Leave --set and options away, or name files."),
    ],
)
def test_what_cannot_be_done_is_said(
    files: list[str], capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    if "done" in words:
        assert cli.call(["predict", TAGGER, "c.txt", "--out", "done"]) == 0
    assert said in sentence(capsys, "predict", TAGGER, *words)
    assert not Path("x").exists()


def test_answers_of_another_run_are_refused(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(["predict", TAGGER, "c.txt", "--out", "done"]) == 0
    assert "done holds answers of another run." in sentence(capsys, "predict", POET, "c.txt", "--out", "done")
    Path("done", "predict.json").write_text("[]")
    assert "done/predict.json" in sentence(capsys, "predict", TAGGER, "c.txt", "--out", "done")
