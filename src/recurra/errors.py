"""Every error a caller can cause: what was expected, what came, where, and the next move."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST_MESSAGE = 1_500
"""Characters of a message."""


class RecurraError(Exception):
    """Base of all errors that a user can mend; the command line prints it as one sentence and exits with 2.

    A message quotes what is wrong in a file or a setting, which may be of any length: beyond 1,500 characters its
    middle is left out, so that where it is and the next move are read.
    """

    said = False
    """Whether another process of the same training says it."""

    def __str__(self) -> str:
        said = super().__str__()
        return (
            said
            if len(said) <= LONGEST_MESSAGE
            else f"{said[: LONGEST_MESSAGE * 2 // 3]} … {said[-LONGEST_MESSAGE // 3 :]}"
        )


class DataError(RecurraError):
    """A file's content is not what its reader expects; the message names the file and, where there is one, the line."""


class WrongSymbol(DataError):
    """A letter of a text that is none of those that can be read; `at`: how many stand before it, blanks left out."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


class ConfigError(RecurraError):
    """A setting is unknown, of the wrong type or out of range."""


class WrongValue(ConfigError, ValueError):
    """A setting has a value, or a tensor values or a dtype, that are not allowed; a ValueError, as in torch.nn."""


class WrongType(ConfigError, TypeError):
    """A setting or tensor is of another type than is expected; a TypeError, as in torch.nn."""


class WrongTensor(ConfigError, RuntimeError):
    """A tensor has another shape, or is on another device, than the layer expects; a RuntimeError, as in torch.nn."""


class UnknownName(ConfigError):
    """A name nothing is registered under; the message suggests the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        super().__init__(f"unknown {kind} {name!r}{did_you_mean(name, known)} Known: {', '.join(known) or 'none'}.")


class CheckpointError(RecurraError):
    """A run directory or checkpoint is missing, cut, corrupt or of another version, or a file cannot be written."""


class NotCausal(RecurraError):
    """A model that must see the end of its input is asked to answer while the input comes."""


class TrainingError(RecurraError):
    """Training cannot go on: a loss or gradient that is not finite, a full disk, a folder that cannot be written."""


class Stopped(KeyboardInterrupt):
    """A training was asked to end, and did: the message says what stands and how to go on."""

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal
        """As shells have it: 130 after Ctrl-C, 143 after SIGTERM."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`": did you mean 'lstm'?"` when something similar is known, else `"."`."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.55)
    return f": did you mean {' or '.join(repr(c) for c in close)}?" if close else "."
