"""Pictures from a file to a run that draws: trained, gone on with, asked, looked into, exported, refused."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import recurra
from recurra import checkpoint, cli
from recurra.data.readers.idx import packed
from recurra.data.stacked import packed as stacked
from recurra.diagnostics.canvas import canvas
from recurra.diagnostics.report import page, summary
from recurra.errors import ConfigError, DataError
from recurra.export.opened import load_export

H, W = 8, 9
SMALL = {
    **dict.fromkeys(("task.steps", "task.latent"), 3),
    "task.hidden_size": 6,
    "batching.size": 10,
    "training.epochs": 2,
    "training.schedule": "constant",
    "training.device": "cpu",
    "training.threads": 1,
    "training.average": 0.9,
}


def pictures(count: int = 60, seed: int = 0) -> Any:
    """Bright bars on dark ground, each in another column."""
    random = np.random.default_rng(seed)
    made = random.integers(0, 40, (count, H, W)).astype(np.uint8)
    for k, each in enumerate(made):
        each[1:-1, 1 + k % (W - 2)] = 230
    return made


def png(array: Any) -> bytes:
    made = io.BytesIO()
    Image.fromarray(array).save(made, "PNG")
    return made.getvalue()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "images"
    path.write_bytes(packed(pictures()))
    return path


@pytest.fixture(scope="module")
def run(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    settings = {**SMALL, "task.read": 3, "task.write": 2}
    return recurra.train("draw", file, out=tmp_path_factory.mktemp("run") / "run", settings=settings)


def test_a_file_becomes_a_run_with_scores_and_pictures(run: Any) -> None:
    report = run.report
    assert report["examples"] == {"train": 51, "valid": 3}
    scores = report["scores"]["test"]
    assert scores["model"].keys() == {"nats_per_picture", "reconstruction", "kl"}
    (row,) = scores["baseline"]
    assert row["name"] == "each pixel by itself" and row["size"] == H * W and row["nats_per_picture"] > 0
    assert np.shape(report["shown"][0]["picture"]) == (H, W)
    assert run.evaluate()["model"] == pytest.approx(scores["model"])
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["valid_nats_per_picture"] == pytest.approx(
        report["scores"]["valid"]["model"]["nats_per_picture"], rel=1e-4
    )


def test_a_training_that_is_gone_on_with_is_one(file: Path, tmp_path: Path) -> None:
    whole = recurra.train("draw", file, out=tmp_path / "whole", settings=SMALL)
    half = {**SMALL, "training.epochs": 1}
    recurra.train("draw", file, out=tmp_path / "half", settings=half)
    gone_on = recurra.train(tmp_path / "half", settings={"training.epochs": 2}, resume=True)
    one, other = (checkpoint.load_tensors(each.path / "resume.safetensors")[0] for each in (whole, gone_on))
    assert one.keys() == other.keys()
    assert all(one[name].equal(other[name]) for name in one)


def test_a_run_starts_from_another_whose_task_alone_has_weights(run: Any, file: Path, tmp_path: Path) -> None:
    settings = {**SMALL, "task.read": 3, "task.write": 2, "task.binarise": "once", "init.from": str(run.path)}
    still = {**settings, "training.epochs": 1, "training.learning_rate": 1e-9}
    other = recurra.train("draw", file, out=tmp_path / "run", settings=still)
    for (name, own), (_, theirs) in zip(other.model.named_parameters(), run.model.named_parameters(), strict=True):
        torch.testing.assert_close(own, theirs, rtol=0, atol=1e-5, msg=name)


def test_drawings_by_their_seed(run: Any) -> None:
    (one,) = run.predict(seed=3)
    assert np.array_equal(one.parts[0].pixels, run.predict(None, seed=3)[0].parts[0].pixels)
    several = run.predict(seed=3, n=4)
    assert [each.json() for each in several[:1]] == [one.json()]
    assert len({str(each.json()) for each in several}) == 4
    assert run.predict(seed=4)[0].json() != one.json()
    given = pictures(2)
    again = run.predict(*given, seed=1)
    alone = run.predict(given[1], seed=1)[0]
    assert np.allclose(again[1].parts[0].pixels, alone.parts[0].pixels, atol=1e-6)
    assert run.predict(png(given[1]), seed=1)[0].json() == alone.json()


def test_what_is_written_to_files(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for k, each in enumerate(pictures(2)):
        Path(f"{k}.png").write_bytes(png(each))
    factor, here = 96 // W + 1, str(run.path)
    wide, high = factor * W + 1, factor * H + 1
    for words, name, size in (
        ([], "new.png", (3 * wide - 1, high - 1)),
        (["--n", "2", "--seed", "5"], "two.png", (3 * wide - 1, 2 * high - 1)),
        (["0.png", "1.png"], "again.png", (3 * wide - 1, 2 * high - 1)),
        (["0.png", "1.png", "--between"], "between.png", (9 * wide - 1, high - 1)),
        (["--n", "3"], "three.gif", (2 * wide - 1, 2 * high - 1)),
    ):
        assert cli.call(["predict", here, *words, "--save", name]) == 0, capsys.readouterr().err
        made = Image.open(name)
        assert made.size == size, name
        assert getattr(made, "n_frames", 1) == (3 if name.endswith("gif") else 1)
    capsys.readouterr()
    assert cli.call(["predict", here, "0.png", "--json"]) == 0
    (said,) = json.loads(capsys.readouterr().out)
    assert np.shape(said["picture"]) == (H, W) and len(said["kl"]) == 3 and said["drawn"] == "again"


def test_a_file_as_the_training_read_it_is_drawn_again(run: Any, file: Path, capsys: Any) -> None:
    assert cli.call(["predict", str(run.path), "--input", str(file), "--json"]) == 0, capsys.readouterr().err
    assert len(json.loads(capsys.readouterr().out)) == 60


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["large.png"], "large.png: a picture 20 pixels wide and 16 high, expected 9 and 8 as in the training data"),
        (["text.png"], "text.png: begins with 'no picture', expected a picture"),
        (["empty.png"], "empty.png: the file is empty, expected a picture"),
        (["none.png"], "none.png: no such file"),
        (["a.png", "--between"], "between goes from one picture to the next, but one is given"),
        (["--between"], "between goes from one picture to the next, but none is given"),
        (["--n", "0"], "n = 0, expected 1 to 10,000 pictures"),
        (["--temperature", "1"], "temperature is no option of this run"),
        (["--save", "x.svg"], "a file that ends in .svg, expected .gif or .png for this answer"),
        (["--n", "2", "--save", "x.svg"], "a file that ends in .svg, expected .gif or .png for this answer"),
    ],
)
def test_what_cannot_be_drawn(
    run: Any, words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.png").write_bytes(png(pictures(1)[0]))
    Path("large.png").write_bytes(png(np.zeros((16, 20), np.uint8)))
    Path("text.png").write_bytes(b"no picture")
    Path("empty.png").write_bytes(b"")
    assert cli.call(["predict", str(run.path), *words]) == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error
    assert not Path("x.svg").exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"task.steps": 0}, "task.steps = 0, expected 1 to 1,000"),
        ({"task.step": 3}, "did you mean 'steps'"),
        ({"task.cell": "lst"}, "unknown cell 'lst'"),
        ({"task.read": 3, "embedder.size": 4}, "the core gives 4 numbers for a row of 9 pixels"),
        ({"reader.steps": "rows"}, "no image in this example, only vectors"),
        ({"input.kind": "scaled"}, "the fields input and towards have one codec"),
    ],
)
def test_what_cannot_be_trained(file: Path, settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, DataError), match=said):
        recurra.train("draw", file, out=tmp_path / "run", settings={**SMALL, **settings})


def test_pictures_of_several_sizes_are_refused(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(packed(pictures(20)))
    other.write_bytes(packed(pictures(20)[:, 1:]))
    with pytest.raises(DataError, match=r"9 pixels wide and [78] high, others 9 and [78]: expected one size of all"):
        recurra.train("draw", one, other, out=tmp_path / "run", settings=SMALL)


def test_digits_cut_out_of_numbers(tmp_path: Path) -> None:
    arrays = {"images": pictures(40), "label": np.arange(40) % 10, "number_index": np.arange(40) // 2 + 1}
    (tmp_path / "crops.npz").write_bytes(stacked(**arrays, position=np.arange(40) % 2))
    own = {"reader.kind": "digit-crops", "reader.apart": True, "task.binarise": "none"}
    run = recurra.train("draw", tmp_path / "crops.npz", out=tmp_path / "run", settings={**SMALL, **own})
    assert run.report["examples"]["train"] == 34
    assert run.predict()[0].parts[0].pixels.shape == (H, W)


def test_what_a_look_inside_says(run: Any, tmp_path: Path) -> None:
    found = recurra.workflow.inspect(run.path)
    seen = found.canvas
    assert seen is not None and seen.frames.shape == (3, H, W)
    assert seen.windows.keys() == {"reads", "writes"}
    assert seen.pictures == 6
    assert "half of them by step" in seen.conclusion
    said = summary(found)
    assert "how it is drawn" in said and seen.conclusion in said and "writes at" in said
    drawn = page(found)
    assert drawn.count("<image ") == 4 and seen.conclusion in drawn
    assert found.as_json()["canvas"]["nats"] == pytest.approx(seen.nats.tolist(), abs=1e-3)
    assert canvas(run.model, {"image": pictures(1)[0]}).pictures == 1


def test_an_export_draws_the_same(run: Any, file: Path, tmp_path: Path) -> None:
    made = recurra.workflow.export(run.path, out=tmp_path / "onnx")
    assert made.files[0].difference < 1e-5
    opened = load_export(tmp_path / "onnx")
    for given, options in (
        ((), {"n": 2, "seed": 7}),
        (tuple(pictures(2)), {}),
        (tuple(pictures(2)), {"between": True}),
    ):
        for one, other in zip(run.predict(*given, **options), opened.predict(*given, **options), strict=True):
            assert np.abs(np.stack(one.parts[0].frames) - np.stack(other.parts[0].frames)).max() < 1e-5
    with pytest.raises(ConfigError, match="this export cannot be scored: its task measures the model itself"):
        opened.evaluate(file, baseline=False)
