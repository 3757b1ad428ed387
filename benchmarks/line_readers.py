"""Trains readers of lines of pictures and sets them beside Tesseract on the same pictures.

    RECURRA_DATA=… python benchmarks/line_readers.py train mnist-first mnist-strings orand-0 … --runs line-runs
    RECURRA_DATA=… python benchmarks/line_readers.py tesseract --runs line-runs
    RECURRA_DATA=… python benchmarks/line_readers.py table --runs line-runs --out benchmarks/results/line-readers.json

`orand-K` is fold K of five over all 1,208 strings of ORAND-CAR-A, shuffled with seed 0: one fifth is tested on, a tenth
of the others validates. Small sets start from the run on a larger one (`STARTS`), which is to be trained first. A run
that is finished in its folder is not trained again, one that was stopped goes on.
Tesseract is a program of its own (Debian: tesseract-ocr). It is given every picture in grey, dark ink on a light
ground, 64 pixels high with a border of 16, and is told that there is one line of digits, or one word.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

import recurra
from recurra.bench.interleaved import machine
from recurra.checkpoint import RunFolder, read_json
from recurra.data.sets import find_set, read_sources
from recurra.registry import construct
from recurra.tasks.transcription_scores import transcription_scores

FOLDS = 5
MANY: Mapping[str, Any] = {"training.learning_rate": 0.002, "batching.size": 16}
"""Of sets with thousands of strings."""
STREET: Mapping[str, Any] = {
    "input.height": 48,
    "input.ink": "light",
    "embedder.invert": 0.5,
    "embedder.shade": 0.3,
    "embedder.rotation": 8.0,
    "embedder.shrink": 0.3,
    "embedder.blur": 0.6,
    "embedder.elastic": 0.03,
}
"""Of numbers on signs and walls, which are light on dark as often as dark on light."""
SETTINGS: Mapping[str, dict[str, Any]] = {
    "mnist-first": {"data.set": "mnist-strings", **MANY, "training.epochs": 16},
    "mnist-strings": {"embedder.depth": 2, **MANY, "training.epochs": 16},
    "mnist-short": {
        "data.set": "mnist-strings",
        "data.test_fraction": 0.0,
        "embedder.depth": 2,
        **MANY,
        "training.epochs": 4,
    },
    "orand": {
        "embedder.depth": 2,
        "embedder.rotation": 4.0,
        "embedder.elastic": 0.04,
        "training.epochs": 40,
        "training.learning_rate": 0.0015,
    },
    "svhn-crops": {"data.test_fraction": 0.0, **MANY, "training.epochs": 8},
    "svhn-larger": {
        "data.set": "svhn-crops",
        "data.test_fraction": 0.0,
        "input.height": 48,
        "embedder.shrink": 0.1,
        **MANY,
        "training.epochs": 8,
    },
    "svhn-street": {
        "data.set": "svhn-crops",
        "data.test_fraction": 0.0,
        **STREET,
        **MANY,
        "training.epochs": 10,
        "training.learning_rate": 0.0015,
    },
    "svhn-numbers": {**STREET, "training.epochs": 25, "training.learning_rate": 0.0004, "embedder.shift": 0.1},
    "iiit5k": {
        "embedder.stride": 2,
        "embedder.depth": 2,
        "embedder.invert": 0.5,
        "embedder.shade": 0.2,
        "embedder.rotation": 4.0,
        "input.ink": "light",
        "training.learning_rate": 0.0015,
        "training.epochs": 60,
    },
}
"""What is set beside the recipe `line-reader`."""
STARTS: Mapping[str, str] = {
    "mnist-strings": "mnist-first",
    "orand": "mnist-strings",
    "svhn-crops": "mnist-first",
    "svhn-larger": "svhn-crops",
    "svhn-street": "svhn-larger",
    "svhn-numbers": "svhn-street",
    "iiit5k": "mnist-short",
}
"""The job whose run another starts from."""
SCORED = ("mnist-strings", "orand", "svhn-numbers", "iiit5k")
"""Those with a test."""
DIGITS = ("--psm", "7", "-c", "tessedit_char_whitelist=0123456789")
TESSERACT: Mapping[str, tuple[str, ...]] = {**dict.fromkeys(SCORED, DIGITS), "iiit5k": ("--psm", "8")}
PUBLISHED = {"orand": "89.75 (ResNet and RNN-CTC, on the official, larger split)"}
METRICS = ("exact_match", "symbol_error_rate", "word_error_rate", "calibration_error")


def folds(folder: Path) -> None:
    """Write the pictures of ORAND-CAR-A and for each fold the lines that are trained and tested on."""
    home, rows = Path(os.environ["RECURRA_DATA"]) / "orand-car-a", []
    for part in ("train", "test"):
        with zipfile.ZipFile(home / f"{part}_images.zip") as held:
            held.extractall(folder / "images")
        rows += map(json.loads, (home / f"{part}.jsonl").read_text(encoding="utf-8").splitlines())
    random.Random(0).shuffle(rows)
    lines = [json.dumps({"image": f"images/{row['file']}", "text": row["digits"]}) + "\n" for row in rows]
    for fold in range(FOLDS):
        parts = {"train": [k for k in range(len(lines)) if k % FOLDS != fold], "test": range(fold, len(lines), FOLDS)}
        for part, chosen in parts.items():
            (folder / f"{part}{fold}.jsonl").write_text("".join(lines[k] for k in chosen), encoding="utf-8")


def trained(job: str, runs: Path) -> None:
    """Train a run, or go on with it where it is not finished."""
    out = runs / job
    name, _, fold = job.partition("-") if job.startswith("orand") else (job, "", "")
    if RunFolder(out).report.is_file() and "scores" in read_json(RunFolder(out).report):
        return
    if (out / "config.toml").is_file():
        recurra.train(out, resume=True)
        return
    settings = {"training.threads": 1, **SETTINGS[name]}
    if name in STARTS:
        settings["init.from"] = str(runs / STARTS[name])
    if name != "orand":
        recurra.train("line-reader", out=out, settings={"data.set": name, **settings})
        return
    data = runs / "orand-data"
    if not (data / f"test{FOLDS - 1}.jsonl").is_file():
        folds(data)
    settings["reader.kind"] = "jsonl-images"
    recurra.train(
        "line-reader", data / f"train{fold}.jsonl", test=[data / f"test{fold}.jsonl"], out=out, settings=settings
    )


def pictures(name: str) -> Iterator[Mapping[str, Any]]:
    """The examples of a set that are scored: of ORAND-CAR-A all."""
    found = find_set("orand-car-a" if name == "orand" else name)
    sources = (*found.train, *found.test) if name == "orand" else found.test
    return read_sources(sources, construct("reader", found.reader or {}))


def as_printed(pixels: np.ndarray) -> Image.Image:
    """A picture as Tesseract likes it."""
    border = np.concatenate((pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))
    light = float(np.median(border)) < pixels.mean()
    image = Image.fromarray(255 - pixels if light else pixels)
    height = 64
    image = image.resize((max(1, round(image.width * height / image.height)), height), Image.Resampling.BICUBIC)
    return ImageOps.expand(image, 16, int(255 - np.median(border) if light else np.median(border)))


def tesseract(name: str, most: int | None) -> dict[str, Any]:
    """Its scores on the pictures of a set, evenly spaced among them where there are more than `most`."""
    examples = list(pictures(name))
    if most is not None and len(examples) > most:
        examples = [examples[k] for k in np.linspace(0, len(examples) - 1, most).round().astype(int)]
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for k, example in enumerate(examples):
            paths.append(Path(folder) / f"{k}.png")
            as_printed(example["image"]).save(paths[-1])
        listed = Path(folder) / "list.txt"
        listed.write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
        words = ["tesseract", str(listed), "-", *TESSERACT[name]]
        environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
        read = subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout
    said = [page.strip() for page in read.split("\f")[: len(examples)]]
    if len(said) != len(examples):
        raise SystemExit(f"Tesseract read {len(said)} of {len(examples)} pictures.")
    truths = [example["transcript"] for example in examples]
    scores = transcription_scores(truths, said, [example["place"] for example in examples], None)
    kept = {metric: scores.metrics[metric] for metric in METRICS if metric in scores.metrics}
    version = subprocess.run(["tesseract", "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[
        0
    ]
    return {"examples": len(examples), "program": version, "words": " ".join(words[3:]), **kept}


def interval(share: float, count: int) -> tuple[float, float]:
    """Wilson's interval of 95 % of a share in per cent of so many."""
    p, z = share / 100, 1.96
    middle, half = p + z * z / (2 * count), z * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    return 100 * (middle - half) / (1 + z * z / count), 100 * (middle + half) / (1 + z * z / count)


