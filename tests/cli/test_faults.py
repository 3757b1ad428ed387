"""What is too large or too deep is said in a sentence, whoever says it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from recurra import cli
from recurra.cli import faults


def deep(n: int = 0) -> int:
    return deep(n + 1)


def overflow() -> float:
    return float(10**400)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (deep, "nested too deeply to be read"),
        (lambda: np.empty((1 << 45, 64)), "there is not enough memory (Unable to allocate"),
        (lambda: np.empty((1 << 62, 64)), "there is not enough memory ("),
        (lambda: torch.empty(1 << 52), "there is not enough memory ("),
        (lambda: torch.empty(1 << 40, 1 << 40), "there is not enough memory ("),
        (lambda: [0] * (1 << 60), "there is not enough memory. Make the model"),
        (overflow, "a number is too large (int too large to convert to float)"),
    ],
)
def test_what_is_too_large_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: Any, fault: Any, said: str) -> None:
    def verb() -> None:
        fault()

    monkeypatch.setitem(cli.VERBS, "cells", verb)
    assert cli.call(["cells"]) == cli.WRONG
    found = capsys.readouterr()
    assert found.err.startswith("recurra: ") and said in found.err
    assert found.err.count("\n") == 1 and "--debug shows where" in found.err and "Traceback" not in found.err
    assert cli.call(["cells", "--debug"]) == cli.WRONG
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), ValueError("wrong"), KeyError("x")])
def test_other_errors_are_no_ones_to_hide(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def verb() -> None:
        raise error

    assert faults.sentence(error) is None
    monkeypatch.setitem(cli.VERBS, "cells", verb)
    with pytest.raises(type(error)):
        cli.call(["cells"])
