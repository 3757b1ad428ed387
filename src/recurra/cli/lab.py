"""recurra lab gradients, recurra lab memory"""

from __future__ import annotations

import json as json_format
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from recurra import registry, storage
from recurra.cli.options import Json, Plugins, Threads
from recurra.cli.progress import Watch
from recurra.errors import ConfigError, UnknownName
from recurra.progress import steps as counted

if TYPE_CHECKING:
    from recurra.lab.gradients import Decay
    from recurra.lab.memory import Outcome

Cells = Annotated[
    list[str] | None,
    Parameter(
        name="--cells",
        negative=(),
        consume_multiple=True,
        help="Cells to compare: --cells lstm gru. Without it rnn-tanh irnn gru lstm layer-norm-lstm.",
    ),
]
Units = Annotated[int, Parameter(name="--hidden", help="Units of each network.")]
Forget = Annotated[float, Parameter(name="--forget-bias", help="At which the bias of a forget gate starts.")]
Several = Parameter(negative=(), consume_multiple=True)
ABOVE = 1.5
"""The error that is drawn at most, over that of whoever remembers nothing."""
ENDS = {"steps": "not solved", "time": "not solved, time was up", "diverged": "diverged"}


def lab() -> App:
    """The verb and its experiments."""
    app = App(name="lab", help="Textbook experiments that measure.", help_format="plaintext", help_epilogue="")
    app.command(gradients, name="gradients", help_epilogue="")
    app.command(memory, name="memory", help_epilogue="")
    return app


