"""recurra stream"""

from __future__ import annotations

import codecs
import io
import json as json_format
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from recurra import workflow
from recurra.cli.options import Device, Json, Plugins, Reading, Threads
from recurra.config import parse_settings
from recurra.data.files import check_encoding
from recurra.errors import ConfigError, DataError
from recurra.workflow.plan import check_reading

if TYPE_CHECKING:
    from recurra.serving.session import Session

WRITING = ("continue", "temperature", "seed", "top", "state")
"""Options that are for runs that write."""
TOP = 3
CHUNK = 1 << 12
"""Bytes that are read at once at most; fewer where no more are there."""
SHOWN = {" ": "␣", "\n": "⏎", "\t": "⇥"}
"""Symbols that would not be seen."""


def stream(
    run: Path,
    /,
    *,
    each: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    top: int | None = None,
    continue_: Annotated[
        int | None, Parameter(name="--continue", help="Write so many symbols after each line; they are not read.")
    ] = None,
    temperature: float | None = None,
    seed: int | None = None,
    state: Path | None = None,
    step: Literal["auto", "module", "float32", "bfloat16", "int8"] = "auto",
    set_: Reading = None,
    device: Device = "cpu",
    threads: Threads = 1,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Read what is piped in as it comes, and answer as it is read, in memory and time that do not grow with it.

    A run that writes says of each line how much it surprises, in bits per symbol, and what it expects next; all lines
    are one text. A run that labels takes each line for a sentence of its own.

    Parameters
    ----------
    run
        The folder that `recurra train` made.
    each
        Answer for every symbol or token, instead of every line.
    top
        How many of the likeliest next symbols to print; 3 if not said.
    temperature
        Of what is written: below 1 the likely becomes likelier; 0 takes the likeliest symbol always. 1 if not said.
    seed
        The same seed writes the same text; 0 if not said.
    state
        A file to keep the state in: where it is there already, the stream goes on from it.
    step
        Numbers the weights are packed in for single steps: float32, bfloat16, int8; module: not packed.
    """
    settings = parse_settings(set_ or ())
    check_reading(settings, True)
    said = {"continue": continue_, "temperature": temperature, "seed": seed, "top": top, "state": state}
    said = {name: value for name, value in said.items() if value is not None}
    _check(said)
    opened = workflow.load(run, plugin or (), device)
    session = opened.session(step)
    if opened.does != "write":
        for name in said:
            raise ConfigError(f"--{name} is for runs that write, {run} {opened.does}s. Leave it out.")
    own = getattr(sys.stdin, "encoding", None) or opened.config["reader"].get("encoding", "utf-8")
    texts = _arriving(check_encoding(str(settings.get("reader.encoding", own))))
    at_once = each and opened.config["vocabulary"]["kind"] in ("character", "byte")
    if state is not None and state.exists():
        session.load(state)
    from recurra.serving.threads import threads_set

    lines = 0
    with threads_set(threads):
        try:
            for number, text, ended in _pieces(texts, at_once):
                if opened.does == "write":
                    _write(session, number, text, ended, each, said, json)
                else:
                    _label(session, number, text, each, json)
                lines = number
                sys.stdout.flush()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"stopped; line {lines:,} was the last that is answered") from None
        finally:
            if state is not None:
                session.save(state)


def _check(said: Mapping[str, Any]) -> None:
    """Refuse numbers that no run can do anything with, before one is opened."""
    for name in ("continue", "top"):
        if said.get(name, 0) < 0:
            raise ConfigError(f"--{name} {said[name]}, expected 0 or more symbols.")
    for name in ("temperature", "seed"):
        if name in said and "continue" not in said:
            raise ConfigError(f"--{name} is for what is written after each line: say how much, --continue 80.")


def _arriving(encoding: str) -> Iterator[str]:
    """What is piped in, as soon as it is there. Raises `DataError` for bytes that are not of this encoding."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
    source: Any = sys.stdin.buffer
    line, begun = 1, False
    while True:
        chunk = source.read1(CHUNK)
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            raw = error.object
            good = raw[: error.start].decode(encoding)
            yield good
            raise DataError(
                f"what is piped in:{line + good.count(chr(10))}: byte 0x{raw[error.start]:02x} is not valid "
                f"{encoding}. Name its encoding: --set reader.encoding=latin-1 (or cp1252, gb18030, …)."
            ) from error
        text = text if begun else text.removeprefix("\ufeff")
        begun = begun or bool(text)
        line += text.count("\n")
        yield text
        if not chunk:
            return


def _pieces(texts: Iterator[str], at_once: bool) -> Iterator[tuple[int, str, bool]]:
    """Number of the line, text of it without its end, and whether it ended; `at_once` without waiting for the end."""
    number, held = 1, ""
    for text in texts:
        *lines, held = (held + text).split("\n")
        for line in lines:
            yield number, line, True
            number += 1
        if at_once and held:
            yield number, held, False
            held = ""
    if held:
        yield number, held, False


def _write(
    session: Session, number: int, text: str, ended: bool, each: bool, said: Mapping[str, Any], json: bool
) -> None:
    """Answer a line, or a piece of one, of a run that writes."""
    answers = session.feed(text + "\n" * ended, top=said.get("top", TOP))
    rows = [
        {"line": number, "symbol": a["symbol"], "bits": _bits([a]), "next": a["next"]} for a in answers if each
    ] or [
        {"line": number, "text": text, "symbols": len(answers), "bits_per_symbol": _bits(answers), "next": a["next"]}
        for a in answers[-1:]
    ]
    choice = {name: said[name] for name in ("temperature", "seed") if name in said}
    if said.get("continue") and ended and rows:
        rows[-1]["continued"] = session.write(said["continue"], **choice)
    for row in rows:
        if json:
            print(json_format.dumps(row, ensure_ascii=False))
            continue
        bits = row["bits"] if each else row["bits_per_symbol"]
        following = "  ".join(f"{_shown(one['symbol'])} {one['p']:.2f}" for one in row["next"])
        first = [_shown(row["symbol"])] if each else []
        print("\t".join([*first, "–" if bits is None else f"{bits:.2f}", following, *([] if each else [row["text"]])]))
        if "continued" in row:
            print("\n".join(f"→ {line}" for line in row["continued"].split("\n")))


def _bits(answers: Sequence[Mapping[str, Any]]) -> float | None:
    """How much symbols surprised, bits per symbol; None where nothing was expected of any."""
    known = [answer["log_p"] for answer in answers if answer["log_p"] is not None]
    return -sum(known) / len(known) / math.log(2) if known else None


def _label(session: Session, number: int, text: str, each: bool, json: bool) -> None:
    """Answer a line of a run that labels: a sentence of its own."""
    answers = session.reset().feed(text)
    tagged = bool(answers) and ("tag" in answers[0] or "filtered_tag" in answers[0])
    if json:
        rows = [{"line": number, **answer} for answer in answers] if each else [_whole(number, text, answers, tagged)]
        print("".join(json_format.dumps(row, ensure_ascii=False) + "\n" for row in rows), end="")
        return
    for answer in answers if each or tagged else answers[-1:]:
        named = answer.get("tag", answer.get("filtered_tag", answer.get("label")))
        names = [named] if named is not None else answer["labels"]
        ps = answer["p"] if isinstance(answer["p"], list) else [answer["p"]]
        called = [" ".join(names) or "(none)", " ".join(f"{p:.2f}" for p in ps)]
        if tagged and "label" in answer and each:
            called += [answer["label"], f"{answer['p_label']:.2f}"]
        print("\t".join([answer["token"], *called] if each or tagged else [*called, text]))
    if tagged and not each and "label" in answers[-1]:
        print(f"# label = {answers[-1]['label']}")
    if each or tagged or not answers:
        print()


def _whole(number: int, text: str, answers: Sequence[Mapping[str, Any]], tagged: bool) -> dict[str, Any]:
    """What is said of a sentence when it is read."""
    found: dict[str, Any] = {"line": number, "text": text}
    last = {k: v for k, v in answers[-1].items() if k != "token"} if answers else {}
    if not tagged:
        return found | last
    name = "tag" if "tag" in last else "filtered_tag"
    found |= {"tokens": [answer["token"] for answer in answers]}
    found |= {f"{name}s": [answer[name] for answer in answers], "p": [answer["p"] for answer in answers]}
    return found | {k: v for k, v in last.items() if k not in (name, "p")}


def _shown(symbol: str) -> str:
    return SHOWN.get(symbol, symbol if symbol.isprintable() else repr(symbol)[1:-1])
