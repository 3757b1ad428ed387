"""What native code is there: for the verb `recurra kernels`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import Any

from recurra import registry
from recurra.engine.native import build
from recurra.engine.native.machine import REALS, cell_source
from recurra.equations.derive import PLAIN
from recurra.progress import steps

SHARED = {"kernel": "time loop", "pictures": "pictures"}
"""What is not one cell's, by file, in words."""
READY, MISSING = "ready", "not built"
LIBRARY = re.compile(rf".+-({'|'.join(REALS.values())})-({'|'.join(build.INSTRUCTIONS)})-[0-9a-f]{{20}}\.so")


def take(names: Iterable[str], compile_missing: bool = False) -> dict[str, Any]:
    """`{"compiler", "instructions", "folder", "kernel": {real: state}, "pictures": {real: state}, "cells": {name: …}}`.

    A state is "ready", "not built" (it is compiled when it is first needed), or why it cannot be built. The code is
    that of a plain layer: one with masks, a projection or nothing below it has its own, made when it is needed.
    """
    words = build.compiler()
    out: dict[str, Any] = {
        "compiler": None if words is None else shlex.join(words),
        "instructions": build.instructions(),
        "folder": str(build.cache_folder()),
        **{name: {real: _state(name, None, real, True, compile_missing) for real in REALS.values()} for name in SHARED},
        "cells": {},
    }
    for name in steps([*names], "looking after", "cells"):
        source = cell_source(registry.find("cell", name), PLAIN)
        out["cells"][name] = {
            real: _state(f"cell-{name}", source, real, False, compile_missing) for real in REALS.values()
        }
    return out


def _state(name: str, text: str | None, real: str, openmp: bool, compile_missing: bool) -> str:
    try:
        if compile_missing:
            build.library(name, text, real, openmp)
            return READY
        return READY if build.sound(build.target(name, text, real, openmp)) else MISSING
    except build.BuildError as error:
        return str(error)


def failed(found: dict[str, Any]) -> list[str]:
    """Why something cannot be built, each reason once."""
    rows = [*(found[name] for name in SHARED), *found["cells"].values()]
    states = [state for row in rows for state in row.values()]
    return list(dict.fromkeys(state for state in states if state not in (READY, MISSING)))


def described(found: dict[str, Any]) -> list[str]:
    """What `take` found, in lines for a person."""
    compiler = found["compiler"] or f"none, {build.no_compiler()}; layers run on backend 'torch', which is slower"
    lines = [
        f"compiler: {compiler}",
        f"instructions: {found['instructions']}",
        f"folder: {found['folder']}",
    ]
    if found["compiler"] is None:
        return lines
    rows = {**{words: found[name] for name, words in SHARED.items()}, **found["cells"]}
    width = max(map(len, rows))
    states = {name: {real: s.partition("\n")[0] for real, s in row.items()} for name, row in rows.items()}
    table = [f"{name:<{width}}  " + ", ".join(f"{r}: {s}" for r, s in row.items()) for name, row in states.items()]
    return [*lines, "", *table]


def clear() -> int:
    """Delete compiled code; how many files."""
    folder = build.cache_folder()
    files = [f for f in folder.iterdir() if LIBRARY.fullmatch(f.name)]
    for file in files:
        file.unlink(missing_ok=True)
    build.sweep_rubbish(folder)
    return len(files)
