"""Samples of sound that a session is sent over HTTP."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from recurra.data.sound import Sound
from recurra.data.wav import is_wav
from recurra.runs.run import Run
from recurra.server.limits import Limits
from recurra.server.problems import Problem, too_long

EXPECTED = "samples: in base64 a WAV file or whole numbers of 16 bits, or a list of numbers from −1 to 1"


def heard(run: Run, given: str | Sequence[Any], rate: int | None, limits: Limits) -> Sound:
    """A piece of a recording: in base64 a file that the run opens, or samples of 16 bits, the lower byte first; or
    numbers from −1 to 1. `rate` in Hz is that of samples, the run's own where none is said.

    Raises `Problem` for anything else, and for more seconds than a recording may have; `DataError` for a damaged file.
    """
    codec: Any = run.model.codecs["input"]
    if len(given) > limits.file:
        raise too_long("a piece of a recording", limits.file, len(given), "characters in base64")
    sound = _decoded(codec, given, rate or codec.rate)
    if sound.seconds > limits.seconds_heard:
        raise too_long("a piece of a recording", int(limits.seconds_heard), math.ceil(sound.seconds), "seconds")
    return sound


def _decoded(codec: Any, given: str | Sequence[Any], rate: int) -> Sound:
    if isinstance(given, str):
        try:
            raw = base64.b64decode(given, validate=True)
        except ValueError:
            raise _refused(given) from None
        if is_wav(raw):
            found: Sound = codec.opened(raw)
            return found
        if len(raw) % 2:
            raise _refused(f"{len(raw):,} bytes")
        return Sound(np.frombuffer(raw, "<i2").astype(np.int16), rate)
    if not all(isinstance(each, int | float) and abs(each) <= 1 for each in given):
        raise _refused(next(each for each in given if not isinstance(each, int | float) or abs(each) > 1))
    return Sound(np.asarray(given, np.float32), rate)


def _refused(got: Any) -> Problem:
    return Problem(
        422,
        "this model hears recordings",
        expected=EXPECTED,
        got=got,
        next="Send samples; rate says how many a second.",
    )
