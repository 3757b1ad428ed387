"""Settings of a score that adapts, wrong or out of place: one sentence, before the run is looked at."""

from __future__ import annotations

import pytest

from .conftest import sentence

WRONG = {
    "key of dynamic": (
        "dynamic",
        "dynamic.learning_rat=1",
        "unknown key dynamic.learning_rat: did you mean 'learning_",
    ),
    "key of cache": ("cache", "cache.sise=1", "unknown key cache.sise: did you mean 'size'?"),
    "kind": ("dynamic", "dynamic.kind=rmsprop", "dynamic.kind = 'rmsprop': did you mean 'rms'? Expected one of"),
    "type": ("cache", "cache.size=many", "cache.size = 'many' is a str, expected int"),
    "section": ("dynamic", "dynamc.steps=5", "unknown section 'dynamc': did you mean 'dynamic'? Known: reader, search"),
    "other section": ("dynamic", "core.cell=gru", "core.cell is part of a trained run. What can be set is"),
    "not asked for": ("dynamic", "cache.size=5", "cache.size says how a score adapts. Ask for it, --cache, or leave"),
    "rate": ("dynamic", "dynamic.learning_rate=-1", "dynamic.learning_rate = -1.0, expected 0 to 1000"),
    "decay": ("dynamic", "dynamic.decay=1.5", "dynamic.decay = 1.5, expected a share from 0 to 1"),
    "steps": ("dynamic", "dynamic.steps=0", "dynamic.steps = 0, expected 1 or more symbols in a segment"),
    "size": ("cache", "cache.size=0", "cache.size = 0, expected 1 or more symbols"),
    "theta": ("cache", "cache.theta=-0.1", "cache.theta = -0.1, expected 0 or more"),
    "weight": ("cache", "cache.weight=1", "cache.weight = 1.0, expected a share from 0 to below 1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings_are_answered_at_once(case: str, capsys, run) -> None:
    option, setting, answer = WRONG[case]
    assert answer in sentence(capsys, "evaluate", str(run), f"--{option}", "--set", setting)
