"""Options that mean the same with every verb."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from recurra import workflow
from recurra.workflow.plan import check_run

if TYPE_CHECKING:
    from recurra.serving.predictor import Run

Json = Annotated[
    bool, Parameter(name="--json", negative=(), show_default=False, help="Print one JSON object, for programs.")
]
Plugins = Annotated[
    list[Path] | None,
    Parameter(name="--plugin", negative=(), help="A Python file of yours that registers parts; may be repeated."),
]
Device = Annotated[str, Parameter(name="--device", help="auto (a GPU where there is one), cpu, cuda, cuda:1 …")]
Threads = Annotated[int | None, Parameter(name="--threads", help="Processor threads; as many as torch takes.")]


def open_run(run: Path, plugins: list[Path] | None, device: str, threads: int | None) -> Run:
    """The run in a folder; a folder that holds none is refused before torch is loaded."""
    check_run(run)
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    return workflow.load(run, plugins or (), device)
