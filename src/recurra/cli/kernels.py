"""recurra kernels"""

from __future__ import annotations

import json as json_format
import sys
from typing import Annotated

from cyclopts import Parameter

from recurra import registry
from recurra.cli.options import Json, Plugins
from recurra.cli.progress import Watch
from recurra.errors import ConfigError, RecurraError, UnknownName


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
        Compile what is not compiled yet; after --clear, everything.
    clear
        Delete all compiled code; it is made again when it is needed.
    """
    for file in plugin or ():
        registry.load_plugin(file)
    known = registry.names("cell")
    for name in names:
        if name not in known:
            raise UnknownName("cell", name, known)
    if clear and names and not build:
        raise ConfigError(f"--clear deletes the code of all cells, not of {', '.join(names)} alone: name none.")
    from recurra.engine.native import inventory

    removed = inventory.clear() if clear else None
    if removed is not None and not build:
        print(json_format.dumps({"removed": removed}) if json else f"{removed} files removed.")
        return
    with Watch(sys.stderr):
        found = inventory.take(names or known, compile_missing=build)
    if json:
        print(json_format.dumps(found if removed is None else {"removed": removed, **found}))
    else:
        print("\n".join(inventory.described(found)))
    if build and (reasons := inventory.failed(found)):
        raise RecurraError("\n".join(reasons))
