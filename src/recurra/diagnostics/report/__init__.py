"""Everything there is to say of a model and a text: as numbers, as words for a terminal, as a page that needs nothing
but itself."""

from __future__ import annotations

from recurra.diagnostics.report.compared import comparison_page, comparison_summary
from recurra.diagnostics.report.findings import Inspection, inspect_model
from recurra.diagnostics.report.page import figures, page
from recurra.diagnostics.report.rolling import backtest_page, backtest_summary
from recurra.diagnostics.report.summary import summary

__all__ = [
    "Inspection",
    "backtest_page",
    "backtest_summary",
    "comparison_page",
    "comparison_summary",
    "figures",
    "inspect_model",
    "page",
    "summary",
]
