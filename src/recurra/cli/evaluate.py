"""recurra evaluate"""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra import workflow
from recurra.cli.options import Device, Json, Plugins, Threads
from recurra.config import parse_settings

Settings = Annotated[
    list[str] | None,
    Parameter(
        name="--set",
        negative=(),
        help="How files are read, --set reader.encoding=latin-1, or how a run that translates searches, --set "
        "search.beam=1; may be repeated.",
    ),
]


def evaluate(
    run: Path,
    /,
    *files: Path,
    baseline: Annotated[bool, Parameter(negative="--no-baseline")] = True,
    set_: Settings = None,
    tables: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    device: Device = "auto",
    threads: Threads | None = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Score a run on files beside the baseline of its recipe.

    Parameters
    ----------
    run
        The folder that `recurra train` made.
    files
        Data to score; without any, the run's own test. Further runs among them answer together with the first.
    baseline
        The baseline is fitted anew on the data the run was trained on.
    tables
        Print every table of a run that labels, however long.
    """
    scored = workflow.evaluate(
        run,
        *files,
        plugins=plugin or (),
        device=device,
        baseline=baseline,
        threads=threads,
        settings=parse_settings(set_ or ()),
    )
    if json:
        print(json_format.dumps(scored, ensure_ascii=False))
        return
    from recurra.cli.report import ROWS, print_scores, print_tables

    print_scores(scored["data"], scored)
    print_tables(scored, None if tables else ROWS)
    if "split" in scored:
        print(f"\nsplit: {scored['split']}")
