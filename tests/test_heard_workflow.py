"""A run that hears, trained on recordings: fed samples in Python, through a pipe, and over HTTP."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import recurra
from recurra import cli
from recurra.data.sound import Sound
from recurra.data.wav import written
from recurra.errors import CheckpointError, ConfigError, DataError, NotCausal
from recurra.server.heard import heard
from recurra.server.limits import Limits
from recurra.server.problems import Problem
from recurra.streaming.session import advance

RATE = 8_000
TONES = {"a": 500, "b": 1_300, " ": 0}
TEXTS = ["ab", "ba b", "aab", "b", "abba", "a b"] * 4
SETTINGS = {
    "input.alone": False,
    "input.mels": 16,
    "input.deltas": 1,
    "embedder.kind": "numbers",
    "core.bidirectional": False,
    "core.hidden_size": 24,
    "core.num_layers": 1,
    "core.dropout": 0.0,
    "task.dropout": 0.0,
    "task.ngrams": 0,
    "search.beam": 1,
    "batching.size": 4,
    "training.learning_rate": 0.01,
    "training.epochs": 12,
    "training.threads": 1,
    "training.device": "cpu",
}


def spoken(text: str, seed: int = 0, rate: int = RATE) -> np.ndarray[Any, Any]:
    random = np.random.default_rng(seed)
    parts = []
    for letter in text:
        t = np.arange(int(random.uniform(0.06, 0.1) * rate)) / rate
        parts += [np.sin(2 * np.pi * TONES[letter] * t) * 0.3, np.zeros(rate // 50)]
    wave = np.concatenate(parts)
    return (32_000 * (wave + random.normal(0, 0.003, len(wave)))).astype(np.int16)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tones")
    for k, text in enumerate(TEXTS):
        (folder / f"{k}.wav").write_bytes(written(spoken(text, k), RATE))
        (folder / f"{k}.txt").write_text(text)
    return recurra.train("transcribe", folder, out=folder / "run", settings=SETTINGS, baseline=False)


def test_the_whole_is_its_chunks_and_its_samples(run: Any) -> None:
    samples = spoken("abba", 99)
    whole = run.predict(Sound(samples, RATE))[0]["transcript"]
    assert whole  # it has learnt something
    shortest: list[Any] = []
    for size in (len(samples), 1_111, 80, 1):
        some, session = samples[: 900 if size == 1 else None], run.session()
        found = [answer for k in range(0, len(some), size) for answer in session.feed(some[k : k + size])]
        found += session.end()
        assert len(found) == session.count == len(run.model.codecs["input"].encode(Sound(some, RATE)))
        if size == len(samples):
            once = found
            assert "".join(each["symbol"] for each in found) == whole
        like = once if size > 1 else shortest or run.session().feed(some)
        assert [each["symbol"] for each in found[: len(like)]] == [each["symbol"] for each in like[: len(found)]]
        assert [each["p"] for each in found[: len(like)]] == pytest.approx(
            [each["p"] for each in like[: len(found)]], abs=1e-6
        )
    assert once[3]["token"] == "0.030"


def test_other_forms_of_sound_are_the_same(run: Any) -> None:
    samples = spoken("ba", 7)

    def text(*given: Any) -> str:
        session = run.session()
        return "".join(answer["symbol"] for each in given for answer in session.feed(each)) + "".join(
            answer["symbol"] for answer in session.end()
        )

    expected = text(samples)
    assert text(samples.astype(np.float32) / 32768) == expected
    assert text((samples / 32768).tolist()) == expected
    assert text(written(samples, RATE)) == expected
    slow = spoken("ba", 7, 2 * RATE)
    assert (
        text(Sound(slow[:999], 2 * RATE), Sound(slow[999:], 2 * RATE))
        == run.predict(Sound(slow, 2 * RATE))[0]["transcript"]
    )


def test_what_is_no_sound_is_refused(run: Any) -> None:
    session = run.session()
    for given, message in [
        ("ab", "a text, but .* hears recordings. Feed samples .* at 8,000 Hz"),
        (np.zeros((3, 16)), r"float64 of the shape \[3, 16\]"),
        ([1, 2, 3], "int64 of the shape"),
        (np.full(9, 300.0), "as great as 300, expected −1 to 1"),
        (np.full(9, np.nan), "as great as nan"),
    ]:
        with pytest.raises(DataError, match=message):
            session.feed(given)
    with pytest.raises(ConfigError, match="whose samples say their time"):
        session.feed(np.zeros(5), dt=1.0)
    with pytest.raises(ConfigError, match="hears recordings"):
        advance([session], [0.5])
    session.feed(np.zeros(500, np.int16))
    session.end()
    assert session.end() == []
    with pytest.raises(ConfigError, match="the recording has ended"):
        session.feed(np.zeros(500, np.int16))
    assert session.reset().feed(np.zeros(500, np.int16))


def test_a_session_is_forked_kept_and_taken_up(run: Any, tmp_path: Path) -> None:
    samples, session = spoken("ab", 3), run.session()
    short = run.session()
    short.feed(samples[:50])  # less than a frame
    short.save(tmp_path / "short")
    session.feed(samples[:777])
    session.save(tmp_path / "state")
    other = session.fork()
    again = run.session().load(tmp_path / "state")
    rest = [each.feed(samples[777:]) for each in (session, other, again)]
    assert rest[0] == rest[1] == rest[2]
    taken = run.session().load(tmp_path / "short")
    assert taken.feed(samples[50:]) == run.session().feed(samples)
    assert session.bytes > run.session().bytes
    tensors, metadata = recurra.checkpoint.load_tensors(tmp_path / "state")
    tensors["held.found"] = tensors["held.found"][:, :3].clone()
    recurra.checkpoint.save_tensors(tmp_path / "state", tensors, metadata)
    with pytest.raises(CheckpointError, match="what was heard does not fit"):
        run.session().load(tmp_path / "state")


def test_a_recording_is_piped_in(run: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    samples = spoken("abba", 99)
    expected = run.predict(Sound(samples, RATE))[0]["transcript"]

    def stream(*words: str, raw: bytes = written(samples, RATE)) -> str:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(raw))))
        assert cli.call(["stream", str(run.path), *words]) == 0
        return capsys.readouterr().out

    assert stream() == expected + "\n"
    rows = [json.loads(line) for line in stream("--json").splitlines()]
    assert "".join(row["text"] for row in rows) == expected
    assert [row["seconds"] for row in rows] == sorted(row["seconds"] for row in rows)
    frames = [json.loads(line) for line in stream("--json", "--each").splitlines()]
    assert len(frames) == len(run.model.codecs["input"].encode(Sound(samples, RATE)))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(b"no sound at all"))))
    assert cli.call(["stream", str(run.path)]) == 2
    assert "what is piped in: no WAV file" in capsys.readouterr().err


def test_samples_over_http(run: Any) -> None:
    samples, limits = spoken("ab", 5), Limits(seconds_heard=1)
    raw = samples.astype("<i2").tobytes()
    for given in (base64.b64encode(raw).decode(), base64.b64encode(written(samples, RATE)).decode()):
        assert np.array_equal(heard(run, given, None, limits).samples, samples)
    assert heard(run, base64.b64encode(raw).decode(), 16_000, limits).rate == 16_000
    assert heard(run, [0.5, -1], None, limits).samples.tolist() == [0.5, -1]
    for wrong in ("ü", "AAAA", [2.0], ["a"], [None], [[0.5]]):
        with pytest.raises(Problem, match="hears recordings"):
            heard(run, wrong, None, limits)
    with pytest.raises(Problem, match="is too long"):
        heard(run, base64.b64encode(np.zeros(RATE + 99, "<i2").tobytes()).decode(), None, limits)


def test_what_wants_the_whole_recording_is_not_heard(run: Any, tmp_path: Path) -> None:
    settings = {**SETTINGS, "input.alone": True, "input.trim": 40, "training.epochs": 1}
    other = recurra.train("transcribe", run.path.parent, out=tmp_path / "run", settings=settings, baseline=False)
    with pytest.raises(NotCausal, match=r"on what comes later, too .*--set input\.alone=false --set input\.trim=none"):
        other.session()


def test_a_run_that_names_what_it_hears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for k in range(16):
        (tmp_path / "ab"[k % 2]).mkdir(exist_ok=True)
        (tmp_path / "ab"[k % 2] / f"{k}.wav").write_bytes(written(spoken("ab"[k % 2], k), RATE))
    settings = {"input.alone": False, "input.trim": None, "input.floor": None, "input.speeds": [], "input.mels": 16}
    settings |= {"core.bidirectional": False, "core.hidden_size": 6}
    settings |= {"training.epochs": 1, "training.threads": 1, "training.device": "cpu"}
    run = recurra.train("spoken-digits", tmp_path, out=tmp_path / "run", settings=settings, baseline=False)
    samples = spoken("b", 50)
    session = run.session()
    last = [*session.feed(samples), *session.end()][-1]
    (whole,) = run.predict(Sound(samples, RATE), top=2)
    assert last["label"] == whole["label"]
    buffer = io.BufferedReader(io.BytesIO(written(samples, RATE)))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=buffer))
    assert cli.call(["stream", str(run.path)]) == 0
    label, p = capsys.readouterr().out.split()
    assert label == last["label"] and float(p) == pytest.approx(last["p"], abs=1e-3)
