"""WAV files through a pipe against the files themselves."""

import io
import struct
from collections.abc import Callable

import numpy as np
import pytest

from recurra.data.sound import opened
from recurra.data.wav import written
from recurra.data.wav_arriving import arriving_wav
from recurra.errors import DataError


def slowly(raw: bytes, most: int) -> Callable[[int], bytes]:
    """A pipe that has so many bytes at once at most."""
    file = io.BytesIO(raw)
    return lambda count: file.read(min(count, most))


def wave(seed: int = 0, count: int = 5_000) -> bytes:
    random = np.random.default_rng(seed)
    return written((random.normal(size=count) * 3000).astype(np.int16), 8_000)


def stereo() -> bytes:
    raw = np.random.default_rng(1).integers(-(2**23), 2**23, (400, 2)).astype("<i4")
    data = b"".join(int(v).to_bytes(3, "little", signed=True) for v in raw.reshape(-1))
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, 44_100, 44_100 * 6, 6, 24)
    body = (
        b"WAVE" + struct.pack("<4sI", b"LIST", 5) + b"about\0" + form + struct.pack("<4sI", b"data", len(data)) + data
    )
    return struct.pack("<4sI", b"RIFF", len(body)) + body


@pytest.mark.parametrize("most", [1, 5, 1000, 1 << 20])
@pytest.mark.parametrize("raw", [wave(), stereo()])
def test_pieces_are_the_file(raw: bytes, most: int) -> None:
    pieces = list(arriving_wav(slowly(raw, most), "pipe"))
    whole = opened(raw)
    assert {piece.rate for piece in pieces} == {whole.rate}
    np.testing.assert_allclose(np.concatenate([p.floats() for p in pieces]), whole.floats(), atol=1e-7)
    assert max(map(len, pieces)) * 2 <= 1 << 12


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_file_that_is_being_written_is_read_to_its_end(size: int) -> None:
    raw = wave()
    place = raw.index(b"data") + 4
    pieces = arriving_wav(slowly(raw[:place] + struct.pack("<I", size) + raw[place + 4 :], 999), "pipe")
    assert np.array_equal(np.concatenate([p.samples for p in pieces]), opened(raw).samples)


def test_what_is_refused() -> None:
    for raw, message in [
        (b"text, no sound", "pipe: no WAV file"),
        (b"RIFF", "pipe: 4 bytes of 12"),
        (wave()[:30], "pipe: 10 bytes of 16"),
        (wave()[:12] + wave()[36:], r"pipe: samples before their format \(fmt\)"),
        (wave().replace(b"\x01\x00\x01\x00", b"\x55\x00\x01\x00", 1), "pipe: samples in 16 bits of MP3"),
    ]:
        with pytest.raises(DataError, match=message):
            list(arriving_wav(slowly(raw, 7), "pipe"))
    came = []
    with pytest.raises(DataError, match="10,000 bytes of samples, 4,956 came: it is cut off"):
        for piece in arriving_wav(slowly(wave()[:5000], 512), "pipe"):
            came.append(piece)
    assert sum(map(len, came)) == 2478
