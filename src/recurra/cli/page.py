"""What was found as a page, in words or as JSON."""

from __future__ import annotations

import json as json_format
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from recurra import storage
from recurra.errors import ConfigError


def check_page(out: Path | None, example: str) -> None:
    """Raise `ConfigError` for a place where no page can be written."""
    if out is None:
        return
    if out.is_dir() or not out.parent.is_dir():
        what = "is a folder" if out.is_dir() else f"cannot be written: there is no folder {out.parent}"
        raise ConfigError(f"--out {out} {what}. Name a file, --out {example}")
    storage.check_place(out)


def check_figures(folder: Path | None) -> None:
    """Raise `ConfigError` for a place that is no folder and cannot become one."""
    if folder is not None and (folder.is_file() or not folder.parent.is_dir()):
        what = "is a file" if folder.is_file() else f"cannot be made: there is no folder {folder.parent}"
        raise ConfigError(f"--figures {folder} {what}. Name a folder, --figures figures")


def write_figures(folder: Path, drawn: Mapping[str, str], stream: TextIO) -> None:
    """Write drawings by name into a folder, and say which."""
    folder.mkdir(exist_ok=True)
    for name, svg in drawn.items():
        storage.write_text(folder / name, svg)
    print(f"figures in {folder}: {', '.join(drawn) or 'none, there is nothing to draw'}", file=stream)


def print_page(
    out: Path | None, json: bool, found: Any, page: Callable[[Any], str], words: Callable[[Any], str]
) -> None:
    """Write what was found as a page, where one is wanted, and print it in words or as JSON."""
    if out is not None:
        storage.write_text(out, page(found))
    if json:
        print(json_format.dumps(found.as_json(), ensure_ascii=False))
        return
    print(words(found))
    if out is not None:
        print(f"\npage: {out}")
