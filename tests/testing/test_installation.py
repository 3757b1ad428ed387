"""What an installation must show: what is wrong with one is found, and named with the numbers that disagree."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from recurra.engine.native import backend as native
from recurra.errors import ConfigError, Stopped
from recurra.testing import installation
from recurra.testing.as_torch import PEERS
from recurra.testing.installation import Check, Outcome, checks, outcome, verify


def only(at: Path, *names: str) -> list[Outcome]:
    """The outcomes of the checks of these names."""
    return [outcome(check) for check in checks(at) if check.name in names]


@pytest.fixture
def wrong_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Native code of the GRU whose h is a thousandth too large."""
    run = native.run

    def wrong(layer: Any, *rest: Any) -> Any:
        y, state = run(layer, *rest)
        return (y * 1.001 if layer.cell.name == "gru" else y), state

    monkeypatch.setattr(native, "run", wrong)


def test_what_is_checked(tmp_path: Path) -> None:
    found = {check.name: check for check in checks(tmp_path)}
    assert {"training", "export", *(f"layer {name}" for name in PEERS)} <= {*found}
    assert sum(name.startswith("cell ") for name in found) == len(
        installation.names("cell") + installation.names("tree-cell")
    )
    assert found["cell lstm"].beside == "reference: torch, native, aten"
    assert [each.outcome for each in only(tmp_path, "cell mgu", "cell tree-lstm, over trees", "layer lstm")] == [
        "passed"
    ] * 3


def test_a_wrong_kernel_is_found_and_named(wrong_kernel: None, tmp_path: Path) -> None:
    layer, gru, lstm = only(tmp_path, "layer gru", "cell gru", "cell lstm")
    assert (layer.outcome, gru.outcome, lstm.outcome) == ("failed", "failed", "passed")
    assert "gru on native, padded, tensor 0" in layer.reason and "away from torch.nn's" in layer.reason
    assert "gru, one step, one sequence, native against reference" in gru.reason or "gru, stacked, native" in gru.reason
    assert "torch against" not in gru.reason and "aten against" not in gru.reason  # the others are right


def test_an_engine_that_breaks_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(*given: Any) -> Any:
        raise OSError("no such library")

    monkeypatch.setattr(native, "run", broken)
    (found,) = only(tmp_path, "cell mgu")
    assert (found.outcome, found.reason) == ("failed", "native: OSError: no such library")


def test_without_a_compiler_native_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(installation.build, "no_compiler", lambda: "there is no compiler")
    (found,) = only(tmp_path, "cell mgu")
    assert (found.outcome, found.beside, found.reason) == ("passed", "reference: torch", "native: there is no compiler")


def test_a_training_goes_on_and_its_export_answers(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    training, export = only(tmp_path, "training", "export")
    assert (training.outcome, training.reason) == ("passed", "")
    assert (export.outcome, export.reason) == ("passed", "")
    assert torch.get_num_threads() == before


def test_a_training_where_ctrl_c_is_ignored_or_cannot_come(tmp_path: Path) -> None:
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a shell's background jobs
    try:
        (found,) = only(tmp_path, "training")
        assert (found.outcome, signal.getsignal(signal.SIGINT)) == ("passed", signal.SIG_IGN)
    finally:
        signal.signal(signal.SIGINT, former)
    with ThreadPoolExecutor(1) as pool:
        (found,) = pool.submit(only, tmp_path, "training").result()
    assert found.outcome == "left out" and "main thread" in found.reason


def test_ctrl_c_ends_it_with_no_advice_of_a_run_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped() -> None:
        raise Stopped("Go on with recurra train … --resume", signal.SIGINT)

    monkeypatch.setattr(installation, "checks", lambda folder: iter([Check("training", "", stopped)]))
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        list(verify())


def test_a_training_that_goes_on_elsewhere_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch, "set_rng_state", lambda state: None)
    (training,) = only(tmp_path, "training")
    assert training.outcome == "failed" and "the training that was stopped has another" in training.reason


def test_without_onnx_or_a_run_the_export_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (found,) = only(tmp_path, "export")
    assert (found.outcome, found.reason) == ("left out", "no run to export: the training failed")

    def missing(*packages: str) -> None:
        raise ConfigError("onnx is not installed")

    monkeypatch.setattr("recurra.export.check_installed", missing)
    (found,) = only(tmp_path, "export")
    assert (found.outcome, found.reason) == ("left out", "onnx is not installed")


def test_what_there_is_no_time_for_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def two(folder: Path) -> Iterator[Check]:
        yield Check("early", "", lambda: None)
        yield Check("late", "", lambda: None, late=True)

    monkeypatch.setattr(installation, "checks", two)
    assert [(each.check, each.outcome) for each in verify(0.0)] == [("early", "passed"), ("late", "left out")]
