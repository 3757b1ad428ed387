"""Speed of the `translate` recipe on Multi30k, the default backend beside the derived torch backend, taking turns.

    RECURRA_DATA=… python benchmarks/translation.py --out benchmarks/results/translation.json

Training: target symbols a second, the end counted and padding not, the median of steps over the same batches.
Search: sources a second with beams of 1 and 5, of the first sources of the test, reading and encoding left out; the
weights are those after the timed steps, or of a run where `--run` names one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import recurra
from recurra import config as configuration
from recurra.asking.answering import answer, questions
from recurra.bench.interleaved import machine, turns
from recurra.checkpoint import RunFolder
from recurra.decoding.search import Search
from recurra.model import Model
from recurra.training.evaluation import Batches
from recurra.training.trainer import Trainer, Training
from recurra.types import IGNORED
from recurra.workflow.material import Material
from recurra.workflow.plan import make_plan

BACKENDS = ("auto", "torch")


class FirstBatches:
    """The first batches of an epoch, again and again."""

    def __init__(self, batches: Batches, count: int) -> None:
        self.batches = [batches[k] for k in range(count)]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, k: int) -> Any:
        return self.batches[k]

    @property
    def targets(self) -> float:
        """Of a batch, in the mean."""
        counts = [int((batch.fields["target"] != IGNORED).sum()) for batch in self.batches]
        return sum(counts) / len(counts)


def trainer(config: configuration.Config, material: Material, batches: FirstBatches, precision: str) -> Trainer:
    torch.manual_seed(1)
    model = Model.from_config(config, material.codecs)
    settings = Training(**{**config["training"], "epochs": 10_000, "precision": precision, "average": None})
    folder = RunFolder(Path(tempfile.mkdtemp()))
    return Trainer(model, settings, lambda epoch: batches, list, folder)


def searching(model: Model, material: Material, count: int, beam: int) -> Callable[[], None]:
    asked, search = questions([model], material.parts["test"][:count]), Search(beam=beam)

    def search_all() -> None:
        model.eval()
        answer([model], asked, search, torch.device("cpu"))
        model.train()

    return search_all


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--kind", choices=("recurrent", "transformer"), default="recurrent")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--sources", type=int, default=200)
    parser.add_argument("--run", help="a trained run, whose weights search")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    settings = {"data.set": "multi30k", "core.kind": arguments.kind}
    config = make_plan("translate", settings=settings, out=tempfile.mkdtemp()).config
    material = Material(config)
    batches = FirstBatches(material.train(0, 1), arguments.rounds)
    backends = BACKENDS if arguments.kind == "recurrent" else BACKENDS[:1]
    results = []
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        trainers = {}
        for backend in backends:
            chosen = {"core.backend": backend, "task.decoder.backend": backend} if len(backends) > 1 else {}
            for precision in ("float32", "bf16"):
                made = trainer(configuration.with_settings(config, chosen), material, batches, precision)
                trainers[f"{backend}, {precision}"] = made
        times = turns({name: each.step for name, each in trainers.items()}, arguments.rounds)
        found = {f"training, {name}": batches.targets / statistics.median(each) for name, each in times.items()}
        sides = {}
        for backend in backends:
            model = trainers[f"{backend}, float32"].model
            if arguments.run:
                model.load_state_dict(recurra.load(arguments.run, device="cpu").model.state_dict())
            for beam in (1, 5):
                sides[f"beam {beam}, {backend}"] = searching(model, material, arguments.sources, beam)
        times = turns(sides, 3)
        found |= {name: arguments.sources / statistics.median(each) for name, each in times.items()}
        results.append({"kind": arguments.kind, "threads": threads, **found})
        for name, value in found.items():
            print(f"{arguments.kind}, {threads} threads, {name}: {value:,.0f} a second", flush=True)
    if arguments.out:
        file = Path(arguments.out)
        before = json.loads(file.read_text(encoding="utf-8"))["results"] if file.exists() else []
        kept = [row for row in before if row["kind"] != arguments.kind]
        found = {"machine": machine(), "what": "a second: target symbols, sources", "results": [*kept, *results]}
        file.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
