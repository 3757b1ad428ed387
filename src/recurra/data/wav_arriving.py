"""A WAV file as it comes through a pipe: its samples as soon as they are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from recurra.data.sound import Sound
from recurra.data.wav import CHUNKS, STREAMED, decoded, form_of, is_wav
from recurra.errors import DataError

HEAVIEST = 1 << 20
"""Bytes of a part in front of the samples, at most."""


def arriving_wav(read: Callable[[int], bytes], name: str, least: int = 1 << 12) -> Iterator[Sound]:
    """The samples of a WAV file, piece by piece; `read(n)` gives n bytes at most, as soon as there are any, and none at
    the end. Pieces are as long as what has come, `least` bytes where there is so much at once.

    A file that somebody is still writing, whose header does not know its length yet, is read to its end. Raises
    `DataError`, which begins with `name`, for what is no WAV file, is coded in another way, or is cut off.
    """
    source = _Source(read, name)
    head = source.exactly(12)
    if not is_wav(head):
        raise DataError(f"{name}: no WAV file: it does not begin with RIFF and WAVE. Pipe a recording: < a.wav")
    form, wide = None, None
    for _ in range(CHUNKS):
        kind, length = source.exactly(4), int.from_bytes(source.exactly(4), "little")
        if kind == b"data":
            break
        if length > HEAVIEST:
            raise DataError(f"{name}: a part of {length:,} bytes in front of its samples. Convert the file anew.")
        body = source.exactly(length + length % 2)[:length]
        if kind == b"fmt ":
            form = form_of(body, name)
        elif kind == b"ds64" and length >= 16:
            wide = int.from_bytes(body[8:16], "little")
    else:
        raise DataError(f"{name}: no samples in it (no part 'data'). Convert the file anew.")
    if form is None:
        raise DataError(f"{name}: samples before their format (fmt). Convert the file anew.")
    length = wide if wide is not None else length
    open_ended = length == 0 or length >= STREAMED
    left, rest = length, b""
    while open_ended or left:
        raw = source.some(least if open_ended else min(least, left))
        if not raw:
            if not open_ended:
                raise DataError(
                    f"{name}: the header says {length:,} bytes of samples, {length - left:,} came: it is cut off."
                )
            return
        left -= len(raw)
        rest += raw
        whole = len(rest) - len(rest) % form.frame
        if whole:
            yield Sound(decoded(rest[:whole], form, name), form.rate)
        rest = rest[whole:]


class _Source:
    """What comes, of which some may wait to be taken."""

    def __init__(self, read: Callable[[int], bytes], name: str) -> None:
        self._read, self._name = read, name

    def exactly(self, count: int) -> bytes:
        """So many bytes."""
        found = b""
        while len(found) < count:
            more = self._read(count - len(found))
            if not more:
                raise DataError(f"{self._name}: {len(found)} bytes of {count} that a WAV file has here. Is it cut off?")
            found += more
        return found

    def some(self, most: int) -> bytes:
        """What is there, so many bytes at most; nothing at the end."""
        return self._read(most)
