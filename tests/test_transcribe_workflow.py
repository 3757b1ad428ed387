"""From features and texts to a run that writes texts: trained, scored, asked, streamed, exported; and by attention."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import recurra
from recurra import checkpoint, cli
from recurra.config import load_recipe, write_config
from recurra.data.stacked import packed
from recurra.errors import CheckpointError, ConfigError, DataError, NotCausal
from recurra.export import write
from recurra.export.opened import load_export

SMALL: dict[str, Any] = {
    "reader.kind": "npz-jsonl",
    "input.kind": "scaled",
    "embedder.kind": "numbers",
    "core.hidden_size": 12,
    "core.num_layers": 1,
    "core.bidirectional": False,
    "batching.size": 8,
    "training.epochs": 2,
    "training.threads": 1,
    "training.device": "cpu",
    "search.beam": 4,
}
GREEDY = {"search.beam": 1}
SPELT = {"a": 0, "b": 1, " ": 2}


def pair(folder: Path, texts: list[str], name: str = "a") -> list[str]:
    """Features of some steps for each character, noisy, and the texts."""
    random = np.random.default_rng(0)
    rows = []
    for text in texts:
        steps = [SPELT[c] for c in text for _ in range(int(random.integers(2, 5)))]
        rows.append(np.eye(3)[steps].reshape(-1, 3) + 0.1 * random.normal(size=(len(steps), 3)))
    ends = np.cumsum([0, *map(len, rows)])
    (folder / f"{name}.npz").write_bytes(packed(features=np.concatenate(rows), offsets=ends))
    lines = [json.dumps({"text": text, "speaker": f"s{k % 5}"}) for k, text in enumerate(texts)]
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return [str(folder / f"{name}.npz"), str(folder / f"{name}.jsonl")]


TEXTS = ["ab ba", "a b", "abab", "b", "ba ab b"] * 6


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[str], Path]:
    folder = tmp_path_factory.mktemp("transcribe")
    files = pair(folder, TEXTS)
    run = recurra.train("transcribe", *files, out=folder / "run", settings={**SMALL, "data.by_group": False})
    return run, files, folder


def test_a_run_says_what_it_scored(made: tuple[Any, list[str], Path]) -> None:
    run, files, _ = made
    scores = run.report["scores"]["test"]
    assert {"symbol_error_rate", "word_error_rate", "exact_match", "calibration_error"} <= scores["model"].keys()
    assert [row["name"] for row in scores["baseline"]] == ["nearest neighbour by warping", "most frequent answer"]
    assert scores["tables"]["edits"]["rows"][0][1] > 0
    assert run.evaluate(*files, baseline=False, settings=GREEDY)["examples"] == len(TEXTS)
    voted = [run.evaluate(*files, baseline=False, settings=GREEDY, beside=[run] * count) for count in (1, 2)]
    assert voted[0]["model"] == pytest.approx(voted[1]["model"])  # of one mind, however many


def test_a_beam_is_as_sure_as_validation_says(made: tuple[Any, list[str], Path], tmp_path: Path) -> None:
    run, files, _ = made
    assert run.model.task.ranking[0] == 1 and run.model.task.ranking[1:].isfinite().all()
    again = recurra.load(run.path)
    assert again.model.task.ranking.tolist() == run.model.task.ranking.tolist()
    shutil.copytree(run.path, tmp_path / "before")
    path = tmp_path / "before" / "model.safetensors"
    tensors, metadata = checkpoint.load_tensors(path)
    del tensors["task.ranking"]
    checkpoint.save_tensors(path, tensors, metadata)
    before = recurra.load(tmp_path / "before")
    x = {"vectors": np.load(files[0])["features"][:12]}
    (new,), (old,) = run.predict(x), before.predict(x)
    assert old["transcript"] == new["transcript"] and old["confidence"] != new["confidence"]
    del tensors["task.linear.bias"]
    checkpoint.save_tensors(path, tensors, metadata)
    with pytest.raises(CheckpointError, match=r"has no weights 'task\.linear\.bias'"):
        recurra.load(tmp_path / "before")


def test_answers_and_where_they_come_from(
    made: tuple[Any, list[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run, files, _ = made
    assert (
        cli.call(["predict", str(run.path), "--input", files[0], "--json", "--alignment", "--beam", "3", "--top", "2"])
        == 0
    )
    first = json.loads(capsys.readouterr().out)[0]
    assert first["place"] == f"{files[0]}: recording 1" and 0 <= first["confidence"] <= 1
    assert "".join(each["symbol"] for each in first.get("symbols", ())) == first["transcript"]
    assert len(first["others"]) == 2


def test_the_whole_is_its_steps(made: tuple[Any, list[str], Path]) -> None:
    run, files, _ = made
    x = np.load(files[0])["features"][:12]
    session, steps, chunks = run.session(), run.session(), run.session()
    whole = session.feed(x)
    one_by_one = [answer for row in x for answer in steps.feed(row[None])]
    by_chunks = [answer for k in range(0, 12, 5) for answer in chunks.feed(x[k : k + 5])]
    assert [each["symbol"] for each in whole] == [each["symbol"] for each in one_by_one]
    assert [each["p"] for each in whole] == pytest.approx([each["p"] for each in one_by_one], abs=1e-6)
    assert [each["p"] for each in whole] == pytest.approx([each["p"] for each in by_chunks], abs=1e-6)
    assert "".join(each["symbol"] for each in whole) == run.predict({"vectors": x}, beam=1)[0]["transcript"]


def test_an_export_says_the_same(made: tuple[Any, list[str], Path]) -> None:
    run, files, folder = made
    write.export(run, folder / "out")  # which raises where ONNX Runtime and torch disagree
    x = np.load(files[0])["features"][:12]
    options = {"beam": 1, "alignment": True}
    mine, theirs = (each.predict({"vectors": x}, **options)[0].json() for each in (run, load_export(folder / "out")))
    assert theirs["transcript"] == mine["transcript"]
    assert theirs["confidence"] == pytest.approx(mine["confidence"], abs=1e-4)


def test_a_text_without_a_path_is_refused_before_the_training(tmp_path: Path) -> None:
    files = pair(tmp_path, TEXTS)
    lines = [json.loads(line) for line in Path(files[1]).read_text().splitlines()]
    lines[2]["text"] = "abababababababababab"
    Path(files[1]).write_text("\n".join(map(json.dumps, lines)) + "\n")
    with pytest.raises(DataError, match=r"a\.jsonl:3: a transcript of 20 symbols needs 20 steps"):
        recurra.train("transcribe", *files, out=tmp_path / "run", settings={**SMALL, "data.by_group": False})


def test_no_stream_where_the_end_must_be_known(tmp_path: Path) -> None:
    settings = {**SMALL, "input.alone": True, "training.epochs": 1, "data.by_group": False, "task.ngrams": 0}
    run = recurra.train("transcribe", *pair(tmp_path, TEXTS), out=tmp_path / "run", settings=settings, baseline=False)
    with pytest.raises(NotCausal, match="depends on what comes later"):
        run.session()


def test_the_attention_decoder_reads_the_same(tmp_path: Path) -> None:
    files = pair(tmp_path, TEXTS)
    recipe = load_recipe("transcribe") | {"search": {"beam": 2}}
    decoder = {"kind": "recurrent", "cell": "lstm", "hidden_size": 12, "context": "attention"}
    recipe["task"] = {"kind": "transduce", "scores": "transcripts", "decoder": decoder}
    write_config(tmp_path / "lines.toml", recipe)
    settings = {key: value for key, value in SMALL.items() if key != "search.beam"} | {"data.by_group": False}
    run = recurra.train(str(tmp_path / "lines.toml"), *files, out=tmp_path / "run", settings=settings)
    scores = run.report["scores"]["test"]
    assert {"symbol_error_rate", "word_error_rate", "exact_match"} <= scores["model"].keys()
    assert run.predict({"vectors": np.load(files[0])["features"][:9]})[0]["target"] is not None
    write.export(run, tmp_path / "out")
    with pytest.raises(ConfigError, match="no words"):
        run.predict({"vectors": np.zeros((5, 3))}, alignment=True)
