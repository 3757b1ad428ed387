"""An answer: a list of parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from recurra.answers.letters import visible
from recurra.answers.notes import NOTHING, empty_note, unknown_note
from recurra.errors import ConfigError


class Part(Protocol):
    """One thing an answer shows."""

    kind: ClassVar[str]

    def json(self) -> dict[str, Any]:
        """Its fields by name, as `recurra predict --json` prints them."""

    def text(self) -> str:
        """Its lines in a terminal, without the last line end."""

    def page(self) -> dict[str, Any]:
        """What the page draws, its fields beside its `kind`."""


@runtime_checkable
class Saves(Protocol):
    """A part that can be a file of its own."""

    endings: ClassVar[tuple[str, ...]]
    """Of the names of such files: ".mid", ".svg"."""

    def saved(self, ending: str) -> bytes:
        """The bytes of a file of one of them. Raises `ConfigError` where that cannot be."""


@runtime_checkable
class SavesTogether(Protocol):
    """A kind of parts several of which can be one file."""

    endings: ClassVar[tuple[str, ...]]

    @staticmethod
    def saved_together(parts: Sequence[Any], ending: str) -> bytes:
        """The bytes of a file that shows them all. Raises `ConfigError` where that cannot be."""


class Unknown(NamedTuple):
    """A symbol of an input that the model does not know."""

    symbol: str
    """As it is written."""
    place: int
    """Of the first among the input's symbols, from 0."""
    unit: str = "token"
    """What such a symbol is called."""


@dataclass(frozen=True)
class Answer(Mapping[str, Any]):
    """What a model answers to one input. As a mapping it is its JSON: `answer["label"]`.

    An input that is empty, or holds nothing but blanks, has no parts.
    """

    parts: tuple[Part, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What its JSON says besides, such as what was asked."""
    notes: tuple[str, ...] = ()
    """What there is to know of it, a sentence each."""
    unknown: tuple[Unknown, ...] = ()
    """The symbols of the input that the model does not know, each once."""

    def json(self) -> dict[str, Any]:
        """The fields of all parts by name; "unknown" symbols and the "unknown_places" of the first of each; "notes"."""
        found: dict[str, Any] = {}
        for part in self.parts:
            found |= part.json()
        if self.unknown:
            found["unknown"] = [each.symbol for each in self.unknown]
            found["unknown_places"] = [each.place for each in self.unknown]
        notes = {} if self.parts and not self.notes else {"notes": self._notes()}
        return found | dict(self.extra) | notes

    def _notes(self) -> list[str]:
        return [*self.notes] if self.parts else [NOTHING, *self.notes]

    def saved(self, ending: str) -> bytes:
        """The first part that can be such a file, as one. Raises `ConfigError` where none can."""
        found = [part for part in self.parts if isinstance(part, Saves)]
        for part in found:
            if ending in part.endings:
                return part.saved(ending)
        known = sorted({each for part in found for each in part.endings})
        if not known:
            raise ConfigError("this answer cannot be saved as a file of its own. Print it as JSON: --json.")
        raise _unknown_ending(ending, known)

    def text(self) -> str:
        """The lines of all parts, without the last line end."""
        return "\n".join(part.text() for part in self.parts)

    def page(self) -> list[dict[str, Any]]:
        """The parts as the page draws them."""
        return [{"kind": part.kind, **part.page()} for part in self.parts]

    @cached_property
    def _json(self) -> dict[str, Any]:
        return self.json()

    def __getitem__(self, name: str) -> Any:
        return self._json[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._json)

    def __len__(self) -> int:
        return len(self._json)


def _unknown_ending(ending: str, known: Iterable[str]) -> ConfigError:
    return ConfigError(f"a file that ends in {ending or 'nothing'}, expected {' or '.join(known)} for this answer.")


def saved_together(answers: Sequence[Answer], ending: str) -> bytes:
    """The bytes of a file that shows answers. Raises `ConfigError` for several that cannot be in one file, and where no
    part of them can be such a file."""
    if len(answers) == 1:
        return answers[0].saved(ending)
    parts = [part for answer in answers for part in answer.parts]
    if parts and all(isinstance(part, SavesTogether) and type(part) is type(parts[0]) for part in parts):
        first: Any = parts[0]
        if ending not in first.endings:
            raise _unknown_ending(ending, sorted(first.endings))
        return bytes(first.saved_together(parts, ending))
    raise ConfigError(f"{len(answers)} answers, expected one to save. Ask for one, or take them all by --json.")


def notes_of(answers: Iterable[Answer], each: str = "input", copies: int = 1) -> list[str]:
    """What there is to know of answers, a sentence each: which inputs are empty, which symbols are unknown, what their
    parts say of all of them, and their own notes. `each`: what inputs are called, of which each has so many answers."""
    kinds: dict[type, list[Part]] = {}
    own: dict[str, None] = {}
    answers = list(answers)
    several = len(answers) > copies
    empty: dict[int, None] = {}
    unknown: dict[str, str] = {}
    for number, answer in enumerate(answers):
        if not answer.parts:
            empty[number // copies + 1] = None
        of = f"{each} {number // copies + 1}, " if several else ""
        for symbol, place, unit in answer.unknown:
            unknown.setdefault(symbol, f"{of}{unit} {place + 1}")
        own |= dict.fromkeys(answer.notes)
        for part in answer.parts:
            kinds.setdefault(type(part), []).append(part)
    found = [empty_note(each, list(empty) if several else [])] if empty else []
    found += [unknown_note(list(unknown.items()))] if unknown else []
    found += [note for kind, parts in kinds.items() if hasattr(kind, "notes") for note in kind.notes(parts)]
    return [*found, *own]


def chances(likeliest: Iterable[tuple[str, float]]) -> str:
    """Names with their probabilities, as a terminal shows them."""
    return "  ".join(f"{visible(name)} {p:.3f}" for name, p in likeliest)


def one_line(text: str | list[str] | tuple[str, ...]) -> str:
    """A text, or its tokens, without line ends: line k of the output answers line k of the input."""
    whole = text if isinstance(text, str) else " ".join(text)
    return whole.replace("\r", " ").replace("\n", " ")
