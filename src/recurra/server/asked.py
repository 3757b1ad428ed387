"""What a run is asked over HTTP: its card, its options and their limits, its answers, what writes its texts."""

from __future__ import annotations

import base64
import dataclasses
import math
import types
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, get_args, get_type_hints

from pydantic import ValidationError

from recurra import registry
from recurra.answers.letters import is_spaced
from recurra.answers.notes import NOTHING
from recurra.asking.examples import as_example
from recurra.checkpoint import RunFolder
from recurra.data.blanks import BLANK, count_blanks
from recurra.data.codecs.contract import ReadsOneWay
from recurra.errors import CheckpointError, NotCausal
from recurra.runs.about import about
from recurra.runs.run import Run
from recurra.runs.writing import TOP, Prose, Target, Writer
from recurra.server.limits import Limits
from recurra.server.parts import reply
from recurra.server.problems import Problem, of_validation, too_long
from recurra.server.requests import Body, body_of
from recurra.streaming.session import Session
from recurra.streaming.stream import check_streams
from recurra.tasks.contract import ChecksOptions
from recurra.tasks.options import make_options
from recurra.tasks.writing import Starts

PROMPT = 40
"""Characters of the report's sample that are an example of a prompt."""
CORE = ("kind", "cell", "hidden_size", "num_layers", "bidirectional", "heads", "causal")
TRAINED = ("seed", "epochs", "steps", "minutes", "commands")
DRAWS = ("temperature", "top_k", "top_p", "seed")
GENERATES = (*DRAWS, "form")
"""Options of a task that a text generated symbol by symbol takes, too."""
NOT_ASKED = ("longest", "n", "between")
"""Options for those who count in lines or read a terminal, and of which an input has not one answer."""
SAME = {"alignment": "attention", "top": "n_best"}
"""Options that say what another one says, where there is that one."""
BOUNDS = {"seed": (("ge", 0), ("lt", 1 << 62)), "temperature": (("ge", 0), ("le", 1000))}
GENERATED = {
    "length": (int, "Symbols to generate."),
    "top": (int, "Alternatives of each symbol."),
}
"""Options of a text that is generated symbol by symbol."""


def options(run: Run, generated: bool = False) -> dict[str, tuple[type, str]]:
    """The options of a prediction, or of a text that is generated symbol by symbol: type and description by name."""
    maker = run.model.task.Options
    hints, described = get_type_hints(maker), registry.options(run.config["task"]["kind"])
    helps = {each.name: each.help for each in described}
    own = {
        field.name: (_bare(hints[field.name]), helps.get(field.name, ""))
        for field in dataclasses.fields(maker)
        if field.name in helps and field.name not in NOT_ASKED and _usable(run, field.name)
    }
    own = {name: each for name, each in own.items() if SAME.get(name) not in helps}
    if not generated:
        return own | ({"top": GENERATED["top"]} if writes(run) else {})
    return {**GENERATED, **{name: each for name, each in own.items() if name in GENERATES}}


def _bare(hint: Any) -> type:
    """The type of an option that may be None."""
    found: type = next(each for each in get_args(hint) if each is not type(None)) if _is_union(hint) else hint
    return found


def _is_union(hint: Any) -> bool:
    return isinstance(hint, types.UnionType)


def _usable(run: Run, name: str) -> bool:
    """Whether the task, as it is set, can do anything with an option that is a yes."""
    task, hint = run.model.task, get_type_hints(run.model.task.Options)[name]
    if hint is not bool or not isinstance(task, ChecksOptions):
        return True
    try:
        task.check_options(make_options(task, {}, {name: True}))
    except Exception:
        return False
    return True


def read_options(run: Run, given: Mapping[str, Any], limits: Limits, generated: bool = False) -> dict[str, Any]:
    """The options that are said. Raises `Problem` for an unknown one, for one of another form or beyond the limits."""
    kind = _body(run, generated)
    try:
        found = kind.model_validate(given).model_dump(exclude_none=True)
    except ValidationError as error:
        raise of_validation(error.errors(), list(kind.model_fields)) from error
    check_sizes(found, limits)
    return found


