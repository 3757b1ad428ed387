"""A recording with noise, as of another place: for training."""

from __future__ import annotations

import numpy as np

from recurra.data.sound import Sound


def noisy(sound: Sound, decibels: float, generator: np.random.Generator) -> Sound:
    """A recording x with white noise n, 10 log₁₀(Σ x² / Σ n²) being `decibels`; silence stays as it is."""
    samples = sound.floats().astype(np.float64)
    noise = generator.normal(size=len(samples))
    power, own = float(np.square(samples).sum()), float(np.square(noise).sum())
    if power and own:
        samples = samples + noise * np.sqrt(power / own / 10 ** (decibels / 10))
    return Sound(samples.astype(np.float32), sound.rate, sound.notes)
