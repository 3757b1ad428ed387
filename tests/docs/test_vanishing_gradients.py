"""The tutorial on gradients shows what its first command prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recurra import cli

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "vanishing-gradients.md"
ROW = re.compile(r"^(\S.*?) +(h|c) +(-?\d\.\d{6}) .* (\d+)  (> \d+|\d+)$", re.MULTILINE)


def test_the_page_shows_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(["lab", "gradients"]) == 0
    printed, page = ROW.findall(capsys.readouterr().out), ROW.findall(PAGE.read_text(encoding="utf-8"))
    assert len(printed) == len(page) == 19
    for now, shown in zip(printed, page, strict=True):
        assert (now[0], now[1], now[4]) == (shown[0], shown[1], shown[4])
        assert float(now[2]) == pytest.approx(float(shown[2]), abs=2e-5)  # another processor may sum in another order
