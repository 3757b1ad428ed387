"""All that depends on what a run is for: its card, its options, its answers, what writes its texts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from recurra.answers.letters import is_spaced
from recurra.checkpoint import RunFolder
from recurra.data.blanks import BLANK, count_blanks, read_line
from recurra.data.former import label_codecs
from recurra.errors import CheckpointError, NotCausal
from recurra.server.limits import Limits
from recurra.server.parts import MAKERS, parts_of
from recurra.server.problems import Problem, of_validation, too_long
from recurra.server.requests import Body, body_of
from recurra.serving.poems import check_form
from recurra.serving.session import Session
from recurra.serving.stream import check_streams
from recurra.serving.writing import TOP, Prose, Target, Writer

ASKS = {
    "write": "The beginning of a text; without one, a line begins.",
    "label": "A sentence.",
    "fill": "A sentence with ___ where a word is missing.",
    "translate": "A sentence to translate.",
}
VERBS = {"write": "Write", "label": "Label", "fill": "Fill the blanks", "translate": "Answer"}
BY_SCORES = {
    "translation": ("Translate", ASKS["translate"]),
    "pronunciation": ("Pronounce", "A word to pronounce."),
    "poems": ("Write", "The form and title of a poem, as in 7x4 春望, or a title alone."),
    "exact": ("Answer", "A source to be turned into its target."),
}
"""What a run that turns sources into targets does and asks for, by what it is scored as."""
STORY = ("Answer", "A story, and behind it a question.")
EXAMPLE = {"write": "", "label": "The quick brown fox", "fill": "the ___ fox", "translate": "The quick brown fox"}
PROMPT = 40
"""Characters of the report's sample that are an example of a prompt."""
CORE = ("kind", "cell", "hidden_size", "num_layers", "bidirectional", "heads", "causal")
TRAINED = ("seed", "epochs", "steps", "minutes", "commands")
FIELDS = {"write": ("text",), "fill": ("blanks",), "translate": ("target",)}
"""What the answers of a run hold, by what it does; a run that labels gives the fields of its task."""


def _option(description: str, **bounds: Any) -> Any:
    return field(default=None, metadata={"description": description, **bounds})


@dataclass(frozen=True)
class Options:
    """Each is for some kinds of runs alone."""

    top: int = _option("Alternatives of a symbol, a label or a blank.")
    length: int = _option("Symbols to generate.")
    temperature: float = _option("Below 1 the likely becomes likelier; 0 takes the likeliest always.", ge=0, le=1000)
    top_k: int = _option("Draw among the so many likeliest symbols only.")
    top_p: float = _option("Draw among the likeliest symbols that together have this probability.")
    seed: int = _option("The same seed draws the same.", ge=0, lt=1 << 62)
    beam: int = _option("Hypotheses kept beside each other in the search.")
    n_best: int = _option("Hypotheses to give, the best first.")
    length_penalty: float = _option("0 prefers short targets, more prefers longer ones.")
    no_repeat: int = _option("No run of so many symbols stands in a target twice.")
    form: bool = _option("Write poems in exactly the form asked for.")
    attention: bool = _option("Give the attention map, too.")


DRAWS = ("temperature", "top_k", "top_p", "seed")
SEEKS = ("beam", "n_best", "length_penalty", "no_repeat", "form", "attention")
PREDICTS = {"label": ("top",), "fill": ("top",), "write": ("top", "length", *DRAWS), "translate": (*DRAWS, *SEEKS)}
GENERATES = {"write": ("length", "top", *DRAWS), "translate": ("length", "top", "form", *DRAWS)}


def options(run: Any, generated: bool = False) -> type[Body]:
    """The options of a prediction, or of a text that is generated symbol by symbol."""
    return body_of(Options, (GENERATES if generated else PREDICTS)[run.does])


def chosen(run: Any, given: Mapping[str, Any], limits: Limits, generated: bool = False) -> dict[str, Any]:
    """The options that are said. Raises `Problem` for an unknown one, for one of another form or beyond the limits."""
    kind = options(run, generated)
    try:
        found = kind.model_validate(given).model_dump(exclude_none=True)
    except ValidationError as error:
        raise of_validation(error.errors(), list(kind.model_fields)) from error
    if generated and found.get("form"):
        check_form(run.model.task)
    check_sizes(found, limits)
    return found


def check_sizes(given: Mapping[str, Any], limits: Limits) -> None:
    """Raise `Problem` for an option beyond the limits."""
    for name, most in _most(limits).items():
        value, least = given.get(name), 0 if name in ("top", "length") else 1
        if value is not None and not least <= value <= most:
            error, expected = f"the option {name} is out of range", f"{least} to {most:,}"
            raise Problem(422, error, expected=expected, got=value, next="Choose a number between.")


def check_input(run: Any, given: str | Sequence[str], limits: Limits) -> None:
    """Raise `Problem` for an input that has more blanks than may be."""
    if run.does == "fill" and count_blanks(given) > limits.blanks:
        raise too_long("the list of blanks in an input", limits.blanks, count_blanks(given), "blanks")


def check_generated(run: Any, given: Any) -> None:
    """Raise `Problem` for an input that nothing can be generated from."""
    if not isinstance(given, str):
        raise Problem(422, "a text is continued, not tokens", expected="a text", got=given, next="Join the tokens.")
    if run.does == "translate" and not given.strip():
        raise Problem(422, "the input is empty", expected="a source", got=given, next="Send a source.")


