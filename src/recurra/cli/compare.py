"""recurra compare"""

from __future__ import annotations

import json as json_format
from pathlib import Path

from recurra import storage, workflow
from recurra.cli.options import Json, check_page


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

    if out is not None:
        storage.write_text(out, comparison_page(found))
    if json:
        print(json_format.dumps(found.as_json(), ensure_ascii=False))
        return
    print(comparison_summary(found))
    if out is not None:
        print(f"\npage: {out}")
