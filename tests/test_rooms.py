"""The house: no room but that of tasks names one, and a question goes down through few modules to its answer."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

import recurra
from recurra import registry
from recurra.cli import call
from recurra.runs.run import load_run

SOURCE = Path(recurra.__file__).parent
ROOT = SOURCE.parents[1]
RUNS = Path(__file__).parent / "fixtures" / "runs"
OTHER_WORDS = {
    "cli/stream.py": {"tag"},
    "data/codecs/labels.py": {"tag"},
    "data/readers/aligned.py": {"tag"},
    "data/readers/columns.py": {"tag"},
    "data/readers/conllu.py": {"tag"},
    "data/readers/jsonl.py": {"tag"},
    "data/readers/babi.py": {"answer"},
    "data/readers/lines.py": {"fill"},
    "testing/fuzzing/runs.py": {"fill"},
    "testing/fuzzing/bodies.py": {"generate"},
    "server/asked.py": {"generate"},
    "answers/pair.py": {"score"},
    "answers/transcript.py": {"score"},
    "answers/series.py": {"forecast"},
    "cli/export.py": {"score"},
    "cli/report.py": {"forecast"},
    "data/readers/sequences.py": {"tag"},
    "data/readers/series.py": {"forecast"},
    "data/readers/signals.py": {"simulate"},
    "data/readers/series_rows.py": {"forecast"},
    "data/readers/tsf.py": {"forecast"},
    "diagnostics/report/rolling.py": {"forecast"},
    "data/readers/kaldi.py": {"transcribe"},
    "data/readers/librispeech.py": {"transcribe"},
    "data/readers/ljspeech.py": {"transcribe"},
    "data/readers/npz_jsonl.py": {"transcribe"},
    "data/readers/sound_jsonl.py": {"transcribe"},
    "data/readers/sound_texts.py": {"transcribe"},
    "data/readers/digit_crops.py": {"line-reader"},
    "data/readers/midi.py": {"music"},
    "data/readers/abc.py": {"music"},
    "data/readers/rolls.py": {"music"},
    "data/readers/pen_strokes.py": {"strokes"},
    "data/readers/spoken_strings.py": {"transcribe"},
    "export/clients/transcripts.py": {"score"},
    "export/clients/translation.py": {"score"},
    "export/write.py": {"score"},
    "forms/files.py": {"forecast"},
    "runs/backtest.py": {"forecast"},
    "trials/results.py": {"score"},
    "trials/table.py": {"score"},
    "workflow/training.py": {"forecast"},
}
"""Where a task's name is another word: the tag of a word, the address /generate, a recipe that a reader names, what is
forecast of a series or of a training, the score of a hypothesis or of a run."""
MOST = 12
HANDED_DOWN = {
    ("registry", "*"),
    ("progress", "*"),
    ("decoding.sample", "runs.continuing"),
    ("decoding.beam", "asking.writing"),
    ("decoding.greedy", "asking.writing"),
    ("decoding.form", "tasks.transduce"),
}
"""Calls from a lower room to a higher one: a part's constructor, what is counted and who is shown it, and the step
of a search that was handed to it."""


def test_no_room_but_that_of_tasks_names_one() -> None:
    names = set(registry.names("task"))
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE).as_posix()
        if place.startswith(("tasks/", "recipes/")):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            imported = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            imported += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found += [(place, each) for each in imported if each.rpartition(".")[2] in names and ".tasks." in each]
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names:
                found += [(place, node.value)] if node.value not in OTHER_WORDS.get(place, ()) else []
    assert found == []


def calls(act: Callable[[], object]) -> tuple[list[str], set[tuple[str, str]]]:
    """The longest chain of our modules on the stack while `act` goes, and the calls from a lower room to a higher. The
    engine, which every layer of a core goes through, counts as one."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = config["tool"]["importlinter"]["contracts"][0]["layers"]
    height = {room.strip(): -k for k, layer in enumerate(layers) for room in layer.split("|")}
    longest: list[str] = []
    climbs = set()

    def module(frame: FrameType) -> str | None:
        path = Path(frame.f_code.co_filename)
        if not path.is_relative_to(SOURCE):
            return None
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        return "engine" if name.startswith("engine.") else name

    def look(frame: FrameType, event: str, _: object) -> None:
        nonlocal longest
        if event != "call" or module(frame) is None:
            return
        chain: list[str] = []
        each: FrameType | None = frame
        while each is not None:
            name = module(each)
            if name is not None and chain[-1:] != [name]:
                chain.append(name)
            each = each.f_back
        if len(set(chain)) > len(longest):
            longest = list(dict.fromkeys(reversed(chain)))
        if len(chain) > 1 and height[chain[0].split(".")[0]] > height[chain[1].split(".")[0]]:
            climbs.add((chain[1], chain[0]))

    sys.setprofile(look)
    try:
        act()
    finally:
        sys.setprofile(None)
    return longest, climbs


@pytest.mark.parametrize("run", ["writer", "tagger", "filler", "translator", "poet"])  # each goes a way of its own
def test_a_question_goes_down_to_its_answer(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = load_run(RUNS / run, device="cpu").model.task.card.example or "the"
    words = ["predict", str(RUNS / run), asked, "--device", "cpu"]
    assert call(words) == 0  # what is imported and compiled the first time is no answering
    longest, climbs = calls(lambda: call(words))
    assert len(longest) <= MOST, longest
    assert {(a, b) for a, b in climbs if (a, "*") not in HANDED_DOWN} <= HANDED_DOWN
    assert capsys.readouterr().out
