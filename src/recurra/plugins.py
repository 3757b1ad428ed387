"""The user's own files that a run was trained with: kept in its report, and asked for where they are missing.

They are named, never loaded: what a run's folder says is no reason to execute anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from recurra import forms, registry
from recurra.errors import CheckpointError, ConfigError
from recurra.forms.files import REPORT

KEY = "plugins"
"""Where they stand in a run's report.json."""


def load(paths: Iterable[str | Path]) -> None:
    """Load each; raises as `registry.load_plugin`."""
    for path in paths:
        registry.load_plugin(path)


def record(paths: Iterable[str | Path]) -> list[dict[str, str]]:
    """What the report keeps of plugins that were loaded: where each lies, and the hash of its content."""
    return [{"path": str(Path(path).resolve()), "sha256": _hash(path)} for path in paths]


def check(run: Path, given: Iterable[str | Path]) -> list[str]:
    """Sentences about plugins that were changed since the run's training used them, of those `given` now.

    Raises `ConfigError` for one that is missing.
    """
    given = [*given]
    names, hashes = {Path(path).name for path in given}, {_hash(path) for path in given}
    notes = []
    for path, content in _recorded(run):
        if content in hashes:
            continue
        if Path(path).name not in names:
            raise ConfigError(
                f"{run} was trained with the plugin {path}, which is not named. Name it again: recurra train {run} "
                f"--resume --plugin {path}"
            )
        notes.append(
            f"The plugin {Path(path).name} is another than when {run} was trained with it: what was learnt so far came "
            "from the former one."
        )
    return notes


def hint(run: Path, given: Iterable[str | Path]) -> str:
    """What to do about a part of a run that nobody registered, as a sentence."""
    names = {Path(path).name for path in given}
    missing = [path for path, _ in _recorded(run) if Path(path).name not in names]
    if missing:
        return f"The run was trained with a plugin: add {' '.join(f'--plugin {path}' for path in missing)}"
    return "If it is a part of a file of yours, name that file with --plugin."


def _hash(path: str | Path) -> str:
    return hashlib.sha256(registry.plugin_source(path)).hexdigest()


def _recorded(run: Path) -> list[tuple[str, str]]:
    """Path and hash of each, as the report has them; a report that cannot be read is not this module's to name."""
    try:
        report = forms.json_file(run / "report.json", REPORT)
    except CheckpointError:
        return []
    return [(each["path"], each["sha256"]) for each in report.get(KEY, [])]
