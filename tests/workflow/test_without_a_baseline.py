"""A training that is not to be scored beside a baseline needs nothing of the baseline's."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

import recurra
from recurra.errors import ConfigError

TINY = {"training.epochs": 1, "training.threads": 1, "training.device": "cpu", "core.hidden_size": 4}


def test_a_package_of_the_baseline_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"{text} {k}\t{label}" for k in range(20) for text, label in (("good soup", "a"), ("bad soup", "b"))]
    (tmp_path / "texts.tsv").write_text("text\tlabel\n" + "\n".join(rows) + "\n", encoding="utf-8")
    find = importlib.util.find_spec

    def without(name: str, *rest: Any) -> Any:
        return None if name == "sklearn" else find(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    with pytest.raises(ConfigError, match=r"pip install scikit-learn, or train without a baseline: --no-baseline"):
        recurra.train("classifier", tmp_path / "texts.tsv", out=tmp_path / "with", settings=TINY)
    run = recurra.train("classifier", tmp_path / "texts.tsv", out=tmp_path / "run", settings=TINY, baseline=False)
    assert all(row["own"] for row in run.report["scores"]["test"]["baseline"])  # its parts alone
