"""benchmarks/gpu.py is ready for a GPU: rehearsed on the processor, it leaves what it has after every row."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


def call(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True, check=False)


def test_a_rehearsal(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    done = call("--device", "cpu", "--minutes", "0.05", "--parts", "conformance", "nccl", "layers", "--out", str(out))
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text(encoding="utf-8"))
    assert [row["numbers"] for row in found["nccl"]] == [1, 10**4, 10**6, 10**7]
    assert "failed" not in found["conformance"][0]
    assert found["conformance"][-1]["unchecked"] == "no time left"
    assert all("failed" not in row for row in found["layers"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    done = call("--out", str(tmp_path / "gpu.json"))
    assert done.returncode == 1
    assert done.stderr.startswith("gpu.py: device 'cuda' is not there: torch sees 0 CUDA devices.")
    assert not (tmp_path / "gpu.json").exists()
