"""The formula pages are what the derivation prints today."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

MATHS = Path(__file__).parents[2] / "docs" / "maths"


def _pages() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("write_formulas", MATHS / "write_formulas.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


@pytest.mark.parametrize("name, text", _pages().items(), ids=lambda v: v if v.endswith(".md") else "")
def test_page_is_up_to_date(name: str, text: str) -> None:
    assert (MATHS / name).read_text(encoding="utf-8") == text, "run: python docs/maths/write_formulas.py"


def test_every_family_has_a_page() -> None:
    assert set(_pages()) == {p.name for p in MATHS.glob("cells-*.md")}
