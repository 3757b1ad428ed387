"""recurra compare"""

from __future__ import annotations

from pathlib import Path

from recurra import workflow
from recurra.cli.options import Json
from recurra.cli.page import check_page, print_page


def compare(*runs: Path, out: Path | None = None, json: Json = False) -> None:
    """Put runs of one task beside each other: their scores, the curves of their trainings, the settings that differ.

    Parameters
    ----------
    runs
        Two or more folders that `recurra train` made.
    out
        Write a page with the curves, one HTML file that needs no network.
    """
    check_page(out, "compare.html")
    found = workflow.compare(*runs)
    from recurra.diagnostics.report import comparison_page, comparison_summary

    print_page(out, json, found, comparison_page, comparison_summary)
