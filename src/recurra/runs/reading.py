"""What a run is asked and scored on: what a caller gives as an example; its own data, or files read as those were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from recurra import config as configuration
from recurra import registry, signatures
from recurra.config import Config, Data
from recurra.data.parts import Cut, Parts, gather, read
from recurra.data.readers.sniff import ASKED, AutoReader, Gives, contents_of
from recurra.errors import ConfigError, DataError
from recurra.types import Example

HINT = " Or name files"
"""How the other way out begins where a run's own data cannot be read."""


def parted(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of a finished run: those of the reader, by their whole names, and options of the task, by their own."""
    reading = {name: value for name, value in settings.items() if name.startswith("reader.")}
    options = {name.removeprefix("search."): value for name, value in settings.items() if name.startswith("search.")}
    return reading, options


def examples_to_score(
    config: Config, files: Sequence[str | Path], settings: Mapping[str, Any], baseline: bool
) -> tuple[dict[str, Any], Sequence[Example], Sequence[Example] | None]:
    """What is scored and how it is called; its examples; and those a baseline is fitted on (None: without one).

    That is the `files`, by the training's reader changed by `settings`, or, where none is named, the run's own test
    part (its validation part if it has no test). Where training data cannot be read, what can be scored without them is
    (files, a test of its own files), with a note under "notes" that there is no baseline.
    """
    if files:
        examples = read_like_training(files, config, settings)
        found: dict[str, Any] = {"data": ", ".join(map(str, files))}
        if not baseline:
            return found, examples, None
        try:
            return found, examples, own_parts(config).train
        except (ConfigError, DataError) as error:
            return {**found, "notes": [_left_out(error)]}, examples, None
    try:
        parts = own_parts(config)
    except (ConfigError, DataError) as error:
        own = config.get("data", {}).get("test")
        if not own or config["data"].get("set"):
            raise
        try:
            examples = read_like_training(own, config, settings)
        except (ConfigError, DataError):
            raise error from None
        return {"data": "test", **({"notes": [_left_out(error)]} if baseline else {})}, examples, None
    part, examples = ("test", parts.test) if parts.test else ("valid", parts.valid)
    return {"data": part, "split": parts.split}, examples, parts.train if baseline else None


def _left_out(error: Exception) -> str:
    """That there is no baseline, and why."""
    return f"No baseline, which is fitted on the training data: {str(error).partition(HINT)[0]}"


def own_parts(config: Config) -> Parts:
    """The examples a run was trained on, read again."""
    if "data" not in config:
        raise DataError(
            f"an export has no data of its own.{HINT} to score, without a baseline, which is fitted on them."
        )
    reader = registry.construct("reader", config["reader"])
    data = Data(**signatures.checked(Data, config["data"], where="data"))
    try:
        return gather(data, reader, cut_of(config))
    except DataError as error:
        raise DataError(
            f"the run's own training data cannot be read: {error}{HINT} to score, without a baseline, which is fitted "
            "on them."
        ) from error


def in_pieces(config: Config) -> bool:
    """Whether the batching of a config reads long sequences in pieces: then data are cut into parts by time."""
    found: bool = registry.find("batching", config["batching"]["kind"]).in_pieces
    return found


def cut_of(config: Config) -> Cut:
    """How the data of a config are cut into parts."""
    return "time" if in_pieces(config) else "shuffle"


def read_like_training(files: Sequence[str | Path], config: Config, settings: Mapping[str, Any]) -> list[Example]:
    """The examples of files by the training's reader, changed by `settings`, `{"reader.kind": "columns"}`.

    Where they cannot be read so, what format they look like is said, too.
    """
    chosen = configuration.with_settings({"reader": dict(config["reader"])}, settings)["reader"]
    try:
        return read([Path(file) for file in files], registry.construct("reader", chosen), cut_of(config))
    except DataError as error:
        if chosen["kind"] == "auto":
            raise
        contents = contents_of(registry.find("reader", chosen["kind"]).fields)
        look = AutoReader(chosen.get("encoding", "utf-8"), cast(Gives, contents if contents in ASKED else "labels"))
        kinds = [found.partition(":")[0] for file in files if (found := look.sniff(file)) is not None]
        other = next((kind for kind in kinds if kind != chosen["kind"]), None)
        if other is None:
            raise
        raise DataError(
            f"{str(error).rstrip('.')}. It was read as {chosen['kind']}, like the training data, but looks like "
            f"{other}: --set reader.kind={other}"
        ) from error
