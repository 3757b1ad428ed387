"""recurra bench"""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from recurra import registry, storage
from recurra.cli.options import Json, Plugins
from recurra.cli.progress import Watch
from recurra.errors import ConfigError, UnknownName

COLUMNS = {
    "training ms": "training ms",
    "training": "training ratio",
    "inference ms": "inference ms",
    "inference": "inference ratio",
    "share of sgemm": "share of sgemm",
    "bf16": "bf16 ratio",
}
"""The figures of a row, by their keys in the JSON, and how they are headed."""


def bench(
    what: Literal["cells"],
    *names: str,
    threads: Annotated[list[int] | None, Parameter(negative=(), consume_multiple=True)] = None,
    shape: Annotated[list[str] | None, Parameter(negative=())] = None,
    seconds: float = 4.0,
    out: Path | None = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Time cells: their training step and inference, beside torch.nn's layer of the same weights where it has one.

    Columns called "ratio" are torch.nn's time over ours, more than 1 where ours is faster: medians over rounds in
    which the sides take turns. "share of sgemm" is the rate of the training step's products over that of one large
    matrix product; "bf16 ratio" our float32 training time over our bfloat16's. Each cell passes the
    conformance suite first.

    Parameters
    ----------
    what
        "cells".
    names
        The cells; all where none is named.
    threads
        Processor threads: --threads 1 2.
    shape
        Steps, sequences, inputs and units: --shape 100,32,256,256; may be repeated.
    seconds
        About how long each row takes.
    out
        A JSON file for all figures.
    """
    for file in plugin or ():
        registry.load_plugin(file)
    known = registry.names("cell")
    for name in names:
        if name not in known:
            raise UnknownName("cell", name, known)
    wanted = [_sizes(text) for text in shape or ()]
    if out is not None:
        storage.check_place(out)
    from recurra.bench import cells
    from recurra.bench.interleaved import machine

    rows = []
    shapes = [cells.Shape(*sizes) for sizes in wanted] or cells.SHAPES
    if not json:
        print(f"{'cell':<26} {'T,B,I,H':<24} threads  " + "  ".join(f"{c:>15}" for c in COLUMNS.values()))
    with Watch(sys.stderr) as watch:
        for row in cells.measure(names or known, shapes, threads or [1, 2], seconds):
            rows.append(row)
            if not json:
                figures = "  ".join(f"{row[c]:>15.2f}" if c in row else " " * 15 for c in COLUMNS)
                watch.print(f"{row['cell']:<26} {row['shape']:<24} {row['threads']:>7}  {figures}".rstrip())
            if out is not None:
                found = {"machine": machine(), "what": "recurra bench cells", "results": rows}
                storage.write_text(out, json_format.dumps(found, indent=1))
    if json:
        print(json_format.dumps({"machine": machine(), "results": rows}))


def _sizes(text: str) -> tuple[int, int, int, int]:
    parts = text.split(",")
    if len(parts) != 4 or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise ConfigError(
            f"--shape {text} is no shape. Write steps, sequences, inputs and units: --shape 100,32,256,256"
        )
    T, B, inputs, H = map(int, parts)
    return T, B, inputs, H
