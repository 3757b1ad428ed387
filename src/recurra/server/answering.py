"""What a run is asked in its thread: options that fit it, and answers to inputs of several requests at once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from recurra.data.blanks import count_blanks
from recurra.server.kinds import parts_of
from recurra.server.limits import Limits, size_of
from recurra.server.problems import Problem, too_long
from recurra.serving.run import Run

DRAWING = ("temperature", "top_k", "top_p", "seed")
ONLY: dict[str, tuple[str, ...]] = {
    "top": ("label", "fill", "write"),
    "length": ("write",),
    **dict.fromkeys(DRAWING, ("write", "translate")),
    **dict.fromkeys(("beam", "n_best", "length_penalty", "no_repeat", "form", "attention"), ("translate",)),
}
"""By option: the runs it is for, by what they do."""
GENERATING = ("length", "top", "form", *DRAWING)
"""Options of a text that is generated symbol by symbol, whatever writes it."""
TOP = 5


def check_options(said: Mapping[str, Any], does: str, limits: Limits) -> None:
    """Raise `Problem` for an option of another kind of run, and for one beyond the limits."""
    for name in said:
        if does not in ONLY[name]:
            fits = sorted(option for option, runs in ONLY.items() if does in runs)
            raise Problem(
                422,
                f"the option {name} is for models that {' or '.join(ONLY[name])}, this one {does}s",
                expected="options of " + ", ".join(fits),
                got=name,
                next="Leave it out.",
            )
    check_sizes(said, limits)


def check_sizes(said: Mapping[str, Any], limits: Limits) -> None:
    """Raise `Problem` for an option beyond the limits."""
    most = {"length": limits.written, "top": limits.top, "beam": limits.beam, "n_best": limits.beam}
    for name, limit in most.items():
        value = said.get(name)
        if value is not None and not (0 if name in ("top", "length") else 1) <= value <= limit:
            least = 0 if name in ("top", "length") else 1
            raise Problem(
                422,
                f"the option {name} is out of range",
                expected=f"{least} to {limit:,}",
                got=value,
                next="Choose a number between.",
            )


def check_inputs(inputs: Sequence[str | Sequence[str]], limits: Limits, run: Any = None) -> None:
    """Raise `Problem` for too many inputs, for one that is too long, and for too much in all."""
    if len(inputs) > limits.inputs:
        raise Problem(
            422,
            "there are too many inputs",
            expected=f"{limits.inputs} at most",
            got=len(inputs),
            next="Send several requests: those that wait are computed together.",
        )
    sizes = [check_input(given, limits, run) for given in inputs]
    if sum(sizes) > limits.in_all:
        raise too_long("what is sent", limits.in_all, sum(sizes), "characters in all")


def check_input(given: str | Sequence[str], limits: Limits, run: Any = None) -> int:
    """How many characters an input counts. Raises `Problem` for one that is too long for a run, or is no text."""
    text = given if isinstance(given, str) else "".join(given)
    size, most = size_of(given), limits.characters if run is None else longest(run, limits)
    if size > most:
        raise too_long("an input", most, size, "characters")
    if run is not None and run.does == "fill" and count_blanks(given) > limits.blanks:
        raise too_long("the list of blanks in an input", limits.blanks, count_blanks(given), "blanks")
    if not isinstance(given, str) and len(given) > limits.tokens:
        raise too_long("an input", limits.tokens, len(given), "tokens")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Problem(
            422,
            "an input holds half a character",
            expected="Unicode text: a surrogate stands in no text by itself",
            got=f"U+{ord(text[error.start]):04X}",
            next="Send it in UTF-8.",
        ) from error
    return size


def longest(run: Any, limits: Limits) -> int:
    """Characters that an input of a run may have."""
    squared = run.does == "translate" or run.config["core"]["kind"] == "transformer"
    return min(limits.squared, limits.characters) if squared else limits.characters


class Asking:
    """A run, asked for the answers of a batch."""

    def __init__(self, run: Run) -> None:
        self._run: Any = run

    def key(self, said: Mapping[str, Any]) -> Hashable:
        """What requests must have alike to be computed together. What is drawn at random goes alone, so that a seed
        draws the same whoever else asks."""
        options = tuple(sorted(said.items()))
        drawn = self._run.does == "translate" and (
            any(name in said for name in DRAWING) or (self._run.search.draws and "beam" not in said)
        )
        return options, object() if drawn else None

    def compute(
        self, key: Any, inputs: Sequence[Any], stop: Callable[[], bool] = lambda: False
    ) -> list[list[dict[str, Any]]]:
        """The parts of each input's answer; see `kinds`. Raises `Stopped` where `stop()` says so meanwhile."""
        run, options = self._run, dict(key[0])
        if run.does == "label":
            options = {"top": TOP} | options
        answers = run.predict(*inputs, **options, stop=stop)
        return [parts_of(answer, run.model.task) for answer in answers]
