"""A small language model with the interface that training asks for, and a run of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from recurra.checkpoint import RunFolder, create_run
from recurra.training.trainer import Trainer, Training
from recurra.types import Batch, Output

V, B, T = 7, 3, 5


class Toy(nn.Module):
    """Embedding, two LSTM layers with dropout between them, softmax."""

    def __init__(self, dropout: float = 0.3) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, 6)
        self.core = nn.LSTM(6, 8, num_layers=2, dropout=dropout, batch_first=True)
        self.head = nn.Linear(8, V)
        self.seen: list[Any] = []
        """The carried state of every batch."""

    def loss(self, batch: Batch, state: Any) -> Output:
        self.seen.append(state)
        y, state = self.core(self.embedding(batch.fields["input"]), state)
        target = batch.fields["target"]
        loss = nn.functional.cross_entropy(self.head(y).flatten(0, 1).float(), target.flatten(), reduction="sum")
        return Output(loss=loss, targets=target.numel(), sequences=len(target), state=state)


class Chunks(Sequence[Batch]):
    """Contiguous streams [B, n·T], the last batch shorter."""

    def __init__(self, n: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.ids = torch.randint(V, (B, n * T), generator=generator)

    def __len__(self) -> int:
        return -(-(self.ids.shape[1] - 1) // T)

    def __getitem__(self, k: Any) -> Any:
        if not 0 <= k < len(self):
            raise IndexError(k)
        inputs, targets = self.ids[:, :-1], self.ids[:, 1:]
        span = slice(k * T, (k + 1) * T)
        return Batch({"input": inputs[:, span], "target": targets[:, span]}, first=k == 0)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def toy() -> Callable[..., Any]:
    """A stand-in for a model; the same weights for the same seed."""

    def make(seed: int = 0, dropout: float = 0.3) -> Toy:
        torch.manual_seed(seed)
        return Toy(dropout)

    return make


@pytest.fixture
def chunks() -> type[Chunks]:
    return Chunks


@pytest.fixture
def trainer(tmp_path: Path, toy: Callable[..., Any]) -> Callable[..., Trainer]:
    """A trainer of 8 batches an epoch in a folder; keywords of the trainer by name, all others are settings."""

    def make(folder: str = "run", *, model: Any = None, batches: int = 8, **settings: Any) -> Trainer:
        keywords = {k: settings.pop(k) for k in ("progress", "clock", "train", "valid", "sample") if k in settings}
        train = keywords.pop("train", lambda epoch: Chunks(batches, seed=epoch))
        valid = keywords.pop("valid", lambda: Chunks(2, seed=99))
        settings = {"epochs": 2, "device": "cpu", "learning_rate": 0.01, **settings}
        run = RunFolder(tmp_path / folder)
        if not run.path.exists():
            create_run(run.path)
        return Trainer(model or toy(), Training(**settings), train, valid, run, **keywords)

    return make


@pytest.fixture
def weights() -> Callable[[nn.Module], dict[str, Tensor]]:
    return lambda model: {name: tensor.clone() for name, tensor in model.state_dict().items()}
