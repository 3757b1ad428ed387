"""From recordings to a run that names them: trained, scored, asked by files, by bytes and over HTTP."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import recurra
from recurra import cli
from recurra.answers.notes import NOTHING
from recurra.asking.examples import beginning, steps_of
from recurra.data.sound import Sound
from recurra.data.wav import written
from recurra.errors import DataError
from recurra.server.asked import answers, card, check_input, longest
from recurra.server.limits import Limits
from recurra.server.models import Models
from recurra.server.problems import Problem
from recurra.workflow.material import varied

RATE = 8_000
SETTINGS = {
    "core.hidden_size": 8,
    "batching.size": 8,
    "input.mels": 16,
    "input.speeds": [],
    "training.epochs": 1,
    "training.threads": 1,
    "training.device": "cpu",
}


def tone(high: bool, seed: int = 0, rate: int = RATE) -> np.ndarray[Any, Any]:
    random = np.random.default_rng(seed)
    t = np.arange(int(random.integers(600, 900)) * rate // RATE) / rate
    return (8000 * np.sin(2 * np.pi * (1900 if high else 400) * t) + random.normal(0, 99, len(t))).astype(np.int16)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tones")
    for k in range(24):
        (folder / ("high" if k % 2 else "low")).mkdir(exist_ok=True)
        stereo = written(tone(bool(k % 2), k), RATE)
        (folder / ("high" if k % 2 else "low") / f"{k}.wav").write_bytes(stereo)
    return recurra.train("spoken-digits", folder, out=folder / "run", settings=SETTINGS)


def test_recordings_become_a_run(run: Any) -> None:
    assert run.config["reader"]["kind"] == "sound-folders" and run.config["data"]["train"]
    rows = run.report["scores"]["test"]["baseline"]
    assert {row["name"] for row in rows} >= {"nearest neighbour by warping", "logistic regression on statistics"}
    again = recurra.load(run.path)
    assert again.model.codecs["input"].rate == RATE and again.of_files and not again.of_text


def test_variants_are_read_in_training_alone(run: Any) -> None:
    codecs = run.model.codecs
    codecs["input"].speeds = (0.9,)
    try:
        one, other = varied([{"sound": Sound(tone(True), RATE), "label": "high"}], codecs)
    finally:
        codecs["input"].speeds = ()
    assert (one["sound"].rate, other["sound"].rate, other["label"]) == (8_000, 7_200, "high")


def test_asked_by_bytes_and_by_sounds(run: Any) -> None:
    raw = written(tone(True), RATE)
    (of_bytes,), (of_sound,) = run.predict(raw), run.predict(Sound(tone(True), RATE))
    assert of_bytes["label"] == of_sound["label"] and "notes" not in of_bytes
    (other,) = run.predict(Sound(tone(True, rate=11_025), 11_025, ("mixed from 2 channels to one",)))
    assert other["notes"] == [
        "a recording was mixed from 2 channels to one.",
        "a recording was resampled from 11,025 to 8,000 Hz.",
    ]
    assert run.predict(Sound(np.zeros(0, np.int16), RATE))[0]["notes"] == [NOTHING]
    assert run.predict(Sound(np.zeros(5000, np.float32), RATE))[0]["label"] in ("high", "low")  # silence
    with pytest.raises(DataError, match=r"a text, expected the bytes of a file.*Path\(…\).read_bytes\(\)"):
        run.predict("a.wav")
    with pytest.raises(DataError, match=r"an array of the shape .2, 3., expected a recording"):
        run.predict(np.zeros((2, 3)))


def test_a_beginning_has_so_many_frames(run: Any) -> None:
    codecs = run.model.codecs
    example = {"sound": Sound(tone(True, rate=16_000), 16_000)}
    assert steps_of(example, codecs) > 5
    assert [steps_of(beginning(example, codecs, count), codecs) for count in (0, 1, 5)] == [0, 1, 5]


def test_the_command_line_reads_files(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, cut = tmp_path / "a.wav", tmp_path / "cut.wav"
    file.write_bytes(written(tone(False), RATE))
    cut.write_bytes(file.read_bytes()[:500])
    assert cli.call(["predict", str(run.path), str(file), str(file), "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and all(line.endswith(f"\t{file}") for line in lines)
    assert cli.call(["predict", str(run.path), "--input", str(run.path.parent / "high"), "--json"]) == 2
    assert "no folder with recordings in it" in capsys.readouterr().err
    assert cli.call(["predict", str(run.path), "--input", run.config["data"]["train"][0], "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 24
    for words, message in (
        ([str(cut)], f"{cut}: the header says"),
        ([str(tmp_path / "b.wav")], "no such file: did you mean 'a.wav'"),
        ([], "give files to answer"),
        ([str(file), "--input", str(file)], "there are files to answer, and --input"),
    ):
        assert cli.call(["predict", str(run.path), *words]) == 2
        assert message in capsys.readouterr().err


def test_a_server_takes_base64_and_no_path(run: Any) -> None:
    limits = Limits(seconds_heard=0.5)
    raw = base64.b64encode(written(tone(True), RATE)).decode()
    check_input(run, raw, limits)
    (found,) = answers(run, ((), None), [raw], limits, lambda: False)
    assert run.predict(Sound(tone(True), RATE))[0]["label"] in json.dumps(found)
    assert longest(run, limits) == limits.file < Models([run], limits).most_bytes
    assert card("run", run, limits)["file"] == "sound"
    for wrong in ("/etc/passwd.wav", [1, 2], "ü"):
        with pytest.raises(Problem, match="this model reads files") as refused:
            check_input(run, wrong, limits)
        assert refused.value.body["expected"] == "the bytes of a file in base64"
    long = base64.b64encode(written(np.zeros(RATE, np.int16), RATE)).decode()
    with pytest.raises(Problem, match="a recording is too long"):
        answers(run, ((), None), [long], limits, lambda: False)
    with pytest.raises(DataError, match="expected WAV, FLAC"):
        answers(run, ((), None), [base64.b64encode(b"no sound").decode()], limits, lambda: False)


def test_many_recordings_are_answered_into_a_folder(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("recurra.runs.batch.TOGETHER", 3)
    Path("in").mkdir()
    for k in range(5):
        Path("in", f"{k}.wav").write_bytes(written(tone(bool(k % 2), 100 + k), RATE) if k != 1 else b"RIFF")
    assert cli.call(["predict", str(run.path), "in", "--out", "answers"]) == 2
    assert "1 file could not be read, the others are answered. The first: " in capsys.readouterr().err
    lines = [Path("answers", f"files-0000{k}.jsonl").read_text(encoding="utf-8").splitlines() for k in (0, 3)]
    assert [*map(len, lines)] == [3, 2]
    found = [json.loads(line) for line in (*lines[0], *lines[1])]
    assert [Path(each["file"]).name for each in found] == [f"{k}.wav" for k in range(5)]
    assert "1.wav" in found[1]["error"] and "label" not in found[1]
    for k in (0, 2, 3, 4):
        (alone,) = run.predict(Path("in", f"{k}.wav").read_bytes())
        assert found[k]["label"] == alone["label"]
    assert cli.call(["predict", str(run.path), "--out", "answers", "--shard", "2/2"]) == 0
    assert "0 files answered" in capsys.readouterr().out
