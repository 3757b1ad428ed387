"""recurra evaluate"""

from __future__ import annotations

import json as json_format
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from recurra import workflow
from recurra.cli.options import Device, Json, Plugins, Threads
from recurra.cli.progress import Watch
from recurra.config import parse_settings
from recurra.errors import Stopped
from recurra.runs.adaptation import taken_out

Settings = Annotated[
    list[str] | None,
    Parameter(
        name="--set",
        negative=(),
        help="How files are read, --set reader.encoding=latin-1, how a run that translates searches, --set "
        "search.beam=1, or how a score adapts, --set dynamic.learning_rate=0.001; may be repeated.",
    ),
]


def evaluate(
    run: Path,
    /,
    *files: Path,
    baseline: Annotated[bool, Parameter(negative="--no-baseline")] = True,
    set_: Settings = None,
    tables: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    dynamic: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    cache: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
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
    dynamic
        Score a language model also while its weights follow the text's gradients (dynamic evaluation).
    cache
        Score a language model also with a cache of the latest words and states (neural cache).
    """
    settings, adaptation = taken_out(parse_settings(set_ or ()), {"dynamic": dynamic, "cache": cache})
    scored: dict[str, Any] = {}
    stopped = False
    try:
        with Watch(sys.stderr):
            scored = workflow.evaluate(
                run,
                *files,
                plugins=plugin or (),
                device=device,
                baseline=baseline,
                threads=threads,
                settings=settings,
                **adaptation,
                tell=scored.update,
            )
    except KeyboardInterrupt:
        if not scored:
            raise
        stopped = True
    _print(scored, tables, json)
    if stopped:
        raise Stopped("stopped: above is what was scored by then, without the rest", signal.SIGINT)


def _print(scored: dict[str, Any], tables: bool, json: bool) -> None:
    if json:
        print(json_format.dumps(scored, ensure_ascii=False))
        return
    from recurra.cli.report import ROWS, print_adaptation, print_scores, print_tables

    print_scores(scored["data"], scored)
    print_adaptation(scored)
    print_tables(scored, None if tables else ROWS)
    if "split" in scored:
        print(f"\nsplit: {scored['split']}")
