"""The same seed, machine and threads give the same bits, in another process too; other threads, numbers near them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from recurra.nn import Recurrent

PROSE = Path(__file__).parent / "fixtures" / "prose.txt"
ACROSS_THREADS = {torch.float32: 1e-5, torch.float64: 1e-13}
"""What docs/reliability.md states: gradients of one update, relative to the largest entry of each tensor."""
PROGRAM = """
import hashlib, sys
import recurra
from recurra.checkpoint import load_tensors

recipe, file, threads = sys.argv[1:]
small = {"core.hidden_size": 24, "core.dropout": 0.3, "embedder.size": 8, "training.epochs": 1, "batching.streams": 16}
small |= {"core.cell": "gru", "batching.steps": 20, "training.device": "cpu", "training.fit_budget": False}
recurra.train(recipe, file, out="run", settings=small, seed=3, threads=int(threads), baseline=False)
run = recurra.load("run", device="cpu")
for name, tensor in sorted(load_tensors(run.path / "model.safetensors")[0].items()):
    print(name, hashlib.sha256(tensor.numpy().tobytes()).hexdigest())
print([row for row in run.report["scores"]["test"]["model"].values()])
print([answer.json() for answer in run.predict("the", "a", length=15, top_k=1, top=2, threads=int(threads))])
print([answer.json() for answer in run.predict("the", length=30, temperature=1.2, seed=5, threads=int(threads))])
"""


def told(at: Path, threads: int) -> list[str]:
    at.mkdir()
    words = [sys.executable, "-c", PROGRAM, "char-lm", str(PROSE), str(threads)]
    env = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    done = subprocess.run(words, cwd=at, env=env, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("threads", [1, 2])
def test_train_predict_and_sample_in_two_processes(tmp_path: Path, threads: int) -> None:
    one, other = told(tmp_path / "one", threads), told(tmp_path / "other", threads)
    assert len(one) > 10 and one == other


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def update(cell: str, count: int, dtype: torch.dtype) -> list[Tensor]:
    torch.set_num_threads(count)
    torch.manual_seed(0)
    layer = Recurrent(cell, 32, 128, dtype=dtype)
    x = torch.randn(50, 16, 32, dtype=dtype, requires_grad=True)
    y, _ = layer(x)
    weigh = torch.randn(y.shape, dtype=dtype)
    return [y.detach(), *torch.autograd.grad((y * weigh).sum(), [x, *layer.parameters()])]


@pytest.mark.parametrize("dtype", ACROSS_THREADS, ids=str)
@pytest.mark.parametrize("cell", ["lstm", "gru", "min-gru", "layer-norm-lstm"])
def test_across_threads_an_update_stays_within_what_is_stated(threads: None, cell: str, dtype: torch.dtype) -> None:
    one, two, again = (update(cell, count, dtype) for count in (1, 2, 2))
    assert all(torch.equal(a, b) for a, b in zip(two, again, strict=True))
    for a, b in zip(one, two, strict=True):
        assert float((a - b).abs().max() / a.abs().max()) <= ACROSS_THREADS[dtype]
