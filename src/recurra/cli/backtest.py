"""recurra backtest"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra import workflow
from recurra.cli.options import Device, Json, Plugins, Reading, Threads
from recurra.cli.page import check_page, print_page
from recurra.cli.progress import Watch
from recurra.config import parse_settings


def backtest(
    run: Path,
    /,
    *files: Path,
    windows: int | None = None,
    stride: int | None = None,
    owa: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    rows: Path | None = None,
    out: Path | None = None,
    set_: Reading = None,
    device: Device = "auto",
    threads: Threads | None = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Ask a run that forecasts from many places of each series, and compare what it says with what came.

    Parameters
    ----------
    run
        The folder that `recurra train` made.
    files
        Series to be asked; without any, the run's own test, which has all that lies before it in front.
    windows
        From so many places of each series, the last ones; without it, from all.
    stride
        Steps from one place to the next; the horizon, where none is said.
    owa
        Also Naive 2 and, beside it, the overall weighted average of the M4 competition.
    rows
        Where to write the rows, one for each step ahead: unique_id, ds, cutoff, y, the run's name and its ranges;
        backtest.csv in the run's folder, where none is said.
    out
        Write a page with the last windows, the error by step and what the ranges hold, one HTML file.
    """
    check_page(out, "backtest.html")
    with Watch(sys.stderr):
        found = workflow.backtest(
            run,
            *files,
            windows=windows,
            stride=stride,
            owa=owa,
            rows=rows,
            settings=parse_settings(set_ or ()),
            plugins=plugin or (),
            device=device,
            threads=threads,
        )
    from recurra.diagnostics.report import backtest_page, backtest_summary

    print_page(out, json, found, backtest_page, backtest_summary)
