"""Trainings killed by SIGKILL at random moments, then gone on with: no run may be lost, no bit of its weights differ.

    nice -n 15 python benchmarks/kill_trainings.py --trials 500 --out benchmarks/results/kills.json

Tiny models of four tasks, trained by the command line's own words as whole processes. A trial begins a training in a
new folder, kills it, looks at what is there, goes on with it (half of the trials are killed once more on the way) and
compares the end with a training that nobody disturbed: tensors of model.safetensors and resume.safetensors bit for bit,
and every validation. A run is lost where neither `--resume` nor, if it was killed before there was a run, the same
command succeeds; or where a file of it cannot be read.

Most processes are forked from this one, which has trained each task once itself, so that a trial takes about a second
and not most of it for imports; every twentieth trial starts Python anew. A killed process leaves the system's caches in
place: this tries the order of writes, not the loss of power. The file of results is written after every trial and gone
on with.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import recurra.cli.report
import recurra.workflow.training  # noqa: F401  before the forks
from recurra import checkpoint, cli, storage
from recurra.bench.interleaved import machine
from recurra.checkpoint import RunFolder

HUNG = 300.0
"""Seconds after which a process that should end counts as hanging."""
STAGES = ("before there was a run", "before the first checkpoint", "while it trained", "behind the last step")
COMMON = (
    *("training.device=cpu", "training.threads=1", "training.log_every=1", "training.evaluate_every=0.25"),
    *("training.schedule=constant", "training.patience=none", "training.record_spectrum=true"),
)


@dataclass(frozen=True)
class Task:
    """What is trained: a recipe, the text of its data, settings that make it tiny."""

    recipe: str
    name: str
    """Of the file of data."""
    data: str
    settings: Sequence[str]

    def words(self, folder: Path) -> list[str]:
        """The command line that begins a training."""
        options = [word for setting in (*COMMON, *self.settings) for word in ("--set", setting)]
        return ["train", self.recipe, str(folder.parent / self.name), "--out", str(folder), "--seed", "3", *options]


@dataclass(frozen=True)
class Reference:
    """How a training ends that nobody disturbs, and how long it takes."""

    model: Mapping[str, torch.Tensor]
    state: Mapping[str, torch.Tensor]
    step: int
    validations: list[Any]
    seconds: dict[bool, float]
    """By whether Python is started anew."""


def tasks() -> dict[str, Task]:
    """A language model, a tagger, what translates, and what fills blanks."""
    draw = random.Random(0)
    nouns, verbs, places = ("dog", "bird", "man", "fox"), ("runs", "sleeps", "sings"), ("Rome", "Bern", "Oslo", "Lima")
    german = {"dog": "Hund", "bird": "Vogel", "man": "Mann", "fox": "Fuchs", "runs": "läuft", "sleeps": "schläft"}

    def sentence() -> list[str]:
        return ["the", draw.choice(nouns), "of", draw.choice(places), draw.choice(verbs), "well" * draw.randrange(2)]

    lines = [[word for word in sentence() if word] for _ in range(120)]
    tagged = [[(word, "B-place" if word in places else "O") for word in line] for line in lines]
    small = ("core.hidden_size=12", "embedder.size=8", "training.epochs=2")
    return {
        "language model": Task(
            "char-lm",
            "text.txt",
            "\n".join(" ".join(line) + "." for line in lines),
            (*small, "core.num_layers=1", "batching.streams=4", "batching.steps=16", "baseline.order=2"),
        ),
        "tagger": Task(
            "tagger",
            "words.conll",
            "\n".join("".join(f"{word} {tag}\n" for word, tag in line) for line in tagged),
            (*small, "embedder.spelling.size=4", "embedder.spelling.filters=4", "batching.size=8"),
        ),
        "transduce": Task(
            "translate-characters",
            "pairs.tsv",
            "\n".join(f"{' '.join(line)}\t{' '.join(german.get(word, word) for word in line)}" for line in lines),
            (*small, "task.decoder.hidden_size=12", "batching.size=8", "vocabulary.size=300", "search.beam=1"),
        ),
        "fill": Task(
            "fill",
            "sentences.txt",
            "\n".join(" ".join(line) + "." for line in lines),
            (*small, "batching.size=8", "vocabulary.max_size=100", "baseline.order=2"),
        ),
    }


class Process:
    """The command line in a process of its own, started anew or forked from this one."""

    def __init__(self, words: Sequence[str], log: Path, fresh: bool) -> None:
        self.begun = time.monotonic()
        self._code: int | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        if fresh:
            with log.open("ab") as file:
                command = [sys.executable, "-m", "recurra", *words]
                self._popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
            self.pid = self._popen.pid
            return
        self.pid = os.fork()
        if self.pid == 0:
            code = 70
            try:
                written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                for stream in (1, 2):
                    os.dup2(written, stream)
                sys.argv = ["recurra", *words]
                code = cli.call(words)
                sys.stdout.flush()
            finally:
                os._exit(code)

    def ended(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self._popen is not None:
            return self._popen.poll()
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def wait(self, seconds: float = HUNG) -> int | None:
        """The exit code; None: it hung, and was killed."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            code = self.ended()
            if code is not None:
                return code
            time.sleep(0.01)
        self.kill()
        return None

    def kill(self) -> bool:
        """Kill it; whether it was still there."""
        if self.ended() is not None:
            return False
        os.kill(self.pid, signal.SIGKILL)
        while self.ended() is None:
            time.sleep(0.001)
        return True


