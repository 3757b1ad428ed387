"""The settings of a training: what is refused, and how."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra import signatures
from recurra.errors import ConfigError
from recurra.training.optimisers import AdamW
from recurra.training.schedules import WarmupCosine
from recurra.training.settings import Training, Triggered


def test_parts_by_name_or_with_keywords() -> None:
    settings = {
        "optimiser": {"kind": "adamw", "weight_decay": 0.1},
        "learning_rate": 0.002,
        "schedule": {"kind": "warmup-cosine", "warmup": 0.1, "floor": 0},
        "clip_norm": 5,
        "epochs": 3,
    }
    training = Training(**signatures.checked(Training, settings, where="training"))
    assert training.optimiser_part() == AdamW(weight_decay=0.1)
    assert training.schedule_part() == WarmupCosine(warmup=0.1, floor=0.0)
    assert Training(optimiser="adamw").optimiser_part() == AdamW()


def test_none_switches_off_what_is_optional() -> None:
    training = Training(**signatures.checked(Training, {"clip_norm": None, "max_minutes": None}, where="training"))
    assert training.clip_norm is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 0.0}, r"training.learning_rate = 0.0, expected a number above 0"),
        ({"learning_rate": math.nan}, "training.learning_rate = nan, expected a number above 0"),
        ({"learning_rate": math.inf}, "training.learning_rate = inf, expected a finite number"),
        ({"clip_norm": -1.0}, "training.clip_norm = -1.0, expected a number above 0"),
        ({"embedder_rate": 0.0}, "training.embedder_rate = 0.0, expected a number above 0"),
        ({"embedder_rate": math.inf}, "training.embedder_rate = inf, expected a finite number"),
        ({"clip_value": 0.0}, "training.clip_value"),
        ({"max_minutes": 0.0}, "training.max_minutes"),
        ({"evaluate_every": 0.0}, "training.evaluate_every"),
        ({"accumulate": 0}, "training.accumulate = 0, expected a whole number from 1"),
        ({"epochs": 0}, "training.epochs"),
        ({"patience": 0}, "training.patience"),
        ({"log_every": 0}, "training.log_every"),
        ({"threads": 0}, "training.threads"),
        ({"average": {"kind": "trigered"}}, r"training.average.kind = 'trigered': did you mean 'triggered'\? Expected"),
        ({"average": {"patience": 5}}, r"training.average.kind = None. Expected 'triggered'; a running mean is a numb"),
        ({"average": {"kind": "triggered", "patience": 0}}, r"training.average.patience = 0, expected a whole number"),
        ({"average": {"kind": "triggered", "patience": 1.5}}, r"training.average.patience = 1.5 is a float, expected"),
        ({"average": {"kind": "triggered", "decay": 0.9}}, r"unknown key training.average.decay"),
        ({"average": 1.0}, "training.average = 1.0, expected a decay such as 0.999"),
        ({"seed": -1}, "training.seed = -1, expected a whole number from 0"),
        ({"optimiser": "adamm"}, "unknown optimiser 'adamm': did you mean 'adam'"),
        ({"optimiser": {"weight_decay": 0.1}}, "training.optimiser names no kind. Known: adam, adamw, momentum, sgd"),
        ({"optimiser": {"kind": "adamw", "weight_decy": 0.1}}, "unknown key training.optimiser.weight_decy: did you"),
        ({"schedule": {"kind": "plateau", "factor": "half"}}, "training.schedule.factor = 'half' is a str"),
        ({"schedule": "cosine"}, "unknown schedule 'cosine': did you mean 'warmup-cosine'"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Training(**settings)


@pytest.mark.parametrize("average", [{"kind": "triggered"}, {"kind": "triggered", "patience": 2}, 0, 0.99])
def test_a_mean_of_the_weights_is_a_decay_or_triggered(average: Any) -> None:
    training = Training(**signatures.checked(Training, {"average": average}, where="training"))
    expected = Triggered(average.get("patience", 5)) if isinstance(average, dict) else None
    assert training.triggered() == expected


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 4))
def test_the_trigger_is_that_of_the_paper(losses: list[int], n: int) -> None:
    """Algorithm 1 of Merity et al. 2017, with its t validations before this one in `logs`."""
    logs: list[int] = []
    for v in losses:
        t = len(logs)
        fires = t > n and v > min(logs[l] for l in range(t - n))
        logs.append(v)
        assert Triggered(n).now(logs) == fires


def test_wrong_choices_are_refused_by_the_registry() -> None:
    with pytest.raises(ConfigError, match=r"training\.precision = 'bf-16'"):
        signatures.checked(Training, {"precision": "bf-16"}, where="training")


def test_settings_are_checked_without_torch() -> None:
    code = (
        "import sys; from recurra.training.settings import Training; "
        "Training(optimiser='sgd', schedule='plateau'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
