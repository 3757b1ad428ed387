"""One thread for every test: the tensors are small, and so it is in the processes that tests start.

Compiled code is kept beside pytest's own cache, so that a second run need not compile, and the user's is left alone.
How fast inputs are drawn depends on what else the machine does, so no test fails for it.

`--shift-seeds N` adds N to every seed that a test or a training sets in its process: a test that fails for some N
asserts the luck of one training.

`--instructions avx512|avx2|portable` runs the tests as on a processor that has no wider ones: recurra's kernels,
oneDNN's and torch's alike, in the processes that tests start, too. Where this processor lacks them nothing is run.

Where RECURRA_SKIPPED names a file, every test that was left out is written behind its end, with the reason.
"""

from __future__ import annotations

import copy
import functools
import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("RECURRA_CACHE", str(Path(__file__).parents[1] / ".pytest_cache" / "compiled"))
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs and nohup ignore
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
gc.set_threshold(100_000, 20, 20)  # exports make objects by the million: collecting them took a twentieth of the time
LONGEST = ("every/test_cells", "export/test_models", "export/test_clients", "engine/native/test_instructions")
LONGEST += ("test_precisions", "engine/triton/test_triton", "golden/test_golden", "engine/native/test_memory")
LONGEST += ("test_processes", "jobs/test_local", "cli/test_processes", "docs/test_why_memory", "test_killed")
LONGEST += ("docs/test_custom_cell", "cli/test_serve", "jobs/test_on_ray", "training/test_group", "test_same_bits")
"""Files that take longest, which begin first: a file is one worker's, and the last one is waited for."""
settings.register_profile("recurra", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("recurra")


INSTRUCTIONS = {"avx512": ("AVX512_CORE", "avx512"), "avx2": ("AVX2", "avx2"), "portable": ("SSE41", "default")}
"""Ours → oneDNN's and torch's own names for them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--instructions", choices=list(INSTRUCTIONS), help="no wider instructions than these")
    parser.addoption("--shift-seeds", type=int, default=0, metavar="N", help="add N to every seed that is set")
    parser.addoption("--regold", action="store_true", help="make the golden files of tests/golden anew")


def pytest_configure(config: pytest.Config) -> None:
    if instructions := config.getoption("--instructions"):
        restrict(instructions)
    if shift := config.getoption("--shift-seeds"):
        shift_seeds(shift)


def restrict(instructions: str) -> None:
    """For this process, whose torch reads these variables when it is imported, and all that it starts."""
    onednn, aten = INSTRUCTIONS[instructions]
    os.environ |= {
        "RECURRA_INSTRUCTIONS": instructions,
        "ONEDNN_MAX_CPU_ISA": onednn,
        "ATEN_CPU_CAPABILITY": aten,
    }
    from recurra.engine.native import build

    if missing := set(build.INSTRUCTIONS[instructions][1]) - build.processor():
        pytest.exit(f"this processor lacks {', '.join(sorted(missing))}: nothing to run", returncode=0)
    wider = list(INSTRUCTIONS)[: list(INSTRUCTIONS).index(instructions)]
    if wider and not any(set(build.INSTRUCTIONS[name][1]) <= build.processor() for name in wider):
        pytest.exit("this processor has no wider ones, so that all tests run with these: nothing to run", returncode=0)


def shift_seeds(shift: int) -> None:
    """From now on torch.manual_seed and numpy's default_rng take a whole number for `shift` more."""
    import numpy as np
    import torch

    manual_seed, default_rng = torch.manual_seed, np.random.default_rng

    def shifted(seed: object = None) -> object:
        return seed + shift if isinstance(seed, int) else seed

    torch.manual_seed = torch.random.manual_seed = lambda seed: manual_seed(shifted(seed))
    np.random.default_rng = lambda seed=None: default_rng(shifted(seed))


def pytest_runtest_setup() -> None:
    share_translations()


HANDLERS = pytest.StashKey[dict[int, object]]()
"""What signals came to before a test and its fixtures."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    item.stash[HANDLERS] = handlers()
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """A handler that a test or fixture leaves behind, other libraries' among them, would answer the signals of the
    tests after it."""
    yield
    before, after = item.stash[HANDLERS], handlers()
    left = {signal.Signals(number).name: after[number] for number in before if after[number] != before[number]}
    for number, former in before.items():
        signal.signal(number, former)
    assert not left, f"left behind, and set back: {left}"


def handlers() -> dict[int, object]:
    """Signal → what it comes to, of those that end a process or wake it."""
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGPROF")
    found = {getattr(signal, name): signal.getsignal(getattr(signal, name)) for name in names if hasattr(signal, name)}
    return {number: former for number, former in found.items() if former is not None}


def share_translations() -> None:
    """From now on torch's exporter makes its table of translations to ONNX once a process: each export reads the
    sources of all of them anew, which is a third of the time it takes. It is torch's own affair, so nothing is done
    where a torch has no such table, or has not loaded it yet."""
    module = sys.modules.get("torch.onnx._internal.exporter._registration")
    registry = getattr(module, "ONNXRegistry", None)
    make = getattr(registry, "from_torchlib", None)
    if registry is None or make is None or hasattr(make, "shared"):
        return
    made = functools.cache(make)

    def shared(*opset: int, **named: int) -> object:
        found = copy.copy(made(*opset, **named))
        found.functions = {name: list(each) for name, each in found.functions.items()}  # an export may add its own
        return found

    shared.shared = True
    registry.from_torchlib = staticmethod(shared)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line a skipped test or file: its name, a tabulator, why."""
    file = os.environ.get("RECURRA_SKIPPED")
    if not file:
        return
    with Path(file).open("a", encoding="utf-8") as out:
        for report in terminalreporter.stats.get("skipped", []):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            out.write(f"{report.nodeid}\t{reason.removeprefix('Skipped: ')}\n")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {f"{name}.py": k for k, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(str(item.path.relative_to(Path(__file__).parent)), len(places)))
