"""The conformance of an installation: layers against torch.nn, every cell on every engine that runs here, a training
that is stopped and goes on, an export. What `recurra verify` does."""

from __future__ import annotations

import platform
import random
import shlex
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import torch

from recurra.engine.native import build
from recurra.engine.triton import kernels
from recurra.errors import Stopped
from recurra.progress import steps
from recurra.registry import find, names
from recurra.testing.as_torch import PEERS, check_as_torch
from recurra.testing.cells import CONFIGURATIONS, backends, check_equal, check_float32
from recurra.testing.tree_cells import TREE_CELL_CHECKS

SECONDS = 90.0
"""After so many no further cell is begun: what else is to be checked has time within two minutes."""
SHOWN = ("stacked", "bidirectional lengths", "truncated lengths", "one step, one sequence")
"""The configurations of `CONFIGURATIONS` that the cells run in."""
PACKAGES = ("numpy", "sympy", "safetensors", "tokenizers", "triton", "onnx", "onnxruntime", "onnxscript")
NO_TIME = "no time left"
FIRST = ("lstm", "gru", "rnn-tanh")
SETTINGS: dict[str, Any] = {
    "core.hidden_size": 16,
    "core.num_layers": 2,
    "core.dropout": 0.2,
    "embedder.size": 8,
    "batching.streams": 4,
    "batching.steps": 16,
    "training.epochs": 2,
    "training.seed": 1,
    "training.device": "cpu",
    "training.fit_budget": False,
}
STOPPED_AT = 7
"""The step of the training that is stopped, in the midst of an epoch."""


class LeftOut(Exception):
    """A check that this installation has not what it needs for; says what."""


@dataclass(frozen=True)
class Outcome:
    """What came of one check."""

    check: str
    """What was checked: "cell lstm"."""
    beside: str
    """What ran: "torch, native, aten"."""
    outcome: Literal["passed", "failed", "left out"]
    seconds: float
    reason: str = ""
    """Why it failed or was left out; in a check that passed, what of it was left out."""


@dataclass(frozen=True)
class Check:
    """One thing that an installation must show: `act` raises where it does not, and gives what it left out."""

    name: str
    beside: str
    act: Callable[[], str | None]
    late: bool = False
    """Whether it is left out where there is no time."""


