"""Vocabularies as files: JSON in UTF-8, one symbol a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recurra import forms, registry, storage
from recurra.data.vocabulary import Saved, Vocabulary
from recurra.data.words import SPLITTER
from recurra.errors import CheckpointError, ConfigError
from recurra.forms import ANYTHING, Table
from recurra.forms.files import VOCABULARY

VERSION = 1
VERSION_OF_ALL = 2
_AGAIN = "Copy the run again or train anew."


def from_json(record: Mapping[str, Any]) -> Any:
    """The vocabulary whose `to_json` gave `record`. Raises `CheckpointError` where keys are missing or do not fit.

    A record with "scores", a number for each symbol, is of a vocabulary whose `restore` takes them. One of words that
    does not say which "splitter" found them is of the first.
    """
    forms.checked(record, VOCABULARY, "a vocabulary's record", CheckpointError, "")
    vocabulary: Any = registry.construct("vocabulary", {**record["settings"], "kind": record["kind"]})
    if hasattr(vocabulary, "splitter"):
        vocabulary.splitter = record.get("splitter", 1)
        if vocabulary.splitter not in range(1, SPLITTER + 1) or isinstance(vocabulary.splitter, bool):
            raise CheckpointError(
                f"a vocabulary whose words were found by splitter {vocabulary.splitter!r}, this recurra has 1 to "
                f"{SPLITTER}. Use the recurra that wrote it."
            )
    return vocabulary.restore(record["symbols"], *([record["scores"]] if "scores" in record else ()))


def save(vocabulary: Saved, path: str | Path) -> None:
    """Write a vocabulary as JSON in UTF-8, one symbol a line. Raises `CheckpointError` where it cannot be written."""
    _write({"version": VERSION, **vocabulary.to_json()}, Path(path))


def save_all(vocabularies: Mapping[str, Saved], path: str | Path) -> None:
    """Write the vocabularies of several fields into one file, by name, in their order; else as `save`."""
    records = {name: vocabulary.to_json() for name, vocabulary in vocabularies.items()}
    _write({"version": VERSION_OF_ALL, "vocabularies": records}, Path(path))


def load(path: str | Path) -> Vocabulary:
    """Read what `save` wrote. Raises `CheckpointError` for a file missing, cut, changed or of another version."""
    path = Path(path)
    record = _read(path)
    if record.get("version") != VERSION:
        raise _other_version(path, record, VERSION)
    vocabulary: Vocabulary = _restored(path, record)
    return vocabulary


def load_all(path: str | Path) -> dict[str, Any]:
    """Read what `save_all` wrote, name → vocabulary of the kind that was saved; what `save` wrote is called "input".

    Raises as `load` does.
    """
    path = Path(path)
    record = _read(path)
    if record.get("version") == VERSION:
        return {"input": _restored(path, record)}
    if record.get("version") != VERSION_OF_ALL:
        raise _other_version(path, record, VERSION_OF_ALL)
    records = record.get("vocabularies")
    if not isinstance(records, dict) or not records:
        raise CheckpointError(f"{path}: expected an object `vocabularies`, name to vocabulary. {_AGAIN}")
    return {name: _restored(path, of, f"vocabulary {name!r}: ") for name, of in records.items()}


def _write(record: Mapping[str, Any], path: Path) -> None:
    written = json.dumps(record, ensure_ascii=False, indent=1) + "\n"
    storage.write(path, written.encode("utf-8", errors="backslashreplace"))  # a lone surrogate, the JSON way


def _read(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = forms.json_file(path, Table({"version": ANYTHING}), move=_AGAIN)
    return record


def _other_version(path: Path, record: Mapping[str, Any], expected: int) -> CheckpointError:
    return CheckpointError(
        f"{path}: a vocabulary of version {forms.shown(record.get('version'))}, expected {expected}. "
        "Use the recurra of then or train anew."
    )


def _restored(path: Path, record: Mapping[str, Any], which: str = "") -> Any:
    try:
        return from_json(record)
    except (CheckpointError, ConfigError) as error:
        raise CheckpointError(f"{path}: {which}{str(error).strip()} {_AGAIN}") from error
