"""What native code is there: for the verb `recurra kernels`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from recurra import registry
from recurra.engine.native import build
from recurra.engine.native.machine import cell_source
from recurra.equations.derive import PLAIN

REALS = ("float", "double")


def take(names: Iterable[str], compile_missing: bool = False) -> dict[str, Any]:
    """`{"compiler", "instructions", "folder", "kernel": {real: state}, "cells": {name: {real: state}}}`.

    A state is "ready", "not built" (it is compiled when it is first needed), or why it cannot be built.
    """
    out: dict[str, Any] = {
        "compiler": build.compiler(),
        "instructions": build.instructions(),
        "folder": str(build.cache_folder()),
        "kernel": {real: _state("kernel", None, real, True, compile_missing) for real in REALS},
        "cells": {},
    }
    for name in names:
        cell = registry.find("cell", name)
        source = cell_source(cell, PLAIN)
        out["cells"][name] = {
            real: _state(f"cell-{name}", source, real, False, compile_missing) for real in REALS
        }
    return out


def _state(name: str, text: str | None, real: str, openmp: bool, compile_missing: bool) -> str:
    try:
        if compile_missing:
            build.library(name, text, real, openmp)
        return "ready" if build.target(name, text, real, openmp).is_file() else "not built"
    except build.BuildError as error:
        return str(error)


def told(found: dict[str, Any]) -> list[str]:
    """The same as lines."""
    lines = [
        f"compiler: {found['compiler'] or 'none (install g++; without it cells run on the derived torch backend)'}",
        f"instructions: {found['instructions']}",
        f"folder: {found['folder']}",
        "",
    ]
    width = max(map(len, ("time loop", *found["cells"])))
    rows = {"time loop": found["kernel"], **found["cells"]}
    lines += [f"{name:<{width}}  " + ", ".join(f"{real}: {s}" for real, s in state.items()) for name, state in rows.items()]
    return lines


def clear() -> int:
    """Delete compiled code; how many files."""
    files = [f for f in build.cache_folder().iterdir() if f.suffix == ".so"]
    for file in files:
        file.unlink(missing_ok=True)
    return len(files)
