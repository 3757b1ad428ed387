"""recurra stream"""

from __future__ import annotations

import json as json_format
import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from recurra import storage, workflow
from recurra.cli.options import Device, Json, Plugins, Reading, Threads
from recurra.cli.piped import PIECE, Piece, arriving, between_words, pieces
from recurra.config import check_seed, parse_settings
from recurra.data.files import check_encoding
from recurra.errors import CheckpointError, ConfigError
from recurra.workflow.plan import check_reading

if TYPE_CHECKING:
    from recurra.streaming.session import Session

WRITING = ("continue", "temperature", "seed", "top", "state")
"""Options that are for runs that write."""
TOP = 3
CUTS: dict[str, Callable[[str], int]] = {"character": len, "byte": len, "word": between_words}
"""By vocabulary: up to where a text can be read before the rest of its line is there; of others the line must be."""
LONGEST = PIECE
"""Characters of a line that are shown at most."""


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
    are one text. A run that labels takes each line for a sentence of its own. A run that hears reads a WAV file.

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
    if seed is not None:
        check_seed(seed, "--seed")
    said = {"continue": continue_, "temperature": temperature, "seed": seed, "top": top, "state": state}
    said = {name: value for name, value in said.items() if value is not None}
    _check(said)
    opened = workflow.load(run, plugin or (), device)
    session = opened.session(step)
    if not opened.continues:
        for name in said:
            raise ConfigError(f"--{name} is for runs that write on, {run} does not. Leave it out.")
    if opened.of_files:
        from recurra.asking.threads import threads_set
        from recurra.cli.heard import hear

        with threads_set(threads):
            return hear(session, each, json)
    own = getattr(sys.stdin, "encoding", None) or opened.config["reader"].get("encoding", "utf-8")
    texts = arriving(check_encoding(str(settings.get("reader.encoding", own))))
    kind = opened.model.codecs["input"].record()["kind"]
    cut = CUTS.get(kind) if opened.continues else None
    if state is not None and state.exists():
        session.load(state)
    from recurra.answers.notes import is_blank
    from recurra.asking.threads import threads_set

    notes = _Notes(getattr(opened.model.codecs["input"], "unit", "token"))

    def answer(piece: Piece, line: _Line) -> None:
        if opened.continues and opened.of_text:
            _write(session, piece, line, each, said, json, notes)
        elif opened.of_text and is_blank(piece.text):
            _empty(piece, json, notes)
        elif opened.of_text or not piece.text.strip():
            _label(session.reset(), piece, each, json, notes)
        else:  # of numbers a line is some steps more, and a blank one ends the sequence
            _label(session, piece, each, json, notes)

    try:
        with threads_set(threads):
            _follow(session, pieces(texts, cut, 1 if each and cut is len else PIECE), answer, state)
    finally:
        notes.say()


def _follow(
    session: Session, given: Iterator[Piece], answer: Callable[[Piece, _Line], None], state: Path | None
) -> None:
    """Answer what comes; whatever ends it, the state that is kept is the one behind the last line that was answered."""
    answered, kept, line = 0, session.fork(), _Line()
    try:
        for piece in given:
            answer(piece, line)
            before = answered, kept
            if piece.last:  # ahead of the flush: whoever sees the answer may interrupt at once
                answered, kept, line = piece.line, session.fork(), _Line()
            try:
                sys.stdout.flush()
            except OSError:  # nobody reads it
                answered, kept = before
                raise
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped; line {answered:,} was the last that is answered") from None
    finally:
        if state is not None:
            _keep(kept, state)


