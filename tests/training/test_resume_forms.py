"""What a file to resume from holds is checked before any of it is put in place: a wrong one changes nothing."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from recurra import checkpoint
from recurra.errors import CheckpointError
from recurra.forms.files import METRICS
from recurra.training.log import Event, MetricsLog, recorded_lines

Make = Callable[..., Any]
Change = Callable[[dict[str, Tensor], dict[str, str]], None]


def stopped(trainer: Make, **settings: Any) -> Any:
    """A trainer of a run that was stopped within an epoch."""

    def interrupt(event: Event) -> None:
        if event.kind == "step" and event.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    assert trainer(progress=interrupt, **settings).fit().interrupted
    return trainer(**settings)


def counters(**changes: Any) -> Change:
    def change(tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        metadata["counters"] = json.dumps({**json.loads(metadata["counters"]), **changes})

    return change


def put(name: str, make: Callable[[Tensor], Tensor]) -> Change:
    def change(tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        tensors[name] = make(tensors[name])

    return change


def renamed(name: str, new: str) -> Change:
    def change(tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        tensors[new] = tensors.pop(name)

    return change


def said(**words: str) -> Change:
    return lambda tensors, metadata: metadata.update(words)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (counters(step=-1), r"counters: step is -1, expected a whole number from 0"),
        (counters(step=10**400), r"counters: step is a whole number of 1,329 bits"),
        (counters(seconds=float("nan")), r"counters: seconds is NaN, expected a number from 0"),
        (counters(history=["x"]), r'counters: history\[0\] is "x", expected a finite number'),
        (counters(steps=1), r"counters: steps is 1, expected no such key: did you mean 'step'"),
        (said(counters="[" * 9999), r"counters: lists or objects nested deeper than 256 levels"),
        (said(counters='{"step": 1, "step": 2}'), r'counters: .*the key "step" is there twice'),
        (said(counters="[]"), r"counters: it is a list of 0, expected an object"),
        (said(carried="[0, 0]"), r"its carried state is '\[0, 0\]' of 2 tensors"),
        (said(carried="[-1, 1]"), r"its carried state is '\[-1, 1\]' of 2 tensors"),
        (said(carried='{"a": 1}'), r"its carried state is"),
        (said(carried="[0, 1, 2]"), r"its carried state is '\[0, 1, 2\]' of 2 tensors"),
        (put("weights.head.bias", Tensor.double), r"'head.bias' is of torch.float64, the model's is of torch.float32"),
        (put("weights.head.bias", lambda t: t * torch.nan), r"'head.bias' holds numbers that are not finite"),
        (put("optimiser.0.exp_avg", lambda t: t[0]), r"'optimiser.0.exp_avg' is \[6\], the model's is \[7, 6\]"),
        (put("optimiser.0.exp_avg", lambda t: t.sum()), r"'optimiser.0.exp_avg' is \[\], the model's is \[7, 6\]"),
        (put("optimiser.0.exp_avg", lambda t: t / 0), r"'optimiser.0.exp_avg' holds numbers that are not finite"),
        (put("optimiser.0.step", lambda t: t[None]), r"'optimiser.0.step' is \[1\], the model's is \[\]"),
        (put("optimiser.0.step", Tensor.long), r"'optimiser.0.step' is of torch.int64"),
        (renamed("optimiser.0.exp_avg", "optimiser.0.avg"), r"holds avg, exp_avg_sq, step of parameter 0"),
        (renamed("optimiser.0.step", "optimiser.99.step"), r"holds optimiser.99.step, which is of none"),
        (renamed("optimiser.0.step", "optimiser.-1.step"), r"holds optimiser.-1.step, which is of none"),
        (renamed("average.0", "average.x"), r"has no average.0"),
        (put("average.0", lambda t: t.half()), r"'average.0' is of torch.float16"),
        (put("generator.cpu", lambda t: t[:7]), r"its generator is no state of torch's"),
        (put("generator.cpu", Tensor.float), r"its generator is no state of torch's"),
    ],
)
def test_what_no_training_saved_is_refused_before_anything_is_changed(
    trainer: Make, change: Change, sentence: str
) -> None:
    made = stopped(trainer, average=0.9)
    tensors, metadata = checkpoint.load_tensors(made.run.resume)
    change(tensors, metadata)
    checkpoint.save_tensors(made.run.resume, tensors, metadata)
    before = {name: tensor.clone() for name, tensor in made.model.state_dict().items()}
    with pytest.raises(CheckpointError, match=rf"resume\.safetensors.*{sentence}"):
        made.fit(resume=True)
    if "generator" not in sentence:
        assert all(torch.equal(tensor, before[name]) for name, tensor in made.model.state_dict().items())


def test_a_spoilt_line_ends_a_log_that_is_gone_on_with_and_is_named_when_it_is_read(tmp_path: Any) -> None:
    path = tmp_path / "metrics.jsonl"
    for spoilt in (b'{"step": "x"}\n', b"\0\0\0\n", b"[" * 9999 + b"\n", b'{"step": 1e400}\n', b"\xff\n"):
        path.write_bytes(b'{"step": 1}\n' + spoilt + b'{"step": 2}\n')
        with pytest.raises(CheckpointError, match=r"metrics\.jsonl:2:"):
            recorded_lines(path, METRICS)
        MetricsLog(path, 9).close()
        assert path.read_bytes() == b'{"step": 1}\n'
    path.write_bytes(b'{"step": 1, "loss": NaN}\n{"step"')  # cut off by a crash
    assert [line["step"] for line in recorded_lines(path, METRICS)] == [1]
