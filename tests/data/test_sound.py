"""WAV files of every kind, and those that say what is not so."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra.data import fingerprint, wav
from recurra.data.resampling import resampled
from recurra.data.sound import Sound, opened, read_sound
from recurra.data.wav import EXTENSIBLE, FLOATS, INTEGERS, read_wav, written
from recurra.errors import DataError

RATE = 8_000


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) % 2)


def form(code: int, channels: int, rate: int, bits: int, extensible: bool = False) -> bytes:
    frame = channels * bits // 8
    said = struct.pack("<HHIIHH", EXTENSIBLE if extensible else code, channels, rate, rate * frame, frame, bits)
    more = struct.pack("<HHIH", 22, bits, 0, code) + b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
    return said + more if extensible else said


def riff(*chunks: bytes, size: int | None = None, begin: bytes = b"RIFF") -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return begin + struct.pack("<I", len(body) if size is None else size) + body


def coded(values: np.ndarray[Any, Any], code: int, bits: int) -> bytes:
    if code == FLOATS:
        return values.astype(f"<f{bits // 8}").tobytes()
    whole = np.round(values * 2 ** (bits - 1)).clip(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1).astype(np.int64)
    if bits == 8:
        return (whole + 128).astype(np.uint8).tobytes()
    return b"".join(int(value).to_bytes(bits // 8, "little", signed=True) for value in whole.reshape(-1))


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("code", "bits"), [(INTEGERS, b) for b in (8, 16, 24, 32)] + [(FLOATS, 32), (FLOATS, 64)])
def test_every_coding(code: int, bits: int, channels: int, extensible: bool) -> None:
    values = np.random.default_rng(bits + channels).uniform(-1, 1, (57, channels))
    raw = riff(
        chunk(b"LIST", b"odd"),
        chunk(b"fmt ", form(code, channels, RATE, bits, extensible)),
        chunk(b"data", coded(values, code, bits)),
        chunk(b"LIST", b"behind"),
    )
    found = opened(raw)
    assert found.rate == RATE and found.floats().dtype == np.float32
    assert found.samples.dtype == (np.int16 if (bits, channels) == (16, 1) else np.float32)
    assert np.abs(found.floats() - values.mean(1)).max() < 1.01 / 2 ** (min(bits, 24) - 1)
    assert found.notes == (() if channels == 1 else ("mixed from 3 channels to one",))


def test_a_piece_is_read_alone(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-999, 999, 4000).astype(np.int16)
    (tmp_path / "a.wav").write_bytes(written(values, RATE))
    found = read_sound(tmp_path / "a.wav", 0.125, 0.25)
    assert np.array_equal(found.samples, values[1000:3000]) and found.seconds == 0.25
    assert np.array_equal(read_sound(tmp_path / "a.wav", 0.25, 0.3).samples, values[2000:])  # tables round
    for offset, duration in ((0.6, None), (0.25, 0.4), (-1.0, None), (float("nan"), 1.0)):
        with pytest.raises(DataError, match=r"a\.wav: .*piece.*Mend the table"):
            read_sound(tmp_path / "a.wav", offset, duration)


PLAIN = chunk(b"fmt ", form(INTEGERS, 1, RATE, 16))
SAMPLES = np.arange(-50, 50).astype("<i2").tobytes()
BROKEN = {
    "no samples": (riff(PLAIN), "no samples in it"),
    "no format": (riff(chunk(b"data", SAMPLES)), "samples before their format"),
    "cut off": (riff(PLAIN, chunk(b"data", SAMPLES, 400)), "says 400 bytes of samples, the file holds 200"),
    "a part of 4 GiB": (riff(chunk(b"LIST", b"", 0xFFFFFFFF), PLAIN), "'LIST' of 4,294,967,295 bytes, but"),
    "a short format": (riff(chunk(b"fmt ", b"\1\0"), chunk(b"data", SAMPLES)), "a format .fmt. of 2 bytes"),
    "mu-law": (riff(chunk(b"fmt ", form(7, 1, RATE, 8)), chunk(b"data", SAMPLES)), "8 bits of µ-law, expected"),
    "12 bits": (riff(chunk(b"fmt ", form(1, 1, RATE, 12)), chunk(b"data", SAMPLES)), "12 bits of whole numbers"),
    "no channel": (riff(chunk(b"fmt ", form(1, 0, RATE, 16)), chunk(b"data", SAMPLES)), "0 channels of 16 bits"),
    "no rate": (riff(chunk(b"fmt ", form(1, 1, 0, 16)), chunk(b"data", SAMPLES)), "0 samples a second, expected"),
    "no numbers": (
        riff(chunk(b"fmt ", form(FLOATS, 1, RATE, 32)), chunk(b"data", np.array([0, np.nan], "<f4").tobytes())),
        "samples that are not finite",
    ),
    "loud": (
        riff(chunk(b"fmt ", form(FLOATS, 1, RATE, 64)), chunk(b"data", np.array([0, 3e4], "<f8").tobytes())),
        r"samples that are as great as 3e\+04, expected",
    ),
    "a text": (b"what is this?", "no recording that is read here, expected WAV, FLAC"),
    "nothing": (b"", "the file is empty, expected WAV"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken(name: str, tmp_path: Path) -> None:
    raw, message = BROKEN[name]
    (tmp_path / "a.wav").write_bytes(raw)
    with pytest.raises(DataError, match=message) as refused:
        read_sound(tmp_path / "a.wav")
    assert str(refused.value).startswith(str(tmp_path / "a.wav")) and str(refused.value).endswith((".", "?"))


@pytest.mark.parametrize("said", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_a_header_written_before_the_end_was_known(said: int) -> None:
    found = opened(riff(PLAIN, chunk(b"data", SAMPLES, said), size=0xFFFFFFFF) + b"\1")
    assert np.array_equal(found.samples, np.arange(-50, 50))
    assert found.notes[0] == "read to its end, whatever its header says of its length"
    killed = opened(riff(PLAIN, chunk(b"data", SAMPLES, 0), size=36))
    assert np.array_equal(killed.samples, np.arange(-50, 50)) and killed.notes == found.notes[:1]


def test_an_empty_recording() -> None:
    found = opened(riff(PLAIN, chunk(b"data", b"")))
    assert len(found) == 0 and found.rate == RATE and found.notes == ()


def test_sizes_of_64_bits() -> None:
    wide = chunk(b"ds64", struct.pack("<QQQ", 300, len(SAMPLES), 100))
    raw = riff(wide, PLAIN, chunk(b"data", SAMPLES, 0xFFFFFFFF), chunk(b"LIST", b"behind"), begin=b"RF64")
    assert np.array_equal(opened(raw).samples, np.arange(-50, 50))
    with pytest.raises(DataError, match="says 999 bytes of samples"):
        opened(raw.replace(struct.pack("<Q", len(SAMPLES)), struct.pack("<Q", 999)))


def test_more_than_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wav, "MOST_SECONDS", 0.01)
    with pytest.raises(DataError, match=r"0 seconds, expected 0 at most\. Cut the recording into pieces"):
        opened(riff(PLAIN, chunk(b"data", SAMPLES)))
    monkeypatch.setattr(wav, "MOST_SECONDS", 3600.0)
    monkeypatch.setattr(wav, "HEAVIEST", 100)
    with pytest.raises(DataError, match="200 bytes of samples, expected 100 at most"):
        opened(riff(PLAIN, chunk(b"data", SAMPLES)))


def test_blocks_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).uniform(-1, 1, (90, 2))
    raw = riff(chunk(b"fmt ", form(INTEGERS, 2, RATE, 24)), chunk(b"data", coded(values, INTEGERS, 24)))
    whole = opened(raw)
    monkeypatch.setattr(wav, "BLOCK", 7)
    assert opened(raw) == whole


def test_noise_is_refused_or_read() -> None:
    """Whatever becomes of a file's bytes, it is read or refused in a sentence; no memory is taken for its claims."""
    random = np.random.default_rng(2)
    sound = riff(chunk(b"fmt ", form(INTEGERS, 2, RATE, 24, True)), chunk(b"data", SAMPLES[:198]))
    read = 0
    for _ in range(300):
        raw = bytearray(sound)
        for place in random.integers(0, 70, random.integers(1, 4)):
            raw[place] = random.choice([0, 1, 0x7F, 0xFF, random.integers(256)])
        try:
            found = read_wav(io.BytesIO(bytes(raw[: random.integers(20, len(raw) + 1)])), len(raw), "a.wav")
        except DataError as refused:
            assert str(refused).startswith("a.wav: ") and len(str(refused)) < 400
        else:
            read += 1
            assert len(found.samples) <= 300 and np.isfinite(found.samples).all()
    assert read


