"""Frames of a recording as it comes against those of the whole."""

from typing import Any

import numpy as np
import pytest

from recurra.data.codecs.log_mel import LogMel
from recurra.data.heard import Heard
from recurra.data.resampling import count_of, known_of, resampled, resampled_piece
from recurra.data.sound import Sound
from recurra.errors import ConfigError, DataError

RATE = 8_000


def noise(count: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=count) * 0.1).astype(np.float32)


def in_pieces(codec: LogMel, sound: Sound, sizes: list[int]) -> np.ndarray:
    held, found, k = None, [], 0
    while k < len(sound):
        size = sizes[len(found) % len(sizes)]
        frames, held = codec.heard(held, Sound(sound.samples[k : k + size], sound.rate))
        found.append(frames)
        k += size
    found.append(codec.heard(held, Sound(sound.samples[:0], sound.rate), ended=True)[0])
    return np.concatenate(found)


@pytest.mark.parametrize("settings", [{}, {"deltas": 1, "give": "mfcc"}, {"deltas": 2}, {"hop": 0.025}])
@pytest.mark.parametrize("sizes", [[1], [7, 0, 300, 81], [80], [10_000]])
def test_pieces_are_the_whole(settings: dict[str, Any], sizes: list[int]) -> None:
    codec = LogMel(rate=RATE, mels=12, cepstra=6, **settings)
    codec.fit([Sound(noise(4_000), RATE)])
    for count in (1_700, 1_001, 200, 90, 0):
        sound = Sound(noise(count, 1), RATE)
        whole = codec.encode(sound)
        found = in_pieces(codec, sound, sizes)
        assert found.shape == whole.shape
        np.testing.assert_allclose(found, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rate", [11_025, 16_000, 44_100, 4_000])
@pytest.mark.parametrize("sizes", [[13], [900, 1, 250]])
def test_pieces_at_another_rate_are_the_whole(rate: int, sizes: list[int]) -> None:
    codec = LogMel(rate=RATE, mels=12, deltas=1)
    codec.fit([Sound(noise(4_000), RATE)])
    sound = Sound(noise(3_000, 2), rate)
    whole = codec.encode(sound)
    found = in_pieces(codec, sound, sizes)
    assert found.shape == whole.shape
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("rate", "wanted"), [(44_100, 16_000), (8_000, 22_050)])
def test_what_is_known_does_not_change(rate: int, wanted: int) -> None:
    x = noise(500)
    whole = resampled(x, rate, wanted)
    assert len(whole) == count_of(500, rate, wanted)
    known = known_of(300, rate, wanted)
    assert 0 < known < count_of(300, rate, wanted)
    found = resampled_piece(x[:300], 0, rate, wanted, 0, known)
    np.testing.assert_allclose(found, whole[:known], atol=1e-6)
    one_more = resampled_piece(x[:300], 0, rate, wanted, known, known + 1)
    assert abs(one_more[0] - whole[known]) > 1e-7  # it is made of a sample that is not there


def test_frames_come_as_soon_as_they_can_and_what_is_held_does_not_grow() -> None:
    plain, deltas = LogMel(rate=RATE, mels=12), LogMel(rate=RATE, mels=12, deltas=2)
    for codec, late in ((plain, 0), (deltas, 4)):
        codec.fit([Sound(noise(4_000), RATE)])
        held, sizes = None, []
        for k in range(40):
            frames, held = codec.heard(held, Sound(noise(80, k), RATE))
            assert held.frames == max(0, codec.computed().frames(80 * (k + 1)) - late)
            sizes.append(sum(each.nbytes for each in held.arrays().values()))
        assert len(frames) == 1 and sizes[-1] == sizes[15]
        again = Heard.of(held.arrays(), held.found.shape[1])
        ours, theirs = (codec.heard(each, Sound(noise(400, 99), RATE))[0] for each in (held, again))
        assert np.array_equal(ours, theirs)


def test_what_cannot_be_heard() -> None:
    codec = LogMel(rate=RATE, mels=12)
    codec.fit([Sound(noise(4_000), RATE)])
    _, held = codec.heard(None, Sound(noise(100), RATE))
    with pytest.raises(DataError, match="11,025 Hz behind some of 8,000 Hz"):
        codec.heard(held, Sound(noise(100), 11_025))
    _, ended = codec.heard(held, Sound(noise(0), RATE), ended=True)
    with pytest.raises(ConfigError, match="the recording has ended"):
        codec.heard(ended, Sound(noise(100), RATE))
    with pytest.raises(ConfigError, match=r"alone of sound: .* Train with alone = false"):
        LogMel(rate=RATE, mels=12, alone=True).heard(None, Sound(noise(100), RATE))
    with pytest.raises(DataError, match="no samples of what was heard"):
        Heard.of({**held.arrays(), "samples": np.array([np.nan], np.float32)}, 12)
    with pytest.raises(DataError, match="does not fit"):
        Heard.of(held.arrays(), 13)
