"""Options that mean the same with every verb."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

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
