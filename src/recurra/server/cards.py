"""What is said of a model before anybody asks it: sizes, scores, an example, what it wants and gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recurra.checkpoint import RunFolder
from recurra.errors import CheckpointError, NotCausal
from recurra.server.answering import GENERATING, ONLY, longest
from recurra.server.generating import has_parts
from recurra.server.kinds import is_spaced, kinds_given
from recurra.server.limits import Limits
from recurra.serving.run import Run
from recurra.streaming.stream import check_streams

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


def card(name: str, run: Run, limits: Limits) -> dict[str, Any]:
    """A model in words and numbers, as JSON."""
    config, model, task = run.config, run.model, run.model.task
    try:
        report = run.report
    except CheckpointError:
        if RunFolder(run.path).report.exists():
            raise
        report = {}  # training was stopped before its end
    core = {key: config["core"][key] for key in CORE if key in config["core"]}
    verb, asks = _asks(run)
    return {
        "name": name,
        "task": config["task"]["kind"],
        "does": run.does,
        "description": str(config.get("description", "")),
        "core": core,
        "parameters": model.parameter_count,
        "vocabulary": {field: len(symbols) for field, symbols in model.vocabularies.items()},
        "verb": verb,
        "asks": asks,
        "example": _example(run, report),
        "longest": longest(run, limits),
        "gives": kinds_given(run.does, task),
        "options": _options(run, limits),
        "can": _can(run),
        "scores": _scores(report),
        "data": report.get("split"),
        "trained": {key: report[key] for key in ("seed", "epochs", "steps", "minutes", "commands") if key in report},
    }


CORE = ("kind", "cell", "hidden_size", "num_layers", "bidirectional", "heads", "causal")


def _asks(run: Any) -> tuple[str, str]:
    """What a model does, as a word on a button, and what it wants."""
    if getattr(run.model.task, "segmented", False):
        return STORY
    usual = (VERBS[run.does], ASKS[run.does])
    return BY_SCORES.get(run.model.task.scores, usual) if run.does == "translate" else usual


def _example(run: Any, report: Mapping[str, Any]) -> str:
    """An input that the model was tested on, if its report shows one."""
    sample = report.get("sample", {}).get("text", "")
    if sample:
        return _beginning(sample)
    for shown in report.get("shown", ()):
        source = shown.get("source", shown.get("tokens"))
        if isinstance(source, str):
            return source
        if source:
            known = [token for token in source if token != "___"]
            return ("" if known and not is_spaced(known) else " ").join(source)
    return EXAMPLE[run.does]


def _beginning(text: str) -> str:
    """The first words of a text."""
    line = text.strip().split("\n")[0][:PROMPT]
    return line if len(line) < PROMPT or " " not in line else line[: line.rindex(" ")]


def _options(run: Any, limits: Limits) -> dict[str, dict[str, Any]]:
    """By what may be asked, the options there are, with their default where it is the run's own."""
    search = getattr(run, "search", None)
    own = {name: getattr(search, name, None) for name in ONLY} if search is not None else {}
    sizes = {"length": limits.written, "top": limits.top, "beam": limits.beam, "n_best": limits.beam}

    def described(names: tuple[str, ...]) -> dict[str, Any]:
        return {
            name: {"default": own.get(name), "most": sizes.get(name)}
            for name in names
            if (name != "form" or getattr(run, "writes_poems", False))
            and (name != "attention" or getattr(run.model.task, "aligns", False))
        }

    found = {"predict": described(tuple(name for name, runs in ONLY.items() if run.does in runs))}
    if "generate" in _can(run):
        found["generate"] = described(GENERATING)
    return found


def _can(run: Any) -> list[str]:
    """What may be asked of it."""
    found = ["predict"]
    if run.does == "write" or (run.does == "translate" and hasattr(run.model.task, "start")):
        found.append("generate")
    if not has_parts(run.model):
        return found
    try:
        check_streams(run.model, run.path)
        found.append("sessions")
    except NotCausal:
        pass
    return [*found, "inspect"]


def _scores(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the model and of what stands beside it, of the test, or of the validation where there is no test."""
    scores = report.get("scores", {})
    for part in ("test", "valid"):
        if part in scores:
            found = scores[part]
            rows = [{"name": "model", "metrics": found["model"]}]
            for row in found.get("baseline", ()):
                numbers = {key: value for key, value in row.items() if key in found["model"]}
                rows.append({"name": row["name"], "metrics": numbers})
            return [{"part": part, **row} for row in rows]
    return []
