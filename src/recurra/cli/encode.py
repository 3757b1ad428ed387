"""recurra encode"""

from __future__ import annotations

import json as json_format
import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra.cli.options import Json, Plugins
from recurra.cli.progress import Watch
from recurra.config import parse_settings
from recurra.data.files import counted
from recurra.errors import ConfigError
from recurra.workflow.plan import make_plan


def encode(
    recipe: str,
    /,
    *files: Path,
    out: Annotated[Path, Parameter(name=("--out", "-o"))],
    valid: Annotated[list[Path] | None, Parameter(negative=())] = None,
    test: Annotated[list[Path] | None, Parameter(negative=())] = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative=())] = None,
    processes: int | None = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Encode files once into a corpus, which trainings read where it lies: more text than there is memory for.

    Parameters
    ----------
    recipe
        The recipe that is to be trained: its name, or a file of yours.
    files
        The training data, as of `recurra train`.
    out
        The new folder for the corpus. One that was begun goes on.
    valid
        A file to validate on; may be repeated. Without it, a part is cut off the training data.
    test
        A file to test on; may be repeated. Without it, likewise.
    set_
        A setting of the recipe: --set vocabulary.max_size=20000; may be repeated.
    processes
        How many processes read and encode; one a core if not said.
    """
    if processes is not None and processes < 1:
        raise ConfigError(f"--processes {processes}, expected 1 or more.")
    plan = make_plan(
        recipe,
        files,
        out=out,
        valid=valid or (),
        test=test or (),
        settings=parse_settings(set_ or ()),
        plugins=plugin or (),
    )
    with Watch(sys.stderr) as watch:
        from recurra.workflow.encoding.encode import execute  # which takes seconds to load

        index = execute(plan, processes=processes, say=watch.say)
    if json:
        held = {
            "corpus": str(out),
            "split": index.split,
            "data": index.fingerprint,
            **index.sizes,
            "notes": index.notes,
        }
        print(json_format.dumps(held, ensure_ascii=False))
        return
    size = f"{index.sizes['symbols']:,} symbols" if index.long else counted(index.examples, "training example")
    print(f"{index.split}.")
    for note in index.notes:
        print(note)
    again = [word for word in set_ or () if not word.startswith(("reader.", "data."))]
    words = ["recurra", "train", recipe, *(f"--set {shlex.quote(word)}" for word in again)]
    print(f"{out}: {size}. Train from it: {' '.join(words)} --set {shlex.quote(f'data.corpus={out}')}")
