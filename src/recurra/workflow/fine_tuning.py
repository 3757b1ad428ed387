"""Weights of a run on recordings, pictures or other numbers as the start of another model on the like."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from recurra import checkpoint
from recurra import config as configuration
from recurra.data.codecs import file as codec_file
from recurra.errors import DataError
from recurra.model import Model
from recurra.workflow.transfer import Taken, data_of, steps_of


@torch.no_grad()
def fine_tune(model: Model, path: Path) -> Taken:
    """Start a fresh model from the run in `path`: every tensor of its embedder and core that has the same name and
    shape, and those of its task where that is the same and tells the same things apart. What is scaled stays scaled by
    the new data.

    Raises `CheckpointError` for a run that cannot be read, `DataError` where no tensor of the core fits, or, of a core
    without any, of the embedder, or of the task.
    """
    run = checkpoint.open_run(path)
    tensors, metadata = checkpoint.load_tensors(run.model)
    theirs = codec_file.load(run.codecs)
    checkpoint.check_vocabulary(run.model, metadata, theirs)
    task = configuration.load_recipe(run.config)["task"]["kind"]
    same = task == model.config["task"]["kind"] and _told_apart(theirs) == _told_apart(model.codecs.saved)
    taken: dict[str, int] = {}
    new: list[str] = []
    for part, module in (("embedder", model.embedder), ("core", model.core), ("task", model.task)):
        own: dict[str, nn.Parameter] = {f"{part}.{name}": each for name, each in module.named_parameters()}
        fits = [name for name, each in own.items() if name in tensors and tensors[name].shape == each.shape]
        if part == "task" and not same:
            fits = []
        for name in fits:
            own[name].copy_(tensors[name])
            taken[name] = own[name].numel()
        if len(fits) < len(own):
            new.append(f"the {part}" if not fits else f"{len(own) - len(fits)} tensors of the {part}")
    core, count = [name for name in taken if name.startswith("core.")], len(list(model.core.parameters()))
    # A core may have no tensors, and so may an embedder.
    first = next(
        part for part in ("core", "embedder", "task") if part == "task" or list(getattr(model, part).parameters())
    )
    if not any(name.startswith(f"{first}.") for name in taken):
        raise DataError(
            f"no tensor of the {first} is as in the run {path}, so there is nothing to start from. Leave out what "
            f"changes the {first}'s form, or start from another run."
        )
    return Taken(
        path=path,
        origin={"data": data_of(run), "steps": steps_of(metadata), "weights": metadata.get("checksum")},
        symbols=None,
        share=None,
        tensors=(len(core), count),
        parameters=(sum(taken[name] for name in core), sum(each.numel() for each in model.core.parameters())),
        names=[name for name in taken if not name.startswith("task.")],
        new=new,
    )


def _told_apart(codecs: Mapping[str, Any]) -> dict[str, list[str]]:
    """The symbols or labels of each field but the input."""
    return {name: list(each.symbols) for name, each in codecs.items() if name != "input" and hasattr(each, "symbols")}
