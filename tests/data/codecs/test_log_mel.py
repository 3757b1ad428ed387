"""Frames of a recording's spectrum: beside the formulas, written once more with numpy alone."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest

from recurra import registry
from recurra.data.codecs.contract import Computes, Opens, Placed
from recurra.data.codecs.log_mel import LogMel
from recurra.data.mel import Mel, filters
from recurra.data.seen import seen
from recurra.data.silence import loud
from recurra.data.sound import Sound
from recurra.data.wav import written
from recurra.errors import CheckpointError, ConfigError, DataError

RATE = 16_000
Floats = np.ndarray[Any, Any]


def recording(seconds: float = 0.4, seed: int = 0, rate: int = RATE) -> Sound:
    random, t = np.random.default_rng(seed), np.arange(round(seconds * rate)) / rate
    tones = sum(np.sin(2 * np.pi * f * t) / k for k, f in enumerate((220, 470, 1900, 3700), 1))
    return Sound((0.2 * tones + 1e-4 * random.normal(size=len(t))).astype(np.float32), rate)


def by_hand(sound: Sound, mels: int, scale: str, cepstra: int | None) -> Floats:
    """Log-mel energies, or cepstra, frame by frame and triangle by triangle."""
    x, window, hop, size = sound.floats().astype(float), 400, 160, 512

    def mel(f: float) -> float:
        if scale == "htk":
            return float(2595 * np.log10(1 + f / 700))
        return f * 3 / 200 if f < 1000 else float(15 + 27 * np.log(f / 1000) / np.log(6.4))

    def hertz(m: float) -> float:
        if scale == "htk":
            return float(700 * (10 ** (m / 2595) - 1))
        return m * 200 / 3 if m < 15 else float(1000 * 6.4 ** ((m - 15) / 27))

    corners = [hertz(k * mel(RATE / 2) / (mels + 1)) for k in range(mels + 2)]
    under = np.array([np.sin(np.pi * n / window) ** 2 for n in range(window)])
    found = []
    for begin in range(0, len(x) - window + 1, hop):
        power = np.abs(np.fft.rfft(x[begin : begin + window] * under, size)) ** 2
        row = []
        for low, middle, high in zip(corners, corners[1:], corners[2:], strict=False):
            energy = 0.0
            for k, p in enumerate(power):
                f = k * RATE / size
                energy += p * max(0, min((f - low) / (middle - low), (high - f) / (high - middle)))
            row.append(np.log(max(1e-10, energy * (2 / (high - low) if scale == "slaney" else 1))))
        if cepstra is not None:
            row = [
                np.sqrt((1 if k == 0 else 2) / mels)
                * sum(m * np.cos(np.pi * k * (n + 0.5) / mels) for n, m in enumerate(row))
                for k in range(cepstra)
            ]
        found.append(row)
    return np.array(found)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize("give", ["log-mel", "mfcc"])
def test_by_hand(give: Literal["log-mel", "mfcc"], scale: Literal["slaney", "htk"]) -> None:
    sound = recording(0.12)
    codec = LogMel(rate=RATE, mels=24, give=give, scale=scale, cepstra=11).fit([sound])
    expected = by_hand(sound, 24, scale, 11 if give == "mfcc" else None)
    found = codec.encode(sound)
    assert found.shape == expected.shape == (10, codec.size) and found.dtype == np.float32
    assert np.abs(codec.decode(found) - expected).max() < 1e-4
    scaled = (expected - expected.mean(0)) / expected.std(0)
    assert np.abs(found - scaled).max() < 1e-4


def test_deltas() -> None:
    sound = recording(0.1)
    plain = LogMel(rate=RATE, mels=8).fit([sound])
    codec = LogMel(rate=RATE, mels=8, deltas=2).fit([sound])
    c, found = plain.decode(plain.encode(sound)), codec.decode(codec.encode(sound))
    T = len(c)
    for order in (0, 1, 2):
        assert np.abs(found[:, 8 * order : 8 * order + 8] - c).max() < 1e-4
        at = lambda t, c=c: c[min(max(t, 0), T - 1)]  # noqa: E731
        c = np.array([(at(t + 1) - at(t - 1) + 2 * (at(t + 2) - at(t - 2))) / 10 for t in range(T)])


def test_frames_are_where_time_says() -> None:
    codec = LogMel(rate=8_000, mels=8).fit([recording(0.5, rate=8_000)])
    assert codec.seconds_per_step == 0.01 and isinstance(codec, Placed) and isinstance(codec, Opens)
    silent = np.zeros(8_000, np.float32)
    silent[4_000:] = recording(0.5, rate=8_000).samples
    found = codec.decode(codec.encode(Sound(silent, 8_000)))
    quiet = (found.max(1) < np.log(1e-9)).sum()
    assert quiet == 48  # the frame that begins at 0.48 s is the first to reach 0.5 s
    assert np.allclose(codec.decode(codec.encode(Sound(silent[:0], 8_000))), np.zeros((0, 8)))
    assert codec.encode(Sound(silent[:3], 8_000)).shape == (1, 8)  # filled up


def test_a_long_recording_is_computed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = LogMel(rate=RATE, mels=8, deltas=1, alone=True).fit([recording()])
    whole = codec.encode(recording(0.6, 3))
    monkeypatch.setattr("recurra.data.codecs.log_mel.TOGETHER", 7)
    assert np.array_equal(codec.encode(recording(0.6, 3)), whole)


def test_within_its_recording() -> None:
    codec = LogMel(rate=RATE, mels=8, alone=True).fit([recording(seed=1), recording(seed=2)])
    loud = recording(seed=3)
    quiet = Sound(loud.floats() / 8, RATE)
    assert np.abs(codec.encode(loud) - codec.encode(quiet)).max() < 1e-3
    assert np.isfinite(codec.encode(Sound(np.zeros(4000, np.float32), RATE))).all()


def test_the_rate_is_that_of_the_data() -> None:
    eight, odd = recording(0.3, 1, 8_000), recording(0.3, 2, 11_025)
    codec = LogMel(mels=8).fit([eight, eight, odd])
    assert codec.rate == 8_000 and codec.notes == ["1 recording of 11,025 Hz resampled to 8,000 Hz."]
    assert LogMel(mels=8).fit([recording(0.1, 1, 44_100)]).rate == 16_000
    mixed = Sound(eight.samples, 8_000, ("mixed from 2 channels to one",))
    assert LogMel(mels=8).fit([mixed, eight]).notes == ["1 recording mixed from 2 channels to one."]
    same, other = (codec.decode(codec.encode(each)) for each in (recording(0.3, 2, 8_000), odd))
    assert len(same) == len(other) and np.median(np.abs(same - other)) < 0.02


def test_training_reads_noise_of_a_drawn_strength() -> None:
    codec = LogMel(rate=RATE, mels=24, noise=(5.0, 15.0)).fit([recording(1)])
    assert codec.notes == ["Training reads each recording once more with noise, 5 to 15 dB below it."]
    ratios = []
    for seed in range(12):
        sound = recording(0.4, seed)
        (found,), (again,) = codec.variants(sound), codec.variants(sound)
        assert found == again and found.rate == sound.rate and len(found) == len(sound)
        away = found.floats().astype(float) - sound.floats()
        ratios.append(10 * np.log10(np.square(sound.floats().astype(float)).sum() / np.square(away).sum()))
        assert abs(np.corrcoef(away[1:], away[:-1])[0, 1]) < 0.1  # white
    assert 5 <= min(ratios) < max(ratios) - 3 and max(ratios) <= 15
    silence = Sound(np.zeros(900, np.int16), RATE)
    assert not codec.variants(silence)[0].floats().any()
    both = LogMel(rate=RATE, mels=24, noise=(5.0, 15.0), speeds=(0.9,))
    assert [each.rate for each in both.variants(recording(1))] == [round(0.9 * RATE), RATE]
    again = registry.construct("codec", {"kind": "log-mel", **codec.record()["settings"]})
    assert again.noise == (5.0, 15.0)


def test_training_reads_other_speeds_too() -> None:
    codec = LogMel(rate=RATE, mels=24, speeds=(0.8, 1.25)).fit([recording(1)])
    slow, fast = (codec.encode(each) for each in codec.variants(recording(1)))
    assert [len(slow), len(codec.encode(recording(1))), len(fast)] == [123, 98, 78]
    means = [codec.decode(each).mean(0).argmax() for each in (slow, fast)]
    assert means[0] < means[1]  # the loudest band is lower where it is slow
    assert codec.notes == ["Training reads each recording at the speeds 0.8 and 1.25, too."]
    assert LogMel(mels=8).variants(recording()) == []


def test_the_bytes_of_a_file() -> None:
    codec = LogMel(rate=RATE, mels=8).fit([recording()])
    again = codec.opened(written(recording().samples, RATE))
    assert np.abs(again.floats() - recording().floats()).max() < 1 / 32768
    with pytest.raises(DataError, match="expected WAV, FLAC, OGG or MP3"):
        codec.opened(b"no sound")


def test_how_a_recording_was_cut_is_left_out() -> None:
    sound = recording(0.5)
    x = sound.floats()
    silent = Sound(np.concatenate([np.zeros(4_000), x, np.zeros(3_200)]).astype(np.float32), RATE)
    codec = LogMel(rate=RATE, mels=24, give="mfcc", deltas=1, alone=True, trim=40.0).fit([sound, silent])
    kept = loud(silent.floats(), 400, 160, 40.0)
    assert 3_600 < kept.start <= 4_000 and 4_000 + len(x) <= kept.stop < 4_400 + len(x)
    plain = LogMel(rate=RATE, mels=24, give="mfcc", deltas=1, alone=True).restore(codec.record(), codec.arrays())
    assert np.array_equal(codec.encode(silent), plain.encode(Sound(silent.samples[kept], RATE)))
    assert len(plain.encode(silent)) > len(codec.encode(silent)) + 40
    assert codec.place_of(silent, 3) == pytest.approx(kept.start / RATE + 0.03)
    assert codec.place_of(sound, 3) == pytest.approx(loud(x, 400, 160, 40.0).start / RATE + 0.03)
    assert codec.place_of(silent, 0) == codec.place_of(silent, 0) == pytest.approx(kept.start / RATE)
    picture, end = seen(codec, silent)
    assert end == pytest.approx(codec.place_of(silent, len(codec.encode(silent))))
    assert picture.shape[1] == round(end / 0.01) and not picture[:, : int(kept.start / RATE / 0.01)].any()
    short = codec.shortened(silent, 7)
    assert len(codec.encode(short)) == 7
    assert np.array_equal(short.samples, silent.samples[kept.start : kept.start + 6 * 160 + 400])
    assert codec.needs_end == {"alone": "false", "trim": "none"} and LogMel(trim=40.0).needs_end == {"trim": "none"}
    assert not LogMel().needs_end
    with pytest.raises(ConfigError, match=r"trim of sound: .* Train with trim = none"):
        LogMel(rate=RATE, mels=24, trim=40.0).fit([sound]).heard(None, sound)
    again = LogMel(**codec.record()["settings"]).restore(codec.record(), codec.arrays())
    assert np.array_equal(again.encode(silent), codec.encode(silent))


@pytest.mark.parametrize("give", ["log-mel", "mfcc"])
def test_no_energy_is_below_the_floor(give: Literal["log-mel", "mfcc"], monkeypatch: pytest.MonkeyPatch) -> None:
    x = recording(0.6).floats()
    x[4_000:6_000] *= 1e-4  # a pause
    sound = Sound(x, RATE)
    plain = LogMel(rate=RATE, mels=24).fit([sound])
    energies = plain.decode(plain.encode(sound))
    lowest = energies.max() - 3 * np.log(10)  # 30 dB
    assert (energies < lowest).any() and (energies > lowest).any()
    expected = np.maximum(energies, lowest)
    if give == "mfcc":
        k, m = np.arange(9)[None], np.arange(24)[:, None]
        expected = expected @ (np.sqrt(np.where(k == 0, 1, 2) / 24) * np.cos(np.pi * k * (m + 0.5) / 24))
    codec = LogMel(rate=RATE, mels=24, give=give, cepstra=9, floor=30.0).fit([sound])
    found = codec.encode(sound)
    assert np.abs(codec.decode(found) - expected).max() < 2e-4
    monkeypatch.setattr("recurra.data.codecs.log_mel.TOGETHER", 7)  # the loudest of all, not of some of them
    assert np.allclose(codec.encode(sound), found, atol=1e-5)
    again = LogMel(**codec.record()["settings"]).restore(codec.record(), codec.arrays())
    assert np.array_equal(again.encode(sound), codec.encode(sound)) and codec.needs_end == {"floor": "none"}


def test_restored_at_another_rate_is_refused() -> None:
    codec = LogMel(mels=8).fit([recording()])
    with pytest.raises(CheckpointError, match="says its rate"):
        LogMel(rate=8_000, mels=8).restore(codec.record(), codec.arrays())
    with pytest.raises(CheckpointError, match="the spread of frames of sound is above 0"):
        LogMel(mels=8).restore(codec.record(), {**codec.arrays(), "spread": np.zeros(8)})


def test_settings_out_of_range() -> None:
    for settings, message in (
        ({"rate": 10}, "rate = 10 of sound, expected 1,000 to 768,000 Hz"),
        ({"hop": 0.05}, "window = 0.025 and hop = 0.05"),
        ({"mels": 5, "cepstra": 6, "give": "mfcc"}, "mels = 5 and cepstra = 6"),
        ({"noise": (30.0, 10.0)}, r"noise = \[30.0, 10.0\] of sound, expected none"),
        ({"noise": (10.0,)}, r"two numbers of decibels"),
        ({"trim": 0.5}, "trim = 0.5 of sound, expected 1 to 200 decibels"),
        ({"floor": 300.0}, "floor = 300 of sound, expected 1 to 200 decibels"),
        ({"speeds": (1.1, 9.0)}, r"speeds = \[1.1, 9.0\] of sound, expected factors from 0.25 to 4"),
        ({"rate": 8_000, "mels": 256}, "triangle .* holds no frequency"),
    ):
        with pytest.raises(ConfigError, match=message):
            LogMel(**settings)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="hold no sound"):
        LogMel(mels=8).fit([Sound(np.zeros(0, np.float32), RATE)])


def test_triangles_add_up() -> None:
    found = filters(Mel(20, RATE, "htk"), 4096)
    corner = found.argmax(1)
    assert np.allclose(found.sum(0)[corner[0] : corner[-1]], 1, atol=1e-9)
    assert isinstance(LogMel(), Computes)