def gradients(
    *,
    cells: Cells = None,
    lags: int = 200,
    hidden: Units = 64,
    forget: Forget = 1.0,
    seed: int = 0,
    out: Path | None = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """How gradients vanish and explode: exact slopes of linear networks, tanh within its bound, cells at their starts.

    Each figure is the norm of the error's gradient by the state so many steps before, as a share of that at the last
    step. "slope" is that of its logarithm per step, "1 % left" the lag from which on less than 1 % is left.

    Parameters
    ----------
    lags
        Steps to go back.
    out
        A folder for gradients.json and gradients-*.svg.
    """
    _known(cells, plugin, out)
    from recurra.lab import gradients as experiment

    decays = experiment.decays(cells or experiment.CELLS, lags=lags, hidden=hidden, forget=forget, seed=seed)
    with Watch(sys.stderr):
        found = list(counted(decays, "following gradients", "states"))
    whole = {"lags": lags, "hidden": hidden, "seed": seed, "decays": [one.as_json() for one in found]}
    if json:
        print(json_format.dumps(whole))
    else:
        print("\n".join(_decay_lines(found, lags)))
    if out is not None:
        _keep(out, "gradients", whole, _decay_pictures(found))


def memory(
    *,
    problems: Annotated[list[Literal["adding", "copy"]] | None, Several] = None,
    cells: Cells = None,
    lags: Annotated[list[int] | None, Several] = None,
    clipping: Literal["both", "on", "off"] = "both",
    minutes: float = 2.0,
    steps: int = 3000,
    hidden: Units = 64,
    learning_rate: float = 0.003,
    forget: Forget = 1.0,
    seed: int = 0,
    threads: Threads = 1,
    out: Path | None = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """What cells learn to remember: the adding and the copy problem, with and without clipped gradients.

    "error" is the smallest on held-out sequences: the squared error of adding, the nats a step of copying; beside it
    that of whoever remembers nothing. A tenth of it counts as solved.

    Parameters
    ----------
    problems
        adding, copy; both where none is named.
    lags
        Steps to remember over: --lags 50 100 200 500. 50 where none is named.
    clipping
        Gradients clipped to a norm of 1 (on), not clipped (off), or a training of each (both).
    minutes
        Of training, for all together.
    steps
        Of each training, at most; 32 sequences each.
    learning_rate
        Of Adam.
    out
        A folder for memory.json and memory-*.svg. A training whose outcome stands there is not run again, unless it
        ended for want of time or steps and would now have more.
    """
    _known(cells, plugin, out)
    from recurra.asking.threads import threads_set
    from recurra.lab import memory as experiment

    ways = {"both": (True, False), "on": (True,), "off": (False,)}[clipping]
    settings = {"learning_rate": learning_rate, "forget": forget}
    wanted = experiment.trials(
        problems or ("adding", "copy"),
        cells or experiment.CELLS,
        lags or (50,),
        ways,
        hidden=hidden,
        seed=seed,
        **settings,
    )
    file = None if out is None else out / "memory.json"
    found = []
    if not json:
        print(f"{'problem':<8} {'lag':>4}  {'cell':<24} {'clipped':<7} {'error':>8} {'baseline':>8}  steps to solve")
    with threads_set(threads), Watch(sys.stderr) as watch:
        for one, _ in experiment.outcomes(wanted, minutes=minutes, steps=steps, file=file):
            found.append(one)
            if not json:
                watch.print(_outcome_line(one))
    if json:
        print(json_format.dumps({"outcomes": [one.as_json() for one in found]}))
    if out is not None:
        _keep(out, "memory", None, _outcome_pictures(found))


def _known(cells: Sequence[str] | None, plugin: Sequence[Path] | None, out: Path | None) -> None:
    """Raises `ConfigError` for what is wrong with the words, before torch is loaded."""
    if out is not None and out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is a file, expected a folder. Name another.")
    for file in plugin or ():
        registry.load_plugin(file)
    known = registry.names("cell")
    for name in cells or ():
        if name not in known:
            raise UnknownName("cell", name, known)


def _decay_lines(found: Sequence[Decay], lags: int) -> list[str]:
    marks = sorted({1, lags // 20, lags // 4, lags} - {0})
    head = "".join(f"{f'lag {mark}':>10}" for mark in marks)
    lines = []
    for group in dict.fromkeys(one.group for one in found):
        lines += ["", f"{group:<32} {'state':<5} {'slope':>10} {'expected':>10}{head} {'peak':>5}  1 % left"]
        for one in (each for each in found if each.group == group):
            expected = "" if one.expected is None else f"{one.expected:.6f}"
            values = "".join(f"{one.norms[mark]:>10.2g}" for mark in marks)
            left = f"> {lags}" if one.horizon is None else one.horizon
            name = f"{one.network}{_spectral(one)}"
            lines.append(f"{name:<32} {one.state:<5} {one.slope:>10.6f} {expected:>10}{values} {one.peak:>5}  {left}")
    return lines[1:]


def _spectral(one: Decay) -> str:
    """Largest singular value and spectral radius, where they differ."""
    if one.norm is None or one.radius is None or math.isclose(one.norm, one.radius, rel_tol=1e-6):
        return ""
    return f" (σ₁ {one.norm:.2f}, ρ {one.radius:.2f})"


def _decay_pictures(found: Sequence[Decay]) -> dict[str, str]:
    from recurra.lab.curves import svg

    pictures = {}
    for group in dict.fromkeys(one.group for one in found):
        mine = [one for one in found if one.group == group]
        several = {one.network for one in mine if one.state != mine[0].state}
        called = [f"{one.network}, {one.state}" if one.network in several else one.network for one in mine]
        curves = {name: list(enumerate(one.norms.tolist())) for name, one in zip(called, mine, strict=True)}
        bounds = {
            name: list(enumerate(one.bound.tolist()))
            for name, one in zip(called, mine, strict=True)
            if one.bound is not None
        }
        title = f"Gradient by the state so many steps before, {group}{'; dashed: at most' if bounds else ''}"
        pictures[group.replace(" ", "-")] = svg(title, curves, x="lag", y="share of the norm", log=True, bounds=bounds)
    return pictures


def _outcome_line(one: Outcome) -> str:
    trial, solved = one.trial, one.solved
    end = f"{solved:,}" if solved is not None else f"{ENDS[one.end]} ({one.steps:,} steps)"
    clipped = "yes" if trial.clipped else "no"
    name = f"{trial.problem:<8} {trial.lag:>4}  {trial.cell:<24} {clipped:<7}"
    return f"{name} {one.error:>8.4f} {one.baseline:>8.4f}  {end}"


def _outcome_pictures(found: Sequence[Outcome]) -> dict[str, str]:
    from recurra.lab.curves import svg

    pictures = {}
    for problem, lag in dict.fromkeys((one.trial.problem, one.trial.lag) for one in found):
        mine = [one for one in found if (one.trial.problem, one.trial.lag) == (problem, lag)]
        curves = {f"{one.trial.cell}{'' if one.trial.clipped else ', unclipped'}": one.curve for one in mine}
        pictures[f"{problem}-{lag}"] = svg(
            f"{problem}, lag {lag}; dashed: remembers nothing; what is above is drawn at the upper edge",
            curves,
            x="steps",
            y=mine[0].unit,
            dashed=mine[0].baseline,
            top=ABOVE * mine[0].baseline,
        )
    return pictures


def _keep(out: Path, name: str, whole: Mapping[str, object] | None, pictures: Mapping[str, str]) -> None:
    storage.make_folder(out)
    if whole is not None:
        storage.write_text(out / f"{name}.json", json_format.dumps(whole))
    for kind, picture in pictures.items():
        storage.write_text(out / f"{name}-{kind}.svg", picture)