def scored(jobs: Sequence[str], runs: Path) -> dict[str, Any] | None:
    """The scores of runs on their tests as these are today, of several together; None where no training has ended."""
    found = []
    for job in jobs:
        report = RunFolder(runs / job).report
        if not report.is_file() or "ended" not in read_json(report):
            continue
        scores = recurra.load(runs / job).evaluate(baseline=False)
        minutes = read_json(report)["minutes"]["training"]
        found.append({"run": job, "examples": scores["examples"], "minutes": minutes, **scores["model"]})
    if not found:
        return None
    count = sum(each["examples"] for each in found)
    mean = {m: sum(each["examples"] * each[m] for each in found) / count for m in METRICS if m in found[0]}
    return {"examples": count, **mean, "interval": interval(mean["exact_match"], count), "runs": found}


def table(runs: Path, out: Path) -> None:
    """Print all scores side by side, and write them."""
    aside = runs / "tesseract.json"
    peer = json.loads(aside.read_text(encoding="utf-8")) if aside.is_file() else {}
    results: dict[str, Any] = {}
    print("| data | strings | whole right | 95 % | symbol error | Tesseract, whole | its symbol error | on |")
    print("|---|---|---|---|---|---|---|---|")
    for name in SCORED:
        jobs = [f"orand-{fold}" for fold in range(FOLDS)] if name == "orand" else [name]
        results[name] = {"model": scored(jobs, runs), "tesseract": peer.get(name), "published": PUBLISHED.get(name)}
        model, other = results[name]["model"], peer.get(name)
        ours = ["—"] * 4 if model is None else [
            f"{model['examples']:,}", f"{model['exact_match']:.1f}",
            "{:.1f} to {:.1f}".format(*model["interval"]), f"{model['symbol_error_rate']:.2f}",
        ]  # fmt: skip
        theirs = ["—"] * 3 if other is None else [
            f"{other['exact_match']:.1f}", f"{other['symbol_error_rate']:.1f}", f"{other['examples']:,}",
        ]  # fmt: skip
        print("| " + " | ".join([name, *ours, *theirs]) + " |")
    out.write_text(json.dumps({"machine": machine(), "results": results}, indent=1), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["train", "tesseract", "table"])
    parser.add_argument("jobs", nargs="*", help=f"{', '.join(SETTINGS)}, of orand orand-0 to orand-{FOLDS - 1}")
    parser.add_argument("--runs", type=Path, default=Path("line-runs"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/line-readers.json"))
    parser.add_argument("--most", type=int, help="pictures of a set that Tesseract reads")
    arguments = parser.parse_args()
    arguments.runs.mkdir(parents=True, exist_ok=True)
    if arguments.verb == "train":
        for job in arguments.jobs:
            trained(job, arguments.runs)
    elif arguments.verb == "tesseract":
        if shutil.which("tesseract") is None:
            raise SystemExit("there is no program tesseract: apt-get install tesseract-ocr")
        aside = arguments.runs / "tesseract.json"
        found = json.loads(aside.read_text(encoding="utf-8")) if aside.is_file() else {}
        for name in arguments.jobs or SCORED:
            found[name] = tesseract(name, arguments.most)
            print(name, found[name], flush=True)
            aside.write_text(json.dumps(found, indent=1), encoding="utf-8")
    else:
        table(arguments.runs, arguments.out)


if __name__ == "__main__":
    main()
