"""Options that mean the same with every verb."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra import storage
from recurra.errors import ConfigError

Json = Annotated[
    bool, Parameter(name="--json", negative=(), show_default=False, help="Print one JSON object, for programs.")
]
Plugins = Annotated[
    list[Path] | None,
    Parameter(name="--plugin", negative=(), help="A Python file of yours that registers parts; may be repeated."),
]
Reading = Annotated[
    list[str] | None,
    Parameter(name="--set", negative=(), help="How files are read: --set reader.encoding=latin-1; may be repeated."),
]
Device = Annotated[str, Parameter(name="--device", help="auto (a GPU where there is one), cpu, cuda, cuda:1 …")]
Threads = Annotated[int, Parameter(name="--threads", help="Processor threads.")]


def check_page(out: Path | None, example: str) -> None:
    """Raise `ConfigError` for a place where no page can be written."""
    if out is None:
        return
    if out.is_dir() or not out.parent.is_dir():
        what = "is a folder" if out.is_dir() else f"cannot be written: there is no folder {out.parent}"
        raise ConfigError(f"--out {out} {what}. Name a file, --out {example}")
    storage.check_place(out)