def test_what_soundfile_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile = pytest.importorskip("soundfile")
    values = np.sin(np.arange(4000) / 5)[:, None] * [0.4, 0.2]
    soundfile.write(tmp_path / "a.flac", values, RATE)
    found = read_sound(tmp_path / "a.flac")
    assert np.abs(found.floats() - values.mean(1)).max() < 1e-4 and found.notes == ("mixed from 2 channels to one",)
    piece = read_sound(tmp_path / "a.flac", 0.25, 0.125)
    assert np.array_equal(piece.samples, found.samples[2000:3000])
    for offset, duration in ((0.6, None), (0.25, 0.4), (-1.0, None), (float("nan"), 1.0)):
        with pytest.raises(DataError, match=r"a\.flac: .*piece.*Mend the table"):
            read_sound(tmp_path / "a.flac", offset, duration)
    raw = (tmp_path / "a.flac").read_bytes()
    with pytest.raises(DataError, match="no readable FLAC file"):
        opened(raw[:40])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"FLAC, which the package soundfile reads: pip install 'recurra\[sound\]'"):
        opened(raw)


@pytest.mark.parametrize(("rate", "wanted"), [(8_000, 16_000), (44_100, 16_000), (16_000, 8_000), (11_025, 16_000)])
def test_resampling_keeps_what_both_rates_hold(rate: int, wanted: int) -> None:
    def tones(rate: int, count: int) -> Any:
        t = np.arange(count) / rate
        return (np.sin(2 * np.pi * 440 * t) + 0.5 * np.cos(2 * np.pi * 2_900 * t)).astype(np.float32)

    found = resampled(tones(rate, rate // 2), rate, wanted)
    assert len(found) == -(-(rate // 2) * wanted // rate) and found.dtype == np.float32
    inside = slice(400, -400)
    assert np.abs(found - tones(wanted, len(found)))[inside].max() < 1e-4
    if wanted < rate:
        t = np.arange(rate // 2) / rate
        above = np.sin(2 * np.pi * 0.56 * wanted * t).astype(np.float32)
        assert np.abs(resampled(above, rate, wanted)[inside]).max() < 1e-4


def test_the_fingerprint_is_of_every_sample() -> None:
    one, other = np.zeros(5000, np.int16), np.zeros(5000, np.int16)
    other[2500] = 1
    same = [fingerprint.of_examples([{"sound": Sound(each, RATE)}]) for each in (one, one.copy(), other)]
    assert same[0] == same[1] != same[2] != fingerprint.of_examples([{"sound": Sound(other, RATE + 1)}])
