"""recurra kernels"""

from __future__ import annotations

import json as json_format
from typing import Annotated

from cyclopts import Parameter

from recurra import registry
from recurra.cli.options import Json, Plugins
from recurra.errors import UnknownName


def kernels(
    *names: str,
    build: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    clear: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Say which native code is there for which cell, build it ahead, or clear the cache.

    Parameters
    ----------
    names
        Cells; all where none is named.
    build
        Compile what is not compiled yet.
    clear
        Delete all compiled code; it is made again when it is needed.
    """
    for file in plugin or ():
        registry.load_plugin(file)
    known = registry.names("cell")
    for name in names:
        if name not in known:
            raise UnknownName("cell", name, known)
    from recurra.engine.native import inventory

    if clear:
        removed = inventory.clear()
        print(json_format.dumps({"removed": removed}) if json else f"{removed} files removed.")
        return
    found = inventory.take(names or known, compile_missing=build)
    if json:
        print(json_format.dumps(found))
        return
    print("\n".join(inventory.told(found)))
