"""recurra inspect"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra import workflow
from recurra.cli.options import Device, Json, Plugins, Reading, Threads
from recurra.cli.page import check_figures, check_page, print_page, write_figures
from recurra.cli.progress import Watch
from recurra.config import parse_settings
from recurra.errors import ConfigError

LENGTH = 300


def inspect(
    run: Path,
    /,
    *,
    text: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    file: Path | None = None,
    out: Path | None = None,
    figures: Path | None = None,
    length: int = LENGTH,
    set_: Reading = None,
    device: Device = "cpu",
    threads: Threads = 1,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Look inside a run while it reads a text: how far gradients reach, gates, what it expects, attention, spectra.

    Parameters
    ----------
    run
        The folder that `recurra train` made.
    text
        The text to read; without --text and --file it is the beginning of the run's own held-out data.
    file
        A file with the text; of a run that labels, fills blanks or translates, its first line.
    out
        Write a page with pictures, one HTML file that needs no network.
    figures
        Write each of the page's drawings into this folder, as an SVG file of its own.
    length
        Symbols of the text that are looked at, at most; 1,000 at most.
    """
    if text is not None and file is not None:
        raise ConfigError("--text and --file both name a text. Give one of them.")
    check_page(out, "report.html")
    check_figures(figures)
    with Watch(sys.stderr):
        found = workflow.inspect(
            run,
            text=text,
            file=file,
            length=length,
            settings=parse_settings(set_ or ()),
            plugins=plugin or (),
            device=device,
            threads=threads,
        )
    from recurra.diagnostics.report import figures as drawn
    from recurra.diagnostics.report import page, summary

    print_page(out, json, found, page, summary)
    if figures is not None:
        write_figures(figures, drawn(found), sys.stderr)
