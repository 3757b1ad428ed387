"""recurra sweep"""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from recurra.cli.options import Json, Plugins
from recurra.cli.progress import Watch
from recurra.config import parse_settings
from recurra.errors import TrainingError
from recurra.trials import Found
from recurra.trials import sweep as tried
from recurra.trials.spaces import parse_grid, texts_of

Several = Annotated[list[str] | None, Parameter(negative=())]


def sweep(
    recipe: str,
    /,
    *files: Path,
    grid: Several = None,
    random: Several = None,
    trials: int | None = None,
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    valid: Annotated[list[Path] | None, Parameter(negative=())] = None,
    test: Annotated[list[Path] | None, Parameter(negative=())] = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative=())] = None,
    max_minutes: float | None = None,
    halving: int | None = None,
    sampler: Literal["random", "optuna"] = "random",
    seed: int = 0,
    workers: int | None = None,
    threads: int = 1,
    device: str | None = None,
    on: Literal["here", "ray"] = "here",
    address: str | None = None,
    shard: str | None = None,
    retry: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    show: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Train a recipe with many settings, each in a run of its own, and rank them by their validation.

    The task's main metric on the validation examples ranks them; the test is left for the one that you choose.
    Stopped or killed, the same words again go on, and so does `recurra sweep OUT`.

    Parameters
    ----------
    recipe
        A recipe's name, a recipe file of yours, or the folder of a sweep, to go on with it.
    files
        The training data, as of `recurra train`.
    grid
        Values of a setting, all of which are tried: --grid core.hidden_size=128,256; repeated: each with each.
    random
        What to draw anew for each trial: --random training.learning_rate=log:1e-4:1e-2; also uniform:0:0.5, int:1:4,
        log-int:64:512, choice:lstm,gru; may be repeated.
    trials
        How many; of a grid all of its points, if not said.
    out
        The folder for runs, table and drawings; `sweep` if not said.
    valid
        A file to validate on; may be repeated. Without it, a part is cut off the training data.
    test
        A file that is left alone; without it, a part of the training data likewise.
    set_
        A setting of all trials: --set training.epochs=5; may be repeated.
    max_minutes
        Time for the training of each trial.
    halving
        Of so many trials one goes on, for so many times the time, up to --max-minutes: --halving 3.
    sampler
        random, or optuna: chosen by the scores of the trials before, four at a time.
    seed
        Seed of what is drawn, and of the trainings.
    workers
        Trials at a time; as many as there are processors for their threads, if not said.
    threads
        Processor threads of each trial.
    device
        Of each trial: auto (a GPU where there is one), cpu, cuda …
    on
        here: processes of this machine; ray: a Ray cluster, started here where --address names none.
    address
        Where a Ray cluster is that runs already: auto, or its head's HOST:PORT.
    shard
        2/8: every eighth trial alone, from the second, for a scheduler's array jobs.
    retry
        Try those again that failed before.
    show
        Train nothing: the table of what there is by now, of all shards.
    """
    with Watch(sys.stderr) as watch:
        found = tried(
            recipe,
            *files,
            out=out,
            valid=valid or (),
            test=test or (),
            settings=parse_settings(set_ or ()),
            grid={name: each.values for name, each in parse_grid(grid or ()).items()},
            random=texts_of(random or ()),
            trials=trials,
            sampler=sampler,
            halving=halving,
            max_minutes=max_minutes,
            seed=seed,
            workers=workers,
            threads=threads,
            device=device,
            on=on,
            address=address,
            shard=shard,
            retry=retry,
            show=show,
            plugins=plugin or (),
            say=watch.say,
        )
    if json:
        print(json_format.dumps(found.as_json(), ensure_ascii=False))
    else:
        print_found(found)
    if found.best is None and 0 < len(found.trials) == found.count:
        raise TrainingError(f"no trial of {found.count} has a score; the first: {found.trials[0].failed}")


def print_found(found: Found) -> None:
    """The table, and what to do with the best."""
    from recurra.diagnostics.report.summary import columns
    from recurra.trials.table import reasons, rows

    print(f"\n{len(found.trials):,} of {found.count:,} trials, by their validation; the test is untouched")
    print("\n".join(columns(rows(found))))
    if why := reasons(found):
        print("\nfailed (again with --retry):")
        print("\n".join(f"  {line}" for line in why))
    print(f"\nThe table is {found.out / 'table.csv'}, the score against each setting {found.out}/*.svg")
    if found.best is not None:
        plugged = "".join(f" --plugin {path}" for path in found.plugins)
        best = found.out / f"{found.best.trial:04d}"
        print(f"The best on the test, beside baselines: recurra evaluate {best}{plugged}")
