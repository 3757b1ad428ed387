"""The plugin on the page about readers and codecs passes its checks, as the page says."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest

from recurra import registry

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "read-a-format-of-your-own.md"


def test_the_page_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("reader", "codec"):  # which the page looks for, and so all that they import
        for name in registry.names(kind):
            registry.find(kind, name)
    for held in ("_parts", "_origins", "_plugins"):
        monkeypatch.setattr(registry, held, dict(getattr(registry, held)))
    module = types.ModuleType("page_about_readers")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 3
    exec(compile("\n".join(blocks), str(PAGE), "exec"), module.__dict__)
    forms = re.findall(r"`([a-z-]+)`", PAGE.read_text(encoding="utf-8").partition("| codecs |")[2].partition("\n\n")[0])
    assert {*forms} >= {*registry.names("codec")} - {"angles", "spelling", "integers", "ngrams"}, (
        "every codec is on the page"
    )
