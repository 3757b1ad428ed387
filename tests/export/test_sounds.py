"""An exported run that hears recordings: what computes frames is a file of its own, and a program without recurra
reads WAV files as the run does."""

from __future__ import annotations

import ast
import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recurra.data.sound import Sound
from recurra.data.wav import written
from recurra.export import FEATURES
from recurra.export.check import session
from recurra.export.opened import load_export
from recurra.export.write import export

from .conftest import make_model, run_of

BLOCK = "import sys; sys.modules.update(torch=None, recurra=None, sympy=None); import runpy; "


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("sounds")
    run = run_of(make_model("spoken-digits", {"input.deltas": 1, "input.alone": True}), folder / "run")
    return run, export(run, folder / "out").folder


def test_frames_are_computed_as_by_the_codec(out: Any) -> None:
    run, folder = out
    codec, features = run.model.codecs["input"], session(str(folder / FEATURES))
    random = np.random.default_rng(0)
    for count, loud in ((200, 1.0), (201, 1e-4), (1234, 0.1), (9000, 0.0)):
        sound = Sound((loud * random.uniform(-1, 1, count)).astype(np.float32), codec.rate)
        (frames,) = features.run(None, {"samples": codec.samples_of(sound)})
        expected = codec.encode(sound)
        assert frames.shape == expected.shape and np.abs(frames - expected).max() <= 1e-5


