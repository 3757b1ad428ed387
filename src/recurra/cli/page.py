"""What was found as a page, in words or as JSON."""

from __future__ import annotations

import json as json_format
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
