"""Fair timing on a noisy machine: the sides take turns, so that a slow moment meets all of them."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch


def turns(sides: Mapping[str, Callable[[], Any]], rounds: int = 15, warm_up: int = 2) -> dict[str, list[float]]:
    """Seconds of each side in each of `rounds` rounds, in which every side runs once. `warm_up` rounds go untimed."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for k in range(rounds + warm_up):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            if k >= warm_up:
                times[name].append(time.perf_counter() - start)
    return times


def interleaved(sides: Mapping[str, Callable[[], Any]], rounds: int = 15, warm_up: int = 2) -> dict[str, float]:
    """Median seconds of each side; see `turns`."""
    return {name: statistics.median(each) for name, each in turns(sides, rounds, warm_up).items()}


def machine() -> dict[str, Any]:
    """What a timing depends on: processor, its vector width as torch uses it, threads, versions."""
    model = platform.processor() or platform.machine()
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as info:
            model = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), model)
    except OSError:
        model += " (model unknown)"
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
