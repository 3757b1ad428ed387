"""The page of limits says what the code holds."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| .+ \| (\d[\d,.]*)\D*? \| `([\w.]+)\.(\w+)` \|$", PAGE, re.MULTILINE)


def test_the_page_has_its_rows() -> None:
    assert len(ROWS) == PAGE.count("| `recurra.") - 2  # of memory and of numbers, which are more than a constant


@pytest.mark.parametrize(("said", "module", "name"), ROWS, ids=[f"{row[1]}.{row[2]}" for row in ROWS])
def test_a_limit_is_the_constant(said: str, module: str, name: str) -> None:
    if module.startswith("recurra.server"):
        pytest.importorskip("fastapi", reason="the extra serve is not installed")
        pytest.importorskip("uvicorn", reason="the extra serve is not installed")
    assert float(said.replace(",", "")) == getattr(importlib.import_module(module), name)
