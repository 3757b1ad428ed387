"""Files opened and parsed: regular files of a stated size, in UTF-8, nested no deeper than a stated depth."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recurra import storage
from recurra.errors import CheckpointError
from recurra.forms.schema import ANYTHING, Form, checked, shown

DEEPEST = 256
"""Levels of lists and objects in a file of ours; an answer that is a tree has two for each height of it."""
LARGEST = 1 << 28
"""Bytes of a JSON file, 256 MiB: a vocabulary of ten million words."""
AGAIN = "Copy it again from where it was whole, or train again."

Failure = Callable[[str], Exception]


def read_bytes(path: Path, most: int = LARGEST, error: Failure = CheckpointError, move: str = AGAIN) -> bytes:
    """All of a regular file. Raises `error` for what is missing, no such file (a folder, a device, a pipe: none of
    them is waited for), not to be read, or longer than `most` bytes."""
    try:
        return storage.read(path, most)
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the name
        reason = getattr(problem, "strerror", None) or problem
        raise error(f"{path}: cannot be read ({reason}). Is its folder whole, and yours to read? {move}") from problem


def read_text(path: Path, most: int = LARGEST, error: Failure = CheckpointError, move: str = AGAIN) -> str:
    """`read_bytes` for text in UTF-8, with or without a byte-order mark; raises `error` for another encoding, too."""
    return _text(read_bytes(path, most, error, move), str(path), error, move)


def json_file(
    path: Path, form: Form = ANYTHING, error: Failure = CheckpointError, move: str = AGAIN, most: int = LARGEST
) -> Any:
    """The value of a JSON file, of this form; else raises `error` as `read_bytes` and `json_bytes` do."""
    return json_bytes(read_bytes(path, most, error, move), str(path), form, error, move)


def json_bytes(
    raw: bytes, name: str, form: Form = ANYTHING, error: Failure = CheckpointError, move: str = AGAIN
) -> Any:
    """The value of JSON in UTF-8, of this form. Raises `error` as `read_json_text` does, and for another encoding."""
    return read_json_text(_text(raw, name, error, move), name, form, error, move)


def read_json_text(
    text: str, name: str, form: Form = ANYTHING, error: Failure = CheckpointError, move: str = AGAIN
) -> Any:
    """The value of JSON, of this form. Raises `error`, naming file and place, for what is no JSON, a key that is there
    twice, nesting deeper than `DEEPEST`, a number of more digits than Python takes, and what is of another form."""
    if not text.strip():
        raise error(f"{name}: the file is empty, expected JSON. {move}")
    try:
        value = json.loads(text, object_pairs_hook=_no_key_twice)
    except json.JSONDecodeError as problem:
        raise error(f"{name}:{problem.lineno}: no JSON ({problem.msg}, column {problem.colno}). {move}") from problem
    except RecursionError as problem:
        raise error(_too_deep(name, move)) from problem
    except ValueError as problem:  # a number of too many digits, a key twice
        raise error(f"{name}: JSON that cannot be used ({problem}). {move}") from problem
    if depth_beyond(value, DEEPEST):
        raise error(_too_deep(name, move))
    return checked(value, form, name, error, move)


def depth_beyond(value: Any, deepest: int) -> bool:
    """Whether lists and tables are nested deeper than so many levels."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(deepest if level else 0):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return bool(level)


def _text(raw: bytes, name: str, error: Failure, move: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = raw.count(b"\n", 0, problem.start) + 1
        raise error(f"{name}:{line}: byte 0x{raw[problem.start]:02x} is not valid UTF-8. {move}") from problem


def _too_deep(name: str, move: str) -> str:
    return f"{name}: lists or objects nested deeper than {DEEPEST} levels. {move}"


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in table if keys.count(key) > 1)
        raise ValueError(f"the key {shown(twice)} is there twice")
    return table
