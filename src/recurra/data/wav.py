"""WAV files, read by what is in them: no size that a header says is believed before the file was asked."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from recurra.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.int16] | NDArray[np.float32]

INTEGERS, FLOATS, EXTENSIBLE = 1, 3, 0xFFFE
"""How samples are coded, as the chunk `fmt ` says it."""
CODED = {2: "ADPCM", 6: "A-law", 7: "µ-law", 17: "IMA ADPCM", 49: "GSM", 85: "MP3"}
"""Of others, those that are met."""
WIDTHS = {INTEGERS: (8, 16, 24, 32), FLOATS: (32, 64)}
"""Bits of a sample that are read."""
SLOWEST, FASTEST = 1_000, 768_000
"""Samples a second that a file may have."""
CHANNELS = 64
MOST_SECONDS = 3_600.0
"""Seconds that are read of a recording at once: an hour."""
HEAVIEST = 1 << 31
"""Bytes of samples that are read at once: 2 GiB."""
CHUNKS = 1_000
"""Parts of a file, at most."""
STREAMED = 0x7FFF0000
"""From here on a size is what a program writes that does not know yet how long its recording will be."""
LOUDEST = 8.0
"""The greatest sample in floating point that is taken for one on a scale of −1 to 1."""
BLOCK = 1 << 20
"""Frames that are decoded at a time."""
SLACK = 0.1
"""Seconds by which a piece may end behind its recording: tables round."""


@dataclass(frozen=True)
class Wave:
    """What is in a WAV file: its samples [N], int16 of one channel of 16 bits, else float32 from −1 to 1; the rate in
    samples a second; and what had to be made of the file, in words."""

    samples: Samples
    rate: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Form:
    """What the chunk `fmt ` says."""

    code: int
    channels: int
    rate: int
    bits: int

    @property
    def frame(self) -> int:
        """Bytes of one sample of all channels."""
        return self.channels * self.bits // 8


def is_wav(head: bytes) -> bool:
    """Whether a file begins as WAV files do."""
    return head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE"


def read_wav(file: BinaryIO, size: int, name: str, offset: float = 0.0, duration: float | None = None) -> Wave:
    """The samples of an open file of `size` bytes, from `offset` on for `duration` seconds (None: to its end).

    Several channels are mixed to one, their mean. A file whose header was written before its length was known is read
    to its end. Raises `DataError`, which begins with `name`, for what is no WAV file, is coded in another way, is cut
    off, has samples that are not finite, or more of them than are read at once.
    """
    if not is_wav(file.read(12)):
        raise DataError(f"{name}: no WAV file: it does not begin with RIFF and WAVE. Name a recording.")
    form, start, length, notes = _found(file, size, name)
    frames, left = divmod(length, form.frame)
    if left:
        notes.append("cut behind its last whole sample")
    begin, end = _piece(frames, form.rate, name, offset, duration)
    _check_size(end - begin, form, name)
    file.seek(start + begin * form.frame)
    blocks = [decoded(raw, form, name) for raw in _blocks(file, (end - begin) * form.frame, form.frame, name)]
    if form.channels > 1:
        notes.append(f"mixed from {form.channels} channels to one")
    kind = np.int16 if _kept(form) else np.float32
    samples: Samples = np.concatenate([np.zeros(0, kind), *blocks])
    return Wave(samples, form.rate, tuple(notes))


def _found(file: BinaryIO, size: int, name: str) -> tuple[Form, int, int, list[str]]:
    """How samples are coded, where they begin, and how many bytes of them there are; with what was made of it."""
    form, wide, place = None, None, 12
    file.seek(4)
    whole = int.from_bytes(file.read(4), "little") + 8
    for _ in range(CHUNKS):
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            break
        kind, length = head[:4], int.from_bytes(head[4:], "little")
        start = place + 8
        there = size - start
        if kind == b"data":
            if form is None:
                raise DataError(f"{name}: samples before their format (fmt). Convert the file anew.")
            return form, start, *_samples(name, length if wide is None else wide, there, whole, start)
        if length > there:
            raise DataError(
                f"{name}: a part {_shown(kind)} of {length:,} bytes, but {there:,} are left of the file: it is cut off "
                "or no WAV file. Copy it again."
            )
        if kind == b"fmt ":
            form = form_of(file.read(min(length, 40)), name)
        elif kind == b"ds64" and length >= 16:
            wide = int.from_bytes(file.read(16)[8:], "little")
        place = start + length + length % 2
    raise DataError(f"{name}: no samples in it (no part 'data'): it is cut off or damaged. Copy it again.")


def _samples(name: str, length: int, there: int, whole: int, start: int) -> tuple[int, list[str]]:
    """How many bytes of samples there are, where the header says `length`, and the file has so many behind it."""
    unfinished = length == 0 and there > 0 and whole <= start
    if unfinished or (length > there and length >= STREAMED):
        return there, ["read to its end, whatever its header says of its length"]
    if length > there:
        raise DataError(
            f"{name}: the header says {length:,} bytes of samples, the file holds {there:,}: it is cut off. Copy it "
            "again, or leave it out."
        )
    return length, []


def form_of(raw: bytes, name: str) -> Form:
    if len(raw) < 16:
        raise DataError(f"{name}: a format (fmt) of {len(raw)} bytes, expected 16 or more. Convert the file anew.")
    code, channels, rate, _, frame, bits = struct.unpack("<HHIIHH", raw[:16])
    if code == EXTENSIBLE and len(raw) >= 26:
        code = int.from_bytes(raw[24:26], "little")
    if code not in WIDTHS or bits not in WIDTHS[code]:
        coded = f"{bits} bits of " + {INTEGERS: "whole numbers", FLOATS: "floating point"}.get(
            code, CODED.get(code, f"code {code}")
        )
        raise DataError(
            f"{name}: samples in {coded}, expected 8, 16, 24 or 32 bits of whole numbers, or 32 or 64 of floating "
            "point. Convert it (ffmpeg -i IN -c:a pcm_s16le OUT.wav)."
        )
    if not 1 <= channels <= CHANNELS or frame != channels * bits // 8:
        raise DataError(
            f"{name}: {channels} channels of {bits} bits in {frame} bytes, expected 1 to {CHANNELS} channels in as "
            "many bytes as they have. Convert the file anew."
        )
    check_rate(rate, name)
    return Form(code, channels, rate, bits)


def check_rate(rate: int, name: str) -> None:
    """Raise `DataError` for a rate that no recording has."""
    if not SLOWEST <= rate <= FASTEST:
        raise DataError(
            f"{name}: {rate:,} samples a second, expected {SLOWEST:,} to {FASTEST:,}. Is the header damaged?"
        )


def check_piece(name: str, offset: float, duration: float | None) -> None:
    """Raise `DataError` for a piece that no recording has."""
    if not 0 <= offset < math.inf or not 0 <= (duration or 0) < math.inf:
        raise DataError(f"{name}: a piece of {duration} seconds from {offset} on, expected 0 or more. Mend the table.")


def too_short(name: str, seconds: float, offset: float, duration: float | None) -> DataError:
    """The error about a piece that is not in a recording of so many seconds."""
    piece = f"from {offset:g}" if duration is None else f"from {offset:g} to {offset + duration:g}"
    return DataError(
        f"{name}: the recording has {seconds:.3f} seconds, but a piece {piece} is asked for. Mend the table, or copy "
        "the file again."
    )


def _piece(frames: int, rate: int, name: str, offset: float, duration: float | None) -> tuple[int, int]:
    """The first frame of a piece, and the one behind its last."""
    check_piece(name, offset, duration)
    begin = round(offset * rate)
    end = frames if duration is None else begin + round(duration * rate)
    if begin > frames or end > frames + SLACK * rate:
        raise too_short(name, frames / rate, offset, duration)
    return begin, min(end, frames)


def check_length(frames: int, rate: int, name: str) -> None:
    """Raise `DataError` for more than is read at once."""
    if frames > MOST_SECONDS * rate:
        raise DataError(
            f"{name}: {frames / rate:,.0f} seconds, expected {MOST_SECONDS:,.0f} at most. Cut the recording into "
            "pieces, or name pieces of it in a table: offset and duration."
        )


def _check_size(frames: int, form: Form, name: str) -> None:
    check_length(frames, form.rate, name)
    if frames * form.frame > HEAVIEST:
        raise DataError(
            f"{name}: {frames * form.frame:,} bytes of samples, expected {HEAVIEST:,} at most. Mix its channels to "
            "one, or cut it into pieces."
        )


def _blocks(file: BinaryIO, length: int, frame: int, name: str) -> Iterator[bytes]:
    while length:
        raw = file.read(min(length, BLOCK * frame))
        if not raw or len(raw) % frame:
            raise DataError(f"{name}: the file ended while it was read. Does somebody write it?")
        length -= len(raw)
        yield raw


def _kept(form: Form) -> bool:
    """Whether samples stay as they are: half the memory."""
    return form.code == INTEGERS and form.bits == 16 and form.channels == 1


def decoded(raw: bytes, form: Form, name: str) -> Samples:
    """The samples of whole frames, channels mixed."""
    if _kept(form):
        return np.frombuffer(raw, "<i2").astype(np.int16)
    scaled: NDArray[np.float32]
    if form.code == FLOATS:
        found: NDArray[np.float64] | NDArray[np.float32] = np.frombuffer(raw, f"<f{form.bits // 8}")
        if not np.isfinite(found).all() or (len(found) and np.abs(found).max() > LOUDEST):
            what = "not finite" if not np.isfinite(found).all() else f"as great as {np.abs(found).max():,.4g}"
            raise DataError(f"{name}: samples that are {what}, expected −1 to 1. Scale them, or convert the file anew.")
        scaled = found.astype(np.float32)
    elif form.bits == 8:
        scaled = (np.frombuffer(raw, np.uint8).astype(np.float32) - np.float32(128)) / np.float32(128)
    elif form.bits == 24:
        padded = np.zeros((len(raw) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)  # the highest byte keeps the sign
        scaled = (padded.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    else:
        whole = np.frombuffer(raw, f"<i{form.bits // 8}").astype(np.float64)
        scaled = (whole / 2.0 ** (form.bits - 1)).astype(np.float32)
    if form.channels == 1:
        return scaled
    mixed: NDArray[np.float32] = scaled.reshape(-1, form.channels).mean(1, dtype=np.float64).astype(np.float32)
    return mixed


def _shown(kind: bytes) -> str:
    return repr(kind.decode("ascii", errors="backslashreplace"))


def written(samples: Samples, rate: int) -> bytes:
    """A WAV file of one channel of 16 bits; floats are from −1 to 1."""
    held = samples if samples.dtype == np.int16 else np.clip(np.round(samples * 32768.0), -32768, 32767)
    raw = held.astype("<i2").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, INTEGERS, 1, rate, 2 * rate, 2, 16)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(raw)) + raw
    return struct.pack("<4sI", b"RIFF", len(body)) + body
