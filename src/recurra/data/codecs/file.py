"""Codecs as files: JSON in UTF-8, one symbol a line, and beside it safetensors where a codec has arrays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
import safetensors.numpy

from recurra import forms, registry, storage
from recurra.data.codecs.contract import Codec
from recurra.errors import CheckpointError, ConfigError
from recurra.forms import ANYTHING, Table
from recurra.forms.files import CODEC, VOCABULARY

if TYPE_CHECKING:
    from numpy.typing import NDArray

CODECS, FORMER = "codecs.json", "vocabulary.json"
"""The file of a folder, and what it was called in runs and exports of before."""
VERSION = 3
LARGEST = 1 << 30
"""Bytes of the arrays."""
_AGAIN = "Copy the run again or train anew."


def save(codecs: Mapping[str, Codec], path: str | Path) -> None:
    """Write codecs by name, in their order; arrays into a file beside it, "codecs.safetensors" of "codecs.json".

    Raises `CheckpointError` where they cannot be written.
    """
    path = Path(path)
    arrays = {f"{name}.{key}": array for name, codec in codecs.items() for key, array in codec.arrays().items()}
    if arrays:  # before the file that says what they must be
        held = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        storage.write(arrays_path(path), safetensors.numpy.save(held))
    written = json.dumps({"version": VERSION, "codecs": records_of(codecs)}, ensure_ascii=False, indent=1) + "\n"
    storage.write(path, written.encode("utf-8", errors="backslashreplace"))  # a lone surrogate, the JSON way


def load(path: str | Path) -> dict[str, Any]:
    """Read what `save` wrote, and the vocabulary.json of former runs: name → codec of the kind that was saved.

    Raises `CheckpointError` for a file missing, cut, changed or of another version.
    """
    path = Path(path)
    record: dict[str, Any] = forms.json_file(path, Table({"version": ANYTHING}), move=_AGAIN)
    version = record.get("version")
    if version == 1:
        return {"input": _restored(path, record, "", {})}
    if version not in (2, VERSION):
        raise CheckpointError(
            f"{path}: codecs of version {forms.shown(version)}, expected 1 to {VERSION}. Use the recurra of then "
            "or train anew."
        )
    key = "codecs" if version == VERSION else "vocabularies"
    records = record.get(key)
    if not isinstance(records, dict) or (not records and version != VERSION):
        raise CheckpointError(f"{path}: expected an object `{key}`, name to record. {_AGAIN}")
    arrays = _arrays(path, records)
    return {name: _restored(path, each, f"codec {name!r}: ", arrays.get(name, {})) for name, each in records.items()}


def find(folder: str | Path) -> Path:
    """The file of a folder's codecs."""
    path, former = Path(folder) / CODECS, Path(folder) / FORMER
    return former if former.is_file() and not path.exists() else path


def arrays_path(path: Path) -> Path:
    """The file of the arrays beside that of the codecs."""
    return path.with_suffix(".safetensors")


def records_of(codecs: Mapping[str, Codec]) -> dict[str, dict[str, Any]]:
    """What codecs have learned, by name: their records, with the fingerprints of their arrays."""
    return {name: _record(codec) for name, codec in codecs.items()}


def from_record(record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None) -> Any:
    """The codec of a record. Raises `CheckpointError` where keys are missing or do not fit."""
    forms.checked(record, CODEC, "a codec's record", CheckpointError, "")
    codec: Any = registry.construct("codec", {**record["settings"], "kind": now_called(record["kind"])})
    if hasattr(codec, "symbols"):
        forms.checked(record, VOCABULARY, "a vocabulary's record", CheckpointError, "")
    return codec.restore(record, arrays or {})


def now_called(kind: str) -> str:
    """What a kind of former runs is called now."""
    return {"labels": "tags"}.get(kind, kind)


def _record(codec: Codec) -> dict[str, Any]:
    arrays = {name: _digest(array) for name, array in codec.arrays().items()}
    return {**codec.record(), **({"arrays": arrays} if arrays else {})}


def _digest(array: NDArray[Any]) -> str:
    held = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    held.update(np.ascontiguousarray(array).tobytes())
    return held.hexdigest()[:16]


def _arrays(path: Path, records: Mapping[str, Any]) -> dict[str, dict[str, NDArray[Any]]]:
    """The arrays that records say they have, by name of their codec."""
    wanted = {name: of["arrays"] for name, of in records.items() if isinstance(of, dict) and "arrays" in of}
    if not wanted:
        return {}
    for name, digests in wanted.items():
        if not isinstance(digests, dict):
            raise CheckpointError(f"{path}: codec {name!r}: expected an object `arrays`, name to fingerprint. {_AGAIN}")
    beside = arrays_path(path)
    try:
        found = safetensors.numpy.load(storage.read(beside, LARGEST))
    except OSError as error:
        raise CheckpointError(f"{beside} cannot be read ({error.strerror or error}). {_AGAIN}") from error
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{beside} is cut or corrupt ({error}). {_AGAIN}") from error
    arrays: dict[str, dict[str, NDArray[Any]]] = {}
    for name, digests in wanted.items():
        for key, digest in digests.items():
            array = found.get(f"{name}.{key}")
            if array is None or _digest(array) != digest:
                raise CheckpointError(f"{beside}: {name}.{key} is not the array that {path.name} says. {_AGAIN}")
            arrays.setdefault(name, {})[key] = array
    return arrays


def _restored(path: Path, record: Mapping[str, Any], which: str, arrays: Mapping[str, NDArray[Any]]) -> Any:
    try:
        return from_record(record, arrays)
    except (CheckpointError, ConfigError) as error:
        raise CheckpointError(f"{path}: {which}{str(error).strip()} {_AGAIN}") from error