@dataclass
class _Notes:
    """What is said when a stream is over; it holds no more of it than is named."""

    unit: str
    unknown: dict[str, str] = field(default_factory=dict)
    """Symbols that the run does not know, with where they stand."""
    empty: list[int] = field(default_factory=list)
    """Lines that are."""

    def add(self, piece: Piece, answers: Sequence[Mapping[str, Any]], before: int = 0) -> None:
        """Note unknown symbols of a piece, `before` which its line had so many."""
        from recurra.answers.notes import NAMED

        for k, answer in enumerate(answers, before + 1):
            if "unknown" in answer and len(self.unknown) <= NAMED:
                symbol = answer.get("symbol", answer.get("token"))
                self.unknown.setdefault(symbol, f"line {piece.line:,}, {self.unit} {k:,}")

    def say(self) -> None:
        from recurra.answers.notes import empty_note, unknown_note

        found = [empty_note("line", self.empty)] if self.empty else []
        found += [unknown_note(list(self.unknown.items()))] if self.unknown else []
        for note in found:
            print(f"recurra: {note}", file=sys.stderr)


@dataclass
class _Line:
    """What is known of a line of which some was read."""

    text: str = ""
    """Its begin."""
    symbols: int = 0
    expected: int = 0
    """Symbols of which something was expected: all but a stream's first."""
    log_p: float = 0.0
    """The sum of theirs."""

    def add(self, text: str, answers: Sequence[Mapping[str, Any]]) -> None:
        known = _known(answers)
        self.text = (self.text + text[: LONGEST + 1])[: LONGEST + 1]
        self.symbols += len(answers)
        self.expected += len(known)
        self.log_p += sum(known)

    def row(self, number: int, following: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        shown = self.text if len(self.text) <= LONGEST else f"{self.text[:LONGEST]}…"
        bits = _bits(self.log_p, self.expected)
        return {"line": number, "text": shown, "symbols": self.symbols, "bits_per_symbol": bits, "next": following}


def _check(said: Mapping[str, Any]) -> None:
    """Refuse numbers that no run can do anything with, before one is opened."""
    for name in ("continue", "top"):
        if said.get(name, 0) < 0:
            raise ConfigError(f"--{name} {said[name]}, expected 0 or more symbols.")
    for name in ("temperature", "seed"):
        if name in said and "continue" not in said:
            raise ConfigError(f"--{name} is for what is written after each line: say how much, --continue 80.")
    if "state" in said:
        _check_state(said["state"])


def _check_state(state: Path) -> None:
    """Refuse a file that nothing could be kept in, before anything is read: by trying to write beside it."""
    if state.is_dir():
        raise ConfigError(f"--state {state} is a folder, expected a file to keep the state in. Name one in it.")
    storage.check_place(state)
    try:
        with tempfile.TemporaryFile(dir=state.parent):
            pass
    except OSError as error:
        raise ConfigError(
            f"--state {state}: the folder {state.parent} cannot be written to ({error.strerror or error}), so the "
            "state could not be kept. Make the folder, or name a file in another."
        ) from error


def _keep(session: Session, state: Path) -> None:
    """Write the state, in words of this verb where it cannot be."""
    try:
        session.save(state)
    except CheckpointError as error:
        cause = error.__cause__
        reason = cause.strerror if isinstance(cause, OSError) else error
        raise CheckpointError(f"--state {state} could not be written ({reason}), so the state is lost.") from error


def _write(
    session: Session, piece: Piece, line: _Line, each: bool, said: Mapping[str, Any], json: bool, notes: _Notes
) -> None:
    """Answer a line, or a piece of one, of a run that writes."""
    top = said.get("top", TOP)
    answers = session.feed(piece.text + "\n" * piece.ended, top=top if each else 0)
    notes.add(piece, answers, line.symbols)
    rows: list[dict[str, Any]] = []
    if each:
        rows = [
            {"line": piece.line, "symbol": a["symbol"], "bits": _bits(sum(known := _known([a])), len(known))}
            | {name: a[name] for name in ("next", "unknown") if name in a}
            for a in answers
        ]
        line.symbols += len(answers)
    else:
        line.add(piece.text, answers)
        if piece.last and line.symbols:
            rows = [line.row(piece.line, session.likeliest(top))]
    choice = {name: said[name] for name in ("temperature", "seed") if name in said}
    if said.get("continue") and piece.ended and rows:
        rows[-1]["continued"] = session.write(said["continue"], **choice)
    for row in rows:
        _print(row, each, json)


def _print(row: Mapping[str, Any], each: bool, json: bool) -> None:
    if json:
        print(json_format.dumps(row, ensure_ascii=False))
        return
    from recurra.answers.letters import visible

    bits = row["bits"] if each else row["bits_per_symbol"]
    following = "  ".join(f"{visible(one['symbol'])} {one['p']:.2f}" for one in row["next"])
    first = [visible(row["symbol"])] if each else []
    print("\t".join([*first, "–" if bits is None else f"{bits:.2f}", following, *([] if each else [row["text"]])]))
    if "continued" in row:
        print("\n".join(f"→ {written}" for written in row["continued"].split("\n")))


def _known(answers: Sequence[Mapping[str, Any]]) -> list[float]:
    """log p of the symbols of which something was expected."""
    return [answer["log_p"] for answer in answers if answer["log_p"] is not None]


def _bits(log_p: float, symbols: int) -> float | None:
    """How much symbols surprised, bits per symbol; None where nothing was expected of any."""
    return -log_p / symbols / math.log(2) if symbols else None


def _empty(piece: Piece, json: bool, notes: _Notes) -> None:
    """Answer a line that nothing stands in."""
    from recurra.answers.notes import NAMED, NOTHING

    if len(notes.empty) <= NAMED:
        notes.empty.append(piece.line)
    print(json_format.dumps({"line": piece.line, "text": piece.text, "notes": [NOTHING]}) if json else "")


def _label(session: Session, piece: Piece, each: bool, json: bool, notes: _Notes) -> None:
    """Answer a line: a sentence of its own, or some steps more of a stream of numbers."""
    answers = session.feed(piece.text)
    notes.add(piece, answers)
    tagged = bool(answers) and ("tag" in answers[0] or "filtered_tag" in answers[0])
    if json:
        rows = [{"line": piece.line, **answer} for answer in answers] if each else [_whole(piece, answers, tagged)]
        print("".join(json_format.dumps(row, ensure_ascii=False) + "\n" for row in rows), end="")
        return
    for answer in answers if each or tagged else answers[-1:]:
        named = answer.get("tag", answer.get("filtered_tag", answer.get("label", answer.get("labels"))))
        if named is None:  # of a task that names nothing: what it says as it is
            print("\t".join(_words(value) for value in answer.values()))
            continue
        names = [named] if isinstance(named, str) else named
        ps = answer["p"] if isinstance(answer["p"], list) else [answer["p"]]
        called = [" ".join(names) or "(none)", " ".join(f"{p:.2f}" for p in ps)]
        if tagged and "label" in answer and each:
            called += [answer["label"], f"{answer['p_label']:.2f}"]
        print("\t".join([answer["token"], *called] if each or tagged else [*called, piece.text]))
    if tagged and not each and "label" in answers[-1]:
        print(f"# label = {answers[-1]['label']}")
    if each or tagged or not answers:
        print()


def _words(value: Any) -> str:
    """A value of an answer in a terminal."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return " ".join(map(_words, value)) if isinstance(value, list) else str(value)


def _whole(piece: Piece, answers: Sequence[Mapping[str, Any]], tagged: bool) -> dict[str, Any]:
    """What is said of a sentence when it is read."""
    found: dict[str, Any] = {"line": piece.line, "text": piece.text}
    last = {k: v for k, v in answers[-1].items() if k not in ("token", "unknown")} if answers else {}
    met: dict[str, int] = {}
    for place, answer in enumerate(answers):
        if "unknown" in answer:
            met.setdefault(answer["token"], place)
    found |= {"unknown": list(met), "unknown_places": list(met.values())} if met else {}
    if not tagged:
        return found | last
    name = "tag" if "tag" in last else "filtered_tag"
    found |= {"tokens": [answer["token"] for answer in answers]}
    found |= {f"{name}s": [answer[name] for answer in answers], "p": [answer["p"] for answer in answers]}
    return found | {k: v for k, v in last.items() if k not in (name, "p")}
