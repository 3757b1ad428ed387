"""Pictures with captions become a run that describes pictures, says where it looks, and goes where others go."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import recurra
from recurra import cli
from recurra.data.readers.sniff import CAPTIONED
from recurra.errors import ConfigError, DataError
from recurra.export.opened import load_export
from recurra.export.write import export
from recurra.types import Field
from recurra.workflow import inspect
from recurra.workflow.material import one_each

Image = pytest.importorskip("PIL.Image", reason="the extra images is not installed")
TINY = {
    "input.side": 16,
    "embedder.channels": [8, 8],
    "embedder.size": 16,
    "embedder.dropout": 0.0,
    "embedder.mirror": False,
    "embedder.shift": 0.0,
    "embedder.zoom": 0.0,
    "task.decoder.hidden_size": 24,
    "task.dropout": 0.0,
    "target.min_count": 1,
    "batching.size": 8,
    "training.epochs": 12,
    "training.average": 0.0,
    "training.learning_rate": 0.01,
    "training.threads": 1,
    "training.device": "cpu",
    "data.valid_fraction": 0.2,
    "data.test_fraction": 0.2,
}
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 60, 230)}


def square(colour: str, right: bool) -> Any:
    """A coloured half of a dark picture."""
    picture = np.full((24, 24, 3), 20, np.uint8)
    picture[:, 12 * right : 12 * right + 12] = COLOURS[colour]
    return picture


def write(folder: Path) -> Path:
    folder.mkdir()
    draw, rows = np.random.default_rng(0), []
    for k in range(30):
        colour, right = str(draw.choice([*COLOURS])), bool(k % 2)
        Image.fromarray(square(colour, right)).save(folder / f"{k}.png")
        side = "right" if right else "left"
        captions = [f"a {colour} half on the {side} .", f"{colour} on the {side} side ."]
        rows.append(json.dumps({"file": f"{k}.png", "captions": captions}))
    (folder / "captions.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder / "captions.jsonl"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("captions")
    return recurra.train("caption", write(folder / "data"), out=folder / "run", settings=TINY)


def png(picture: Any) -> bytes:
    held = io.BytesIO()
    Image.fromarray(picture).save(held, "PNG")
    return held.getvalue()


def test_a_file_becomes_a_run_that_describes(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.config["reader"]["kind"] == "jsonl-captions"
    scores = run.report["scores"]["test"]
    assert scores["examples"] == 6 and {"bleu_1", "bleu_4", "rouge_l", "cider_d"} <= scores["model"].keys()
    assert [row["name"] for row in scores["baseline"]] == ["nearest picture", "most frequent answer"]
    assert scores["baseline"][0]["bleu_4"] > 50  # the same halves are in the training data
    assert run.report["pairs"] == 36  # 18 pictures, two captions each
    (answer,) = run.predict({"image": square("red", True)}, attention=True)
    assert run.of_files and run.predict(png(square("red", True)), attention=True) == [answer]
    assert answer["regions"] == [4, 4]
    attention = np.array(answer["attention"])
    assert attention.shape == (len(answer["target_tokens"]) + 1, 16)
    np.testing.assert_allclose(attention.sum(1), 1, atol=1e-5)
    data = Path(run.path).parent / "data"
    assert cli.call(["evaluate", str(run.path), str(data / "captions.jsonl"), "--no-baseline"]) == 0
    assert "30 examples" in capsys.readouterr().out
    assert cli.call(["predict", str(run.path), str(data / "0.png"), "--top", "2"]) == 0
    assert len(capsys.readouterr().out.strip().splitlines()) == 2
    assert cli.call(["predict", str(run.path), "--input", str(data / "captions.jsonl")]) == 0
    assert len(capsys.readouterr().out.strip().splitlines()) == 30


def test_all_captions_are_learned_from_and_a_picture_is_held_once(run: Any) -> None:
    material = recurra.workflow.material.Material(recurra.config.load_recipe(Path(run.path) / "config.toml"))
    rows = material._encoded["train"]
    assert len(rows) == 36 and len({id(row["input"]) for row in rows}) == 18
    batch = next(iter(material.train(0, 0)))
    assert batch.fields["input"].dtype == torch.uint8 and batch.fields["input"].shape[1:] == (16, 48)


def test_a_caption_that_comes_twice_is_learned_from_once() -> None:
    fields = {"target": Field(("target",), {"kind": "tokens"}, learned=True, several="targets")}
    found = one_each([{"image": 1, "targets": ["a", "b", "a"]}, {"image": 2, "target": "c"}], fields)
    assert [(each["image"], each["target"]) for each in found] == [(1, "a"), (1, "b"), (2, "c")]


def test_the_picture_of_a_caption_is_saved(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(png(square("blue", False)))
    drawn = tmp_path / "a.svg"
    assert cli.call(["predict", str(run.path), str(file), "--attention", "--save", str(drawn)]) == 0
    svg = drawn.read_text(encoding="utf-8")
    words = run.predict(file.read_bytes(), attention=True)[0]["target_tokens"]
    assert svg.count("<use ") == len(words) + 1 and all(f">{word}</text>" in svg for word in words)
    held = base64.b64decode(svg.partition("base64,")[2].partition('"')[0])
    seen = np.array(Image.open(io.BytesIO(held)))
    codec = run.model.codecs["input"]
    assert np.array_equal(seen, codec.decode(codec.encode(square("blue", False))))
    assert cli.call(["predict", str(run.path), str(file), "--save", str(drawn)]) == 2
    assert "Ask for that, too: --attention" in capsys.readouterr().err


def test_an_export_and_a_client_say_what_the_run_says(run: Any, tmp_path: Path) -> None:
    folder = export(run, tmp_path / "out").folder
    file = tmp_path / "a.png"
    file.write_bytes(png(square("green", True)))
    (expected,) = run.predict(file.read_bytes(), attention=True)
    (found,) = load_export(folder).predict(file.read_bytes(), attention=True)
    assert found["target"] == expected["target"]
    np.testing.assert_allclose(found["attention"], expected["attention"], atol=1e-4)
    block = "import sys; sys.modules.update(torch=None, recurra=None); import runpy; "
    call = f"runpy.run_path({str(folder / 'client.py')!r}, run_name='__main__')"
    program = f"{block}sys.argv = ['client.py', {str(file)!r}]; {call}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.rstrip("\n")) == (0, expected["target"])
    (tmp_path / "b.png").write_text("a text")
    program = program.replace("a.png", "b.png")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "begins with 'a text', expected a picture" in done.stderr


def test_a_look_inside_shows_the_words_over_the_picture(run: Any, tmp_path: Path) -> None:
    found = inspect(run.path)
    assert found.alignment.regions == (4, 4) and found.alignment.own_answer
    assert found.alignment.weights.shape == (len(found.alignment.rows), 16)
    kept = found.as_json()["alignment"]
    assert kept["regions"] == [4, 4] and "picture" not in kept and kept["columns"][5] == "2, 2"
    file = tmp_path / "a.png"
    file.write_bytes(png(square("red", False)))
    assert inspect(run.path, file=file).origin == "of a.png"
    out = tmp_path / "page.html"
    assert cli.call(["inspect", str(run.path), "--file", str(file), "--out", str(out)]) == 0
    page = out.read_text(encoding="utf-8")
    assert page.count('<image class="pixels" id="seen-') == 1 and "once for each word" in page
    assert "lies on one region" in page


def test_runs_vote(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = Path(run.path).parent / "data"
    settings = {**TINY, "training.epochs": 1, "training.seed": 1}
    other = recurra.train("caption", data / "captions.jsonl", out=tmp_path / "other", settings=settings)
    alone = [each["target"] for each in other.predict(*read_images(data))]
    assert cli.call(["evaluate", str(run.path), str(other.path), "--no-baseline", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"]["bleu_4"] >= 0
    assert len(alone) == 6


def read_images(data: Path) -> list[bytes]:
    return [(data / f"{k}.png").read_bytes() for k in range(6)]


def test_a_run_starts_from_another(run: Any, tmp_path: Path) -> None:
    data = Path(run.path).parent / "data" / "captions.jsonl"
    settings = {**TINY, "training.epochs": 1, "training.learning_rate": 1e-9, "init.from": str(run.path)}
    other = recurra.train("caption", data, out=tmp_path / "other", settings=settings)
    for (name, mine), theirs in zip(other.model.named_parameters(), run.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5, msg=name)
    with pytest.raises(DataError, match="no tensor of the embedder is as in the run"):
        changed = {**settings, "embedder.channels": [7], "embedder.size": 9}
        recurra.train("caption", data, out=tmp_path / "third", settings=changed)


def test_what_it_is_asked_is_a_picture(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_text("a text")
    for name, message in (("a.png", "begins with 'a text', expected a picture"), ("no.png", "no such file")):
        assert cli.call(["predict", str(run.path), str(tmp_path / name)]) == 2
        assert message in capsys.readouterr().err
    Image.new("1", (9000, 9000)).save(tmp_path / "huge.png")
    assert cli.call(["predict", str(run.path), str(tmp_path / "huge.png")]) == 2
    assert "a picture of 9,000 × 9,000 pixels, expected 33,554,432 at most" in capsys.readouterr().err
    with pytest.raises(DataError, match="a text, expected the bytes of a file"):
        run.predict("a red half")


def test_other_files_and_settings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a\tb\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"tried {', '.join(CAPTIONED)}"):
        recurra.train("caption", tmp_path / "a.tsv", out=tmp_path / "run", settings=TINY)
    lines = write(tmp_path / "data")
    with pytest.raises(ConfigError, match=r"unknown key embedder\.turns: did you mean 'turn'"):
        recurra.train("caption", lines, out=tmp_path / "run", settings={**TINY, "embedder.turns": True})
    with pytest.raises(ConfigError, match=r"input\.side = 18 is no multiple"):
        recurra.train("caption", lines, out=tmp_path / "run", settings={**TINY, "input.side": 18})
    with pytest.raises(ConfigError, match=r"made of pictures and sentences about them.*recurra train caption"):
        recurra.train("line-reader", out=tmp_path / "run", settings={"data.set": "flickr8k-1000"})
    (tmp_path / "data" / "bare.jsonl").write_text('{"file": "0.png"}\n' * 9, encoding="utf-8")
    with pytest.raises(DataError, match=r"bare\.jsonl:\d: no target in this example, only image, id\. Name a reader"):
        settings = {**TINY, "reader.kind": "jsonl-captions"}
        recurra.train("caption", tmp_path / "data" / "bare.jsonl", out=tmp_path / "run", settings=settings)
    (tmp_path / "data" / "gone.jsonl").write_text('{"file": "gone.png", "captions": ["a"]}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"gone\.png: no such file"):  # and not that the format has no captions
        recurra.train("caption", tmp_path / "data" / "gone.jsonl", out=tmp_path / "run", settings=TINY)