def reference(task: Task, folder: Path, anew: bool) -> Reference:
    """Train undisturbed: here, for all that is compiled and derived once a process; then once for each way to start."""
    run, seconds = RunFolder(folder), {}
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
        if cli.call(task.words(folder)):
            raise SystemExit(f"{task.recipe} cannot be trained: {said.getvalue()}")
    for fresh in (False, True) if anew else (False,):
        shutil.rmtree(folder)
        process = Process(task.words(folder), folder.with_suffix(".log"), fresh)
        if process.wait() != 0:
            raise SystemExit(f"{task.recipe} cannot be trained: {folder.with_suffix('.log').read_text()}")
        seconds[fresh] = time.monotonic() - process.begun
    model, state = (checkpoint.load_tensors(file)[0] for file in (run.model, run.resume))
    return Reference(model, state, step_of(run), validations(run), seconds)


def step_of(run: RunFolder) -> int:
    """Updates that the resume state knows of."""
    return int(json.loads(checkpoint.load_tensors(run.resume)[1]["counters"])["step"])


def validations(run: RunFolder) -> list[Any]:
    """Steps and values of all validations in the log."""
    lines = map(json.loads, storage.read_text(run.metrics).splitlines())
    return [{k: v for k, v in line.items() if k == "step" or k.startswith("valid")} for line in lines if "best" in line]


def kill(words: Sequence[str], folder: Path, log: Path, fresh: bool, length: float, draw: random.Random) -> bool:
    """Begin, and kill at a moment of three kinds; whether it was still there."""
    kind = draw.choices(("any time", "at its beginning", "as a file appears"), (4, 2, 4))[0]
    process = Process(words, log, fresh)
    if kind == "as a file appears":
        awaited = folder / draw.choice(("config.toml", "config.toml", "report.json", "model.safetensors"))
        before = awaited.stat().st_ino if awaited.exists() else 0
        while process.ended() is None and not (awaited.exists() and awaited.stat().st_ino != before):
            time.sleep(0.0002)
        time.sleep(draw.choice((0.0, draw.uniform(0, 0.02))))
    else:
        time.sleep(draw.uniform(0, length if kind == "any time" else 0.4 * length))
    return process.kill()


def stage(run: RunFolder, last: int) -> str:
    """How far a killed training had come."""
    if not run.config.exists():
        return STAGES[0]
    if not run.resume.exists():
        return STAGES[1]
    return STAGES[2] if step_of(run) < last else STAGES[3]


