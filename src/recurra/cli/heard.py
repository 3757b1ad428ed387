"""`recurra stream` of a run that hears: what is said in a recording that is piped in, as it comes."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recurra.data.wav_arriving import arriving_wav

if TYPE_CHECKING:
    from recurra.streaming.session import Session


def hear(session: Session, each: bool, json: bool) -> None:
    """Answer a WAV file that is piped in: a text is written as it is heard, and nothing of it is taken back; of a run
    that names what it hears, what it names at the end. With `each` an answer for every step."""
    source: Any = sys.stdin.buffer
    last: Mapping[str, Any] = {}
    for sound in arriving_wav(source.read1, "what is piped in"):
        last = _shown(session.feed(sound), each, json) or last
    last = _shown(session.end(), each, json) or last
    if each:
        return
    if "symbol" in last or not last:
        print(end="" if json else "\n")
    elif json:
        print(json_format.dumps(last, ensure_ascii=False))
    else:
        print("\t".join(_words(value) for name, value in last.items() if name != "token"))


def _shown(answers: Sequence[Mapping[str, Any]], each: bool, json: bool) -> Mapping[str, Any]:
    """Print what some steps add; the answer at the last of them, nothing of none."""
    if each:
        for answer in answers:
            print(json_format.dumps(answer, ensure_ascii=False) if json else "\t".join(map(_words, answer.values())))
    else:
        written = "".join(answer.get("symbol", "") for answer in answers)
        if written and json:
            print(json_format.dumps({"seconds": float(answers[-1]["token"]), "text": written}, ensure_ascii=False))
        elif written:
            print(written, end="")
    sys.stdout.flush()
    return answers[-1] if answers else {}


def _words(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return " ".join(map(_words, value)) if isinstance(value, list) else str(value)
