"""A folder of pictures and their texts becomes a run that reads pictures, and says which columns it read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import recurra
import recurra.export.write
from recurra import cli
from recurra.config import load_recipe, with_settings
from recurra.errors import ConfigError, DataError
from recurra.workflow.material import Material

Image = pytest.importorskip("PIL.Image", reason="the extra images is not installed")
TINY = {
    "embedder.channels": [4, 4],
    "embedder.size": 8,
    "input.height": 16,
    "core.hidden_size": 8,
    "training.epochs": 2,
    "training.threads": 1,
    "training.device": "cpu",
    "data.valid_fraction": 0.2,
    "data.test_fraction": 0.2,
}


def bars(text: str) -> Any:
    """Upright bars for 1, level ones for 0."""
    image = np.full((20, 14 * len(text) + 6), 240, np.uint8)
    for k, symbol in enumerate(text):
        image[
            (slice(3, 17) if symbol == "1" else slice(8, 12)), 14 * k + 8 : 14 * k + (12 if symbol == "1" else 17)
        ] = 20
    return image


def write(folder: Path) -> Path:
    folder.mkdir()
    random = np.random.default_rng(0)
    for k in range(20):
        text = "".join(random.choice(["0", "1"], int(random.integers(1, 5))))
        Image.fromarray(bars(text)).save(folder / f"{k:02d}.png")
        (folder / f"{k:02d}.gt.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("lines")
    return recurra.train("line-reader", write(folder / "data"), out=folder / "run", settings=TINY)


def test_a_folder_becomes_a_run_that_reads(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.config["reader"]["kind"] == "line-images" and run.config["reader"]["unicode"] == "NFC"
    scores = run.report["scores"]["test"]
    assert scores["examples"] == 4 and "exact_match" in scores["model"]
    (answer,) = run.predict({"image": bars("10")}, alignment=True)
    held = io.BytesIO()
    Image.fromarray(bars("10")).save(held, "PNG")
    assert run.of_files and run.predict(held.getvalue(), alignment=True) == [answer]
    assert {*answer["transcript"]} <= {"0", "1"}
    assert all(0 <= each["begin"] <= each["end"] <= 34 for each in answer.get("symbols", ()))
    data = Path(run.path).parent / "data"
    assert cli.call(["predict", str(run.path), str(data / "00.png"), "--alignment"]) == 0
    assert cli.call(["evaluate", str(run.path), str(data), "--no-baseline"]) == 0
    assert "20 examples" in capsys.readouterr().out


def test_the_attention_decoder_reads_pictures_by_the_same_recipe(run: Any, tmp_path: Path) -> None:
    decoder = {"kind": "recurrent", "cell": "lstm", "hidden_size": 8, "context": "attention"}
    own = {"task.kind": "transduce", "task.scores": "transcripts", "task.decoder": decoder}
    data = Path(run.path).parent / "data"
    other = recurra.train("line-reader", data, out=tmp_path / "run", settings={**TINY, **own}, baseline=False)
    assert {"symbol_error_rate", "exact_match"} <= other.report["scores"]["test"]["model"].keys()
    (answer,) = other.predict({"image": bars("10")})
    assert {*answer["target"]} <= {"0", "1"}
    pytest.importorskip("onnxruntime", reason="the extra export is not installed")
    recurra.export.write.export(other, tmp_path / "export")
    assert recurra.load(tmp_path / "export").predict({"image": bars("10")}) == [answer]


@pytest.mark.parametrize(
    ("texts", "reads", "other"),
    [
        (["אב", "ב"], "left-to-right", "right-to-left"),
        (["باب 1", "ب"], "left-to-right", "right-to-left"),
        (["אב", "ב"], "right-to-left", None),
        (["ab", "b"], "right-to-left", "left-to-right"),
        (["abc", "אב x"], "left-to-right", None),
        (["12", "3"], "right-to-left", None),
    ],
)
def test_a_script_that_runs_the_other_way_is_said_before_the_training(
    texts: list[str], reads: str, other: str | None, tmp_path: Path
) -> None:
    for k in range(12):
        Image.fromarray(bars("10")).save(tmp_path / f"{k:02d}.png")
        (tmp_path / f"{k:02d}.gt.txt").write_text(texts[k % 2], encoding="utf-8")
    config = with_settings(load_recipe("line-reader"), {**TINY, "input.reads": reads, "data.train": [str(tmp_path)]})
    said = [sentence for sentence in Material(config).sentences() if "of the letters" in sentence]
    if other is None:
        assert not said
    else:
        (sentence,) = said
        assert f"written {other.replace('-', ' ')}, but pictures are read {reads.replace('-', ' ')}" in sentence
        assert f"--set input.reads={other}" in sentence


def test_broken_pictures_are_named(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_text("a text", encoding="utf-8")
    assert cli.call(["predict", str(run.path), str(tmp_path / "a.png")]) == 2
    assert f"{tmp_path / 'a.png'}: begins with 'a text', expected a picture" in capsys.readouterr().err
    with pytest.raises(DataError, match=r"expected a picture: uint8 \[height, width\]"):
        run.predict({"image": np.zeros((3, 3))})


def test_runs_vote_by_whole_transcripts_whatever_their_steps(run: Any, tmp_path: Path) -> None:
    settings = {**TINY, "embedder.stride": 2, "training.epochs": 1}
    other = recurra.train("line-reader", write(tmp_path / "data"), out=tmp_path / "run", settings=settings)
    assert run.evaluate(beside=[other], baseline=False)["model"].keys() >= {"exact_match", "calibration_error"}
    images = [{"image": bars("10")}, {"image": bars("0110")}]
    together = run.answers(run.questions(images, [other]), run.options({"alignment": True}), beside=[other])
    turned = other.answers(other.questions(images, [run]), other.options(), beside=[run])
    assert [each["transcript"] for each in together] == [each["transcript"] for each in turned]


def test_another_reader_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("text\tlabel\na\tb\n", encoding="utf-8")
    with pytest.raises(DataError, match="tried jsonl-images, line-images, image-folders"):
        recurra.train("line-reader", tmp_path / "a.tsv", out=tmp_path / "run", settings=TINY)
    with pytest.raises(ConfigError, match="is made of pictures, but this recipe learns from tags or labels"):
        recurra.train("classifier", out=tmp_path / "run", settings={"data.set": "orand-car-a"})