def trial(number: int, name: str, task: Task, like: Reference, home: Path, seed: int, fresh: bool) -> dict[str, Any]:
    """One trial; "lost" says why a run is lost, "differs" what is otherwise than undisturbed."""
    draw, begun = random.Random(f"{seed} {number}"), time.monotonic()
    folder, log = home / f"trial-{number}", home / f"trial-{number}.log"
    run, words, length = RunFolder(folder), task.words(folder), like.seconds[fresh]
    found: dict[str, Any] = {"trial": number, "task": name, "fresh": fresh, "killed": [], "half_written": 0}
    again = ["train", str(folder), "--resume"]
    for _ in range(draw.choice((1, 2))):
        going_on = run.config.exists()
        while not kill(again if going_on else words, folder, log, fresh, length, draw):
            if not going_on:
                shutil.rmtree(folder, ignore_errors=True)
            length *= 0.8
        try:
            found["killed"].append(stage(run, like.step))
            for file in (run.model, run.resume):
                if file.exists():
                    checkpoint.load_tensors(file)
        except Exception as error:
            return {**found, "lost": f"{type(error).__name__}: {error}"}
        found["half_written"] += len([*folder.glob(".*.part")]) if folder.is_dir() else 0
    code = Process(again if run.config.exists() else words, log, fresh).wait()
    if code != 0:
        return {**found, "lost": f"exit code {code}: {log.read_text(errors='replace')[-500:]}"}
    found |= {"differs": differences(run, like), "seconds": round(time.monotonic() - begun, 2)}
    if not found["differs"]:
        shutil.rmtree(folder)
        log.unlink()
    return found


def differences(run: RunFolder, like: Reference) -> list[str]:
    """What is otherwise than in the undisturbed run, to the last bit; and what should not be there."""
    found = []
    for file, expected in ((run.model, like.model), (run.resume, like.state)):
        tensors = checkpoint.load_tensors(file)[0]
        if tensors.keys() != expected.keys():
            found.append(f"{file.name}: other names")
        found += [f"{file.name}: {k}" for k in tensors.keys() & expected.keys() if not same(tensors[k], expected[k])]
    if validations(run) != like.validations:
        found.append("the validations")
    if "scores" not in checkpoint.read_json(run.report):
        found.append("no scores")
    return found + [f"left behind: {file.name}" for file in run.path.iterdir() if file not in run.files]


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors are alike to the last bit."""
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)


def table(trials: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: trials by task, kills by how far the training had come, lost and differing runs."""
    rows = [["task", "trials", "kills", *STAGES, "in the middle of a write", "lost", "differing"]]
    names = list(dict.fromkeys(each["task"] for each in trials))
    for name in (*names, "all"):
        mine = [each for each in trials if name in (each["task"], "all")]
        stages = Counter(one for each in mine for one in each["killed"])
        lost, differing = (sum(bool(each.get(key)) for each in mine) for key in ("lost", "differs"))
        half = sum(each["half_written"] for each in mine)
        counts = (len(mine), stages.total(), *(stages[one] for one in STAGES), half, lost, differing)
        rows.append([name, *map(str, counts)])
    return "\n".join("| " + " | ".join(row) + " |" for row in (rows[0], ["---"] * len(rows[0]), *rows[1:]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", type=int, default=20, help="every so many trials start Python anew; 0: none")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    known = tasks()
    done = json.loads(arguments.out.read_text(encoding="utf-8"))["trials"] if arguments.out.exists() else []
    home = Path(tempfile.mkdtemp(prefix="kills-"))
    for task in known.values():
        (home / task.name).write_text(task.data, encoding="utf-8")
    likes: dict[str, Reference] = {}
    for number in range(len(done), arguments.trials):
        name = [*known][number % len(known)]
        if name not in likes:
            likes[name] = reference(known[name], home / known[name].recipe, arguments.fresh > 0)
        fresh = arguments.fresh > 0 and number % arguments.fresh == arguments.fresh - 1
        done.append(trial(number, name, known[name], likes[name], home, arguments.seed, fresh))
        about = {"machine": machine(), "what": "benchmarks/kill_trainings.py", "seed": arguments.seed}
        storage.write_text(arguments.out, json.dumps({**about, "trials": done}, indent=1) + "\n")
        wrong = done[-1].get("lost") or done[-1].get("differs")
        print(f"trial {number + 1}: {name}, {', '.join(done[-1]['killed'])}", *filter(None, [wrong]), flush=True)
    print(table(done))
    if any(each.get("lost") or each.get("differs") for each in done):
        print(f"What is left of the runs concerned: {home}")
        sys.exit(1)
    shutil.rmtree(home)


if __name__ == "__main__":
    main()
