"""One of several processes that train a toy together; test_group.py starts it as a launcher would.

`python together.py FOLDER SETTINGS`: trains in FOLDER by a JSON object of settings and leaves `rank-N.pt`, the weights
and what the result says, in it. Not a test itself.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recurra.checkpoint import RunFolder, create_run
from recurra.data.batching.buckets import Buckets
from recurra.data.batching.layout import Layout
from recurra.data.batching.streams import Streams
from recurra.training.group import Group, joined
from recurra.training.trainer import Trainer, Training
from recurra.types import IGNORED, Batch, Output

V = 7


class Toy(nn.Module):
    """Embedding, two LSTM layers, softmax; what a second head says of the first token counts in long sequences alone,
    so that it is without a gradient where there is none."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, 6)
        self.core = nn.LSTM(6, 8, num_layers=2, dropout=dropout, batch_first=True)
        self.head, self.seldom = nn.Linear(8, V), nn.Linear(8, 1)

    def loss(self, batch: Batch, state: Any) -> Output:
        y, state = self.core(self.embedding(batch.fields["input"].clamp(min=0)), state)
        target = batch.fields["target"]
        loss = nn.functional.cross_entropy(self.head(y).flatten(0, 1), target.flatten(), reduction="sum")
        long = (target != IGNORED).sum(1) > 4
        penalty = self.seldom(y[long, 0]).square().sum() if long.any() else None
        return Output(loss, int((target != IGNORED).sum()), len(target), state, penalty=penalty)


def batches(kind: str, epoch: int) -> Any:
    """A pass over random symbols: streams that carry their state, or buckets of which one has a single sequence."""
    random = torch.Generator().manual_seed(5)
    ids = torch.randint(V, (330,), generator=random)
    layouts = {"input": Layout(along=True)}
    if kind == "streams":
        return Streams(6, 5).batches([{"input": ids.numpy(), "place": "here"}], layouts, epoch=epoch)
    lengths = [4] * 8 + [6] * 8 + [9, 2, 3]
    parts = ids[: sum(lengths)].split(lengths)
    encoded = [{"input": p.numpy(), "target": p.flip(0).numpy(), "place": "here"} for p in parts]
    layouts["target"] = Layout(along=True, padding=IGNORED)
    return Buckets(4).batches(encoded, layouts, epoch=epoch, seed=1)


def train(folder: Path, settings: dict[str, Any], group: Group) -> dict[str, Any]:
    """Train the toy and give its weights, and what came of it."""
    settings = dict(settings)
    kind, resume, dropout = settings.pop("kind"), settings.pop("resume", False), settings.pop("dropout", 0.0)
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    model = Toy(dropout)
    run = RunFolder(folder)
    if group.rank == 0 and not run.resume.exists():
        create_run(folder)
    group.told(None)
    made = Trainer(
        model,
        Training(device="cpu", **settings),
        lambda epoch: batches(kind, epoch),
        lambda: [replace(each, first=True) for each in batches("buckets", 0)],
        run,
        group=group,
    )
    result = made.fit(resume=resume)
    weights: dict[str, Tensor] = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return {"weights": weights, "step": result.step, "history": result.history}


def main() -> None:
    """Be the process that the environment says."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    group = joined()
    for name, settings in json.loads(sys.argv[2]).items():
        torch.save(train(folder / name.split(" ")[0], settings, group), folder / f"{name}-{group.rank}.pt")


if __name__ == "__main__":
    main()
