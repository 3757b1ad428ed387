"""An answer: a list of parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol


class Part(Protocol):
    """One thing an answer shows."""

    kind: ClassVar[str]

    def json(self) -> dict[str, Any]:
        """Its fields by name, as `recurra predict --json` prints them."""

    def text(self) -> str:
        """Its lines in a terminal, without the last line end."""

    def page(self) -> dict[str, Any]:
        """What the page draws, its fields beside its `kind`."""


@dataclass(frozen=True)
class Answer(Mapping[str, Any]):
    """What a model answers to one input. As a mapping it is its JSON: `answer["label"]`."""

    parts: tuple[Part, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What its JSON says besides, such as what was asked."""
    notes: tuple[str, ...] = ()
    """What there is to know of it, a sentence each."""

    def json(self) -> dict[str, Any]:
        """The fields of all parts by name."""
        found: dict[str, Any] = {}
        for part in self.parts:
            found |= part.json()
        return found | dict(self.extra)

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


def notes_of(answers: Iterable[Answer]) -> list[str]:
    """What there is to know of answers, a sentence each: what their parts say of all of them, and their own notes."""
    kinds: dict[type, list[Part]] = {}
    own: dict[str, None] = {}
    for answer in answers:
        own |= dict.fromkeys(answer.notes)
        for part in answer.parts:
            kinds.setdefault(type(part), []).append(part)
    found = [note for kind, parts in kinds.items() if hasattr(kind, "notes") for note in kind.notes(parts)]
    return [*found, *own]


def one_line(text: str | list[str] | tuple[str, ...]) -> str:
    """A text, or its tokens, without line ends: line k of the output answers line k of the input."""
    whole = text if isinstance(text, str) else " ".join(text)
    return whole.replace("\r", " ").replace("\n", " ")
