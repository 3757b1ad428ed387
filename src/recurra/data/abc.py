"""Music in ABC notation as steps of notes, and back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from recurra.data.notes import HIGHEST, LONGEST, sounding_at
from recurra.errors import DataError

NATURAL = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
ACCIDENTALS = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}
SHARPS = "FCGDAEB"
"""The letters that a key sharpens, in their order; flats come in the opposite one."""
MODES = {"": 0, "maj": 0, "ion": 0, "mix": -1, "dor": -2, "m": -3, "min": -3, "aeo": -3, "phr": -4, "loc": -5, "lyd": 1}
"""By how many sharps each differs from the major key of its name."""
TUPLETS = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}
"""In the time of how many so many notes are played; others in the time of two, of three in a compound meter."""
BAR = 16
"""Steps of a bar that is written."""
LETTERS = ("C", "^C", "D", "^D", "E", "F", "^F", "G", "^G", "A", "^A", "B")
OTHER_KEYS = ("none", "treble", "bass", "alto", "tenor", "perc", "middle", "octave", "transpose")
"""Words of a key that change no note that is read."""
LENGTH = r"[0-9]*/*[0-9]*"
_KEY = re.compile(r"([A-G])([#b]?)\s*([A-Za-z]*)")
_ALTERED = re.compile(r"(\^\^?|__?|=)([a-gA-G])\b")
_TOKEN = re.compile(
    rf"""(?P<comment>%.*)
    |\[(?P<field>[A-Za-z]):(?P<said>[^\]\n]*)\]
    |(?P<ending>\[[1-9]|(?<=[|:])[1-9])[0-9,-]*
    |(?P<bar>:*\|+[\]:]*|\[\|\]?|::)
    |\((?P<tuplet>[2-9](?::[0-9]*){{0,2}})
    |(?P<note>(?P<accidental>\^\^?|__?|=)?[A-Ga-g][,']*)(?P<length>{LENGTH})(?P<tie>-?)
    |(?P<open>\[)
    |(?P<close>\])(?P<times>{LENGTH})(?P<tied>-?)
    |(?P<rest>[zxZX])(?P<pause>{LENGTH})
    |(?P<broken>>+|<+)
    |(?P<passed>"[^"]*"|![^!\n]*!|\+[^+\n]*\+|\{{[^}}\n]*\}}|[!~.HIJKLMNOPQRSTUVWuvy`()\s\\$*-])
    |(?P<other>.)""",
    re.VERBOSE,
)


@dataclass
class _Voice:
    """What was read of a voice, and what holds where it is read."""

    key: dict[str, int]
    notes: list[tuple[list[int], Fraction]] = field(default_factory=list)
    """Those that begin together, none of a rest, and for how many whole notes they sound."""
    changed: dict[str, int] = field(default_factory=dict)
    """Accidentals of this bar by their letter, of whatever octave."""
    tied: set[tuple[str, int]] = field(default_factory=set)
    """The notes that a tie leads on from: how they are written without an accidental, and their numbers."""
    left: int = 0
    """Notes of a tuplet that are still to come, each `ratio` of its length."""
    ratio: Fraction = Fraction(1)
    broken: Fraction = Fraction(1)
    """Of the next note, behind > or <."""
    chord: list[tuple[str, int, Fraction, bool]] | None = None
    """Of each note how it is written, its number, its length, and whether it is tied to the next."""
    begin: int = 0
    """Where what is repeated begins, and where its first ending does."""
    ending: int | None = None


def tunes_in(text: str, name: str, steps_per_quarter: int) -> Iterator[tuple[str, list[list[int]]]]:
    """The place and the notes of each step of every tune in a file; a note that is shorter than a step has one.

    Keys, meters, unit lengths, accidentals, chords, tuplets, broken rhythms, repeats with two endings and several
    voices (V:) are heeded; graces, decorations, slurs, chord names and lyrics are passed over; what a tie joins is one
    note. A tune begins with X:, its notes behind K:.

    Raises `DataError`, naming the line, for what is no ABC, and for more than `LONGEST` steps.
    Source: The abc music standard 2.1.
    """
    lines = text.splitlines()
    starts = [k for k, line in enumerate(lines) if line.startswith("X:")]
    if not starts:
        raise DataError(f"{name}: no line begins with X:, as each tune in ABC notation does. Name another file.")
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        tune = _Tune(Fraction(1, 4 * steps_per_quarter))
        for k in range(start, end):
            if tune.has_key and not lines[k].strip():
                break  # what follows is text
            tune.read(lines[k].rstrip(), f"{name}:{k + 1}")
        if not tune.has_key:
            raise DataError(f"{name}:{start + 1}: a tune without K:, behind which its notes stand. Add K:C, say.")
        yield f"{name}:{start + 1}", tune.steps(f"{name}:{start + 1}")


class _Tune:
    """One tune, read line by line; `step` is a step's part of a whole note."""

    def __init__(self, step: Fraction) -> None:
        self.step, self.has_key = step, False
        self.bar, self.compound = Fraction(1), False
        self.unit: Fraction | None = None
        self.key: dict[str, int] = {}
        self.voices: dict[str, _Voice] = {}
        self.chosen = ""

    def read(self, line: str, place: str) -> None:
        if re.match(r"[A-Za-z+]:(?!\|)", line):
            self._field(line[0], line[2:].split("%")[0].strip(), place)
        elif self.has_key and not line.startswith("%"):
            for token in _TOKEN.finditer(line):
                self._token(token, place)

    def steps(self, place: str) -> list[list[int]]:
        """The notes of each step, all voices together."""
        spans = []
        for voice in self.voices.values():
            at = Fraction(0)
            for keys, length in voice.notes:
                begin = round(at / self.step)
                at += length
                if at / self.step > LONGEST:
                    raise DataError(f"{place}: more than {LONGEST:,} steps. Cut the tune, or take longer steps.")
                spans += [(key, begin, max(begin + 1, round(at / self.step))) for key in keys]
        return sounding_at(spans, place)

    @property
    def _voice(self) -> _Voice:
        return self.voices.setdefault(self.chosen, _Voice(self.key))

    def _field(self, what: str, said: str, place: str) -> None:
        if what == "M":
            self._meter(said, place)
        elif what == "L":
            self.unit = _fraction(said, place)
        elif what == "V":
            self.chosen = said.split()[0] if said else ""
        elif what == "K":
            key = _signature(said, place)
            if self.has_key:
                self._voice.key = key
            else:
                self.key, self.has_key = key, True

    def _meter(self, said: str, place: str) -> None:
        simple = {"C": "4/4", "C|": "2/2", "none": "4/4", "": "4/4"}.get(said, said)
        found = re.fullmatch(r"\(?([0-9]{1,3}(?:\+[0-9]{1,3})*)\)?/([0-9]{1,3})", simple.replace(" ", ""))
        beats = sum(map(int, found[1].split("+"))) if found else 0
        if not found or not beats or not int(found[2]):
            raise DataError(f"{place}: M:{said[:20]} is no meter, expected M:4/4, M:6/8, M:C or M:none.")
        self.bar = Fraction(beats, int(found[2]))
        self.compound = beats % 3 == 0 and beats > 3

    def _token(self, token: re.Match[str], place: str) -> None:
        voice = self._voice if token["field"] != "V" else None
        if token["field"]:
            self._field(token["field"], token["said"].strip(), place)
        elif voice is None or token["passed"] or token["comment"]:
            return
        elif token["note"]:
            self._note(voice, token, place)
        elif token["open"]:
            voice.chord = []
        elif token["close"]:
            chord, voice.chord = voice.chord or [], None
            voice.tied = {(written, number) for written, number, _, tied in chord if tied or token["tied"]}
            if chord:
                self._add(voice, [number for _, number, *_ in chord], chord[0][2] * _times(token["times"], place))
        elif token["rest"]:
            unit = self.bar if token["rest"] in "ZX" else self._unit()
            self._add(voice, [], unit * _times(token["pause"], place))
        elif token["bar"]:
            _bar_line(voice, token["bar"])
        elif token["ending"]:
            if token["ending"].endswith("1"):
                voice.ending = len(voice.notes)
        elif token["tuplet"]:
            count, _, rest = token["tuplet"].partition(":")
            among, _, over = rest.partition(":")
            p = int(count)
            q = int(among or 0) or TUPLETS.get(p, 3 if self.compound else 2)
            voice.left, voice.ratio = int(over or 0) or p, Fraction(q, p)
        elif token["broken"]:
            part = Fraction(1, 2 ** min(8, len(token["broken"])))
            first, second = (2 - part, part) if token["broken"][0] == ">" else (part, 2 - part)
            if voice.notes:
                keys, length = voice.notes[-1]
                voice.notes[-1] = (keys, length * first)
            voice.broken = second
        else:
            raise DataError(f"{place}: {token[0]!r} is nothing of ABC notation that is read. Leave it out.")

    def _note(self, voice: _Voice, token: re.Match[str], place: str) -> None:
        written = token["note"][len(token["accidental"] or "") :]
        letter = written[0]
        octave = 5 * 12 + (12 if letter.islower() else 0) + 12 * (written.count("'") - written.count(","))
        if token["accidental"]:
            voice.changed[letter.upper()] = ACCIDENTALS[token["accidental"]]
        number = octave + NATURAL[letter.upper()] + voice.changed.get(letter.upper(), voice.key[letter.upper()])
        if not token["accidental"] and (written, number) not in voice.tied:
            # An accidental goes on over the bar with its tie.
            number = next((tied for name, tied in voice.tied if name == written), number)
        if not 0 <= number <= HIGHEST:
            raise DataError(f"{place}: the note {token['note']}, expected C,,,,, to g'''', which MIDI has.")
        length = self._unit() * _times(token["length"], place)
        if voice.chord is None:
            voice.tied = {(written, number)} if token["tie"] else set()
            self._add(voice, [number], length)
        else:
            voice.chord.append((written, number, length, bool(token["tie"])))

    def _unit(self) -> Fraction:
        """A note's length where it says none."""
        return self.unit or (Fraction(1, 8) if self.bar >= Fraction(3, 4) else Fraction(1, 16))

    def _add(self, voice: _Voice, keys: list[int], length: Fraction) -> None:
        length, voice.broken = length * voice.broken, Fraction(1)
        if voice.left:
            voice.left -= 1
            length *= voice.ratio
        voice.notes.append((keys, length))


def _bar_line(voice: _Voice, bar: str) -> None:
    """What ends with a bar, and what is played again behind one with a colon: up to the first ending, if any."""
    voice.changed.clear()
    if bar.startswith(":"):
        voice.notes += voice.notes[voice.begin : voice.ending]
    if ":" in bar or "||" in bar or "]" in bar or "[" in bar:
        voice.begin, voice.ending = len(voice.notes), None


def _signature(said: str, place: str) -> dict[str, int]:
    """By how many semitones a key changes each letter."""
    found = dict.fromkeys(NATURAL, 0)
    words = said.split("clef=")[0].strip()
    if named := _KEY.match(words):
        mode = named[3].lower()
        count = SHARPS.index(named[1]) - 1 + {"#": 7, "b": -7}.get(named[2], 0)
        count += MODES.get(mode if mode == "m" else mode[:3], 0)
        for k in range(abs(count)):
            found[SHARPS[k % 7] if count > 0 else SHARPS[6 - k % 7]] += 1 if count > 0 else -1
    elif words.startswith(("HP", "Hp")):
        found |= {"F": 1, "C": 1}
    elif words and not words.lower().startswith(OTHER_KEYS) and not _ALTERED.match(words):
        raise DataError(f"{place}: K:{said[:20]} is no key, expected K:G, K:Am, K:Bb, K:D dorian or K:none.")
    for sign, letter in _ALTERED.findall(words):
        found[letter.upper()] = ACCIDENTALS[sign]
    return found


def _fraction(said: str, place: str) -> Fraction:
    found = re.fullmatch(r"([0-9]{1,3})(?:/([0-9]{1,4}))?", said.replace(" ", ""))
    if not found or not int(found[1]) or not int(found[2] or 1):
        raise DataError(f"{place}: L:{said[:20]} is no length, expected L:1/8.")
    return Fraction(int(found[1]), int(found[2] or 1))


def _times(written: str, place: str) -> Fraction:
    """What is written behind a note: "" is 1, "3" 3, "/" a half, "//" a quarter, "3/2" one and a half."""
    over, slashes, under = re.fullmatch(r"([0-9]*)(/*)([0-9]*)", written).groups()  # type: ignore[union-attr]
    halves = int(under) if under else 2 ** min(len(slashes), 12)
    if len(over) > 4 or len(under) > 4 or not halves:
        raise DataError(f"{place}: a note {written[:12]} times as long, expected a number or a fraction up to 9999.")
    return Fraction(int(over or 1), halves if slashes else 1)


def abc_of(steps: Sequence[Sequence[int]], seconds: float) -> str:
    """A tune of steps of so many seconds, a sixteenth each, in bars of four quarters; what goes on is tied."""
    lines = ["X:1", "T:recurra", "M:4/4", "L:1/16", f"Q:1/4={max(1, round(15 / seconds))}", "K:C"]
    bars = [steps[k : k + BAR] for k in range(0, len(steps), BAR)]
    written = [_bar(bar, set(bars[k + 1][0]) if k + 1 < len(bars) else set()) for k, bar in enumerate(bars)]
    lines += [" | ".join(written[k : k + 2]) + " |" for k in range(0, len(written), 2)]
    return "\n".join(lines) + "\n"


def _bar(steps: Sequence[Sequence[int]], behind: set[int]) -> str:
    """One bar, its notes tied to those that go on `behind` it."""
    words, at = [], 0
    altered: set[str] = set()
    """Letters that were sharp in this bar: readers differ on the octaves that this holds in."""
    while at < len(steps):
        now, end = set(steps[at]), at + 1
        while end < len(steps) and set(steps[end]) == now:
            end += 1
        following = set(steps[end]) if end < len(steps) else behind
        names = [_written(note, altered) + ("-" if note in following else "") for note in sorted(now)]
        words.append((f"[{''.join(names)}]" if names else "z") + (str(end - at) if end - at > 1 else ""))
        at = end
    return " ".join(words)


def _written(number: int, altered: set[str]) -> str:
    """60 → "C", 61 → "^C", 72 → "c", 48 → "C,"; "=C" for 60 where a C was sharp before it in the bar."""
    octave, letter = number // 12 - 5, LETTERS[number % 12]
    plain = letter[-1].lower() + "'" * (octave - 1) if octave > 0 else letter[-1] + "," * -octave
    if letter[0] == "^":
        altered.add(letter[-1])
        return "^" + plain
    return "=" + plain if letter in altered else plain
