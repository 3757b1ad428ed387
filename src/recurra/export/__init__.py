"""A trained run as ONNX files, written from our own equations and checked against torch before anything is kept.

    folder/
    ├─ model.onnx        the whole-sequence model; of a run that translates, what reads the source
    ├─ features.onnx     of a run that hears recordings: their samples to the frames that model.onnx reads
    ├─ step.onnx         one symbol at a time, where a run writes
    ├─ codecs.json       what numbers mean, as in a run
    ├─ client.py         asks the model with numpy and onnxruntime alone, where such a client can do what the run does
    └─ README.md         inputs and outputs

`onnx` and `onnxruntime` (the extra `export`) are imported where they are used, never before. Needs no torch itself.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from recurra.errors import ConfigError, did_you_mean

FORMATS = ("onnx",)
MODEL, STEP, FEATURES = "model.onnx", "step.onnx", "features.onnx"
CODECS, CLIENT, README = "codecs.json", "client.py", "README.md"


def check_format(name: str) -> None:
    """Raise ConfigError for a format that nothing is exported to."""
    if name not in FORMATS:
        raise ConfigError(f"unknown format {name!r}{did_you_mean(name, FORMATS)} Known: {', '.join(FORMATS)}.")


def check_installed(*packages: str) -> None:
    """Raise ConfigError where a package that ONNX files are written or run with is missing."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise ConfigError(f"the package {package} is missing, which ONNX files need: pip install 'recurra[export]'")


def export_folder(path: str | Path) -> Path | None:
    """The folder of an export that a path names, or one of its files; None: it is none."""
    path = Path(path)
    folder = path.parent if path.name in (MODEL, STEP) and path.is_file() else path
    return folder if (folder / MODEL).is_file() and not (folder / "config.toml").is_file() else None
