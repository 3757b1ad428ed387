"""recurra evaluate"""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra import workflow
from recurra.cli.options import Device, Json, Plugins, Threads
from recurra.data.corpus import check_files


def evaluate(
    run: Path,
    /,
    *files: Path,
    baseline: Annotated[bool, Parameter(negative="--no-baseline")] = True,
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
        Texts to score; without any, the run's own test text.
    baseline
        The baseline is fitted anew on the text the run was trained on.
    """
    check_files(files)
    scored = workflow.load(run, plugin or (), device).evaluate(*files, baseline=baseline, threads=threads)
    if json:
        print(json_format.dumps(scored, ensure_ascii=False))
        return
    from recurra.cli.report import print_scores

    print_scores(scored["data"], scored)
    if "split" in scored:
        print(f"\nsplit: {scored['split']}")
