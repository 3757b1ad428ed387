"""A slice of benchmarks/kill_trainings.py: trainings killed at random moments, gone on with, compared bit for bit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "kill_trainings.py"


@pytest.mark.skipif(not SCRIPT.is_file(), reason="benchmarks/ is not part of the source distribution")
def test_no_run_is_lost(tmp_path: Path) -> None:
    out = tmp_path / "kills.json"
    for trials in (4, 6):  # it goes on where it was
        command = [sys.executable, str(SCRIPT), "--trials", str(trials), "--fresh", "0", "--out", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text(encoding="utf-8"))["trials"]
    assert [each["trial"] for each in found] == [*range(6)]
    assert {each["task"] for each in found} == {"language model", "tagger", "transduce", "fill"}
    assert all(each["killed"] and not each.get("lost") and each["differs"] == [] for each in found)
    assert "| all | 6 |" in done.stdout
