"""Training of recurrent forecasters beside darts and neuralforecast: windows a second, and the error by seconds of it.

    python -m venv peers; peers/bin/pip install torch==2.13.0; peers/bin/pip install "darts[torch]" neuralforecast
    RECURRA_DATA=… python benchmarks/forecast_peers.py --data etth1 --peers peers/bin/python --out forecast-peers.json

All read the same numbers, scaled alike, with one thread, each in a process of its own. They take turns: one trains for
some seconds, stops between two batches, and says how many windows it trained on and its error on windows of the
validation part; the others wait. A process's first turn warms it up and is not counted. Two pairs have recurrent layers
of equal size: `darts` and `recurra, joint` read all variables together by one LSTM of 64 units, batches of 32 windows;
`neuralforecast` and `recurra, apart` one variable at a time by two layers of 128 units, its default, batches of 128.
What is not said here is each one's default. The peers predict each step of the horizon from a state of its own, one of
the last of the window, by one small layer for all; ours predict all steps from the last state, by a layer for each.
`recurra, recipe` is the recipe `forecast` as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

HIDDEN, BATCH = 64, 32
LAYERS, WIDE, MANY = 2, 128, 128
PAIRS = (("recurra, joint", "darts"), ("recurra, apart", "neuralforecast"))
RECIPE = "recurra, recipe"
SIZES = {"etth1": (96, 96), "m4-hourly": (96, 48)}
"""What is looked back on, and the horizon."""
ENDLESS = 10**6


def numbers(name: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Series to train on, [T, W], and windows to validate on, [N, look-back + horizon, W], scaled by the former."""
    from recurra import registry
    from recurra.data.sets import find_set, read_sources

    found, (L, H) = find_set(name), SIZES[name]
    series = [
        np.asarray(each["series"], np.float64).reshape(len(each["series"]), -1)
        for each in read_sources(found.train, registry.construct("reader", found.reader or {}))
    ]
    train, windows = [], []
    for x in series:
        end = found.steps[0] if found.steps else len(x) - H
        valid = x[end - L : end + found.steps[1]] if found.steps else x[end - L :]
        mean, spread = x[:end].mean(0), x[:end].std(0)
        spread = np.where(spread > 0, spread, 1.0)
        train.append(((x[:end] - mean) / spread).astype(np.float32))
        for k in range(0, len(valid) - L - H + 1, 12):
            windows.append(((valid[k : k + L + H] - mean) / spread).astype(np.float32))
    return train, np.stack(windows)


class Turns:
    """A worker's side of taking turns: `batch` is told of every batch, and waits where a turn is over."""

    def __init__(self, error: Callable[[], float]) -> None:
        self.error, self.deadline, self.begun, self.windows = error, 0.0, 0.0, 0
        self.wait()

    def wait(self) -> None:
        line = sys.stdin.readline()
        if not line.strip():
            os._exit(0)
        self.windows, self.begun = 0, time.perf_counter()
        self.deadline = self.begun + float(line)

    def batch(self, windows: int) -> None:
        self.windows += windows
        now = time.perf_counter()
        if now >= self.deadline:
            told = {"windows": self.windows, "seconds": now - self.begun, "error": self.error()}
            print("told " + json.dumps(told), flush=True)
            self.wait()


