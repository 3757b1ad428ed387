"""Texts run in a process of their own, with Triton's interpreter where they ask for it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable

import pytest


@pytest.fixture
def python() -> Callable[..., str]:
    """Runs a text with these environment variables and gives what it prints; fails with what it complains of."""

    def run(text: str, timeout: float = 300, **settings: str) -> str:
        env = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"} | settings
        done = subprocess.run(
            [sys.executable, "-c", text], env=env, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def interpreted(python: Callable[..., str]) -> Callable[[str], str]:
    """As `python`, with kernels interpreted on the CPU."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("triton is not installed")
    return lambda text: python(text, TRITON_INTERPRET="1")
