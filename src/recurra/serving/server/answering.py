"""What a run is asked in its thread: options that fit it, and answers to inputs of several requests at once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from recurra.serving.run import Run
from recurra.serving.server.kinds import parts_of
from recurra.serving.server.limits import Limits
from recurra.serving.server.problems import Problem, too_long

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


def check_inputs(inputs: Sequence[str | Sequence[str]], limits: Limits) -> None:
    """Raise `Problem` for too many inputs, and for one that is too long."""
    if len(inputs) > limits.inputs:
        raise Problem(
            422,
            "there are too many inputs",
            expected=f"{limits.inputs} at most",
            got=len(inputs),
            next="Send several requests: those that wait are computed together.",
        )
    for given in inputs:
        check_input(given, limits)


def check_input(given: str | Sequence[str], limits: Limits) -> None:
    """Raise `Problem` for an input that is too long."""
    size = len(given) if isinstance(given, str) else sum(map(len, given))
    if size > limits.characters:
        raise too_long("an input", limits.characters, size, "characters")
    if not isinstance(given, str) and len(given) > limits.tokens:
        raise too_long("an input", limits.tokens, len(given), "tokens")


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

    def compute(self, key: Any, inputs: Sequence[Any]) -> list[list[dict[str, Any]]]:
        """The parts of each input's answer; see `kinds`."""
        run, options = self._run, dict(key[0])
        if run.does == "label":
            options = {"top": TOP} | options
        answers = run.predict(*inputs, **options)
        return [parts_of(answer, run.model.task) for answer in answers]
