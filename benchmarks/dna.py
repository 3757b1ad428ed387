"""Folds over a small set of sequences of bases: every sequence is tested once, by a model that has not seen its like.

    RECURRA_DATA=… python benchmarks/dna.py splice --folds 10 --out splice.json --set task.pooling=middle …
    RECURRA_DATA=… python benchmarks/dna.py promoters --folds 0 --out promoters.json …       # 0: leave one out
    … the same command with --resume goes on with the folds that are missing

Like sequences (the same letters) are in one fold; which are together is drawn with `--draw`. The recipe is `dna`. Of
what is not tested all is trained on, for as many epochs as are set: nothing is chosen by validation. Beside it stands
logistic regression on the same folds.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import recurra
from recurra.baselines.kmers import Kmers
from recurra.bench.interleaved import machine
from recurra.config import parse_settings
from recurra.data.sets import find_set, read_sources
from recurra.registry import construct

LETTERS = construct("codec", {"kind": "bases"})


def examples_of(name: str) -> list[dict[str, Any]]:
    """All examples of a set, in its order."""
    found = find_set(name)
    return [dict(each) for each in read_sources(found.train, construct("reader", found.reader or {}))]


def folds_of(examples: Sequence[dict[str, Any]], folds: int, draw: int) -> list[list[int]]:
    """The numbers of the examples of each fold."""
    groups: dict[str, list[int]] = {}
    for number, example in enumerate(examples):
        groups.setdefault("".join(LETTERS.tokens(example["text"])), []).append(number)
    drawn = list(groups.values())
    random.Random(draw).shuffle(drawn)
    folds = folds or len(drawn)
    return [[number for group in drawn[fold::folds] for number in group] for fold in range(folds)]


def written(path: Path, examples: Sequence[dict[str, Any]]) -> Path:
    """Examples as a file that the recipe reads."""
    lines = (f">s{k} {each['label']}\n{''.join(LETTERS.tokens(each['text']))}\n" for k, each in enumerate(examples))
    path.write_text("".join(lines), encoding="utf-8")
    return path


def fold(train: list[dict[str, Any]], test: list[dict[str, Any]], settings: dict[str, Any], seed: int) -> list[str]:
    """What a model that was trained on one part says of the other."""
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder) / "train.fa", train)
        some = written(Path(folder) / "some.fa", train[:64])
        whole = {"training.evaluate_every": 10_000, "training.threads": 1, **settings}
        run = recurra.train(
            "dna", path, valid=[some], out=Path(folder) / "run", settings=whole, seed=seed, no_test=True, baseline=False
        )
        return [answer["label"] for answer in run.predict(*[LETTERS.tokens(each["text"]) for each in test])]


def regressions(train: list[dict[str, Any]], test: list[dict[str, Any]]) -> dict[str, list[str]]:
    """What logistic regressions say."""
    sides = [[{**each, "tokens": LETTERS.tokens(each["text"])} for each in part] for part in (train, test)]
    rows = Kmers().rows(*sides)
    return {row.name: [each["label"] for each in row.predictions] for row in rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of a set without a test: splice, promoters")
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--only", type=int, help="so many of the folds, the first")
    parser.add_argument("--draw", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="NAME=VALUE")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", action="store_true")
    given = parser.parse_args()
    examples = examples_of(given.name)
    parts = folds_of(examples, given.folds, given.draw)
    kept = {"name": given.name, "folds": given.folds, "draw": given.draw, "seed": given.seed, "set": given.settings}
    done: dict[str, Any] = {}
    if given.resume and given.out.is_file():
        before = json.loads(given.out.read_text(encoding="utf-8"))
        if {key: before[key] for key in kept} != kept:
            raise SystemExit(f"{given.out} is of other settings: {before['set']}. Name another file.")
        done = before["answers"]
    for number, tested in enumerate(parts[: given.only]):
        if str(number) in done:
            continue
        begun, held = time.monotonic(), set(tested)
        train = [each for k, each in enumerate(examples) if k not in held]
        test = [examples[k] for k in tested]
        said = fold(train, test, parse_settings(given.settings), given.seed)
        seconds = time.monotonic() - begun
        rows = {"model": said, **regressions(train, test)}
        done[str(number)] = {"true": [each["label"] for each in test], "said": rows, "seconds": seconds}
        found = {**kept, "machine": machine(), "errors": errors(done), "answers": done}
        given.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
        print(f"fold {number + 1} of {len(parts)}, {seconds:.0f} s:", json.dumps(found["errors"]), flush=True)


def errors(done: dict[str, Any]) -> dict[str, str]:
    """Of each side how many of how many are wrong."""
    found = {}
    for name in next(iter(done.values()))["said"]:
        pairs = [pair for each in done.values() for pair in zip(each["true"], each["said"][name], strict=True)]
        wrong = sum(true != said for true, said in pairs)
        found[name] = f"{wrong} of {len(pairs)}, {100 * wrong / len(pairs):.2f} %"
    return found


if __name__ == "__main__":
    main()