def longest(run: Any, limits: Limits) -> int:
    """Characters that an input may have."""
    squared = run.does == "translate" or run.config["core"]["kind"] == "transformer"
    return min(limits.squared, limits.characters) if squared else limits.characters


def writes(run: Any) -> bool:
    """Whether what it predicts is a text, which is generated symbol by symbol."""
    return bool(run.does == "write")


def has_parts(run: Any) -> bool:
    """Whether a run has parts to look into and to hold sessions of; an export has not."""
    return run.model.core is not None


def key(run: Any, given: Mapping[str, Any]) -> Hashable:
    """What requests must have alike to be computed together. What is drawn at random goes alone, so that a seed draws
    the same whoever else asks."""
    own = run.does == "translate" and run.search.draws and "beam" not in given
    draws = own or any(name in given for name in DRAWS)
    return tuple(sorted(given.items())), object() if draws else None


def answers(run: Any, key: Any, inputs: Sequence[Any], limits: Limits, stop: Callable[[], bool]) -> list[list[Any]]:
    """The parts of each input's answer. Raises `Stopped` where `stop()` says so meanwhile."""
    more = {"label": {"top": TOP}, "translate": {"cells": limits.cells}}.get(run.does, {})
    return [parts_of(each, run.model.task) for each in run.predict(*inputs, **more | dict(key[0]), stop=stop)]


def writer(run: Any, open_session: Callable[[], Session]) -> tuple[Writer, dict[str, Any]] | None:
    """What generates the texts of a run, and options where none are said; None for a run that generates none.
    `open_session` gives a session of the run at its begin."""
    if run.does == "write":
        return Writer(lambda one: Prose(run.model, one.given, open_session() if has_parts(run) else None)), {}
    if run.does == "translate" and hasattr(run.model.task, "start"):
        search = run.search
        usual = {name: getattr(search, name) for name in DRAWS if getattr(search, name) is not None}
        usual = {"form": search.form, "length": search.longest or 2_000, **usual}
        greedy = {} if search.draws else {"temperature": 0.0}
        return Writer(lambda one: Target(run, one.given, one.form)), greedy | usual
    return None


def example(run: Any, text: str, target: str | None) -> Any:
    """An input as an example to look inside at; a blank is read as the unknown symbol."""
    if run.does == "fill" and BLANK in text:
        return {"tokens": read_line(text, run.model.vocabulary).tokens}
    if run.does == "translate":
        return {"source": text} if target is None else {"source": text, "target": target}
    if run.does == "write":
        return {"text": text}
    return {"tokens": label_codecs(run.model.vocabularies).tokens({"text": text})}


def card(name: str, run: Any, limits: Limits) -> dict[str, Any]:
    """A model in words and numbers, as JSON."""
    config, model, task = run.config, run.model, run.model.task
    try:
        report = run.report
    except CheckpointError:
        if RunFolder(run.path).report.exists():
            raise
        report = {}  # training was stopped before its end
    verb, asks = VERBS[run.does], ASKS[run.does]
    if getattr(task, "segmented", False):
        verb, asks = STORY
    elif run.does == "translate":
        verb, asks = BY_SCORES.get(task.scores, (verb, asks))
    holds = FIELDS.get(run.does) or task.fields
    return {
        "name": name,
        "task": config["task"]["kind"],
        "does": run.does,
        "description": str(config.get("description", "")),
        "core": {each: config["core"][each] for each in CORE if each in config["core"]},
        "parameters": model.parameter_count,
        "vocabulary": {field: len(symbols) for field, symbols in model.vocabularies.items()},
        "verb": verb,
        "asks": asks,
        "example": _example(run, report),
        "longest": longest(run, limits),
        "gives": [kind for field, (kind, _) in MAKERS.items() if field in holds],
        "options": _options(run, limits),
        "can": _can(run),
        "scores": _scores(report),
        "data": report.get("split"),
        "trained": {each: report[each] for each in TRAINED if each in report},
    }


def _most(limits: Limits) -> dict[str, int]:
    """By option, the most it may be."""
    return {"length": limits.written, "top": limits.top, "beam": limits.beam, "n_best": limits.beam}


def _options(run: Any, limits: Limits) -> dict[str, Any]:
    """By what may be asked, the options there are, with their default where it is the run's own."""
    search, most = getattr(run, "search", None), _most(limits)
    left_out = {
        "form": not getattr(run, "writes_poems", False),
        "attention": not getattr(run.model.task, "aligns", False),
    }

    def described(generated: bool) -> dict[str, Any]:
        return {
            name: {"default": getattr(search, name, None), "most": most.get(name)}
            for name in options(run, generated).model_fields
            if not left_out.get(name)
        }

    found = {"predict": described(False)}
    return found | {"generate": described(True)} if "generate" in _can(run) else found


def _can(run: Any) -> list[str]:
    """What may be asked of it."""
    found = ["predict"] if writer(run, run.session) is None else ["predict", "generate"]
    if not has_parts(run):
        return found
    try:
        check_streams(run.model, run.path)
    except NotCausal:
        return [*found, "inspect"]
    return [*found, "sessions", "inspect"]


def _example(run: Any, report: Mapping[str, Any]) -> str:
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
    return EXAMPLE[run.does]


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
