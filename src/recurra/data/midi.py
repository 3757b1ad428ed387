"""MIDI files as steps of notes, and back; the package mido reads and writes them."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from typing import Any

from recurra.data.files import LARGEST
from recurra.data.notes import sounding_at
from recurra.errors import ConfigError, DataError

HEAD = b"MThd"
DRUMS = 9
"""The channel whose notes are drums, from 0."""
TICKS = 480
"""Of a quarter, in files that are written."""
LOUD = 80


def steps_in(raw: bytes, name: str, steps_per_quarter: int) -> list[list[int]]:
    """The notes that sound at each step of a MIDI file, all tracks and channels together but drums; a note that is
    shorter than a step has one.

    Raises `DataError` for what is no MIDI file, and for more than `recurra.data.notes.LONGEST` steps.
    """
    _check()
    if not raw.startswith(HEAD):
        raise DataError(f"{name}: no MIDI file, which begins with MThd. Name another file.")
    if len(raw) > LARGEST:
        raise DataError(f"{name}: {len(raw):,} bytes, expected {LARGEST:,} at most.")
    import mido

    try:
        file = mido.MidiFile(file=io.BytesIO(raw))
        quarter = file.ticks_per_beat
        messages = [each for track in file.tracks for each in _timed(track)]
    except Exception as error:  # mido has many
        said = " ".join(str(error).split())[:80] or type(error).__name__
        raise DataError(f"{name}: no readable MIDI file ({said}). Export it anew.") from error
    if quarter <= 0 or file.type == 2:
        raise DataError(
            f"{name}: a MIDI file whose time is not told in quarters. Export it with a tempo, as type 0 or 1."
        )
    step = quarter / steps_per_quarter
    sounding: dict[tuple[int, int], int] = {}
    spans: list[tuple[int, int, int]] = []
    for tick, message in sorted(messages, key=lambda each: each[0]):
        if message.type not in ("note_on", "note_off") or message.channel == DRUMS:
            continue
        key, now = (message.channel, message.note), round(tick / step)
        if key in sounding:
            begin = sounding.pop(key)
            spans.append((message.note, begin, max(now, begin + 1)))
        if message.type == "note_on" and message.velocity:
            sounding[key] = now
    spans += [(note, begin, begin + 1) for (_, note), begin in sounding.items()]
    return sounding_at(spans, name)


def midi_of(steps: Sequence[Sequence[int]], seconds: float) -> bytes:
    """A MIDI file of steps of so many seconds, a sixteenth each; a note that goes on is held."""
    _check()
    import mido

    file = mido.MidiFile(type=0, ticks_per_beat=TICKS)
    track = mido.MidiTrack()
    file.tracks.append(track)
    track.append(mido.MetaMessage("set_tempo", tempo=min(0xFFFFFF, round(4 * seconds * 1e6))))
    before: set[int] = set()
    waited = 0
    for step in (*steps, []):
        now = set(step)
        for kind, notes in (("note_off", before - now), ("note_on", now - before)):
            for note in sorted(notes):
                track.append(mido.Message(kind, note=note, velocity=LOUD if kind == "note_on" else 0, time=waited))
                waited = 0
        before = now
        waited += TICKS // 4
    track.append(mido.MetaMessage("end_of_track", time=0))
    held = io.BytesIO()
    file.save(file=held)
    return held.getvalue()


def _timed(track: Any) -> list[tuple[int, Any]]:
    """The messages of a track, each with its tick from the begin."""
    tick, found = 0, []
    for message in track:
        tick += message.time
        found.append((tick, message))
    return found


def _check() -> None:
    if importlib.util.find_spec("mido") is None:
        raise ConfigError("MIDI files need the package mido: pip install 'recurra[music]'.")
