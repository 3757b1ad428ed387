"""recurra cells"""

from __future__ import annotations

import json as json_format
from typing import Annotated

from cyclopts import Parameter

from recurra import registry
from recurra.cli.options import Json, Plugins
from recurra.errors import UnknownName


def cells(
    name: str | None = None,
    /,
    *,
    latex: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """List the recurrent cells, or print one's equations and the backward derived from them.

    Parameters
    ----------
    name
        The cell to print.
    latex
        As LaTeX.
    """
    for file in plugin or ():
        registry.load_plugin(file)
    known = registry.names("cell")
    if name is not None and name not in known:
        raise UnknownName("cell", name, known)
    if name is None:
        listed = {known_name: _sentence(known_name) for known_name in known}
        width = max(map(len, known))
        lines = "\n".join(f"{known_name:<{width}}  {sentence}" for known_name, sentence in listed.items())
        print(json_format.dumps(listed, ensure_ascii=False) if json else lines)
        return
    from recurra.equations import show

    cell = registry.find("cell", name)
    if json:
        print(json_format.dumps({"name": name, "text": show.text(cell), "latex": show.latex(cell)}, ensure_ascii=False))
    else:
        print(show.latex(cell) if latex else show.text(cell))


def _sentence(name: str) -> str:
    return (registry.find("cell", name).equations.__doc__ or "").strip().partition("\n")[0]
