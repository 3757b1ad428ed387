"""A recording as numbers, and the files that hold one."""

from __future__ import annotations

import importlib.util
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.data.files import check_file
from recurra.data.wav import SLACK, check_length, check_piece, check_rate, is_wav, read_wav, too_short
from recurra.errors import DataError

if TYPE_CHECKING:
    from typing import BinaryIO

    from numpy.typing import NDArray

FORM = "sound"
"""What readers and codecs call the form of a field that holds recordings."""
PACKED = {b"fLaC": "FLAC", b"OggS": "OGG", b"ID3": "MP3", b"\xff\xfb": "MP3", b"\xff\xf3": "MP3", b"\xff\xf2": "MP3"}
"""How files begin that the package soundfile reads, and what they are."""
ENDINGS = (".wav", ".flac", ".ogg", ".mp3")
"""How names of recordings end."""
FRAMES = 1 << 20
"""Of a packed file so many are unpacked at a time, those of all its channels together."""


@dataclass(frozen=True, eq=False)
class Sound:
    """A recording of one channel: its samples [N], float32 from −1 to 1, or int16 as most files have them.

    `rate`: samples a second (Hz). `notes`: what was made of its file, in words, such as "mixed from 2 channels to one".
    """

    samples: NDArray[np.float32] | NDArray[np.int16]
    rate: int
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """How many samples."""
        return len(self.samples)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sound) and self.rate == other.rate and np.array_equal(self.floats(), other.floats())

    __hash__ = None  # type: ignore[assignment]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate

    def floats(self) -> NDArray[np.float32]:
        """The samples from −1 to 1."""
        if self.samples.dtype == np.int16:
            return self.samples.astype(np.float32) / np.float32(32768)
        return self.samples.astype(np.float32, copy=False)


def opened(raw: bytes, name: str = "the recording") -> Sound:
    """The recording that the bytes of a file hold, called `name` in messages.

    WAV is read by ourselves, FLAC, OGG and MP3 by soundfile (extra `sound`). Raises `DataError` for anything else, for
    a file that is cut off or damaged, and for more than an hour.
    """
    return _read(io.BytesIO(raw), len(raw), name, 0.0, None)


def read_sound(path: str | Path, offset: float = 0.0, duration: float | None = None) -> Sound:
    """The recording in a file, or a piece of it, in seconds; nothing else of it is read. Raises as `opened`."""
    path = Path(path)
    check_file(path)
    try:
        with path.open("rb") as file:
            return _read(file, os.fstat(file.fileno()).st_size, str(path), offset, duration)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}). Check who may read it.") from error


def _read(file: BinaryIO, size: int, name: str, offset: float, duration: float | None) -> Sound:
    head = file.read(12)
    file.seek(0)
    if is_wav(head):
        found = read_wav(file, size, name, offset, duration)
        return Sound(found.samples, found.rate, found.notes)
    packed = next((what for begin, what in PACKED.items() if head.startswith(begin)), None)
    if packed is None:
        what = "the file is empty" if not head else "no recording that is read here"
        raise DataError(f"{name}: {what}, expected WAV, FLAC, OGG or MP3. Convert it (ffmpeg -i IN OUT.wav).")
    if importlib.util.find_spec("soundfile") is None:
        raise DataError(
            f"{name}: {packed}, which the package soundfile reads: pip install 'recurra[sound]'. Or convert it "
            "(ffmpeg -i IN OUT.wav)."
        )
    return _unpacked(file, name, packed, offset, duration)


def _unpacked(file: BinaryIO, name: str, packed: str, offset: float, duration: float | None) -> Sound:
    """What soundfile makes of a file, block by block: no size that the file says is believed."""
    import soundfile

    try:
        with soundfile.SoundFile(file) as held:
            rate = held.samplerate
            check_rate(rate, name)
            check_piece(name, offset, duration)
            begin = round(offset * rate)
            wanted = None if duration is None else round(duration * rate)
            if begin and (begin > held.frames or held.seek(begin) != begin):
                raise too_short(name, held.frames / rate, offset, duration)
            notes = (f"mixed from {held.channels} channels to one",) if held.channels > 1 else ()
            blocks: list[NDArray[Any]] = []
            count = 0
            while wanted is None or count < wanted:
                most = FRAMES // held.channels if wanted is None else min(FRAMES // held.channels, wanted - count)
                block = held.read(most, dtype="float32", always_2d=True)
                if not len(block):
                    break
                blocks.append(block.mean(1, dtype=np.float32) if block.shape[1] > 1 else block[:, 0])
                count += len(block)
                check_length(count, rate, name)
            if not count and wanted is None and held.frames:
                raise DataError(f"{name}: no sample in it could be read. Copy it again.")
            if wanted is not None and count < wanted - SLACK * rate:
                raise too_short(name, (begin + count) / rate, offset, duration)
            return Sound(np.concatenate(blocks) if blocks else np.zeros(0, np.float32), rate, notes)
    except soundfile.SoundFileError as error:
        said = " ".join(str(error).split())
        raise DataError(f"{name}: no readable {packed} file ({said}). Copy it again.") from error
