"""`recurra stream` of a run that hears: what is said in a recording that is piped in, as it comes."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recurra.data.wav_arriving import arriving_wav

if TYPE_CHECKING:
    from recurra.streaming.session import Session

NAMED = ("tag", "filtered_tag", "label", "labels")
"""What answers name that are no text."""


def hear(session: Session, each: bool, json: bool) -> None:
    """Answer a WAV file that is piped in: a text is written as it is heard, and nothing of it is taken back; of a run
    that names what it hears, what it names at the end. With `each` an answer for every step."""
    source: Any = sys.stdin.buffer
    answers: Sequence[Mapping[str, Any]] = ()
    last: Mapping[str, Any] = {}
    begun = False
    for sound in arriving_wav(source.read1, "what is piped in"):
        answers = session.feed(sound)
        last, begun = (answers[-1] if answers else last), _show(answers, each, json) or begun
    answers = session.end()
    last, begun = (answers[-1] if answers else last), _show(answers, each, json) or begun
    if each:
        return
    if "symbol" in last or not last:
        print(end="" if json else "\n")
    elif json:
        print(json_format.dumps(last, ensure_ascii=False))
    else:
        print("\t".join(_words(value) for name, value in last.items() if name != "token"))


def _show(answers: Sequence[Mapping[str, Any]], each: bool, json: bool) -> bool:
    """Print what some steps add; whether they add anything."""
    if each:
        for answer in answers:
            print(json_format.dumps(answer, ensure_ascii=False) if json else "\t".join(map(_words, answer.values())))
        written = ""
    else:
        written = "".join(answer.get("symbol", "") for answer in answers)
        if written and json:
            print(json_format.dumps({"seconds": float(answers[-1]["token"]), "text": written}, ensure_ascii=False))
        elif written:
            print(written, end="")
    sys.stdout.flush()
    return bool(written)


def _words(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return " ".join(map(_words, value)) if isinstance(value, list) else str(value)
