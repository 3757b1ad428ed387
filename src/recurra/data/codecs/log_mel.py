"""Recordings as frames of their spectrum: log-mel energies or MFCC, with deltas."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from recurra.data.files import counted
from recurra.data.heard import Heard, hear
from recurra.data.mel import Mel, filters
from recurra.data.noise import noisy
from recurra.data.resampling import resampled
from recurra.data.silence import loud
from recurra.data.sound import FORM, Sound, opened
from recurra.data.wav import FASTEST, SLOWEST
from recurra.errors import CheckpointError, ConfigError, DataError
from recurra.registry import part

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from recurra.data.spectra import Spectra

USUAL = 16_000
"""The rate that frames are computed at, at most, where nobody says one (Hz): speech holds little above 8 kHz."""
TOGETHER = 4_000
"""Frames computed at a time."""


@part("codec", "log-mel")
class LogMel:
    """The frames of a recording, [T, D] float32, scaled by the training data: log-mel energies or MFCC (`give`).

    A frame of `window` seconds begins every `hop` seconds, as long as it fits; a recording shorter than one is filled
    up with silence. `mels` triangles on the `scale` "slaney" or "htk"; of "mfcc" the first `cepstra`. With `deltas` 1
    or 2 what each changes by stands beside it, and what that changes by. With `alone` each coefficient is scaled within
    its recording first: no voice or microphone stands out, but the end must be known. With `trim`, decibels, what is
    before the first and behind the last frame that is so much quieter than the loudest at most is left out, as
    `recurra.data.silence.loud` says: how a recording was cut does not stand out either. With `floor`, decibels, no
    energy of a triangle counts as further below the loudest one of its recording: nor does how quiet its pauses are.
    D is mels or cepstra, times 1 + deltas. What is computed is said in `recurra.data.spectra.Spectra`.

    With `speeds`, [0.9, 1.1], training reads each recording faster and slower, too: its tempo and pitch are changed, as
    those of another speaker. With `noise`, [10, 30], it reads each once more with white noise, a number of decibels
    below it that is drawn between these two, by the recording: the same in every training.

    `rate` is what recordings are brought to, in Hz; None: the training data's most frequent, 16,000 at most.

    Raises ConfigError for a setting out of range, `encode` DataError for what is no recording.
    Source of the speeds: Ko et al. 2015, Audio augmentation for speech recognition.
    """

    forms: ClassVar[tuple[str, ...]] = (FORM,)
    dtype: ClassVar[type[np.generic]] = np.float32
    padding: ClassVar[float] = 0.0
    comes_back: ClassVar[bool] = False
    """Sounds do not come back from their frames."""
    unit_of_place: ClassVar[str] = "s"

    def __init__(
        self,
        rate: int | None = None,
        window: float = 0.025,
        hop: float = 0.01,
        mels: int = 40,
        give: Literal["log-mel", "mfcc"] = "log-mel",
        cepstra: int = 13,
        scale: Literal["slaney", "htk"] = "slaney",
        deltas: Literal[0, 1, 2] = 0,
        alone: bool = False,
        trim: float | None = None,
        floor: float | None = None,
        speeds: tuple[float, ...] = (),
        noise: tuple[float, ...] = (),
    ) -> None:
        if rate is not None and not SLOWEST <= rate <= FASTEST:
            raise ConfigError(f"rate = {rate} of sound, expected {SLOWEST:,} to {FASTEST:,} Hz.")
        if not 0.001 <= hop <= window <= 1:
            raise ConfigError(f"window = {window:g} and hop = {hop:g} of sound, expected 0.001 ≤ hop ≤ window ≤ 1 s.")
        if not 1 <= mels <= 512 or (give == "mfcc" and not 1 <= cepstra <= mels):
            raise ConfigError(f"mels = {mels} and cepstra = {cepstra} of sound, expected 1 ≤ cepstra ≤ mels ≤ 512.")
        for name, decibels in (("trim", trim), ("floor", floor)):
            if decibels is not None and not 1 <= decibels <= 200:
                raise ConfigError(f'{name} = {decibels:g} of sound, expected 1 to 200 decibels, or "none".')
        if not all(0.25 <= speed <= 4 for speed in speeds):
            raise ConfigError(f"speeds = {list(speeds)} of sound, expected factors from 0.25 to 4.")
        if noise and not (len(noise) == 2 and -40 <= noise[0] <= noise[1] <= 100):
            raise ConfigError(
                f"noise = {list(noise)} of sound, expected none, [], or two numbers of decibels that a recording lies "
                "above it, [10, 30], from −40 to 100."
            )
        self.speeds, self.noise = tuple(speeds), tuple(noise)
        self.wanted, self.window, self.hop, self.mels = rate, window, hop, mels
        self.give, self.cepstra, self.scale, self.deltas = give, cepstra, scale, deltas
        self.alone, self.trim, self.floor = alone, trim, floor
        self.rate = rate or 0
        """Of the frames, in Hz; 0 before it is known."""
        self.size = (mels if give == "log-mel" else cepstra) * (1 + deltas)
        self.mean, self.spread = np.zeros(self.size), np.ones(self.size)
        self.notes: list[str] = []
        """What was made of recordings of the training data, a sentence each."""
        self._made: Spectra | None = None
        self._last: tuple[Sound, float] | None = None
        """The recording whose beginning was looked for last, and where it is."""
        if rate:
            self._check_filters()

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (None, self.size)

    @property
    def needs_end(self) -> dict[str, str]:
        """A mean over the recording wants all of it, and so does its loudest frame; deltas come some frames later
        (`heard`)."""
        return ({"alone": "false"} if self.alone else {}) | {
            name: "none" for name in ("trim", "floor") if getattr(self, name) is not None
        }

    @property
    def seconds_per_step(self) -> float:
        """From the beginning of a frame to that of the next."""
        return self._samples(self.hop) / self.rate if self.rate else self.hop

    def place_of(self, value: Sound, step: float) -> float:
        """When a frame begins, in seconds."""
        return self._begin(value) + step * self.seconds_per_step

    def opened(self, raw: bytes, name: str = "the recording") -> Sound:
        """The recording in the bytes of a file. Raises `DataError` for what is none."""
        return opened(raw, name)

    def fit(self, values: Iterable[Sound]) -> Self:
        """Take the rate, and mean and spread of all frames. Raises `DataError` where there is no frame."""
        sounds = [_checked(value) for value in values]
        if not any(map(len, sounds)):
            raise DataError("the training data hold no sound: there is no recording, or all are empty.")
        if self.wanted is None:
            rates = Counter(sound.rate for sound in sounds)
            self.rate = min(USUAL, max(rates, key=lambda rate: (rates[rate], rate)))
            self._check_filters()
        self.mean, self.spread, self._made, self._last = np.zeros(self.size), np.ones(self.size), None, None
        count, mean, squares = 0, np.zeros(self.size), np.zeros(self.size)
        for sound in sounds:
            found = self._beside(sound)
            if not len(found):
                continue
            own = found.mean(0)
            away = own - mean
            both = count + len(found)
            squares += np.square(found - own).sum(0) + np.square(away) * count * len(found) / both
            mean, count = mean + away * len(found) / both, both
        spread = np.sqrt(squares / count)
        self.mean, self.spread, self._made = mean, np.where(spread > 1e-5, spread, 1.0), None
        self.notes = _notes(sounds, self.rate)
        if self.speeds:
            named = " and ".join(f"{speed:g}" for speed in self.speeds)
            self.notes.append(f"Training reads each recording at the speeds {named}, too.")
        if self.noise:
            low, high = self.noise
            self.notes.append(f"Training reads each recording once more with noise, {low:g} to {high:g} dB below it.")
        return self

    def encode(self, value: Sound) -> NDArray[np.float32]:
        found = self._beside(_checked(value))
        scaled: NDArray[np.float32] = ((found - self.mean) / self.spread).astype(np.float32)
        return scaled

    def heard(self, held: Heard | None, value: Sound, ended: bool = False) -> tuple[NDArray[np.float32], Heard]:
        """The frames that the next samples of a recording complete, and what is held of it then.

        Raises `ConfigError` where each recording is scaled by itself (`alone`), trimmed, or has a `floor`: each wants
        its end.
        """
        if by := self.needs_end:
            raise ConfigError(
                f"{' and '.join(by)} of sound: what is read of a recording depends on all of it, so it must have "
                f"ended. Train with {' and '.join(f'{name} = {value}' for name, value in by.items())}."
            )
        made = self.computed()
        held = held or Heard.nothing(self.size // (1 + self.deltas))
        return hear(made, self.rate, held, _checked(value).floats(), value.rate, ended)

    def decode(self, array: ArrayLike) -> NDArray[np.float64]:
        """The coefficients before they were scaled by the training data, [T, D]."""
        return np.asarray(array, np.float64).reshape(-1, self.size) * self.spread + self.mean

    def record(self) -> dict[str, Any]:
        settings = {
            "rate": self.wanted,
            "window": self.window,
            "hop": self.hop,
            "mels": self.mels,
            "give": self.give,
            "cepstra": self.cepstra,
            "scale": self.scale,
            "deltas": self.deltas,
            "alone": self.alone,
            "trim": self.trim,
            "floor": self.floor,
            "speeds": list(self.speeds),
            "noise": list(self.noise),
        }
        return {"kind": "log-mel", "settings": settings, "rate": self.rate, "samples": self._samples(self.window)}

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"mean": self.mean, "spread": self.spread}

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        rate = record.get("rate")
        if not isinstance(rate, int) or not SLOWEST <= rate <= FASTEST or (self.wanted or rate) != rate:
            raise CheckpointError(f"a record of sound says its rate, a whole number of {SLOWEST:,} to {FASTEST:,} Hz.")
        self.rate = rate
        for name in ("mean", "spread"):
            found = arrays.get(name)
            if (
                found is None
                or found.shape != (self.size,)
                or found.dtype != np.float64
                or not np.isfinite(found).all()
            ):
                raise CheckpointError(f"frames of sound have a {name} of {self.size} finite numbers of 64 bits.")
        if (arrays["spread"] <= 0).any():
            raise CheckpointError("the spread of frames of sound is above 0.")
        self.mean, self.spread, self._made, self._last = arrays["mean"], arrays["spread"], None, None
        return self

    def computed(self) -> Spectra:
        """Samples [N] at the codec's rate → frames, as a module of torch; N is a window's samples or more."""
        if self._made is None:
            import torch  # which costs a second

            from recurra.data.spectra import Spectra

            mel = Mel(self.mels, self.rate, self.scale)
            window, hop = self._samples(self.window), self._samples(self.hop)
            self._made = Spectra(mel, window, hop, self.give, self.cepstra, self.deltas, self.alone, self.floor)
            self._made.eval()
            self._made.mean.copy_(torch.from_numpy(self.mean))
            self._made.spread.copy_(torch.from_numpy(self.spread))
        return self._made

    def variants(self, value: Sound) -> list[Sound]:
        """A recording at other speeds, and with noise."""
        found = [Sound(value.samples, round(value.rate * speed), value.notes) for speed in self.speeds]
        if self.noise:
            generator = np.random.default_rng(zlib.crc32(value.floats().tobytes()))
            found.append(noisy(value, generator.uniform(self.noise[0], self.noise[1]), generator))
        return found

    def shortened(self, value: Sound, steps: int) -> Sound:
        """The beginning of a recording that has so many frames at most."""
        samples = (steps - 1) * self._samples(self.hop) + self._samples(self.window) if steps > 0 else 0
        begin = round(self._begin(value) * value.rate)
        kept = -(-samples * value.rate // self.rate)
        return Sound(value.samples[begin : begin + kept], value.rate, value.notes)

    def remarks(self, value: Sound) -> list[str]:
        """What was made of a recording."""
        resampled = [f"resampled from {value.rate:,} to {self.rate:,} Hz"] if value.rate != self.rate else []
        return [f"a recording was {note}." for note in (*value.notes, *resampled)]

    def samples_of(self, sound: Sound) -> NDArray[np.float32]:
        """What `computed` is given of a recording: at the codec's rate, trimmed, a window long at least; nothing of an
        empty one."""
        found = resampled(sound.floats(), sound.rate, self.rate)
        found = found[self._kept(found)]
        least = self._samples(self.window)
        return np.pad(found, (0, max(0, least - len(found)))) if len(found) else found

    def _beside(self, sound: Sound) -> NDArray[np.float64]:
        """The coefficients with their deltas, [T, D], not yet scaled by the training data."""
        import torch

        made, samples = self.computed(), self.samples_of(sound)
        if not len(samples):
            return np.zeros((0, self.size))
        with torch.no_grad():
            parts = [made.coefficients(torch.from_numpy(some)) for some in _blocks(samples, made.window, made.hop)]
            found: NDArray[np.float64] = made.beside(torch.cat(parts)).numpy()
        return found

    def _kept(self, samples: NDArray[np.float32]) -> slice:
        """What is read of samples at the codec's rate."""
        if self.trim is None:
            return slice(0, len(samples))
        return loud(samples, self._samples(self.window), self._samples(self.hop), self.trim)

    def _begin(self, sound: Sound) -> float:
        """Seconds of a recording before what is read of it."""
        if self.trim is None:
            return 0.0
        known = self._last  # a transcript asks for each of its symbols
        if known is None or known[0] is not sound:
            kept = self._kept(resampled(sound.floats(), sound.rate, self.rate))
            self._last = known = (sound, kept.start / self.rate)
        return known[1]

    def _samples(self, seconds: float) -> int:
        return max(1, round(seconds * self.rate))

    def _check_filters(self) -> None:
        window = self._samples(self.window)
        size = 1 << max(1, (window - 1).bit_length())
        empty = np.flatnonzero(~filters(Mel(self.mels, self.rate, self.scale), size).any(1))
        if len(empty):
            raise ConfigError(
                f"mels = {self.mels} of a window of {self.window:g} s at {self.rate:,} Hz: triangle {empty[0] + 1} "
                "holds no frequency. Set fewer mels, or a longer window."
            )


def _blocks(samples: NDArray[np.float32], window: int, hop: int) -> Iterator[NDArray[np.float32]]:
    """The samples of so many frames, and of those that follow, …"""
    count = 1 + (len(samples) - window) // hop
    for first in range(0, count, TOGETHER):
        last = min(count, first + TOGETHER) - 1
        yield samples[first * hop : last * hop + window]


def _checked(value: Any) -> Sound:
    if not isinstance(value, Sound):
        what = f"an array of the shape {list(np.shape(value))}" if isinstance(value, np.ndarray) else repr(value)[:40]
        raise DataError(
            f"{what}, expected a recording. Give the bytes of a sound file, or recurra.data.sound.Sound(samples, rate)."
        )
    return value


def _notes(sounds: list[Sound], rate: int) -> list[str]:
    """What was made of the recordings, each once with how many."""
    found = Counter(note for sound in sounds for note in sound.notes)
    others = Counter(sound.rate for sound in sounds if sound.rate != rate)
    said = [f"{counted(count, 'recording')} {note}." for note, count in found.items()]
    said += [f"{counted(count, 'recording')} of {own:,} Hz resampled to {rate:,} Hz." for own, count in others.items()]
    return said
