"""Files given to a trained run, read as its training data were unless something else is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recurra import config as configuration
from recurra import registry
from recurra.data.examples import read_examples
from recurra.data.sniff import AutoReader
from recurra.errors import DataError
from recurra.types import Example


def read_like_training(
    files: Sequence[str | Path], reader: Mapping[str, Any], settings: Mapping[str, Any]
) -> list[Example]:
    """The examples of files by the training's reader, changed by `settings`, `{"reader.kind": "columns"}`.

    Where they cannot be read so, what format they look like is said, too.
    """
    chosen = configuration.with_settings({"reader": dict(reader)}, settings)["reader"]
    try:
        return read_examples([Path(file) for file in files], registry.construct("reader", chosen))
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
