from __future__ import annotations

from pathlib import Path

import pytest

from recurra import cli

PROSE = Path(__file__).parent.parent / "fixtures" / "prose.txt"
TINY = [
    *("core.hidden_size=12", "core.num_layers=1", "embedder.size=6", "batching.streams=4", "batching.steps=16"),
    *("training.epochs=1", "training.schedule=constant", "training.device=cpu", "baseline.order=3"),
]


def tiny(*settings: str) -> list[str]:
    """Options that make a recipe small enough for a test."""
    options = [word for setting in (*TINY, *settings) for word in ("--set", setting)]
    return [*options, "--threads", "1"]


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    """A run trained for one epoch on the prose; not to be changed."""
    out = tmp_path_factory.mktemp("cli") / "run"
    assert cli.call(["train", "char-lm", str(PROSE), "--out", str(out), *tiny()]) == 0
    return out