def _body(run: Run, generated: bool) -> type[Body]:
    known = options(run, generated)
    return body_of("Options", tuple((name, kind, BOUNDS.get(name)) for name, (kind, _) in known.items()))


def check_sizes(given: Mapping[str, Any], limits: Limits) -> None:
    """Raise `Problem` for an option beyond the limits."""
    for name, most in _most(limits).items():
        value, least = given.get(name), 0 if name in ("top", "length") else 1
        if value is not None and not least <= value <= most:
            error, expected = f"the option {name} is out of range", f"{least} to {most:,}"
            raise Problem(422, error, expected=expected, got=value, next="Choose a number between.")


def given_to(run: Run, given: Any, limits: Limits) -> Any:
    """An input as the run is given it. Raises `Problem` for a recording that is too long, `DataError` for bytes that
    are no file of its kind."""
    if not run.of_files:
        return given
    if run.imagines and not given:
        return None  # nothing
    value = run.model.codecs["input"].opened(base64.b64decode(given))
    if getattr(value, "seconds", 0) > limits.seconds_heard:
        raise too_long("a recording", int(limits.seconds_heard), math.ceil(value.seconds), "seconds")
    return value


def check_input(run: Run, given: str | Sequence[Any], limits: Limits) -> None:
    """Raise `Problem` for an input that has more blanks than may be, for numbers where a text is read, and for what is
    no base64 where a file is."""
    if run.of_files:
        try:
            base64.b64decode(given if isinstance(given, str) else "-", validate=True)
        except ValueError:
            error, move = "this model reads files", "Send the bytes of a file so. A path is not opened."
            raise Problem(422, error, expected="the bytes of a file in base64", got=given, next=move) from None
    if run.of_text and not isinstance(given, str) and not all(isinstance(token, str) for token in given):
        raise Problem(422, "this model reads text", expected="a text, or its tokens", got=given, next="Send a text.")
    if "blanks" in run.model.task.fields and count_blanks(given) > limits.blanks:
        raise too_long("the list of blanks in an input", limits.blanks, count_blanks(given), "blanks")


def check_generated(run: Run, given: Any) -> None:
    """Raise `Problem` for an input that nothing can be generated from."""
    if not isinstance(given, str):
        raise Problem(422, "a text is continued, not tokens", expected="a text", got=given, next="Join the tokens.")
    if isinstance(run.model.task, Starts) and not given.strip():
        raise Problem(422, NOTHING.rstrip("."), expected="a source", got=given, next="Send a source.")


def longest(run: Run, limits: Limits) -> int:
    """Characters that an input may have."""
    if run.of_files:
        return limits.file
    squared = isinstance(run.model.task, Starts) or run.config["core"]["kind"] == "transformer"
    return min(limits.squared, limits.characters) if squared else limits.characters


def writes(run: Run) -> bool:
    """Whether what it predicts is a text, which is generated symbol by symbol."""
    return run.continues and run.of_text


def has_parts(run: Run) -> bool:
    """Whether a run has parts to look into and to hold sessions of; an export has not."""
    return run.model.core is not None


def batch_key(run: Run, given: Mapping[str, Any]) -> Hashable:
    """What requests must have alike to be computed together. What is drawn at random goes alone, so that a seed draws
    the same whoever else asks."""
    draws = getattr(run.options(given), "draws", False) or run.continues
    return tuple(sorted(given.items())), object() if draws else None


def answers(run: Run, key: Any, inputs: Sequence[Any], limits: Limits, stop: Callable[[], bool]) -> list[Any]:
    """Each input's answer. Raises `Stopped` where `stop()` says so meanwhile."""
    given = dict(key[0])
    own = run.options()
    if "top" not in given and not run.continues and getattr(own, "top", None) == 0 and not hasattr(own, "beam"):
        given["top"] = TOP  # the page draws bars
    values = [given_to(run, each, limits) for each in inputs]
    return [reply(each) for each in run.predict(*values, stop=stop, cells=limits.cells, **given)]


