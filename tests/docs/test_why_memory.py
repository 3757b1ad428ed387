"""The page on memory shows what its example prints, and what it says of the numbers holds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "why-memory.md"
CHANCE, NEVER_TRAINED = 50.0, 15.0
"""Per cent; how far from chance a guess may lie on the 400 cities that a window was never trained for."""

Table = dict[str, list[float]]


def rows(text: str) -> Table:
    """Network → the cities it gets right, in per cent, near, far and farther than in training."""
    found = re.findall(r"^(\S.*?)  +([\d.]+) +([\d.]+) +([\d.]+)$", text, re.MULTILINE)
    return {name: [float(number) for number in numbers] for name, *numbers in found}


@pytest.fixture(scope="module")
def printed() -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, str(ROOT / "examples" / "why_memory.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_who_sees_no_verb_guesses_and_who_remembers_it_knows(printed: str) -> None:
    table = rows(printed)
    assert table.pop("feed-forward network, the word alone") == [CHANCE] * 3  # by the twins: exactly
    seen = {"3": 1, "6": 2, "9": 2}  # how many of the columns lie inside the window, and were trained on
    for n, columns in seen.items():
        numbers = table.pop(f"TDNN, the word and {n} before it")
        assert min(numbers[:columns]) > 95
        assert numbers[columns:] == pytest.approx([CHANCE] * (3 - columns), abs=NEVER_TRAINED)
    assert table.keys() == {"RNN", "LSTM"}
    assert min(min(numbers) for numbers in table.values()) > 95


def test_the_page_shows_what_is_printed(printed: str) -> None:
    page, now = PAGE.read_text(encoding="utf-8"), rows(printed)
    assert printed.splitlines()[0] in page
    shown = rows(page)
    assert shown.keys() == now.keys()
    for name, numbers in now.items():  # another processor may sum in another order
        assert shown[name] == pytest.approx(numbers, abs=NEVER_TRAINED if "9" in name else 5.0)
