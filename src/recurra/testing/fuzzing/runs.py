"""Files of small runs, changed one at a time: opened, asked, gone on with, served."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from random import Random
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

import recurra
from recurra import checkpoint, signatures
from recurra import config as configuration
from recurra.checkpoint import RunFolder
from recurra.diagnostics import recorded_gradients, recorded_spectra
from recurra.errors import NotCausal
from recurra.model import Model
from recurra.runs.run import Run, load_run
from recurra.testing.fuzzing.mutations import json_text, mutated, mutated_bytes, mutated_value, odd_value
from recurra.training.log import Event, Progress
from recurra.training.settings import Training
from recurra.training.trainer import Trainer
from recurra.workflow.prepared import open_material

TEXT = "the quick brown fox jumps over the lazy dog, and the dog sleeps on.\n" * 40
_PLACES = ("Rome", "Bern", "Oslo", "Lima", "Köln")
_COLUMNS = "".join(
    f"flights O\nfrom O\n{_PLACES[k % 5]} B-from\nto O\n{_PLACES[(k * 3 + 1) % 5]} B-to\n\n" for k in range(30)
)
_TABLE = "text,label\n" + "".join(
    f"{'good' if k % 2 else 'bad'} place {k},{'yes' if k % 2 else 'no'}\n" for k in range(30)
)
_PAIRS = "".join(f"{a} {b}\t{b[::-1]} {a[::-1]}\n" for a in _PLACES for b in ("dog", "cat", "sun", "red"))
_SENTENCES = "".join(f"the {a} dog sees {b} now\n" for a in ("old", "big", "red") for b in _PLACES)
_SMALL = {
    "core.hidden_size": 6,
    "core.num_layers": 1,
    "embedder.size": 5,
    "training.epochs": 1,
    "training.device": "cpu",
    "training.threads": 1,
    "training.schedule": "constant",
    "training.log_every": 1,
}
_SPELLED = {"embedder.spelling.size": 3, "embedder.spelling.filters": 3, "vocabulary.min_count": 1, "batching.size": 8}
_DECODER = {
    "task.decoder.hidden_size": 6,
    "task.decoder.readout_size": 5,
    "task.tied": "none",
    "vocabulary.kind": "tokens",
    "search.beam": 2,
    "batching.size": 8,
    "data.valid_fraction": 0.1,
    "data.test_fraction": 0.1,
}
SETS: Mapping[str, tuple[str, str, str, dict[str, Any]]] = {
    "writer": (
        *("char-lm", "a.txt", TEXT),
        {"batching.streams": 4, "batching.steps": 16, "baseline.order": 2, "training.record_gradients": 2}
        | {"training.record_spectrum": True},
    ),
    "slots": ("ner", "a.conll", _COLUMNS, _SPELLED),
    "classifier": ("classifier", "a.csv", _TABLE, {"batching.size": 8}),
    "pairs": ("translate", "a.tsv", _PAIRS, _DECODER),
    "fill": ("fill", "a.txt", _SENTENCES, {"batching.size": 8}),
}
"""Name → recipe, file of data, its text, and settings."""


def make_runs(folder: Path, names: tuple[str, ...] = tuple(SETS)) -> dict[str, Path]:
    """Small runs of several tasks, trained in a second each."""
    found = {}
    for name in names:
        recipe, file, text, settings = SETS[name]
        data = folder / f"{name}-{file}"
        data.write_text(text, encoding="utf-8")
        found[name] = folder / name
        if not (found[name] / "report.json").exists():
            recurra.train(recipe, data, out=found[name], settings={**_SMALL, **settings})
    return found


def _trainer(path: Path, progress: Progress = lambda event: None) -> Trainer:
    """What goes on with the training of a run, for one more epoch, without scores at the end."""
    config = configuration.load_recipe(path / "config.toml")
    training = Training(**{**signatures.checked(Training, config["training"], where="training"), "epochs": 2})
    folder = RunFolder(path)
    material = open_material(config, folder)
    model = Model.from_config(config, material.codecs)
    return Trainer(
        *(model, training, lambda epoch: material.train(epoch, training.seed), material.valid, folder),
        validate=material.validate,
        progress=progress,
    )


def _stop_within_an_epoch(path: Path) -> None:
    """Go on with a run until its second epoch has begun, and save there, where a state is carried."""

    def interrupt(event: Event) -> None:
        if event.kind == "step" and event.epoch > 1:
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores it
    try:
        assert _trainer(path, interrupt).fit(resume=True).interrupted
    finally:
        signal.signal(signal.SIGINT, before)


@dataclass(frozen=True)
class _Whole:
    """A run as it was trained."""

    path: Path
    files: Mapping[str, bytes]
    run: Run


class Runs:
    """One file of a run changed, as bytes or in its values with all sums right; then what it is for is done."""

    name = "runs"

    def __init__(self, folder: Path) -> None:
        (folder / "trained").mkdir(exist_ok=True)
        self._whole: dict[str, _Whole] = {}
        for name, path in make_runs(folder / "trained").items():
            copy = folder / f"run-{name}"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(path, copy)
            _stop_within_an_epoch(copy)
            files = {file.name: file.read_bytes() for file in sorted(copy.iterdir()) if file.is_file()}
            run = load_run(copy, device="cpu")
            if name == "writer":
                state = run.session()
                state.feed("the quick")
                state.save(copy / "session.safetensors")
                files["session.safetensors"] = (copy / "session.safetensors").read_bytes()
            self._whole[name] = _Whole(copy, files, run)
        self._resumed = 0

    def make(self, random: Random) -> bytes:
        name = random.choice(("writer", "writer", *self._whole))
        whole = self._whole[name]
        file = random.choice(list(whole.files))
        raw = whole.files[file]
        if random.random() < 0.02:
            raw = mutated_bytes(raw, random) if random.random() < 0.8 else b""
        elif file.endswith(".safetensors"):
            raw = _tensors_changed(raw, random)
        elif file.endswith(".toml"):
            raw = _settings_changed(raw.decode(), random) if random.random() < 0.7 else mutated(raw.decode(), random)
        elif file.endswith(".jsonl"):
            lines = raw.decode().splitlines(keepends=True)
            k = random.randrange(len(lines))
            lines[k] = json_text(mutated_value(json.loads(lines[k]), random), random) + "\n"
            raw = "".join(lines).encode("utf-8", errors="surrogatepass")
        else:
            raw = json_text(mutated_value(json.loads(raw), random), random).encode("utf-8", errors="surrogatepass")
        return f"{name} {file}\n".encode() + raw

    def take(self, given: bytes) -> bool:
        head, _, raw = given.partition(b"\n")
        name, file = head.decode().split(" ")
        whole = self._whole[name]
        path = whole.path / file
        path.write_bytes(raw)
        try:
            self._use(name, whole, file)
        finally:
            for each, sound in whole.files.items():
                if each == file or file in ("resume.safetensors", "config.toml"):
                    (whole.path / each).write_bytes(sound)
            for left in whole.path.iterdir():
                if left.name not in whole.files and left.is_file():
                    left.unlink()
        return True

    def _use(self, name: str, whole: _Whole, file: str) -> None:
        folder = RunFolder(whole.path)
        if file == "report.json":
            from recurra.server.asked import card
            from recurra.server.limits import Limits

            json.dumps(whole.run.report)
            card(name, whole.run, Limits())
        elif file == "metrics.jsonl":
            from recurra.forms.files import METRICS
            from recurra.training.log import MetricsLog, recorded_lines

            recorded_lines(folder.metrics, METRICS)
            MetricsLog(folder.metrics, 3).close()
        elif file == "gradients.jsonl":
            json.dumps(recorded_gradients(whole.path).as_json())
        elif file == "spectrum.jsonl":
            json.dumps(recorded_spectra(whole.path).as_json())
        elif file == "session.safetensors":
            session = whole.run.session()
            session.load(folder.path / file)
            session.feed("fox")
        elif file == "resume.safetensors":
            _trainer(whole.path).fit(resume=True)
        else:
            run = load_run(whole.path, device="cpu")
            ask(run)
            with contextlib.suppress(NotCausal):
                run.session().feed("the")


def ask(run: Any) -> None:
    """One answer of a run or an export, a short one."""
    short = {"length": 5} if "length" in {each.name for each in fields(run.model.task.Options)} else {}
    run.predict(run.model.task.card.example, **short)


_KEYS = ("kind", "hidden_size", "size", "num_layers", "dropout", "cell", "bidirectional", "decoder", "beam", "longest")
_SETTINGS = ("0", "-1", "1", "2", "7", "1e9", "1000000000", "9223372036854775807", "nan", "inf", "-inf", "0.5", '"x"')


def _settings_changed(text: str, random: Random) -> bytes:
    config = mutated_value(configuration.read(text), random)
    if random.random() < 0.5:
        sections = (
            [section for section in config.values() if isinstance(section, dict) and section]
            if isinstance(config, dict)
            else []
        )
        if sections:
            section = random.choice(sections)
            value = configuration.read(f"a = {random.choice(_SETTINGS)}")["a"]
            section[random.choice((*section, *_KEYS))] = value
    try:
        return configuration.dump_toml(config).encode("utf-8", errors="surrogatepass")
    except (TypeError, AttributeError, RecursionError):  # what TOML has no word for
        return mutated(text, random)


def _tensors_changed(raw: bytes, random: Random) -> bytes:
    """A safetensors file whose tensors or metadata are others, with the right sums."""
    size = int.from_bytes(raw[:8], "little")
    metadata: dict[str, str] = json.loads(raw[8 : 8 + size])["__metadata__"]
    tensors = dict(safetensors.torch.load(raw))
    way = random.random()
    if way < 0.35:
        key = random.choice(list(metadata))
        try:
            metadata[key] = json_text(mutated_value(json.loads(metadata[key]), random), random)
        except ValueError:
            metadata[key] = json_text(odd_value(random), random)
        if random.random() < 0.1:
            del metadata[key]
    else:
        for _ in range(random.choice((1, 1, 2))):
            key = random.choice(list(tensors))
            tensors[key] = _tensor_changed(tensors[key], random)
            if random.random() < 0.15:
                tensors[random.choice((key + "x", "weights.0", "carried.9", "optimiser.99999999999.exp_avg", "x"))] = (
                    tensors.pop(key)
                )
    try:
        metadata = {key: value.encode("utf-8", "replace").decode() for key, value in metadata.items()}
        if random.random() < 0.98:
            metadata["checksum"] = _checksum(tensors)
            metadata["recurra_format"] = "1"
        return safetensors.torch.save({key: value.contiguous() for key, value in tensors.items()}, metadata)
    except (safetensors.SafetensorError, RuntimeError, ValueError):
        return mutated_bytes(raw, random)


def _tensor_changed(tensor: Tensor, random: Random) -> Tensor:
    way = random.randrange(9)
    if way == 0:
        return tensor.to(
            random.choice((torch.float64, torch.float16, torch.int64, torch.bool, torch.uint8, torch.bfloat16))
        )
    if way == 1:
        return tensor.flatten()
    if way == 2:
        return tensor[None]
    if way == 3:
        return tensor[: random.randrange(len(tensor) + 1)] if tensor.dim() else tensor[None]
    if way == 4:
        return tensor.new_zeros([random.choice((0, 1, 2, 300)) for _ in range(random.randrange(4))])
    if way == 5 and tensor.is_floating_point():
        return tensor * random.choice((float("nan"), float("inf"), 1e30, -1e30, 0.0))
    if way == 6:
        return torch.cat((tensor, tensor)) if tensor.dim() else tensor - 1
    if way == 7:
        return tensor.transpose(0, -1) if tensor.dim() > 1 else -tensor if tensor.is_floating_point() else tensor
    return torch.full_like(tensor, random.choice((0, 1, 255 if not tensor.is_floating_point() else -1e38)))


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    return checkpoint._checksum({name: tensor.contiguous() for name, tensor in tensors.items()})
