"""recurra cells"""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from recurra import forms, registry
from recurra.cli.options import Json, Plugins
from recurra.config import LARGEST
from recurra.errors import ConfigError, DataError, UnknownName

if TYPE_CHECKING:
    from recurra.equations.language import Cell


def cells(
    name: str | None = None,
    /,
    *,
    file: Path | None = None,
    latex: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """List the recurrent cells, those over trees last, or print one's equations and the backward derived from them.

    Parameters
    ----------
    name
        The cell to print.
    file
        A text of equations to print instead, as a recipe has them under core.equations.
    latex
        As LaTeX.
    """
    for mine in plugin or ():
        registry.load_plugin(mine)
    if name is not None and file is not None:
        raise ConfigError(f"{name} and --file {file}: one cell at a time. Leave one of them away.")
    known = {each: kind for kind in ("cell", "tree-cell") for each in registry.names(kind)}
    if name is not None and name not in known:
        raise UnknownName("cell", name, known)
    if file is not None:
        _print(_read(file), latex, json)
    elif name is not None:
        _print(registry.find(known[name], name), latex, json)
    else:
        listed = {each: _sentence(kind, each) for each, kind in known.items()}
        width = max(map(len, known))
        lines = "\n".join(f"{known_name:<{width}}  {sentence}" for known_name, sentence in listed.items())
        print(json_format.dumps(listed, ensure_ascii=False) if json else lines)


def _print(cell: Cell, latex: bool, json: bool) -> None:
    from recurra.equations import show

    if json:
        said = {"name": cell.name, "text": show.text(cell), "latex": show.latex(cell)}
        print(json_format.dumps(said, ensure_ascii=False))
    else:
        print(show.latex(cell) if latex else show.text(cell))


def _read(file: Path) -> Cell:
    from recurra.data.sources import check_files
    from recurra.equations.parse import parse

    check_files([file])
    text = forms.read_text(file, LARGEST, DataError, "Save it as UTF-8.")
    return parse(text, name=file.name, where=str(file))


def _sentence(kind: str, name: str) -> str:
    return (registry.find(kind, name).equations.__doc__ or "").strip().partition("\n")[0]