def writer(run: Run, open_session: Callable[[], Session]) -> tuple[Writer, dict[str, Any]] | None:
    """What generates the texts of a run, and options where none are said; None for a run that generates none.
    `open_session` gives a session of the run at its begin."""
    if writes(run):
        return Writer(lambda one: Prose(run.model, one.given, open_session() if has_parts(run) else None)), {}
    if not isinstance(run.model.task, Starts) or run.of_files:
        return None
    search = run.options()
    usual = {name: getattr(search, name) for name in DRAWS if getattr(search, name) is not None}
    usual = {"form": search.form, "length": search.longest or 2_000, **usual}
    return Writer(lambda one: Target(run, one.given, one.form)), ({} if search.draws else {"temperature": 0.0}) | usual


def example(run: Run, text: str, target: str | None, limits: Limits) -> Any:
    """An input as an example to look inside at."""
    found = as_example(given_to(run, text, limits), run.model.codecs)
    return found if target is None else {**found, "target": target}


def card(name: str, run: Run, limits: Limits) -> dict[str, Any]:
    """A model in words and numbers, as JSON."""
    config, model = run.config, run.model
    try:
        report = run.report
    except CheckpointError:
        if RunFolder(run.path).report.exists():
            raise
        report = {}  # training was stopped before its end
    words = model.task.card
    return {
        "name": name,
        "task": config["task"]["kind"],
        "continues": writes(run),
        "file": run.model.codecs["input"].forms[0] if run.of_files else None,
        "drawn": isinstance(run.model.codecs["input"], ReadsOneWay),
        "imagines": run.imagines,
        "description": about(run, report),
        "core": {each: config["core"][each] for each in CORE if each in config["core"]},
        "parameters": model.parameter_count,
        "vocabulary": {field: codec.size for field, codec in model.codecs.saved.items() if hasattr(codec, "symbols")},
        "verb": words.verb,
        "asks": words.hint,
        "example": "" if run.of_files else _example(report, words.example),
        "longest": longest(run, limits),
        "options": _options(run, limits),
        "can": _can(run),
        "scores": _scores(report),
        "data": report.get("split"),
        "trained": {each: report[each] for each in TRAINED if each in report},
    }


def _most(limits: Limits) -> dict[str, int]:
    """By option, the most it may be."""
    return {"length": limits.written, "top": limits.top, "beam": limits.beam, "n_best": limits.beam}


def _options(run: Run, limits: Limits) -> dict[str, Any]:
    """By what may be asked, the options there are, with their default where the recipe says one."""
    own, most = run.options(), _most(limits)
    said = run.config.get("search", {})

    def described(generated: bool) -> dict[str, Any]:
        return {
            name: {
                "default": getattr(own, name, None) if isinstance(run.model.task, Starts) or name in said else None,
                "most": most.get(name),
                "type": kind.__name__,
                "help": text,
            }
            for name, (kind, text) in options(run, generated).items()
        }

    found = {"predict": described(False)}
    return found | {"generate": described(True)} if "generate" in _can(run) else found


def _can(run: Run) -> list[str]:
    """What may be asked of it."""
    found = ["predict"] if writer(run, run.session) is None else ["predict", "generate"]
    if not has_parts(run):
        return found
    try:
        check_streams(run.model, run.path)
    except NotCausal:
        return [*found, "inspect"]
    return [*found, "sessions", "inspect"]


def _example(report: Mapping[str, Any], usual: str) -> str:
    """An input that the model was tested on, if its report shows one; of a text its first words."""
    if text := report.get("sample", {}).get("text", ""):
        line = text.strip().split("\n")[0][:PROMPT]
        return str(line if len(line) < PROMPT or " " not in line else line[: line.rindex(" ")])
    for shown in report.get("shown", ()):
        source = shown.get("source", shown.get("tokens"))
        if isinstance(source, str):
            return source
        if source:
            known = [token for token in source if token != BLANK]
            return ("" if known and not is_spaced(known) else " ").join(source)
    return usual


def _scores(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the model and of what stands beside it, of the test, or of the validation where there is no test."""
    scores = report.get("scores", {})
    part = next((part for part in ("test", "valid") if part in scores), None)
    if part is None:
        return []
    model = scores[part]["model"]
    rows = [{"name": "model", "metrics": model}]
    for row in scores[part].get("baseline", ()):
        rows.append({"name": row["name"], "metrics": {each: row[each] for each in row if each in model}})
    return [{"part": part, **row} for row in rows]
