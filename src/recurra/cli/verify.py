"""recurra verify"""

from __future__ import annotations

import dataclasses
import json as json_format
import sys
from typing import Annotated, Any

from cyclopts import Parameter

from recurra import __version__, registry
from recurra.cli.options import Json, Plugins
from recurra.cli.progress import Watch
from recurra.limits import check_threads

FAILED = 1
"""The exit code where something does not conform; 2 is for what the caller can mend."""


def verify(
    *,
    threads: Annotated[int, Parameter(help="Processor threads.")] = 1,
    plugin: Plugins = None,
    json: Json = False,
) -> int:
    """Check this installation: layers, cells on every engine, a training that goes on, an export.

    About a minute, two where all native code has to be compiled first. The exit code is 1 where anything fails. The
    first thing to send with a bug report.
    """
    for file in plugin or ():
        registry.load_plugin(file)
    check_threads("threads", threads)
    import torch

    from recurra.bench.interleaved import machine
    from recurra.testing import installation

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        about = {"recurra": __version__, **machine(), **installation.facts()}
        if not json:
            print("\n".join(_lines(about)) + "\n")
        found = []
        with Watch(sys.stderr) as watch:
            for outcome in installation.verify():
                found.append(outcome)
                if not json:
                    watch.print(_row(outcome))
    finally:
        torch.set_num_threads(before)
    count = {end: sum(each.outcome == end for each in found) for end in ("passed", "failed", "left out")}
    if json:
        rows = [dataclasses.asdict(each) for each in found]
        print(json_format.dumps({"passed": not count["failed"], "machine": about, "checks": rows}, ensure_ascii=False))
    else:
        print("\n" + ", ".join(f"{number} {end}" for end, number in count.items()))
        if any(each.reason == installation.NO_TIME for each in found):
            print("Once more, and there is more time: what was compiled is kept.")
    return FAILED if count["failed"] else 0


def _lines(about: dict[str, Any]) -> list[str]:
    """The installation, a fact a line."""
    versions = [f"{name} {found}" for name, found in about["versions"].items() if found]
    missing = [name for name, found in about["versions"].items() if not found]
    plain = {name: value for name, value in about.items() if name != "versions"}
    lines = [f"{name:<13} {'none' if value is None else value}" for name, value in plain.items()]
    return [
        *lines,
        f"{'with':<13} {', '.join(versions)}",
        *([f"{'without':<13} {', '.join(missing)}"] if missing else []),
    ]


def _row(outcome: Any) -> str:
    """One outcome, and why it is one that did not pass."""
    row = f"{outcome.outcome:<9} {outcome.seconds:>5.1f} s  {outcome.check:<34} "
    if outcome.outcome == "left out":
        return row + outcome.reason
    return f"{row}{outcome.beside}" + (f"\n{'':<19}{outcome.reason}" if outcome.reason else "")
