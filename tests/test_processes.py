"""Every recipe in two processes: they learn what one learns, and one of them writes the run."""

from __future__ import annotations

import json
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recurra import checkpoint
from recurra import config as configuration

JOBS = runpy.run_path(str(Path(__file__).with_name("test_precisions.py")))["jobs"]
CHANCE = ("dropout", "noise", "unread", "shift", "scaling", "warp")
"""What is drawn at random, and so another thing in each process."""
DRAWN = {"draw", "caption", "line-reader", "classifier"}
"""Recipes whose model draws at random however it is set: latent numbers, views of pictures, n-grams left out."""
ALIKE = ("-large", "-medium", "-small", "-awd", "-characters", "demo-")
"""Recipes that are others with other sizes."""
SGD = {"training.optimiser": "sgd", "training.learning_rate": 0.05, "training.clip_norm": 1.0}
CHILD = """
import json, sys
import recurra

for recipe, files, settings in json.load(open(sys.argv[1], encoding="utf-8")):
    run = recurra.train(recipe, *files, out=f"{sys.argv[2]}/{recipe}", settings=settings, no_test=True, baseline=False)
    print(recipe, run.report["steps"] if "steps" in run.report else "")
"""


def quiet(recipe: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings without chance."""
    config = configuration.load_recipe(recipe)
    tables = {"embedder": config["embedder"], "core": config["core"], "task": config["task"]}
    decoder = config["task"].get("decoder")
    tables |= {"task.decoder": decoder} if isinstance(decoder, dict) else {}
    return settings | {
        f"{name}.{key}": type(value)(0)
        for name, table in tables.items()
        for key, value in table.items()
        if any(word in key for word in CHANCE) and isinstance(value, (int, float, bool))
    }


def train(count: int, folder: Path, jobs: list[Any]) -> None:
    """Do the jobs in so many processes."""
    (folder / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    env = {**os.environ, "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    words = [sys.executable, "-c", CHILD, str(folder / "jobs.json"), str(folder / f"runs-{count}")]
    started = [subprocess.Popen(words, env=env | {"RANK": str(rank)}) for rank in range(count)]
    assert [each.wait(300) for each in started] == [0] * count


def validations(run: Path) -> list[float]:
    """The validations of a training."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [value for line in lines for name, value in line.items() if name.startswith("valid_")]


def test_two_processes_learn_every_recipe_as_one_does(tmp_path: Path) -> None:
    jobs = [
        (recipe, files, quiet(recipe, settings) | SGD)
        for recipe, files, settings in JOBS(tmp_path)
        if not any(word in recipe for word in ALIKE)
    ]
    for count in (1, 2):
        train(count, tmp_path, jobs)
    apart = {}
    for recipe, *_ in jobs:
        one, two = (checkpoint.load_tensors(tmp_path / f"runs-{n}" / recipe / "model.safetensors")[0] for n in (1, 2))
        apart[recipe] = max(float((two[key] - one[key]).abs().max()) for key in one)
        report = json.loads((tmp_path / "runs-2" / recipe / "report.json").read_text(encoding="utf-8"))
        assert report["processes"] == 2
        if recipe not in DRAWN:
            one, two = (validations(tmp_path / f"runs-{n}" / recipe) for n in (1, 2))
            assert one
            assert two == pytest.approx(one, rel=1e-4), recipe
    assert {recipe: each for recipe, each in apart.items() if each > 1e-6 and recipe not in DRAWN} == {}