def chunks(windows: np.ndarray, L: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Pasts and futures of some windows at a time."""
    for k in range(0, len(windows), 100):
        some = torch.from_numpy(windows[k : k + 100])
        yield some[:, :L], some[:, L:]


def mean_squared(predict: Callable[[torch.Tensor], torch.Tensor], windows: np.ndarray, L: int) -> float:
    with torch.no_grad():
        errors = [(predict(past) - future).square().mean(dim=(1, 2)) for past, future in chunks(windows, L)]
    return float(torch.cat(errors).mean())


def lightning(turns_of: Callable[[Any], Turns], count: Callable[[Any], int]) -> Any:
    """A callback of Lightning that takes turns; `count` says how many windows a batch has."""
    from pytorch_lightning.callbacks import Callback

    class Taking(Callback):
        turns: Turns | None = None

        def on_train_start(self, trainer: Any, module: Any) -> None:
            self.turns = turns_of(module)

        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            assert self.turns is not None
            self.turns.batch(count(batch))

    return Taking()


def in_use(module: Any, predict: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    """A prediction with dropout off, in training on again afterwards."""

    def predicted(past: torch.Tensor) -> torch.Tensor:
        module.eval()
        found = predict(past)
        module.train()
        return found

    return predicted


def darts(train: list[np.ndarray], windows: np.ndarray, L: int, H: int) -> None:
    from darts import TimeSeries
    from darts.models import BlockRNNModel
    from darts.utils.data.torch_datasets.utils import PLModuleInput

    def turns(module: Any) -> Turns:
        predict = in_use(module, lambda past: module(PLModuleInput(past_target=past)).prediction[..., 0])
        return Turns(lambda: mean_squared(predict, windows, L))

    quiet = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    model = BlockRNNModel(
        model="LSTM",
        input_chunk_length=L,
        output_chunk_length=H,
        hidden_dim=HIDDEN,
        n_rnn_layers=1,
        batch_size=BATCH,
        n_epochs=ENDLESS,
        random_state=1,
        pl_trainer_kwargs={**quiet, "callbacks": [lightning(turns, _size)]},
    )
    model.fit([TimeSeries.from_values(x) for x in train])


def neuralforecast(train: list[np.ndarray], windows: np.ndarray, L: int, H: int) -> None:
    import pandas
    from neuralforecast import NeuralForecast
    from neuralforecast.models import LSTM

    apart = windows.transpose(0, 2, 1).reshape(-1, L + H, 1)

    def turns(module: Any) -> Turns:
        def predict(past: torch.Tensor) -> torch.Tensor:
            z = module.scaler.transform(past, torch.ones_like(past))
            said = module({"insample_y": z, "futr_exog": None, "hist_exog": None, "stat_exog": None})
            return module.scaler.inverse_transform(said)

        return Turns(lambda: mean_squared(in_use(module, predict), apart, L))

    columns = [x[:, k] for x in train for k in range(x.shape[1])]
    table = pandas.concat(
        [pandas.DataFrame({"unique_id": k, "ds": np.arange(len(x)), "y": x}) for k, x in enumerate(columns)]
    )
    model = LSTM(
        h=H,
        input_size=L,
        encoder_n_layers=LAYERS,
        encoder_hidden_size=WIDE,
        windows_batch_size=MANY,
        max_steps=ENDLESS,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        callbacks=[lightning(turns, lambda batch: MANY)],
    )
    NeuralForecast(models=[model], freq=1).fit(table)


def recurra(train: list[np.ndarray], windows: np.ndarray, L: int, H: int, kind: str) -> None:
    from recurra.checkpoint import RunFolder
    from recurra.signatures import checked
    from recurra.training.settings import Training
    from recurra.training.trainer import Trainer
    from recurra.types import Batch
    from recurra.workflow.agreement import with_implied
    from recurra.workflow.material import Material
    from recurra.workflow.plan import make_plan

    folder = Path(tempfile.mkdtemp())
    files = []
    for k, x in enumerate(train):
        files.append(folder / f"{k}.csv")
        np.savetxt(files[-1], x, delimiter=",", fmt="%.6g")
    W = train[0].shape[1]
    plain = {
        "vocabulary.kind": "vectors",
        "task.look_back": L,
        "task.horizon": H,
        "training.threads": 1,
    }
    equal = {
        "training.epochs": ENDLESS,
        "core.cell": "lstm",
        "task.decode": "direct",
        "task.dropout": 0.0,
        "task.loss": "squared",
        "training.schedule": "constant",
        "training.clip_norm": None,
    }
    settings = {
        "recipe": {},
        "joint": {
            **equal,
            "embedder.kind": "numbers",
            "core.hidden_size": HIDDEN,
            "task.subtract": "none",
            "batching.size": BATCH,
        },
        "apart": {
            **equal,
            "embedder.segment": 1,
            "embedder.size": 2,
            "core.hidden_size": WIDE,
            "core.num_layers": LAYERS,
            "task.subtract": "last",
            "batching.size": max(1, round(MANY / W)),
        },
    }[kind]
    plan = make_plan("forecast", files, valid=files[:1], test=files[:1], settings={**plain, **settings})
    from recurra import registry

    config = with_implied(plan.config, registry.construct("task", plan.config["task"]))
    material = Material(config)
    torch.manual_seed(1)
    model = material.model(material.config)
    material.adapt(model)
    training = Training(**checked(Training, config["training"], where="training"))
    trainer = Trainer(model, training, lambda epoch: material.train(epoch, 1), list, RunFolder(folder))
    trainer.recordings.open(RunFolder(folder), None)

    def predict(past: torch.Tensor) -> torch.Tensor:
        return model.task.ask(model.embedder, model.core, Batch({"input": past}))["forecast"]

    turns, size = Turns(lambda: mean_squared(in_use(model, predict), windows, L)), int(config["batching"]["size"])
    while True:
        trainer.step()
        turns.batch(size * (W if kind == "apart" else 1))


def _size(batch: Any) -> int:
    """How many windows a batch of darts has."""
    found = getattr(batch, "past_target", None)
    found = batch[0] if found is None else found
    return len(found)


def work(side: str, file: str, L: int, H: int) -> None:
    """One side, until nobody asks for more."""
    torch.set_num_threads(1)
    held = np.load(file)
    ends = held["offsets"]
    train = [held["train"][a:b] for a, b in pairwise(ends)]
    if side.startswith("recurra, "):
        recurra(train, held["windows"], L, H, side.removeprefix("recurra, "))
    else:
        {"darts": darts, "neuralforecast": neuralforecast}[side](train, held["windows"], L, H)


class Worker:
    """A side in a process of its own."""

    def __init__(self, side: str, python: str, file: Path, L: int, H: int) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        words = [python, __file__, "--side", side, "--file", str(file), "--sizes", str(L), str(H)]
        self.side = side
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )

    def turn(self, seconds: float) -> dict[str, float]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("told "):
                return dict(json.loads(line[5:]))
        raise SystemExit(f"{self.side} ended: run it alone to see why: --side {self.side!r}")

    def stop(self) -> None:
        self.process.stdin.close()  # type: ignore[union-attr]
        self.process.wait(60)


def compared(turns: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Medians, ratios, and seconds to the error that the other side came to."""
    speeds = {side: statistics.median(t["windows"] / t["seconds"] for t in told) for side, told in turns.items()}
    found: dict[str, Any] = {"windows per second": speeds, "pairs": {}}
    for ours, peer in PAIRS:
        if ours in turns and peer in turns:
            ratios = [
                (a["windows"] / a["seconds"]) / (b["windows"] / b["seconds"])
                for a, b in zip(turns[ours], turns[peer], strict=True)
            ]
            best = min(t["error"] for t in turns[peer])
            found["pairs"][f"{ours} / {peer}"] = {
                "times as many windows": statistics.median(ratios),
                "from": min(ratios),
                "to": max(ratios),
                "error of the peer": best,
                "seconds to it": {side: reached(turns[side], best) for side in (ours, peer, RECIPE) if side in turns},
            }
    return found


def reached(told: list[dict[str, float]], error: float) -> float | None:
    """Seconds of training until an error, the turn's end where it was first seen; None: never."""
    total = 0.0
    for each in told:
        total += each["seconds"]
        if each["error"] <= error:
            return total
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=SIZES, default="etth1")
    parser.add_argument("--peers", default=sys.executable, help="the Python that darts and neuralforecast are for")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--side")
    parser.add_argument("--file")
    parser.add_argument("--sizes", type=int, nargs=2)
    arguments = parser.parse_args()
    if arguments.side:
        work(arguments.side, arguments.file, *arguments.sizes)
        return
    from recurra.bench.interleaved import machine

    train, windows = numbers(arguments.data)
    file = Path(tempfile.mkdtemp()) / "numbers.npz"
    np.savez(file, train=np.concatenate(train), offsets=np.cumsum([0, *map(len, train)]), windows=windows)
    L, H = SIZES[arguments.data]
    sides = [side for pair in PAIRS for side in pair] + [RECIPE]
    pythons = {side: sys.executable if side.startswith("recurra") else arguments.peers for side in sides}
    workers = [Worker(side, pythons[side], file, L, H) for side in sides]
    turns: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for k in range(arguments.rounds + 1):
        for worker in workers:
            told = worker.turn(arguments.seconds)
            if k:
                turns[worker.side].append(told)
            speed = told["windows"] / told["seconds"]
            print(f"{k:3} {worker.side:18} {speed:9,.0f} windows/s  error {told['error']:.4f}", flush=True)
    for worker in workers:
        worker.stop()
    found = {"machine": machine(), "data": arguments.data, **compared(turns), "turns": turns}
    print(json.dumps({key: found[key] for key in ("windows per second", "pairs")}, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
