"""What goes on in a model while it reads one input, in JSON numbers: gates, gradient flow, expectations, attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from recurra.diagnostics.attention import alignment, self_attention
from recurra.diagnostics.gates import Gates, gates
from recurra.diagnostics.gradients import gradient_flow
from recurra.diagnostics.mutations import is_of_bases, mutations
from recurra.diagnostics.plain import plain
from recurra.diagnostics.reading import Given, read
from recurra.diagnostics.report.findings import most_changing
from recurra.diagnostics.symbols import next_symbols
from recurra.diagnostics.trees import tree_reach
from recurra.errors import RecurraError
from recurra.model import Model
from recurra.tasks.contract import ReadsTrees

UNITS = 6
"""Units whose states are given symbol by symbol: those that change most."""
HEADS = 8
"""Heads of self-attention that are given."""
FLOW = ("layer", "direction", "state", "mean", "bound", "slope", "horizon", "verdict", "advice")


def brief(model: Model, given: Given, check: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """All that can be said of one input without the run's own folder, short enough to be sent; what cannot is a
    sentence in "left_out". `check` is called between two things, and may raise.

    `given`: as `gradient_flow` takes it. Raises `DataError` for a text without a token.
    """
    left_out: dict[str, str] = {}

    def tried(name: str, found: Callable[[], Any]) -> Any:
        check()
        try:
            return found()
        except RecurraError as error:
            left_out[name] = str(error)
            return None

    seen, trees = tried("gates", lambda: gates(model, given)), isinstance(model.task, ReadsTrees)
    return {
        "tokens": list(read(model, given, by_step=False).tokens),
        "gradient_flow": tried("gradient_flow", lambda: _flow(gradient_flow(model, given))),
        "gates": None if seen is None else _gates(seen),
        "units": [] if seen is None else [unit.as_json() for unit in most_changing(seen, UNITS)],
        "next_symbols": tried("next_symbols", lambda: [place.as_json() for place in next_symbols(model, given)]),
        "alignment": tried("alignment", lambda: alignment(model, given).as_json()),
        "self_attention": tried(
            "self_attention", lambda: [head.as_json() for head in self_attention(model, given)[:HEADS]]
        ),
        **({"tree_reach": tried("tree_reach", lambda: tree_reach(model, given).as_json())} if trees else {}),
        **({"mutations": tried("mutations", lambda: _mutated(model, given))} if is_of_bases(model) else {}),
        "left_out": left_out,
    }


def _mutated(model: Model, given: Given) -> dict[str, Any]:
    """The changes, the largest, and what is to be concluded."""
    found = mutations(model, given)
    return {**found.as_json(), "largest": found.largest, "conclusion": found.conclusion}


def _flow(found: Any) -> dict[str, Any]:
    """The flow of each layer and direction; the mean over the followed steps stands for all of them."""
    flows = [{name: plain(getattr(flow, name)) for name in FLOW} for flow in found.main]
    return {"steps": list(found.steps), "notes": list(found.notes), "flows": flows}


def _gates(found: Gates) -> dict[str, Any]:
    """Saturation of every gate, and its mean over the units at each token; how long half of the units keep a state,
    None for ever."""
    whole = {name: value for name, value in found.as_json().items() if name != "letters"}  # which nobody draws there
    for described, one in zip(whole["gates"], found.gates, strict=True):
        described["over_text"] = plain(one.values.mean(1))
    whole["kept"] = [
        {**{name: each[name] for name in ("layer", "direction", "state")}, "median": _median(each["time_constants"])}
        for each in whole["kept"]
    ]
    return whole


def _median(values: list[float | None]) -> float | None:
    """The middle of some, of which None is beyond all."""
    return sorted(values, key=lambda value: float("inf") if value is None else value)[len(values) // 2]
