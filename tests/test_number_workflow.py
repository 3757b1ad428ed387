"""From files of numbers to a run that names them: trained, scored, asked, evaluated, looked into, streamed."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import recurra
from recurra import cli
from recurra.data.stacked import packed
from recurra.errors import ConfigError, NotCausal

SMALL = {
    "core.hidden_size": 8,
    "batching.size": 8,
    "training.epochs": 2,
    "training.threads": 1,
    "training.device": "cpu",
}
COUNT = 40


def drawn(seed: int = 0) -> list[tuple[np.ndarray, str]]:
    """Sequences of two numbers, strong or weak."""
    random = np.random.default_rng(seed)
    found = []
    for k in range(COUNT):
        strong = k % 2
        x = random.normal(size=(int(random.integers(5, 9)), 2)) * (3 if strong else 1)
        found.append((x, "strong" if strong else "weak"))
    return found


def table(folder: Path, tag: bool = False) -> Path:
    name = "tag" if tag else "label"
    rows = [f"{k},{t},{a},{b},{label}" for k, (x, label) in enumerate(drawn()) for t, (a, b) in enumerate(x)]
    (folder / "a.csv").write_text(f"sequence,step,a,b,{name}\n" + "\n".join(rows) + "\n")
    return folder / "a.csv"


def archive(folder: Path) -> Path:
    lines = [":".join(",".join(map(str, column)) for column in x.T) + f":{label}" for x, label in drawn()]
    (folder / "a.ts").write_text("@problemName a\n@classLabel true strong weak\n@data\n" + "\n".join(lines) + "\n")
    return folder / "a.ts"


def arrays(folder: Path) -> Path:
    xs = [x for x, _ in drawn()]
    ends = np.cumsum([0, *map(len, xs)])
    (folder / "a.npz").write_bytes(packed(x=np.concatenate(xs), offsets=ends, label=[label for _, label in drawn()]))
    return folder / "a.npz"


@pytest.mark.parametrize(("make", "kind"), [(table, "sequences"), (archive, "ts"), (arrays, "npz")])
def test_a_file_becomes_a_run_that_names(make: Any, kind: str, tmp_path: Path) -> None:
    file = make(tmp_path)
    run = recurra.train("activity", file, out=tmp_path / "run", settings=SMALL)
    assert run.config["reader"]["kind"] == kind and run.report["examples"] == {"train": 28, "valid": 6}
    scores = run.report["scores"]["test"]
    assert [row["name"] for row in scores["baseline"]] == [
        "most frequent label",
        "logistic regression on statistics",
        "nearest neighbour by warping",
    ]
    assert run.evaluate(file, baseline=False)["examples"] == COUNT
    x, _ = drawn()[0]
    (typed,) = run.predict("\n".join(" ".join(map(str, row)) for row in x))
    (given,) = run.predict(x)
    assert typed["label"] == given["label"] and typed["label"] in ("strong", "weak")


def test_a_tag_for_each_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, run = table(tmp_path, tag=True), tmp_path / "run"
    settings = {**SMALL, "task.kind": "tag", "core.bidirectional": False}
    made = recurra.train("activity", file, out=run, settings=settings)
    rows = made.report["scores"]["test"]["baseline"]
    assert [row["name"] for row in rows] == ["most frequent tag", "logistic regression on statistics of 51 steps"]
    assert not cli.call(["predict", str(run), "--input", str(file), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert len(found) == COUNT and [len(each["tags"]) for each in found] == [len(x) for x, _ in drawn()]
    assert all(each["runs"][-1]["to"] == len(each["tags"]) for each in found)
    x, _ = drawn()[0]
    whole = made.predict(x)[0]["tags"]
    assert [step["tag"] for step in made.session().feed(x)] == whole


def test_looked_into_by_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, run = table(tmp_path), tmp_path / "run"
    recurra.train("activity", file, out=run, settings=SMALL, baseline=False)
    for more in ([], ["--file", str(file)]):
        assert not cli.call(["inspect", str(run), "--json", *more])
        early = json.loads(capsys.readouterr().out)["earliness"]
        assert len(early["values"]) == 10 and early["examples"] == (COUNT if more else 6)
    assert not cli.call(["inspect", str(run), "--out", str(tmp_path / "page.html")])
    assert "read of each sequence, %" in (tmp_path / "page.html").read_text(encoding="utf-8")
    with pytest.raises(NotCausal, match=r"--set core\.bidirectional=false"):
        recurra.load(run).session()


def test_pictures_pixel_by_pixel(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels = (np.arange(60) % 3).astype(np.uint8)
    pictures = (random.integers(0, 20, (60, 3, 3)) + 90 * labels[:, None, None]).astype(np.uint8)
    for name, array in (("pictures", pictures), ("labels", labels)):
        raw = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
        (tmp_path / name).write_bytes(raw)
    files = [tmp_path / "pictures", tmp_path / "labels"]
    run = recurra.train("pixels", *files, out=tmp_path / "run", settings={**SMALL, "reader.permute": 3})
    assert len(run.report["scores"]["test"]["baseline"]) == 3
    assert run.evaluate(*files, baseline=False)["examples"] == 60  # in the order that training had
    one = pictures[0].ravel()[np.random.default_rng(3).permutation(9)]
    (as_file,) = run.answers(run.questions(list(_read(run, files[0]))[:1]), run.options())
    assert run.predict(" ".join(map(str, one)))[0]["label"] == as_file["label"]
    last, label = run.session().feed(one[:, None])[-1], as_file["label"]
    assert last["label"] == label


def _read(run: Any, file: Path) -> Any:
    return recurra.registry.construct("reader", run.config["reader"]).read(file)


def test_baselines_of_words_are_for_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'bag' learns from tokens, but the input is numbers\. Set "):
        recurra.train("activity", table(tmp_path), out=tmp_path / "run", settings={"baseline.kind": "bag"})
    (tmp_path / "b.csv").write_text("text,label\n" + "well,x\nbad,y\n" * 9)
    with pytest.raises(ConfigError, match="learns from numbers, but the input is symbols"):
        settings = {"baseline.kind": "window-statistics"}
        recurra.train("classifier", tmp_path / "b.csv", out=tmp_path / "run", settings=settings)
