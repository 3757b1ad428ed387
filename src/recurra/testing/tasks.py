"""What every task must show: it learns, all of it learns, padding never leaks, and it answers what it has learned.

A check raises AssertionError with the numbers that disagree. All of them use random weights and random examples, made
from what the task says of its fields: a task needs nothing here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recurra.data.batching.layout import laid
from recurra.data.codecs.contract import Splits
from recurra.decoding.greedy import greedy
from recurra.model import make_codecs, sizes_of
from recurra.registry import construct
from recurra.tasks.contract import Adapts, Answers, KeepsApart
from recurra.tasks.options import make_options
from recurra.tasks.writing import Continues, Starts
from recurra.testing.samples import random_example
from recurra.types import IGNORED, Batch, Example, Lengths, Output

EXACT = 1e-12
"""Largest difference in float64, relative to the largest entry of the tensor compared."""
ROUNDED = 1e-9
"""The same of numbers in answers."""
D, H = 6, 8
BATCHES = 10
"""Of which one must give a parameter its gradient."""
LONGEST = 9
"""Symbols at which writing is cut off; longer than any target here."""
LEARNED, BETTER = 0.05, 2.0
"""Nats a target below which examples are learned by heart, or by how many less than at first."""


@dataclass
class Case:
    """A task with an embedder and a core, random weights, float64; and random examples as a batch."""

    embedder: Any
    core: Any
    task: Any
    codecs: Any
    examples: list[Example]
    batch: Batch

    def loss(self, batch: Batch) -> Output:
        output: Output = self.task(self.embedder, self.core, batch)
        return output

    @torch.no_grad()
    def answers(self, batch: Batch, examples: Sequence[Example]) -> list[dict[str, Any]] | None:
        """The answer to each example, as JSON, or the symbols written greedily; None of a task that has neither."""
        if isinstance(self.task, Starts):
            return [{"target": written} for written in self.written(batch)]
        if not isinstance(self.task, Answers):
            return None
        asked = self.task.ask(self.embedder, self.core, batch)
        options = make_options(self.task, {}, {})
        return [each.json() for each in self.task.answers(asked, examples, self.codecs, options)]

    def written(self, batch: Batch) -> list[list[int]]:
        """The targets of a task that writes symbol by symbol, the most likely symbol at every step."""
        state = self.task.start(self.embedder, self.core, batch)
        begin = torch.full((len(batch.fields["input"]),), self.task.end)
        step = partial(self.task.step, self.embedder, self.core)
        return [list(one.tokens) for one in greedy(step, state, begin, end=self.task.end, longest=LONGEST)]

    def parts(self) -> tuple[nn.Module, ...]:
        return self.embedder, self.core, self.task

    def train(self, mode: bool = True) -> None:
        for part in self.parts():
            part.train(mode)

    def parameters(self) -> dict[str, nn.Parameter]:
        names = ("embedder", "core", "task")
        return {f"{n}.{k}": p for n, part in zip(names, self.parts(), strict=True) for k, p in part.named_parameters()}


def make_case(settings: Mapping[str, Any], lengths: tuple[int, ...] = (4, 0, 7, 1, 5), seed: int = 0) -> Case:
    """The task of these settings ("kind" and its keywords) over a small LSTM, of both directions where it may look
    ahead; and examples of these lengths.

    Raises ConfigError for a task with a field of a form that no random values are known of.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    task = construct("task", settings)
    size = H if getattr(task, "tied", False) is True else D  # one matrix for what is read and what is said
    embedder = construct("embedder", {"kind": "symbols", "size": size})
    codecs = make_codecs({}, embedder, task)
    if not hasattr(codecs["input"], "symbols"):
        embedder = construct("embedder", {"kind": "numbers", "size": size})
    core: dict[str, Any] = {"kind": "recurrent", "hidden_size": H, "bidirectional": not task.causal}
    if isinstance(task, KeepsApart) and task.apart:
        core = {"kind": "both-ways", "hidden_size": H}
    if None not in codecs["input"].shape:  # a picture, which its task may go over itself
        embedder, core = construct("embedder", {"kind": "numbers"}), {"kind": "identity"}
    made: Any = construct("core", core)
    seen = [random_example(task.fields, codecs, 8, random) for _ in range(30)]
    codecs.fit(seen)
    sizes = sizes_of(codecs)
    embedder.build(sizes)
    sizes = replace(sizes, embedding=embedder.output_size)
    made.build(sizes)
    task.build(replace(sizes, core=made.output_size))
    if isinstance(task, Adapts):
        task.adapt(codecs.encode_all(seen))
    examples = [_shown(random_example(task.fields, codecs, steps, random), codecs) for steps in lengths]
    embedder, made, task = (part.double() for part in (embedder, made, task))
    case = Case(embedder, made, task, codecs, examples, _batch(task, codecs, examples))
    with torch.no_grad():
        for parameter in case.task.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return case


