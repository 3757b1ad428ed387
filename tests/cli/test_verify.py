"""recurra verify: a table, an exit code, and the facts that a bug report needs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from recurra import cli
from recurra.testing import installation
from recurra.testing.installation import Check

from .conftest import sentence


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks that end in each of the ways."""

    def fail() -> None:
        raise AssertionError("tensor 0 differs by 1.0e-03")

    def leave() -> None:
        raise installation.LeftOut("onnx is not installed")

    def found(folder: Path) -> Iterator[Check]:
        yield Check("cell lstm", "reference: torch, native", lambda: None)
        yield Check("export", "ONNX Runtime", leave)
        yield Check("cell gru", "reference: native", fail)

    monkeypatch.setattr(installation, "checks", found)


def test_a_table_with_reasons(three: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(["verify"]) == 1
    said = capsys.readouterr().out
    for fact in ("recurra ", "processor ", "instructions ", "compiler ", "threads ", "torch ", "numpy "):
        assert fact in said
    *_, passed, left, failed, why, blank, count = said.splitlines()
    assert passed.split() == ["passed", "0.0", "s", "cell", "lstm", "reference:", "torch,", "native"]
    assert left.startswith("left out") and left.endswith("onnx is not installed")
    assert failed.startswith("failed") and why.strip() == "tensor 0 differs by 1.0e-03"
    assert (blank, count) == ("", "1 passed, 1 failed, 1 left out")


def test_for_programs(three: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(["verify", "--json", "--threads", "1"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["passed"] is False and said["machine"]["threads"] == 1
    assert {"processor", "instructions", "torch", "versions", "system"} <= {*said["machine"]}
    assert [row["outcome"] for row in said["checks"]] == ["passed", "left out", "failed"]


def test_where_all_pass(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    checks = installation.checks
    names = ("layer lstm", "cell gru", "cell tree-rnn, over trees")
    monkeypatch.setattr(installation, "checks", lambda folder: (c for c in checks(folder) if c.name in names))
    assert cli.call(["verify"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "3 passed, 0 failed, 0 left out"


def test_words_that_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--thread" in sentence(capsys, "verify", "--thread", "2")
    assert "threads" in sentence(capsys, "verify", "--threads", "0")
