"""recurra export"""

from __future__ import annotations

import json as json_format
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from recurra import workflow
from recurra.cli.options import Json, Plugins
from recurra.cli.progress import Watch

if TYPE_CHECKING:
    from recurra.export.write import Export


def export(
    run: Path,
    /,
    *,
    to: Annotated[str, Parameter(name="--to")] = "onnx",
    out: Path | None = None,
    int8: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Write a run as files that run without recurra and torch, compared with the run before they are kept.

    Parameters
    ----------
    run
        The folder that `recurra train` made.
    to
        The format: onnx.
    out
        The folder to write into; onnx in the run's folder if not said.
    int8
        Round the weights of products, embeddings and LSTMs to eight bits, and say what that costs.
    """
    with Watch(sys.stderr):
        written = workflow.export(run, to=to, out=out, int8=int8, plugins=plugin or ())
    if json:
        print(json_format.dumps(asdict(written), default=str, ensure_ascii=False))
    else:
        _print(written)


def _print(written: Export) -> None:
    for file in written.files:
        nodes = f"{', '.join(file.nodes)}; " if file.nodes else ""
        differs = "" if written.rounded else f"; differs from torch by {file.difference:.1e} at most"
        print(f"{file.path}: {file.size / 1e6:,.1f} MB; {nodes}".removesuffix("; ") + differs)
    rounded = written.rounded
    if rounded:
        apart = rounded["log_p"]
        if apart is not None:
            print(
                f"weights in eight bits: an answer's log-probability differs from the run's by {apart:.2g} at most, "
                f"its probability by a factor of {math.exp(apart):.2f} (over random inputs)"
            )
        print(
            f"weights in eight bits: outputs differ by {rounded['difference']:.1%} of their largest at most, "
            f"{rounded['limit']:.0%} is the limit"
        )
    if "metric" in rounded:
        name = rounded["metric"].replace("_", " ")
        score, after = rounded["score"], rounded["rounded"]
        print(
            f"weights in eight bits: {name} {after:.4f} on {rounded['data']}, {score:.4f} before ({after - score:+.4f})"
        )
    elif rounded:
        print(f"no score before and after: {rounded['reason']}")
    folder, given = written.folder, "FILE" if written.of_files else '"…"'
    if written.no_client:
        print(f"no client.py, which could not ask it as the run is asked: {written.no_client}")
        print(f"ask it: recurra predict {folder} {given}")
    else:
        client = f"python {folder / 'client.py'} {given}"
        print(f"ask it: recurra predict {folder} {given}, or without recurra and torch: {client}")