def asked(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = str(folder / "client.py")
    program = f"{BLOCK}sys.argv = {['client.py', *words]!r}; runpy.run_path({path!r}, run_name='__main__')"
    environment = {**os.environ, "PYTHONPATH": "", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, encoding="utf-8", check=False
    )


def names_of(folder: Path) -> list[str]:
    """What the modules of a client call their functions, classes and constants."""
    tree = ast.parse((folder / "client.py").read_text(encoding="utf-8"))
    names = [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    assigned = [node for node in tree.body if isinstance(node, (ast.Assign, ast.AnnAssign))]
    for node in assigned:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names += [target.id for target in targets if isinstance(target, ast.Name)]
    return sorted(names)


def test_no_two_modules_of_a_client_have_a_name_in_common(out: Any) -> None:
    names = names_of(out[1])
    assert sorted(set(names)) == names


def test_a_client_without_recurra_hears_what_the_run_hears(out: Any, tmp_path: Path) -> None:
    run, folder = out
    samples = np.random.default_rng(1).integers(-9000, 9000, 4000).astype(np.int16)
    file, cut = tmp_path / "a.wav", tmp_path / "cut.wav"
    file.write_bytes(written(samples, 11_025))
    cut.write_bytes(file.read_bytes()[:999])
    (expected,) = run.predict(Sound(samples, 11_025), top=3)
    said = asked(folder, str(file), "--top", "3")
    found = json.loads(said.stdout)
    assert found["label"] == expected["label"] and found["place"] == str(file)
    assert said.stderr.strip() == "a recording was resampled from 11,025 to 8,000 Hz."
    names = [[each["label"] for each in one["likeliest"]] for one in (found, expected)]
    assert names[0] == names[1]
    refused = asked(folder, str(cut))
    assert refused.returncode == 1 and refused.stderr.startswith(f"{cut}: the header says 8,000 bytes")
    assert "usage: python client.py FILE [--top N]" in asked(folder, "a", "b").stderr
    (again,) = load_export(folder).predict(Sound(samples, 11_025))
    assert again["label"] == expected["label"]


def test_a_client_leaves_out_the_silence_that_the_run_leaves_out(tmp_path: Path) -> None:
    model = make_model("spoken-digits", {"input.trim": 30.0, "input.floor": 40.0})
    run = run_of(model, tmp_path / "run")
    folder = export(run, tmp_path / "out").folder
    rate, draw = model.codecs["input"].rate, np.random.default_rng(3)
    said = np.sin(np.cumsum(draw.uniform(0, 1.5, 6_000))) * 9_000
    samples = np.concatenate([np.zeros(3_000), said, draw.normal(size=4_000)]).astype(np.int16)
    file = tmp_path / "a.wav"
    file.write_bytes(written(samples, rate))
    found = json.loads(asked(folder, str(file), "--top", "3").stdout)["likeliest"]
    (expected,) = run.predict(Sound(samples, rate), top=3)
    (bare,) = run.predict(Sound(samples[2_900:9_100], rate), top=3)
    (whole,) = run_of(untrimmed(model), tmp_path / "run").predict(Sound(samples, rate), top=3)
    probabilities = [[each["p"] for each in one["likeliest"]] for one in (expected, bare, whole)]
    assert [each["p"] for each in found] == pytest.approx(probabilities[0], abs=1e-5)
    assert probabilities[0] != pytest.approx(probabilities[2], abs=1e-3)
    assert probabilities[0] == pytest.approx(probabilities[1], abs=0.05)


def untrimmed(model: Any) -> Any:
    """The same weights, over whole recordings."""
    other = copy.deepcopy(model)
    other.codecs["input"].trim = None
    return other


def compared(run: Any, folder: Path, file: Path, value: Any, *words: str, **options: Any) -> dict[str, Any]:
    """What a client says of a file, which is what the run does."""
    (expected,) = run.predict(value, **options)
    said = asked(folder, str(file), *words)
    assert said.returncode == 0, said.stderr
    found: dict[str, Any] = json.loads(said.stdout)
    assert found["place"] == str(file) and found["transcript"] == expected["transcript"] != ""
    assert found["confidence"] == pytest.approx(expected["confidence"], rel=1e-2, abs=1e-12)
    assert [each["transcript"] for each in found.get("others", ())] == [
        each["transcript"] for each in expected.get("others", ())
    ]
    return found


@pytest.mark.parametrize(
    "task",
    [
        {"task.ngram_unit": "symbols", "search.weight": 0.6, "search.bonus": 0.5},
        {"task.ngram_unit": "words"},
        {"task.ngram_unit": "words", "task.closed": True, "task.ngrams": 2, "search.bonus": 0.0},
        {"task.ngrams": 0, "search.beam": 3},
    ],
    ids=str,
)
def test_a_client_without_recurra_searches_as_the_run_does(task: dict[str, Any], tmp_path: Path) -> None:
    model = make_model("transcribe", {"search.beam": 5, "core.num_layers": 1, **task})
    with torch.no_grad():
        model.task.linear.weight.mul_(25)  # else nothing is likelier than anything
        model.task.ranking.copy_(torch.tensor([1.0, 0.3, 0.8, 0.02]))
    run = run_of(model, tmp_path / "run")
    folder = export(run, tmp_path / "out").folder
    rate = model.codecs["input"].rate
    samples = np.random.default_rng(2).integers(-9000, 9000, 5000).astype(np.int16)
    file = tmp_path / "a.wav"
    file.write_bytes(written(samples, rate))
    found = compared(run, folder, file, Sound(samples, rate))
    assert 0 < found["confidence"] < 1 and "others" not in found
    if task.get("task.ngram_unit") == "symbols":  # which count at every step
        assert run.predict(Sound(samples, rate), beam=1)[0]["transcript"] != found["transcript"]
    further = compared(run, folder, file, Sound(samples, rate), "--top", "2", top=2)
    assert task.get("task.closed") or 0 < len(further["others"]) <= 2  # a list of words may leave none
    (again,) = load_export(folder).predict(Sound(samples, rate))
    assert (again["transcript"], again["confidence"]) == (
        found["transcript"],
        pytest.approx(found["confidence"], rel=1e-3),
    )
    names = names_of(folder)
    assert sorted(set(names)) == names


@pytest.mark.parametrize("reads", ["left-to-right", "right-to-left"])
def test_a_client_without_recurra_reads_pictures(reads: str, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="the extra images is not installed")
    run = run_of(make_model("line-reader", {"input.height": 16, "input.reads": reads}), tmp_path / "run")
    folder = export(run, tmp_path / "out").folder
    random = np.random.default_rng(3)
    picture = random.integers(0, 255, (23, 90, 3)).astype(np.uint8)
    file, none = tmp_path / "a.png", tmp_path / "none.png"
    image.fromarray(picture).save(file)
    none.write_text("a text")
    grey = np.array(image.open(file).convert("L"))
    found = compared(run, folder, file, {"image": grey})
    names = names_of(folder)
    assert sorted(set(names)) == names
    client = f"client = runpy.run_path({str(folder / 'client.py')!r}); import numpy as np, json; "
    for value, like in ((grey, found), (picture, run.predict({"image": picture})[0])):
        np.save(tmp_path / "a.npy", value)
        program = f"{BLOCK}{client}print(json.dumps(client['answer'](np.load({str(tmp_path / 'a.npy')!r}))))"
        program = program.replace("torch=None", "PIL=None, torch=None")  # an array wants no Pillow
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        said = json.loads(done.stdout)
        assert "place" not in said and said["transcript"] == like["transcript"]
        assert said["confidence"] == pytest.approx(like["confidence"], rel=1e-2, abs=1e-12)
    refused = asked(folder, str(none))
    assert refused.returncode == 1 and f"{none}: begins with 'a text', expected a picture" in refused.stderr
    assert "cannot be read" in asked(folder, str(tmp_path / "nothing.png")).stderr
    call = f"runpy.run_path({str(folder / 'client.py')!r}, run_name='__main__')"
    program = f"{BLOCK}sys.argv = ['client.py', {str(file)!r}]; {call}".replace("torch=None", "PIL=None, torch=None")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "pictures are opened by Pillow, which is not installed" in done.stderr


def test_a_client_without_recurra_writes_what_the_run_writes_whole_and_bit_by_bit(tmp_path: Path) -> None:
    settings = {
        "input.alone": False,
        "embedder": {"kind": "numbers"},
        "core.bidirectional": False,
        "core.num_layers": 1,
        "task.ngrams": 0,
        "search.beam": 1,
    }
    run = run_of(make_model("transcribe", settings), tmp_path / "run")
    folder = export(run, tmp_path / "out").folder
    samples = np.random.default_rng(1).integers(-9000, 9000, 6000).astype(np.int16)
    file = tmp_path / "a.wav"
    file.write_bytes(written(samples, run.model.codecs["input"].rate))
    expected = compared(run, folder, file, Sound(samples, run.model.codecs["input"].rate))
    (expected,) = run.predict(Sound(samples, run.model.codecs["input"].rate), beam=1)
    frames = tmp_path / "frames.npy"
    np.save(frames, run.model.codecs["input"].encode(Sound(samples, run.model.codecs["input"].rate)))
    program = (
        f"{BLOCK}client = runpy.run_path({str(folder / 'client.py')!r}); import numpy as np; "
        f"x, one = np.load({str(frames)!r}), client['Transcriber'](); "
        "[one.feed(x[k : k + 7]) for k in range(0, len(x), 7)]; print(one.transcript, end='')"
    )
    environment = {**os.environ, "PYTHONPATH": "", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment, check=False)
    assert done.stdout.decode() == expected["transcript"], done.stderr.decode()
