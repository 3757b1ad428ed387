"""Sessions of runs that were trained on series with gaps: whole = chunks = steps, saved, together, and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from recurra.data.codecs.numbers import Scaled, Vectors
from recurra.data.gaps import since_seen
from recurra.errors import CheckpointError, ConfigError, DataError
from recurra.model import Model
from recurra.streaming.session import Session, advance, open_session
from recurra.types import Batch

HERE, T, W = Path("run"), 12, 3


def made(cell: str = "gru-d", size: int | None = None, gaps: bool = True) -> Model:
    """A model that simulates one output by three inputs, trained on series with gaps; random weights."""
    torch.manual_seed(0)
    values = np.random.default_rng(1).normal(2, 3, (20, W))
    codecs: dict[str, Any] = {"input": Scaled().fit([values]), "target": Scaled().fit([values[:, :1]])}
    if gaps:
        codecs |= {name: Vectors().fit([values]) for name in ("seen", "since")} | {"dt": Vectors().fit([values[:, 0]])}
    sections: dict[str, Any] = {
        "embedder": {"kind": "numbers", "size": size},
        "core": {"kind": "recurrent", "cell": cell, "hidden_size": 5},
        "task": {"kind": "simulate"},
    }
    model = Model.from_config(sections, codecs).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


def series() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values [T, W], NaN where one is missing behind the first step, the same filled forward, and times [T]."""
    draw = np.random.default_rng(0)
    values, dt = draw.normal(2, 3, (T, W)), draw.random(T) * 3 + 0.1
    values[1:][draw.random((T - 1, W)) < 0.4] = np.nan
    filled = values.copy()
    for t in range(1, T):
        filled[t] = np.where(np.isnan(values[t]), filled[t - 1], values[t])
    return values, filled, dt


def outputs(answers: list[dict[str, Any]]) -> np.ndarray:
    return np.array([answer["output"] for answer in answers])


@pytest.mark.parametrize(("cell", "size"), [("gru-d", None), ("gru-decay", None), ("gru-decay", 4), ("gru", None)])
@pytest.mark.parametrize("how", ["module", "float32"])
def test_whole_chunks_and_steps(cell: str, size: int | None, how: Literal["module", "float32"], tmp_path: Path) -> None:
    model, (values, filled, dt) = made(cell, size), series()
    seen = (~np.isnan(values)).astype(float)
    gaps = {"seen": seen, "since": since_seen(seen, dt), "dt": dt}
    batch = model.codecs.encode({"inputs": filled, **gaps, "place": "s:1"})
    fields = {name: torch.from_numpy(array)[None] for name, array in batch.items() if name != "place"}
    with torch.no_grad():
        y = model.task.ask(model.embedder, model.core, Batch(fields))["simulated"][0]
    expected = model.codecs["target"].decode(y)

    def session() -> Session:
        return open_session(model, HERE, how)

    assert np.allclose(outputs(session().feed(values, dt=dt.tolist())), expected, rtol=1e-4, atol=1e-5)
    steps, chunks = session(), session()
    one_by_one = [answer for t in range(T) for answer in steps.feed(values[t : t + 1], dt=float(dt[t]))]
    assert np.allclose(outputs(one_by_one), expected, rtol=1e-4, atol=1e-5)
    first = chunks.feed(values[:5], dt=dt[:5].tolist())
    chunks.save(tmp_path / "state")
    for middle in (chunks.fork(), session().load(tmp_path / "state")):
        rest = middle.feed(values[5:], dt=dt[5:].tolist())
        assert np.allclose(outputs(first + rest), expected, rtol=1e-4, atol=1e-5)
    shown = "\n".join(" ".join("?" if np.isnan(v) else repr(float(v)) for v in row) for row in values)
    timed = "\n".join(f"{line} dt={t!r}" for line, t in zip(shown.splitlines(), dt.tolist(), strict=True))
    assert np.allclose(outputs(session().feed(timed)), expected, rtol=1e-4, atol=1e-5)
    usual = outputs(session().feed(shown))
    assert np.allclose(usual, outputs(session().feed(values, dt=1)))
    assert np.allclose(usual, expected, atol=1e-3) == (cell == "gru"), "a cell of gaps reads the times"


@pytest.mark.parametrize("how", ["module", "float32"])
def test_several_sessions_in_one_step(how: Literal["module", "float32"]) -> None:
    model, (values, _, dt) = made(), series()
    several = [open_session(model, HERE, how) for _ in range(3)]
    alone = [open_session(model, HERE, how) for _ in range(3)]
    for t in range(0, T - 3, 3):
        rows = [values[t + k].tolist() for k in range(3)]
        found = advance(several, rows, dt=dt[t : t + 3].tolist())
        for k, (session, answer) in enumerate(zip(alone, found, strict=True)):
            (expected,) = session.feed([rows[k]], dt=float(dt[t + k]))
            assert answer["read"] == expected["read"]
            assert np.allclose(answer["output"], expected["output"], rtol=1e-4, atol=1e-5)


def test_a_value_that_was_never_seen_is_its_mean() -> None:
    session = open_session(made(), HERE, "module")
    mean = session._stream.codec.decode(np.zeros((1, W)))
    first = session.feed([[None, 1.0, 2.0]])  # type: ignore[list-item]
    assert first[0]["read"] == "? 1 2" and np.array(session._last.values)[0] == pytest.approx(0, abs=1e-6)  # type: ignore[union-attr]
    assert session._last.since == (1, 1, 1) and session._last.seen == (0, 1, 1)  # type: ignore[union-attr]
    assert np.isfinite(outputs(session.feed(mean))).all()


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    session = open_session(made(), HERE, "module")
    for dt in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(DataError, match=r"dt = .*, expected how long ago the step before was, a number above 0"):
            session.feed([[1, 2, 3]], dt=dt)
    with pytest.raises(DataError, match=r"2 times dt for 1 steps, expected one for each, or one for all"):
        session.feed([[1, 2, 3]], dt=[1, 2])
    with pytest.raises(ConfigError, match=r"dt stands in the text and beside it\. Leave one out"):
        session.feed("1 2 3 dt=2", dt=2)
    with pytest.raises(DataError, match=r"run reads numbers, one step a line: could not convert string to float: 'x'"):
        session.feed("1 2 x")
    with pytest.raises(DataError, match="run reads numbers, as many each step"):
        session.feed("1 2 3\n1 2")
    for wrong in ([1.0, 2.0], [1.0, None], [[1.0, None]]):
        with pytest.raises(DataError, match=r"an array of float64 and the shape \[.*\], expected 3 numbers a step"):
            session.feed(wrong)  # type: ignore[arg-type]
    assert session.count == 0
    whole = open_session(made(gaps=False), HERE, "module")
    with pytest.raises(DataError, match=r"trained on series without gaps, and 1 of 3 numbers are missing\. Fill them"):
        whole.feed("1 ? 3")
    with pytest.raises(ConfigError, match=r"run reads no time between steps \(dt\)\. Leave it out, or train with"):
        whole.feed("1 2 3 dt=2")
    whole.feed("1 2 3")
    whole.save(tmp_path / "state")
    with pytest.raises(CheckpointError, match=r"another run|damaged"):
        session.load(tmp_path / "state")
