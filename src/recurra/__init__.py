"""Trains, explains and ships recurrent sequence models; a cell is written once, as its equations."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recurra.runs.run import Run as Run
    from recurra.trials import sweep as sweep
    from recurra.workflow import backtest as backtest
    from recurra.workflow import compare as compare
    from recurra.workflow import encode as encode
    from recurra.workflow import evaluate as evaluate
    from recurra.workflow import inspect as inspect
    from recurra.workflow import load as load
    from recurra.workflow import predict as predict
    from recurra.workflow import train as train

__version__ = "0.1.0"

__all__ = [
    "Run",
    "__version__",
    "backtest",
    "compare",
    "encode",
    "evaluate",
    "inspect",
    "load",
    "predict",
    "sweep",
    "train",
]

_ELSEWHERE = {"Run": "recurra.runs.run", "sweep": "recurra.trials"}
"""Where public names live that are not those of recurra.workflow."""

if not TYPE_CHECKING:  # a type checker is to find a wrong name

    def __getattr__(name: str) -> Any:
        """Public names, imported when they are first asked for: the command line answers before torch is loaded."""
        if name not in __all__:
            raise AttributeError(f"module 'recurra' has no attribute {name!r}")
        return getattr(importlib.import_module(_ELSEWHERE.get(name, "recurra.workflow")), name)


def __dir__() -> list[str]:
    """Public names, those not yet imported too."""
    return sorted({*globals(), *__all__})