def facts() -> dict[str, Any]:
    """What a bug report needs to say of the installation: system, instructions, compiler, GPU, versions."""
    compiler, there = build.compiler(), torch.cuda.is_available()
    return {
        "system": platform.platform(),
        "instructions": build.instructions(),
        "compiler": None if compiler is None else shlex.join(compiler),
        "gpu": torch.cuda.get_device_name() if there else None,
        "threads": torch.get_num_threads(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def verify(seconds: float = SECONDS) -> Iterator[Outcome]:
    """The outcomes, one after the other; nothing is raised but what stops the program."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="recurra-verify-") as folder:
        for check in steps([*checks(Path(folder))], "checking", "checks"):
            if check.late and time.monotonic() - begun > seconds:
                yield Outcome(check.name, check.beside, "left out", 0.0, NO_TIME)
            else:
                try:
                    found = outcome(check)
                except Stopped:  # its advice is of a run that is gone
                    raise KeyboardInterrupt from None
                yield found


def outcome(check: Check) -> Outcome:
    """Do one check."""
    begun = time.monotonic()
    end: Literal["passed", "failed", "left out"] = "passed"
    try:
        reason = check.act() or ""
    except LeftOut as error:
        end, reason = "left out", str(error)
    except AssertionError as error:
        end, reason = "failed", str(error)
    except Exception as error:  # whatever breaks is what a bug report needs
        end, reason = "failed", f"{type(error).__name__}: {error}"
    return Outcome(check.name, check.beside, end, time.monotonic() - begun, reason)


def checks(folder: Path) -> Iterator[Check]:
    """All of them; `folder`: an empty one, for runs."""
    for name in PEERS:
        engines = _engines(name)
        yield Check(f"layer {name}", f"torch.nn: {', '.join(engines)}", partial(check_as_torch, name, engines))
    yield Check("training", "one that is stopped and goes on", partial(check_resumed, folder))
    yield Check("export", "ONNX Runtime", partial(check_exported, folder))
    for name in sorted(names("cell"), key=lambda each: (each not in FIRST, each)):
        engines = _engines(name)[1:]
        yield Check(f"cell {name}", f"reference: {', '.join(engines)}", partial(_cell, name, engines), True)
    for name in names("tree-cell"):
        check = partial(TREE_CELL_CHECKS["engines"], find("tree-cell", name))
        yield Check(f"cell {name}, over trees", "reference: levels", check, True)


def _engines(cell: str) -> list[str]:
    """Those that this installation has for the cell, the oracle first."""
    here = [each for each in backends(find("cell", cell)) if each != "native" or build.no_compiler() is None]
    return [*here, *(["triton"] if torch.cuda.is_available() and kernels.missing() is None else [])]


def _cell(name: str, engines: list[str]) -> str | None:
    """Every engine equals the plain loop, in float64 and float32; all that fail are named."""
    cell, wrong = find("cell", name), []
    for engine in engines:
        device = "cuda" if engine == "triton" else "cpu"
        try:
            for configuration in CONFIGURATIONS:
                if configuration.name in SHOWN:
                    check_equal(cell, configuration, [engine], device)
            check_float32(cell, [engine], device)
        except AssertionError as error:
            wrong.append(str(error))
        except Exception as error:
            wrong.append(f"{engine}: {type(error).__name__}: {error}")
    if wrong:
        raise AssertionError("; ".join(wrong))
    return None if "native" in engines else f"native: {build.no_compiler()}"


def check_resumed(folder: Path) -> None:
    """A training that is stopped in the midst of an epoch and goes on has the weights of one that is not, bit for bit;
    a second of the same seed has them, too."""
    import recurra

    if threading.current_thread() is not threading.main_thread():
        raise LeftOut("a training is stopped by a signal, which reaches the main thread only")
    text = folder / "text.txt"
    text.write_text(_text(), encoding="utf-8")
    options: dict[str, Any] = {"settings": SETTINGS, "threads": torch.get_num_threads(), "baseline": False}
    for name in ("whole", "again"):
        recurra.train("char-lm", text, out=folder / name, **options)
    asked = False

    def stop(event: Any) -> None:
        nonlocal asked
        if event.kind == "step" and event.step == STOPPED_AT:
            asked = True
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        recurra.train("char-lm", text, out=folder / "parts", progress=stop, **options)
    except Stopped:
        if not asked:
            raise  # somebody else's Ctrl-C
    else:
        raise AssertionError(f"the training was asked to stop at step {STOPPED_AT} and went on")
    finally:
        signal.signal(signal.SIGINT, before)
    recurra.train(folder / "parts", out=None, resume=True, baseline=False)
    for name, what in (("again", "a second training of the same seed"), ("parts", "the training that was stopped")):
        _same_weights(folder / "whole", folder / name, what)


def _same_weights(one: Path, other: Path, what: str) -> None:
    from recurra.checkpoint import RunFolder, load_tensors

    oracle, found = (load_tensors(RunFolder(run).model)[0] for run in (one, other))
    for name, tensor in oracle.items():
        apart = int((tensor != found[name]).sum())
        assert not apart, f"{what} has another {name}: {apart:,} of its {tensor.numel():,} numbers differ"


def check_exported(folder: Path) -> None:
    """The run that was trained answers as ONNX as it does in torch."""
    import recurra
    from recurra.errors import ConfigError
    from recurra.export import check_installed
    from recurra.workflow import export

    try:
        check_installed("onnx", "onnxruntime", "onnxscript")
    except ConfigError as error:
        raise LeftOut(str(error)) from error
    if not (folder / "whole" / "model.safetensors").is_file():
        raise LeftOut("no run to export: the training failed")
    export(folder / "whole", out=folder / "exported")
    runs = (folder / "whole", folder / "exported")
    oracle, found = (recurra.predict(run, "the", threads=None, length=20, top_k=1) for run in runs)
    assert found[0].text() == oracle[0].text(), f"the export writes {found[0].text()!r}, torch {oracle[0].text()!r}"


def _text() -> str:
    """Some lines of few words, the same every time."""
    draw = random.Random(0)
    words = ["the", "a", "gate", "cell", "opens", "forgets", "remembers", "now", "then"]
    return "".join(" ".join(draw.choices(words, k=6)) + ".\n" for _ in range(120))
