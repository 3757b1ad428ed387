"""Every recipe in every precision on processors that are not this one, each kind of processor a process of its own."""

from __future__ import annotations

import json
import os
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra import config as configuration
from recurra import registry
from recurra.data.sample import PNG
from recurra.data.wav import written

FIXTURES = Path(__file__).parent / "fixtures"
SMALL: dict[str, Any] = {
    **dict.fromkeys(("embedder.size", "core.hidden_size", "task.decoder.hidden_size"), 8),
    "batching.streams": 2,
    "batching.steps": 12,
    "batching.stride": 6,
    "batching.size": 16,
    "baseline.order": 2,
    "vocabulary.size": 300,
    "vocabulary.max_size": 60,
    "task.decoder.num_layers": 1,
    "core.num_layers": 1,
    "task.look_back": 8,
    "task.latent": 8,
    "task.hidden_size": 8,
    "task.steps": 3,
    "task.initial": 2,
    "task.horizon": 4,
    "task.segment": 4,
    "embedder.segment": 4,
}
TRAINING = {
    "epochs": 1,
    "schedule": "constant",
    "learning_rate": 0.01,
    "threads": 1,
    "device": "cpu",
    "average": 0.0,
    "max_minutes": None,
    "evaluate_every": 1.0,
}
SHARES = {"set": None, "valid_fraction": 0.2, "test_fraction": 0.2, "valid_steps": None, "test_steps": None}
PROCESSORS = {
    "AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "RECURRA_INSTRUCTIONS": "avx2", "ATEN_CPU_CAPABILITY": "avx2"},
    "SSE4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41", "RECURRA_INSTRUCTIONS": "portable", "ATEN_CPU_CAPABILITY": "default"},
}


def prose(folder: Path) -> Path:
    text = (FIXTURES / "prose.txt").read_text(encoding="utf-8")
    return write(folder / "text.txt", text[:1500])


