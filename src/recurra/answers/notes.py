"""What there is to say of what was asked: that it is empty, and which of its symbols a run does not know."""

from __future__ import annotations

import unicodedata

NAMED = 5
"""Symbols and places that are named; of more … stands for the others."""
LONGEST = 40
"""Characters of a symbol that are shown."""
NOTHING = "the input is empty, so nothing is answered."


def is_blank(text: str) -> bool:
    """Whether nothing of a text is seen: it has but white space, joiners and marks of direction."""
    return all(each.isspace() or unicodedata.category(each) == "Cf" for each in text)


def empty_note(each: str, numbers: list[int]) -> str:
    """That inputs are empty, by what they are called and their numbers from 1; of no numbers, that the only one is."""
    if not numbers:
        return NOTHING
    named = ", ".join(map(str, numbers[:NAMED])) + (", …" if len(numbers) > NAMED else "")
    are = "is" if len(numbers) == 1 else "are"
    return NOTHING.replace("the input is", f"{each}{'' if are == 'is' else 's'} {named} {are}")


def unknown_note(found: list[tuple[str, str]]) -> str:
    """That a run does not know symbols, each with where it stands."""
    cut = [(name if len(name) <= LONGEST else f"{name[:LONGEST]}…", place) for name, place in found[:NAMED]]
    named = ", ".join(f"{name!r} ({place})" for name, place in cut) + (", …" if len(found) > NAMED else "")
    return f"the run does not know {named}."
