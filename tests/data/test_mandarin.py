"""Readings of characters, known from a dictionary."""

from __future__ import annotations

import re
import sys

import pytest

from recurra.data.mandarin import FINALS, RHYMES, is_level, load_pypinyin, reading, rhyme_group
from recurra.errors import ConfigError


def test_finals_and_tones() -> None:
    assert [reading(c) for c in "山雨月"] == [("an", "1"), ("v", "3"), ("ve", "4")]
    assert reading("，") is None and reading("x") is None
    assert len(FINALS) == len(set(FINALS)) and len(RHYMES) == 13


def test_rhyme_groups_and_levels() -> None:
    assert rhyme_group("光") == rhyme_group("霜") == rhyme_group("長") != rhyme_group("風")
    assert rhyme_group("時") == rhyme_group("期") == rhyme_group("魚") != rhyme_group("飛")  # i, v and er are one
    assert rhyme_group("天") == rhyme_group("山") == rhyme_group("圓") and rhyme_group("裳") == rhyme_group("光")
    assert [is_level(c) for c in "山香雨月子"] == [True, True, False, False, False]
    assert rhyme_group("，") is None and is_level("x") is None


def test_pypinyin_is_asked_for_before_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypinyin", None)
    message = "rhymes and tones are read by the package pypinyin, which is not installed. Install it: pip install pypin"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        load_pypinyin()
