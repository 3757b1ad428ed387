"""recurra train"""

from __future__ import annotations

import json as json_format
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from recurra import registry
from recurra.cli.options import Device, Json, Plugins, Threads
from recurra.cli.progress import Watch
from recurra.config import parse_settings
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
    resume: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
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
    resume
        Go on with a run that was stopped.
    """
    from recurra.cli.report import print_report

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
        resume=resume,
    )
    with Watch(sys.stderr, registry.find("task", plan.config["task"]["kind"]).unit) as watch:
        from recurra.workflow.training import execute  # which takes seconds to load

        run = execute(
            plan,
            no_test=no_test,
            baseline=baseline,
            say=watch.say,
            progress=watch,
            command=shlex.join(["recurra", *sys.argv[1:]]),
        )
    if json:
        print(json_format.dumps({"run": str(run.path), **run.report}, ensure_ascii=False))
    else:
        print_report(run.path, run.report)
