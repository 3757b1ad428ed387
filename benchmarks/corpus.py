"""A corpus: how fast text is encoded, what memory a pass over it takes, and steps per second beside those from memory.

    python benchmarks/corpus.py my.txt --work /tmp/work --out benchmarks/results/corpus.json

`my.txt` is encoded into the folder `--work` where it is not yet; with `--repeat 5e9` texts that are repeated, their
lines shuffled, until they are so many bytes.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from recurra import registry
from recurra.bench.interleaved import interleaved, machine
from recurra.checkpoint import RunFolder
from recurra.data.corpus.reading import read_corpus
from recurra.model import Model, make_codecs, make_parts
from recurra.training.trainer import Trainer, Training
from recurra.workflow.plan import make_plan

SHAPES: dict[str, dict[str, Any]] = {
    "char-lm": {"core.hidden_size": 128, "core.num_layers": 1},
    "word-lm": {"core.hidden_size": 128, "core.num_layers": 1, "embedder.size": 128},
    "fill": {"core.hidden_size": 64, "embedder.size": 64, "batching.size": 32},
}
"""Recipes and their small models: of large ones a batch would be a smaller share."""
HELD = 200_000_000
"""Symbols of a text that the side from memory holds at most."""
EVERY = 8
"""A pass reads every eighth batch: two neighbours lie within a page of memory."""


def made(texts: Sequence[Path], size: float, path: Path) -> Path:
    """The lines of texts, shuffled and repeated to so many bytes."""
    if path.is_file():
        return path
    lines = [line for text in texts for line in text.read_text(encoding="utf-8").splitlines() if line.strip()]
    draw, written = random.Random(0), 0
    with path.open("w", encoding="utf-8") as file:
        while written < size:
            draw.shuffle(lines)
            some = "\n".join(lines) + "\n"
            written += len(some.encode())
            file.write(some)
    return path


def encoding(recipe: str, text: Path, corpus: Path, processes: int) -> dict[str, Any] | None:
    """Seconds and bytes per second of an encoding; None where it was done before."""
    if (corpus / "corpus.json").is_file():
        return None
    words = [sys.executable, "-m", "recurra", "encode", recipe, str(text), "--out", str(corpus)]
    begun = time.perf_counter()
    subprocess.run([*words, "--processes", str(processes)], check=True)
    seconds, size = time.perf_counter() - begun, text.stat().st_size
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {
        "recipe": recipe,
        "bytes": size,
        "processes": processes,
        "seconds": seconds,
        "MB per second": size / seconds / 1e6,
        "largest process, MiB": largest,
    }


def in_memory(encoded: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same examples as a training from files holds them."""
    found = []
    for each in encoded:
        held = {name: value for name, value in each.items() if name == "place"}
        for name, value in each.items():
            if name != "place":
                held[name] = value[:HELD].astype("int64") if value.dtype.kind in "iu" else value[:HELD].copy()
        found.append(held)
    return found


def steps(recipe: str, corpus: Path, work: Path, rounds: int) -> dict[str, float]:
    """Median seconds of a step of training, from memory and from the corpus."""
    config = make_plan(recipe, settings={"data.corpus": str(corpus), **SHAPES[recipe]}).config
    held = read_corpus(corpus)
    codecs = make_codecs(config, make_parts(config)[0], make_parts(config)[2], held.codecs())
    batching = registry.construct("batching", config["batching"])
    settings = Training(learning_rate=1e-3, epochs=10_000, threads=1)

    def side(name: str, encoded: Sequence[Mapping[str, Any]]) -> Callable[[], None]:
        torch.manual_seed(0)
        model = Model.from_config(config, codecs)
        made = {0: batching.batches(encoded, codecs.layouts, epoch=0, seed=0)}
        folder = RunFolder(work / f"{recipe}-{name}")
        trainer = Trainer(model, settings, lambda epoch: made[0], list, folder)
        trainer.recordings.open(folder, None)
        return trainer.step

    train = held.train()
    return interleaved({"memory": side("memory", in_memory(train)), "corpus": side("corpus", train)}, rounds, 5)


def passed(recipe: str, corpus: Path) -> dict[str, float]:
    """MiB of a process that opens a corpus and reads a pass over it: before, its own at the most, and file pages."""
    config = make_plan(recipe, settings={"data.corpus": str(corpus)}).config
    before = status()
    held = read_corpus(corpus)
    embedder, _, task = make_parts(config)
    codecs = make_codecs(config, embedder, task, held.codecs())
    batches = registry.construct("batching", config["batching"]).batches(held.train(), codecs.layouts)
    most = before
    begun = time.perf_counter()
    for k in range(0, len(batches), EVERY):
        batches[k]
        if k % (EVERY * 512) == 0:
            now = status()
            most = {name: max(most[name], now[name]) for name in now}
    seconds = time.perf_counter() - begun
    return {
        "before, MiB": before["RssAnon"],
        "own at the most, MiB": most["RssAnon"],
        "pages of files at the most, MiB": most["RssFile"],
        "batches": len(range(0, len(batches), EVERY)),
        "seconds": seconds,
    }


def status() -> dict[str, float]:
    """What this process holds, MiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    found = {line.partition(":")[0]: line.split()[1] for line in lines if line.startswith(("RssAnon", "RssFile"))}
    return {name: int(value) / 1024 for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("texts", type=Path, nargs="*")
    parser.add_argument("--recipe", choices=[*SHAPES], default="char-lm")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--repeat", type=float, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--what", nargs="+", choices=("encode", "steps", "pass"), default=["encode", "steps", "pass"])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    recipe, corpus = arguments.recipe, arguments.work / f"{arguments.recipe}-corpus"
    found: dict[str, Any] = {"machine": machine()}
    if arguments.out is not None and arguments.out.is_file():
        found |= json.loads(arguments.out.read_text(encoding="utf-8"))
    mine = found.setdefault(recipe, {})
    if "encode" in arguments.what:
        text = arguments.texts[0]
        if arguments.repeat:
            text = made(arguments.texts, arguments.repeat, arguments.work / f"{recipe}.txt")
        mine["encode"] = encoding(recipe, text, corpus, arguments.processes) or mine.get("encode")
    if "steps" in arguments.what:
        seconds = steps(recipe, corpus, arguments.work, arguments.rounds)
        mine["steps"] = {**seconds, "corpus beside memory": seconds["memory"] / seconds["corpus"]}
    if "pass" in arguments.what:
        mine["pass"] = passed(recipe, corpus)
    print(json.dumps(mine, indent=1))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
