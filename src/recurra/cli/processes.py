"""A training in several processes of this machine, started by torch's launcher as `torchrun` does."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from recurra.errors import ConfigError, Stopped, TrainingError
from recurra.limits import cores
from recurra.training.ranks import place

FLAG = "--processes"


def launch(count: int, words: Sequence[str], out: Path) -> int:
    """Say the words of a training in `count` processes, without the flag, and give their exit code.

    Raises `TrainingError` where one of them was killed, with its rank; the others are stopped then. `out`: the run.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable(logging.ERROR)  # of the launcher's: what happened is said below
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // count)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id="recurra",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(),
    )
    try:
        elastic_launch(config, sys.executable)("-m", "recurra", *without_flag(words))
    except ChildFailedError as error:
        failures = sorted(error.failures.items())
        ended = [(rank, each) for rank, each in failures if each.exitcode < 0 and each.exitcode != -signal.SIGTERM]
        spoken = [each.exitcode for _, each in failures if each.exitcode > 0]
        if spoken and not ended:
            return spoken[0]  # that process has said why; the launcher ended the others by SIGTERM
        rank, failure = (ended or failures)[0]
        raise TrainingError(
            f"process {rank} of {count} was ended by {failure.signal_name()}, the others were stopped. What was saved "
            f"before stands. Go on: recurra train {out} --resume {FLAG} {count}"
        ) from error
    except SignalException as stopped:
        return Stopped("", int(stopped.sigval)).exit_code  # the first process has said what stands
    return 0


def check_processes(count: int) -> None:
    """Raise `ConfigError` for a number of processes that is none, and where a launcher has started this one already."""
    if count < 1:
        raise ConfigError(f"{FLAG} {count}, expected a whole number from 1.")
    if place() is not None:
        raise ConfigError(f"{FLAG} {count} starts processes, but a launcher has started this one. Leave it away.")


def without_flag(words: Sequence[str]) -> list[str]:
    """The words of a command line without the flag and its number."""
    found, skip = list[str](), False
    for word in words:
        if not skip and word != FLAG and not word.startswith(f"{FLAG}="):
            found.append(word)
        skip = word == FLAG
    return found
