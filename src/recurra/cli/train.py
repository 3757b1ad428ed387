"""recurra train"""

from __future__ import annotations

import io
import json as json_format
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from recurra import registry
from recurra.cli.options import Device, Json, Plugins, Threads
from recurra.cli.processes import FLAG, check_processes, launch
from recurra.cli.progress import Watch
from recurra.config import parse_settings
from recurra.training.ranks import is_first, place
from recurra.workflow.plan import make_plan


def train(
    recipe: str,
    /,
    *files: Path,
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    valid: Annotated[list[Path] | None, Parameter(negative=())] = None,
    test: Annotated[list[Path] | None, Parameter(negative=())] = None,
    no_test: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    baseline: Annotated[bool, Parameter(negative="--no-baseline")] = True,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative=())] = None,
    max_minutes: float | None = None,
    fit_budget: bool | None = None,
    precision: Literal["float32", "bf16", "auto"] | None = None,
    seed: int | None = None,
    device: Device | None = None,
    threads: Threads | None = None,
    processes: int = 1,
    resume: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    plugin: Plugins = None,
    json: Json = False,
) -> int:
    """Train a model on files, score it beside a plain baseline, and show what it does.

    Parameters
    ----------
    recipe
        A recipe's name (`recurra recipes` lists them), a recipe file of yours, or, with --resume, a run's folder.
    files
        The training data, plain or in gzip: a text, tagged words, labelled lines, tables; for some formats a folder.
    out
        The new folder for the run; `run` if not said.
    valid
        A file to validate on; may be repeated. Without it, a part is cut off the training data.
    test
        A file to test on; may be repeated. Without it, likewise.
    no_test
        Leave the test for later: `recurra evaluate RUN` scores it.
    baseline
        Fit the plain baselines that the scores stand beside.
    set_
        A setting of the recipe: --set core.hidden_size=512; may be repeated.
    max_minutes
        Time for training; the best weights so far are kept.
    fit_budget
        Choose widths, layers, batches and schedule for --max-minutes by the measured pace. If not said: where a recipe
        of the package would make fewer than 300 updates of its weights.
    precision
        bf16: matrix products in bfloat16; auto: where processor or GPU multiply it by themselves.
    seed
        Seed of everything drawn at random.
    processes
        Processes of this machine that train together, each on a part of every batch; --threads is of each.
    resume
        Go on with a run that was stopped.
    """
    from recurra.cli.report import print_report

    if place() is not None:  # torch, once loaded, would warn of what is meant: parameters without a gradient
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    if processes != 1:
        check_processes(processes)
    flags = {
        "max_minutes": max_minutes,
        "fit_budget": fit_budget,
        "precision": precision,
        "seed": seed,
        "device": device,
        "threads": threads,
    }
    settings: dict[str, Any] = {f"training.{name}": value for name, value in flags.items() if value is not None}
    plan = make_plan(
        recipe,
        files,
        out=out,
        valid=valid or (),
        test=test or (),
        settings={**parse_settings(set_ or ()), **settings},
        plugins=plugin or (),
        resume=resume or _begun_anew(out),
    )
    if processes != 1:
        return launch(processes, sys.argv[1:], plan.out)
    stream = sys.stderr if is_first() else io.StringIO()  # the others keep silent
    with Watch(stream, registry.find("task", plan.config["task"]["kind"]).unit) as watch:
        from recurra.workflow.training import execute  # which takes seconds to load

        run = execute(
            plan,
            no_test=no_test,
            baseline=baseline,
            say=watch.say,
            progress=watch,
            command=shlex.join(["recurra", *sys.argv[1:], *_together()]),
        )
    if is_first() and json:
        print(json_format.dumps({"run": str(run.path), **run.report}, ensure_ascii=False))
    elif is_first():
        print_report(run.path, run.report)
    return 0


def _together() -> tuple[str, ...]:
    """What says on a command line that the processes of a launcher train together."""
    here = place()
    return () if here is None else (FLAG, str(here.size))


def _begun_anew(out: Path | None) -> bool:
    """Whether a launcher says the command again since a process died, and there is a run to go on with."""
    here = place()
    return here is not None and here.restarts > 0 and ((out or Path("run")) / "config.toml").is_file()
