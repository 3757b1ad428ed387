"""Writes one page per cell family, its formulas printed by `recurra.equations.show`.

python docs/maths/write_formulas.py
"""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import recurra.cells
from recurra.equations import show
from recurra.equations.language import Cell
from recurra.equations.starts import write_starts
from recurra.registry import find, names

HERE = Path(__file__).parent


def pages() -> dict[str, str]:
    """Page name → its text, one for each file of `recurra.cells`."""
    families: dict[str, list[str]] = {}
    for file in sorted(Path(recurra.cells.__file__).parent.glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        functions = [n.name for n in tree.body if isinstance(n, ast.FunctionDef)]
        module = importlib.import_module(f"recurra.cells.{file.stem}")
        known = [find(kind, n) for kind in ("cell", "tree-cell") for n in names(kind)]
        found = [c for c in (getattr(module, f) for f in functions) if c in known]
        if found:
            families[f"cells-{file.stem}.md"] = [module.__doc__ or "", *(_section(c) for c in found)]
    return {name: _page(name, parts) for name, parts in families.items()}


def _page(name: str, parts: list[str]) -> str:
    title = name.removeprefix("cells-").removesuffix(".md")
    note = "Written by `write_formulas.py` from the equations; the backward is derived, not typed."
    return "\n\n".join((f"# Cells: {title}", parts[0].strip(), note, *parts[1:])) + "\n"


def _section(cell: Cell) -> str:
    forward, backward = (b.split("\n", 1)[1] for b in show.latex(cell).split("\n\n"))
    words = show.text(cell).splitlines()
    kept = next(line for line in words if line.startswith("kept"))
    return "\n\n".join(
        (
            f"## {words[0]}",
            f"Source: {words[1].removeprefix('source: ')}.",
            *([f"Weights start: `{write_starts(cell.start)}`; the others uniform in ±1/√H."] if cell.start else []),
            f"```math\n{forward}\n```",
            f"K{kept[1:]}.",
            "Backward: $`\\bar g`$ arrives from outside, $`\\delta v = \\partial L / \\partial v`$, $`e(v)`$ is the "
            "part of it that a product or norm hands back.",
            f"```math\n{backward}\n```",
        )
    )


if __name__ == "__main__":
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")
        print(f"wrote {name}")
