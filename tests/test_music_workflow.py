"""Music and drawings become runs that write on, from files to scores, answers as files, streams and exports."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import recurra
from recurra import cli
from recurra.errors import ConfigError, DataError
from recurra.types import Batch

pytest.importorskip("mido", reason="the extra music is not installed")
from recurra.data.abc import tunes_in
from recurra.data.midi import midi_of, steps_in

TINY = {
    "core.hidden_size": 8,
    "training.epochs": 2,
    "training.threads": 1,
    "training.device": "cpu",
    "data.valid_fraction": 0.2,
    "data.test_fraction": 0.2,
}


def call(words: list[Any]) -> int:
    return cli.call([*map(str, words)])


def tunes(folder: Path) -> Path:
    """Scales in thirds, some as MIDI."""
    folder.mkdir()
    for k in range(15):
        scale = [[60 + k + n, 64 + k + n] if n % 3 else [] for n in range(6 + k % 4)]
        (folder / f"{k:02}.mid").write_bytes(midi_of([*scale, [60]], 0.2))
    return folder


def drawings(folder: Path) -> Path:
    draw, moves, ends = np.random.default_rng(1), [], [0]
    for k in range(30):
        angles = 0.5 * np.arange(8 + k % 5)
        lifted = (np.arange(len(angles)) == len(angles) - 1).astype(float)
        steps = np.stack((9 * np.cos(angles), 9 * np.sin(angles), lifted), 1)
        moves.append(steps + draw.normal(size=steps.shape) * [1, 1, 0])
        ends.append(ends[-1] + len(steps))
    np.savez(folder / "circles.npz", train=np.concatenate(moves), train_offsets=ends)
    return folder / "circles.npz"


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("music")
    return recurra.train("music", tunes(folder / "data"), out=folder / "run", settings=TINY)


@pytest.fixture(scope="module")
def strokes(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("strokes")
    return recurra.train("strokes", drawings(folder), out=folder / "run", settings=TINY)


def test_midi_files_become_a_run_that_writes_on(music: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert music.config["reader"]["kind"] == "midi"
    scores = music.report["scores"]["test"]
    assert set(scores["model"]) == {"nats_per_step"}
    assert [row["name"] for row in scores["baseline"]] == ["each note by itself", "each note by its last step"]
    (answer,) = music.predict("C4 E4 | 62 65 |", length=5, seed=3)
    assert answer["given"] == 2 and len(answer["steps"]) == 7
    assert answer["steps"][0] == [answer["rows"].index("C4"), answer["rows"].index("E4")]
    assert music.predict("C4 E4 | 62 65", length=5, seed=3) == [answer]
    assert music.predict({"notes": [[60, 64], [62, 65]]}, length=5, seed=3) == [answer]
    song = tmp_path / "song.mid"
    assert call(["predict", music.path, "60 64 67", "--length", "6", "--save", song]) == 0
    read = steps_in(song.read_bytes(), "song", 4)
    assert read[0][:1] == [60] and len(read) <= 7
    written = capsys.readouterr().out
    assert re.search(r"^ *C4 ▒", written, re.MULTILINE)
    tune = tmp_path / "song.abc"
    assert call(["predict", music.path, "60 64 67", "--length", "6", "--save", tune]) == 0
    ((_, again),) = tunes_in(tune.read_text(encoding="utf-8"), "song", 4)
    assert again[: len(read)] == read
    assert call(["predict", music.path, "--input", tune, "--set", "reader.kind=abc", "--length", "2"]) == 0
    assert call(["predict", music.path, "--input", tune]) == 2
    assert "looks like abc: --set reader.kind=abc" in capsys.readouterr().err
    data = sorted((Path(music.path).parent / "data").iterdir())[:1]
    assert call(["predict", music.path, "--input", *data, "--length", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["given"] == len(steps_in(data[0].read_bytes(), "", 4))
    assert call(["evaluate", music.path, *data]) == 0


def test_what_is_given_is_read_behind_a_step_of_silence(music: Any) -> None:
    """As in training: what is said of the first step is a distribution over first steps."""
    model = music.model
    read = model.codecs["input"].encode([[60, 64], [62]])
    batch = model.task._read(_batch(read))
    assert not batch.fields["input"][0, 0].any() and torch.equal(batch.fields["input"][0, 1:], torch.tensor(read[:-1]))
    said, state = {}, None
    for step in batch.fields["input"][0]:
        said, state = model.task.step(model.embedder, model.core, state, step[None])
    whole = model.task.ask(model.embedder, model.core, batch)
    torch.testing.assert_close(said["probability"][0], whole["probability"][0, -1])


def _batch(read: Any) -> Any:
    return Batch({"input": torch.tensor(read)[None]})


def test_drawings_become_a_run_that_draws(strokes: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [row["name"] for row in strokes.report["scores"]["test"]["baseline"]] == ["one Gaussian"]
    (answer,) = strokes.predict("9 0 0\n8 4 0", length=30, seed=1)
    assert answer["given"] == 2 and 3 <= len(answer["moves"]) <= 32
    assert answer["moves"][:2] == [[9, 0, 0], [8, 4, 0]]
    sketch = tmp_path / "a.svg"
    assert call(["predict", strokes.path, "--length", "30", "--save", sketch]) == 0
    assert sketch.read_text().startswith("<svg") and "<path" in sketch.read_text()
    assert any("⠀" <= each <= "⣿" for each in capsys.readouterr().out)
    assert call(["predict", strokes.path, "--save", tmp_path / "a.mid"]) == 2
    assert "a file that ends in .mid, expected .svg for this answer" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="top_k is no option of this run"):
        strokes.predict(top_k=3)
    with pytest.raises(DataError, match=r"expected moves \[T, 3\]"):
        strokes.predict("1 2")


def test_note_after_note_is_scored_by_the_line(tmp_path: Path) -> None:
    pieces = [[[60 + k + n, 64 + k + n] for n in range(8)] for k in range(12)]
    (tmp_path / "a.json").write_text(json.dumps(pieces))
    settings = TINY | {"embedder.size": 4, "batching.streams": 2, "batching.steps": 8}
    run = recurra.train("music-notes", tmp_path / "a.json", out=tmp_path / "run", settings=settings)
    scores = run.report["scores"]["test"]["model"]
    # two notes and the end of the line
    assert scores["nats_per_line"] == pytest.approx(3 * scores["nats_per_symbol"], rel=0.1)


@pytest.mark.parametrize("of", ["music", "strokes"])
def test_it_streams_is_looked_into_and_exported(of: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    run = request.getfixturevalue(of)
    fed, written = ([[60, 64], [62]], "60 64|62") if of == "music" else ([[3.0, 1, 0], [2, 2, 1]], "3 1 0\n2 2 1")
    whole = run.session().feed(fed)
    assert len(whole) == 2 and run.session().feed(written) == whole
    single = run.session()
    assert [*single.feed(fed[:1]), *single.feed(fed[1:])] == whole
    read = run.model.codecs["input"].encode(fed)
    said = run.model.task.ask(run.model.embedder, run.model.core, run.model.task._read(_batch(read)))
    for name, values in run.session().said.items():  # before anything is fed, as in training
        torch.testing.assert_close(values[0], said[name][0, 0])
    single.reset().feed(fed[:1])
    for name, values in single.said.items():
        torch.testing.assert_close(values[0], said[name][0, 1])
    assert call(["export", run.path, "--out", tmp_path / "onnx"]) == 0
    (answer,) = recurra.load(tmp_path / "onnx").predict(written, length=4, temperature=0.0)
    own = run.predict(written, length=4, temperature=0.0)[0]
    assert answer.json() == own.json()
    assert call(["inspect", run.path, "--out", tmp_path / "page.html"]) == 0


@pytest.mark.parametrize(
    ("recipe", "settings", "message"),
    [
        (
            "char-lm",
            {"task.emission": {"kind": "bernoulli"}},
            "gives no input, but the task 'generate' reads notes or moves or vectors",
        ),
        ("music", {"task.emission": {"kind": "categorical"}}, "is of symbols, expected one of bits or numbers"),
        ("music", {"task.by_line": True}, "task.by_line is for symbols, task.emission for steps of numbers"),
    ],
)
def test_emissions_that_do_not_fit(recipe: str, settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("ab cd\n" * 200)
    file = text if recipe == "char-lm" else tunes(tmp_path / "data")
    with pytest.raises(ConfigError, match=message):
        recurra.train(recipe, file, out=tmp_path / "run", settings=TINY | settings)
