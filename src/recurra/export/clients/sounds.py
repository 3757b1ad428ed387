"""Recordings, WAV files, as the frames that a model reads: `features.onnx` computes them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from recurra.data.resampling import resampled
from recurra.data.silence import loud
from recurra.data.wav import read_wav
from recurra.errors import DataError
from recurra.export.clients.common import FILES, NOTES, Asked, vocabulary


def frames_of(path: str) -> dict:
    """What the model is given of a recording, {"input" [1, T, D], "lengths" [1]}; nothing of an empty one."""
    record = vocabulary("input")
    try:
        with Path(path).open("rb") as file:
            wave = read_wav(file, os.fstat(file.fileno()).st_size, path)
    except OSError as error:
        sys.exit(f"{path}: cannot be read ({error.strerror}).")
    except DataError as error:
        sys.exit(str(error))
    full = np.float32(32768 if wave.samples.dtype == np.int16 else 1)
    samples = resampled(wave.samples.astype(np.float32) / full, wave.rate, record["rate"])
    settings = record["settings"]
    if settings.get("trim") is not None:
        hop = max(1, round(settings["hop"] * record["rate"]))
        samples = samples[loud(samples, record["samples"], hop, settings["trim"])]
    if not len(samples):
        return {}
    samples = np.pad(samples, (0, max(0, record["samples"] - len(samples))))
    changed = [f"resampled from {wave.rate:,} to {record['rate']:,} Hz"] if wave.rate != record["rate"] else []
    NOTES.extend(f"a recording was {each}." for each in (*wave.notes, *changed))
    frames = Asked("features")(samples=samples)["frames"]
    return {"input": frames[None], "lengths": np.array([len(frames)])}


FILES["log-mel"] = frames_of