def _shown(example: Example, codecs: Any) -> Example:
    if not isinstance(codecs["input"], Splits):
        return example
    return {**example, "tokens": codecs.tokens(example), "unknown": 0}


def _batch(task: Any, codecs: Any, examples: Sequence[Example]) -> Batch:
    """Examples as a batch in float64; of a task that writes on, each step's target is the next."""
    encoded, layouts = codecs.encode_all(examples), dict(codecs.layouts)
    if isinstance(task, Continues) and not isinstance(task, Starts):
        layouts["target"] = replace(layouts["input"], padding=IGNORED)
        for each in encoded:
            steps = each["input"]
            nothing = IGNORED if np.issubdtype(steps.dtype, np.integer) else np.nan
            each["target"] = np.concatenate([steps[1:], np.full_like(steps[:1], nothing)])
    fields, lengths, own = laid(encoded, layouts)
    wide = {name: value.double() if value.is_floating_point() else value for name, value in fields.items()}
    return Batch(wide, Lengths(lengths), lengths=own)


def _is_along(case: Case, name: str) -> bool:
    """Whether a field of a batch is as long as the input."""
    field = case.codecs.fields.get(name)
    return name == "input" or (field is not None and field.along) or (field is None and name == "target")


def check_one_by_one(settings: Mapping[str, Any]) -> None:
    """The loss, its gradients, the counts and the answers of a batch are those of its sequences one by one."""
    case = make_case(settings)
    case.train(False)
    ended = case.codecs.fields["input"].ended
    rows = [k for k, example in enumerate(case.examples) if ended or "of 0 steps" not in example["place"]]
    singles = [_batch(case.task, case.codecs, [case.examples[k]]) for k in rows]
    whole, alone = case.loss(case.batch), [case.loss(single) for single in singles]
    counts, expected = (
        (whole.targets, whole.sequences),
        (
            sum(o.targets for o in alone),
            sum(o.sequences for o in alone),
        ),
    )
    assert counts == expected, f"(targets, sequences) are {counts} of the batch, {expected} of its sequences alone"
    _same(whole.loss, torch.stack([o.loss for o in alone]).sum(), "loss")
    leaves = case.parameters()
    found = torch.autograd.grad(whole.loss, list(leaves.values()), allow_unused=True)
    summed = torch.autograd.grad(torch.stack([o.loss for o in alone]).sum(), list(leaves.values()), allow_unused=True)
    for name, value, oracle in zip(leaves, found, summed, strict=True):
        assert value is not None and oracle is not None, f"no gradient at {name}"
        _same(value, oracle, f"gradient of {name}", 100 * EXACT)
    answers = case.answers(case.batch, case.examples)
    for k, single in zip(rows, singles, strict=True):
        if answers is not None:
            alone_ = case.answers(single, [case.examples[k]])
            _alike([answers[k]], alone_, f"the answer to sequence {k}, in a batch and alone")


def check_padding(settings: Mapping[str, Any]) -> None:
    """What stands behind the ends changes neither loss nor answers."""
    case = make_case(settings)
    case.train(False)
    lengths = case.batch.structure.values
    if None not in case.codecs["input"].shape[:1]:
        return  # inputs of one size have no ends
    assert lengths is not None
    loss, answers = case.loss(case.batch), case.answers(case.batch, case.examples)
    for value in (0, 1, IGNORED):
        fields = {}
        for name, values in case.batch.fields.items():
            fields[name] = values
            if _is_along(case, name):
                filler = max(value, 0) if name == "input" else value
                behind = torch.arange(values.shape[1]) >= lengths[:, None]
                fields[name] = values.masked_fill(behind.view(*behind.shape, *(1,) * (values.dim() - 2)), filler)
        changed = replace(case.batch, fields=fields)
        _same(case.loss(changed).loss, loss.loss, f"loss with {value} as padding")
        assert case.loss(changed).targets == loss.targets, f"{value} as padding changes the number of targets"
        again = case.answers(changed, case.examples)
        for k, each in enumerate(answers or ()):
            _alike(each, (again or [])[k], f"the answer to sequence {k} with {value} as padding")