def poems(folder: Path) -> Path:
    lines = (FIXTURES / "poems.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    return write(folder / "poems.jsonl", "".join(lines[:40]))


def stories(folder: Path) -> Path:
    draw = random.Random(0)
    lines = []
    for _ in range(12):
        place = draw.choice(["attic", "yard"])
        lines += [f"1 Ann went to the {place}.", f"2 Where is Ann?\t{place}\t1"]
    return write(folder / "stories.txt", "\n".join(lines))


def labelled(folder: Path) -> Path:
    draw = random.Random(0)
    rows = []
    for _ in range(24):
        place = draw.choice(["Bern", "Rome"])
        label = draw.choice(["fare", "flight"])
        rows.append({"tokens": ["a", label, "to", place], "tags": ["O", "O", "O", "B-to"], "label": label})
    return write(folder / "rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def sequences(folder: Path) -> Path:
    draw = random.Random(0)
    rows = [f">s{k} {'ab'[k % 2]}\n{''.join(draw.choices('ACGTN', k=12 + k % 5))}\n" for k in range(24)]
    return write(folder / "sequences.fa", "".join(rows))


def words(folder: Path) -> Path:
    return write(folder / "words.txt", "what is the fare\na flight to Bern\n" * 12)


def pairs(folder: Path) -> Path:
    draw = random.Random(0)
    lines = []
    for _ in range(24):
        size, animal = draw.choice([("old", "老"), ("big", "大")]), draw.choice([("dog", "狗"), ("bird", "鸟")])
        lines.append(f"The {size[0]} {animal[0]} sings\t那 {size[1]} {animal[1]} 唱\n")
    return write(folder / "pairs.tsv", "".join(lines))


def series(folder: Path) -> Path:
    draw = random.Random(0)
    return write(folder / "series.csv", "a,b\n" + "".join(f"{draw.random()},{draw.random()}\n" for _ in range(90)))


def scored(folder: Path) -> Path:
    draw = random.Random(0)
    rows = [f"{draw.randint(1, 5)},to {draw.choice(['Bern', 'Rome'])} and back" for _ in range(24)]
    return write(folder / "scored.csv", "score,text\n" + "\n".join(rows) + "\n")


def movements(folder: Path) -> Path:
    draw = random.Random(0)
    rows = [f"{k},{draw.random()},{draw.random()},{'ab'[k % 2]}" for k in range(24) for _ in range(3 + k % 4)]
    return write(folder / "movements.csv", "sequence,x,y,label\n" + "\n".join(rows) + "\n")


def pictures(folder: Path) -> list[Path]:
    draw, paths = random.Random(0), [folder / "pictures", folder / "labels"]
    paths[0].write_bytes(bytes((0, 0, 8, 3)) + struct.pack(">3I", 24, 3, 3) + bytes(draw.choices(range(256), k=216)))
    paths[1].write_bytes(bytes((0, 0, 8, 1)) + struct.pack(">I", 24) + bytes(k % 3 for k in range(24)))
    return paths


def lines(folder: Path) -> list[Path]:
    (folder / "lines").mkdir(exist_ok=True)
    for k in range(24):
        (folder / "lines" / f"{k}.png").write_bytes(PNG)
        write(folder / "lines" / f"{k}.gt.txt", "ab"[k % 2])
    return [folder / "lines"]


def described(folder: Path) -> Path:
    rows = []
    for k in range(24):
        (folder / f"{k}.png").write_bytes(PNG)
        rows.append({"file": f"{k}.png", "captions": [f"{'ab'[k % 2]} wall", "a dark corner"]})
    return write(folder / "captions.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def recordings(folder: Path) -> Path:
    draw = np.random.default_rng(0)
    for k in range(24):
        (folder / f"{k}.wav").write_bytes(
            written(draw.integers(-9000, 9000, 1200 + 100 * (k % 3)).astype(np.int16), 8000)
        )
    rows = [f"{k}.wav,{'ab'[k % 2]},{('go', 'no')[k % 2]}" for k in range(24)]
    return write(folder / "recordings.csv", "file,label,text\n" + "\n".join(rows) + "\n")


def music(folder: Path) -> Path:
    pieces = [[[60 + k % 5 + n, 64 + k % 5 + n] for n in range(5 + k % 3)] for k in range(24)]
    return write(folder / "music.json", json.dumps(pieces))


def drawings(folder: Path) -> Path:
    draw = np.random.default_rng(0)
    moves = np.concatenate((draw.integers(-9, 10, (96, 2)), np.arange(96)[:, None] % 4 == 3), 1)
    np.savez(folder / "drawings.npz", train=moves, train_offsets=np.arange(25) * 4)
    return folder / "drawings.npz"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def trees(folder: Path) -> Path:
    return write(folder / "trees.txt", "(3 (2 It) (4 (2 all) (4 works)))\n(1 (2 It) (0 fails))\n" * 12)


FILES: dict[str, Callable[[Path], Path | list[Path]]] = {
    "activity": movements,
    "pixels": pictures,
    "draw": pictures,
    "line-reader": lines,
    "caption": described,
    "spoken-digits": recordings,
    "dna": sequences,
    "transcribe": recordings,
    "music": music,
    "music-notes": music,
    "strokes": drawings,
    "generate": prose,
    "fill": prose,
    "answer": stories,
    "tag": labelled,
    "classify": labelled,
    "classify-trees": trees,
    "transduce": pairs,
    "poem": poems,
    "segment": words,
    "forecast": series,
    "simulate": series,
    "score": scored,
}
"""By recipe, else by task."""


def jobs(folder: Path) -> list[tuple[str, list[str], dict[str, Any]]]:
    """Recipe, files, settings."""
    made = {name: make(folder) for name, make in FILES.items()}
    files = {name: [*map(str, some if isinstance(some, list) else [some])] for name, some in made.items()}
    found = []
    for recipe in configuration.recipe_names():
        config = configuration.load_recipe(recipe)
        chosen = {name: value for name, value in SMALL.items() if _has(config, name)}
        chosen |= {f"training.{name}": value for name, value in TRAINING.items()}
        chosen |= {f"data.{name}": value for name, value in SHARES.items()}
        found.append((recipe, files[recipe if recipe in files else config["task"]["kind"]], chosen))
    return found


def _has(config: dict[str, Any], name: str) -> bool:
    """Whether the part of a table has a setting."""
    section, _, key = name.rpartition(".")
    table: Any = config
    for part in section.split("."):
        table = table.get(part, {})
    kind = section.rpartition(".")[2]
    kind = "codec" if kind in ("vocabulary", "input", "target") else kind
    return isinstance(table, dict) and "kind" in table and key in registry.defaults(kind, table["kind"])


CHILD = """
import json, math, sys
import torch
import recurra

for recipe, files, settings in json.load(open(sys.argv[1], encoding="utf-8")):
    losses = {}
    for precision in sys.argv[3:]:
        settings["training.precision"] = precision
        out = f"{sys.argv[2]}/{recipe}-{precision}"
        run = recurra.train(recipe, *files, out=out, settings=settings, no_test=True, baseline=False)
        lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
        losses[precision] = [line["loss"] for line in lines if "loss" in line]
        assert losses[precision] and all(map(math.isfinite, losses[precision])), (recipe, precision)
        print(recipe, precision, run.report["precision"])
    for short, exact in zip(losses["bf16"], losses.get("float32", losses["bf16"]), strict=True):
        assert abs(short - exact) < 0.1 * exact + 0.05, (recipe, losses)  # the same training, rounded
"""


@pytest.mark.parametrize(("processor", "precisions"), [("AVX2", ["float32", "bf16"]), ("SSE4.1", ["bf16"])])
def test_every_recipe_is_trained_in_every_precision(processor: str, precisions: list[str], tmp_path: Path) -> None:
    found = jobs(tmp_path)
    write(tmp_path / "jobs.json", json.dumps(found))
    command = [sys.executable, "-c", CHILD, str(tmp_path / "jobs.json"), str(tmp_path), *precisions]
    env = os.environ | PROCESSORS[processor]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    said = [tuple(line.split()) for line in done.stdout.splitlines()]
    assert said == [(recipe, precision, precision) for recipe, *_ in found for precision in precisions]
