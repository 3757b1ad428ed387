"""What a trained run is scored on: its own data read again, or files read as those were unless it is said otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recurra import config as configuration
from recurra import registry
from recurra.config import Config, Data
from recurra.data.parts import gather, read
from recurra.data.readers.sniff import AutoReader
from recurra.data.shuffled import Parts
from recurra.errors import DataError
from recurra.types import Example


def examples_to_score(
    config: Config, files: Sequence[str | Path], settings: Mapping[str, Any], baseline: bool
) -> tuple[dict[str, Any], Sequence[Example], Sequence[Example] | None]:
    """What is scored and how it is called; its examples; and those a baseline is fitted on (None: without one).

    That is the `files`, by the training's reader changed by `settings`, or, where none is named, the run's own test
    part (its validation part if it has no test).
    """
    if files:
        examples = read_like_training(files, config["reader"], settings)
        train = own_parts(config).train if baseline else None
        return {"data": ", ".join(map(str, files))}, examples, train
    parts = own_parts(config)
    part, examples = ("test", parts.test) if parts.test else ("valid", parts.valid)
    return {"data": part, "split": parts.split}, examples, parts.train if baseline else None


def own_parts(config: Config) -> Parts:
    """The examples a run was trained on, read again."""
    reader = registry.construct("reader", config["reader"])
    try:
        return gather(Data(**registry.checked(Data, config["data"], where="data")), reader, "shuffle")
    except DataError as error:
        raise DataError(
            f"the run's own training data cannot be read: {error} Or name files and leave the baselines away, which "
            "are fitted on them: --no-baseline."
        ) from error


def read_like_training(
    files: Sequence[str | Path], reader: Mapping[str, Any], settings: Mapping[str, Any]
) -> list[Example]:
    """The examples of files by the training's reader, changed by `settings`, `{"reader.kind": "columns"}`.

    Where they cannot be read so, what format they look like is said, too.
    """
    chosen = configuration.with_settings({"reader": dict(reader)}, settings)["reader"]
    try:
        return read([Path(file) for file in files], registry.construct("reader", chosen), "shuffle")
    except DataError as error:
        pairs = "source" in registry.find("reader", chosen["kind"]).fields
        look = AutoReader(chosen.get("encoding", "utf-8"), "pairs" if pairs else "labels")
        kinds = [found.partition(":")[0] for file in files if (found := look.sniff(file)) is not None]
        other = next((kind for kind in kinds if kind != chosen["kind"]), None)
        if other is None or chosen["kind"] == "auto":
            raise
        raise DataError(
            f"{str(error).rstrip('.')}. It was read as {chosen['kind']}, like the training data, but looks like "
            f"{other}: --set reader.kind={other}"
        ) from error