def check_steps(settings: Mapping[str, Any]) -> None:
    """Where the task writes symbol by symbol: the log-probabilities of its steps are the loss of the whole."""
    case = make_case(settings)
    end = getattr(case.task, "end", None)
    if not isinstance(case.task, Starts) or end is None:
        return
    case.train(False)
    with torch.no_grad():
        state, total = case.task.start(case.embedder, case.core, case.batch), torch.zeros((), dtype=torch.float64)
        token = torch.full((len(case.batch.fields["input"]),), end)
        for target in case.batch.fields["target"].t():
            log_p, state = case.task.step(case.embedder, case.core, state, token)
            token = target.clamp(min=0)
            total -= log_p.gather(1, token[:, None])[target != IGNORED].sum()
        _same(total, case.loss(case.batch).loss, "loss of single steps")


def check_every_parameter(settings: Mapping[str, Any]) -> None:
    """Every parameter of embedder, core and task gets a gradient that is finite and more than a rounding of zero, from
    one of a few batches at least: in one the signs of an absolute loss may cancel."""
    missing: list[str] | None = None
    for seed in range(BATCHES):
        case = make_case(settings, seed=seed)
        case.loss(case.batch).loss.backward()
        gradients = {name: parameter.grad for name, parameter in case.parameters().items()}
        found = {name: float(grad.abs().max()) for name, grad in gradients.items() if grad is not None}
        for name, largest in found.items():
            assert math.isfinite(largest), f"the gradient at {name} is not finite"
        without = [name for name in gradients if found.get(name, 0.0) <= EXACT * max(found.values())]
        missing = without if missing is None else [name for name in missing if name in without]
        if not missing:
            return
    raise AssertionError(f"no gradient at {', '.join(missing or ())}")


def check_overfits(settings: Mapping[str, Any]) -> None:
    """Four random examples are learned by heart: where the task answers, the score of its answers is perfect.

    The loss is that of use, since dropout and smoothed labels keep the one of training up: where four examples are not
    learned with them, they are without.
    """
    case = make_case(settings, lengths=(5, 3, 6, 4))
    optimiser = torch.optim.Adam(case.parameters().values(), lr=0.02)
    losses = [_per_target(case)]
    for k in range(40):
        case.train(k < 20)  # then without what keeps the loss of training up
        for _ in range(20):
            optimiser.zero_grad()
            case.loss(case.batch).loss.backward()
            optimiser.step()
        losses.append(_per_target(case))
        better = losses[-1] < losses[0] - BETTER
        if losses[-1] < LEARNED or (better and not isinstance(case.task, (Answers, Starts))):
            break  # of a task that is not scored by its answers that is enough
    learned = losses[-1] < LEARNED or better
    assert learned, f"loss on four examples is still {losses[-1]:.3f} a target after 800 steps, {losses[0]:.3f} before"
    answers = case.answers(case.batch, case.examples)
    if isinstance(case.task, Starts):
        truth = [row[row != IGNORED][:-1].tolist() for row in case.batch.fields["target"]]
        assert [each["target"] for each in answers or ()] == truth, f"four targets learned by heart: {answers}"
    elif isinstance(case.task, Answers):
        metric, direction = case.task.main_metric
        value = case.task.score(case.examples, answers or [], case.codecs).metrics[metric]
        if direction == "max":
            assert value >= 99.9, f"{metric} of four examples learned by heart is {value:.1f}"


@torch.no_grad()
def _per_target(case: Case) -> float:
    case.train(False)
    output = case.loss(case.batch)
    return float(output.loss) / output.targets


def _alike(one: Any, other: Any, what: str) -> None:
    """Raise where two JSON values differ in more than the rounding of numbers."""
    if isinstance(one, Mapping) and isinstance(other, Mapping) and one.keys() == other.keys():
        for key in one:
            _alike(one[key], other[key], f"{key} of {what}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for a, b in zip(one, other, strict=True):
            _alike(a, b, what)
    elif isinstance(one, float) and isinstance(other, float):
        assert abs(one - other) <= ROUNDED * max(1.0, abs(other)), f"{what}: {one} and {other}"
    else:
        assert one == other, f"{what}: {one!r} and {other!r}"


def _same(value: Tensor, oracle: Tensor, what: str, tolerance: float = EXACT) -> None:
    difference, scale = float((value - oracle).detach().abs().max()), float(oracle.detach().abs().max()) or 1.0
    assert difference <= tolerance * scale, f"{what} differs by {difference / scale:.1e}"


TASK_CHECKS: dict[str, Callable[[Mapping[str, Any]], None]] = {
    "one by one": check_one_by_one,
    "padding": check_padding,
    "steps": check_steps,
    "every parameter": check_every_parameter,
    "overfits": check_overfits,
}
"""What a task must show, by name; `check_task` does all."""


def check_task(task: str | Mapping[str, Any]) -> None:
    """All conformance checks for a task, by name or with settings; raises AssertionError with the first that fails."""
    settings = {"kind": task} if isinstance(task, str) else task
    for check in TASK_CHECKS.values():
        check(settings)
