"""What every task over whole sequences must show: it learns, all of it learns, and padding never leaks.

A check raises AssertionError with the numbers that disagree. All of them use random weights and random data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from recurra.decoding.greedy import greedy
from recurra.errors import ConfigError
from recurra.nn.softmax import IGNORED
from recurra.registry import construct
from recurra.types import Batch, Lengths, Output, Sizes

EXACT = 1e-12
"""Largest difference in float64, relative to the largest entry of the tensor compared."""

FIELDS = {"tags": 5, "label": 4, "labels": 4, "target": 11, "segments": 3}
"""Number of symbols of what a task is to give, its own marks not counted; "labels" has the size of "label". Segments
are given to it."""

READ = ("text", "tokens", "source")
"""What a task may need that reaches it as "input"."""

V, D, H = 11, 6, 8
LONGEST = 9
"""Symbols at which writing is cut off; longer than any target here."""


@dataclass
class Case:
    """A task with an embedder and a core, random weights, float64; and a batch of random data."""

    embedder: Any
    core: Any
    task: Any
    batch: Batch

    def loss(self, batch: Batch) -> Output:
        output: Output = self.task(self.embedder, self.core, batch)
        return output

    def answers(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, list[Any]]] | None:
        """Potentials and what they decode to, or nothing and the targets found greedily; None where there are none."""
        if hasattr(self.task, "start"):
            return {}, {"target": self.written(batch)}
        if not hasattr(self.task, "potentials"):
            return None
        with torch.no_grad():
            potentials = self.task.potentials(self.embedder, self.core, batch)
        return potentials, self.task.decode(potentials, batch.structure)

    @torch.no_grad()
    def written(self, batch: Batch) -> list[list[int]]:
        """The targets of a task that writes symbol by symbol, the most likely symbol at every step."""
        begin = torch.full((len(batch.fields["input"]),), self.task.end)
        found = greedy(self.step, self.start(batch), begin, end=self.task.end, longest=LONGEST)
        return [list(hypothesis.tokens) for hypothesis in found]

    def start(self, batch: Batch) -> Any:
        return self.task.start(self.embedder, self.core, batch)

    def step(self, state: Any, token: Tensor) -> tuple[Tensor, Any]:
        log_p: Tensor
        log_p, state = self.task.step(self.embedder, self.core, state, token)
        return log_p, state

    def parts(self) -> tuple[nn.Module, ...]:
        return self.embedder, self.core, self.task

    def train(self, mode: bool = True) -> None:
        for part in self.parts():
            part.train(mode)

    def parameters(self) -> dict[str, nn.Parameter]:
        names = ("embedder", "core", "task")
        return {f"{n}.{k}": p for n, part in zip(names, self.parts(), strict=True) for k, p in part.named_parameters()}


def make_case(settings: Mapping[str, Any], lengths: tuple[int, ...] = (4, 0, 7, 1, 5), seed: int = 0) -> Case:
    """The task of these settings ("kind" and its keywords) over a small LSTM of both directions, one where it must.

    Raises ConfigError for a task that needs a field this module knows no random values of.
    """
    torch.manual_seed(seed)
    task = construct("task", settings)
    marks = getattr(task, "marks", 0)
    wanted = {name for name in task.needs if name not in READ} | ({"target"} if task.causal else set())
    wanted |= {"segments"} if getattr(task, "segmented", False) else set()
    for name in wanted:
        if name not in FIELDS:
            raise ConfigError(f"the task needs {name!r}, random values are known of {', '.join(FIELDS)}. Add it there.")
    embedder = construct("embedder", {"kind": "symbols", "size": D})
    core = construct("core", {"kind": "recurrent", "hidden_size": H, "bidirectional": not task.causal})
    sizes = Sizes(vocabulary=V + marks, fields={name: FIELDS[name] for name in ("tags", "label", "target")})
    embedder.build(sizes)
    sizes = replace(sizes, embedding=embedder.output_size)
    core.build(sizes)
    task.build(replace(sizes, core=core.output_size))
    if hasattr(task, "set_counts"):
        task.set_counts([1 + k for k in range(FIELDS["label"])])
    batch = _random_pairs(lengths) if marks else _random(wanted, lengths)
    case = Case(embedder.double(), core.double(), task.double(), batch)
    with torch.no_grad():
        for parameter in case.task.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return case


def _random(wanted: set[str], lengths: tuple[int, ...]) -> Batch:
    """Random fields; behind the ends lie random values too, for a task to ignore."""
    B, T = len(lengths), max(lengths)
    fields = {"input": torch.randint(V, (B, T))}
    for name in sorted(wanted):
        if name == "labels":
            fields[name] = (torch.rand(B, FIELDS[name]) < 0.4).double()
        elif name == "segments":
            fields[name] = torch.randint(FIELDS[name], (B, T)).sort(1).values
        else:
            fields[name] = torch.randint(FIELDS[name], (B,) if name == "label" else (B, T))
    return Batch(fields, Lengths(torch.tensor(lengths)))


def _random_pairs(lengths: tuple[int, ...]) -> Batch:
    """Random sources of these lengths and targets of others, each with its end mark, the last symbol, behind it."""
    B, T, U = len(lengths), max(lengths) + 1, LONGEST - 1
    source, target = torch.randint(V, (B, T)), torch.randint(FIELDS["target"], (B, U))
    ends = torch.tensor(lengths)
    source[torch.arange(B), ends] = V
    for b, row in enumerate(target):
        n = (5 * b + 2) % U  # 0 among them
        row[n], row[n + 1 :] = FIELDS["target"], IGNORED
    return Batch({"input": source, "target": target}, Lengths(ends + 1))


def _alone(case: Case, b: int) -> Batch:
    """Sequence b of the batch, without its padding."""
    lengths = case.batch.structure.values
    assert lengths is not None
    fields = {}
    for name, values in case.batch.fields.items():
        row = values[b : b + 1]
        if not _is_of_its_own_length(case, name):
            row = row[:, : int(lengths[b])]
        elif name == "target":
            row = row[:, row[0] != IGNORED]
        fields[name] = row
    return Batch(fields)


def _is_of_its_own_length(case: Case, name: str) -> bool:
    """Whether a field is not as long as the input: the label of a sequence, and what is written symbol by symbol."""
    return name in ("label", "labels") or (name == "target" and hasattr(case.task, "start"))


def check_one_by_one(settings: Mapping[str, Any]) -> None:
    """The loss, its gradients, the counts and the answers of a batch are those of its sequences one by one."""
    case = make_case(settings)
    case.train(False)
    assert case.batch.structure.values is not None
    lengths = case.batch.structure.values.tolist()
    singles = [_alone(case, b) for b, n in enumerate(lengths) if n]
    whole, alone = case.loss(case.batch), [case.loss(single) for single in singles]
    counts, expected = (whole.targets, whole.sequences), (sum(o.targets for o in alone), len(alone))
    assert counts == expected, f"(targets, sequences) are {counts} of the batch, {expected} of its sequences alone"
    _same(whole.loss, torch.stack([o.loss for o in alone]).sum(), "loss")
    leaves = case.parameters()
    found = torch.autograd.grad(whole.loss, list(leaves.values()), allow_unused=True)
    summed = torch.autograd.grad(torch.stack([o.loss for o in alone]).sum(), list(leaves.values()), allow_unused=True)
    for name, value, oracle in zip(leaves, found, summed, strict=True):
        assert value is not None and oracle is not None, f"no gradient at {name}"
        _same(value, oracle, f"gradient of {name}", 100 * EXACT)
    answers = case.answers(case.batch)
    if answers is None:
        return
    rows = [b for b, n in enumerate(lengths) if n]
    for b, single in zip(rows, singles, strict=True):
        one = case.answers(single)
        assert one is not None
        for name, said in one[1].items():
            assert answers[1][name][b] == said[0], f"{name} of sequence {b}: {answers[1][name][b]}, alone {said[0]}"


def check_padding(settings: Mapping[str, Any]) -> None:
    """What stands behind the ends changes neither loss nor answers; an empty sequence has no tags."""
    case = make_case(settings)
    case.train(False)
    lengths = case.batch.structure.values
    assert lengths is not None
    loss, answers = case.loss(case.batch), case.answers(case.batch)
    for value in (0, 1, IGNORED):
        fields = {}
        for name, values in case.batch.fields.items():
            fields[name] = values
            if not _is_of_its_own_length(case, name):
                filler = value if name != "input" else max(value, 0)
                padded = torch.arange(values.shape[1]) >= lengths[:, None]
                fields[name] = values.masked_fill(padded, filler)
        changed = Batch(fields, case.batch.structure)
        _same(case.loss(changed).loss, loss.loss, f"loss with {value} as padding")
        assert case.loss(changed).targets == loss.targets, f"{value} as padding changes the number of targets"
        again = case.answers(changed)
        assert (again and again[1]) == (answers and answers[1]), f"{value} as padding changes the answers"
    if answers is not None and "tags" in answers[1]:
        counts = [len(tags) for tags in answers[1]["tags"]]
        assert counts == lengths.tolist(), f"{counts} tags for sentences of {lengths.tolist()} words"


def check_steps(settings: Mapping[str, Any]) -> None:
    """Where the task writes symbol by symbol: the log-probabilities of its steps are the loss of the whole."""
    case = make_case(settings)
    if not hasattr(case.task, "start"):
        return
    case.train(False)
    with torch.no_grad():
        state, total = case.start(case.batch), torch.zeros((), dtype=torch.float64)
        token = torch.full((len(case.batch.fields["input"]),), case.task.end)
        for target in case.batch.fields["target"].t():
            log_p, state = case.step(state, token)
            token = target.clamp(min=0)
            total -= log_p.gather(1, token[:, None])[target != IGNORED].sum()
        _same(total, case.loss(case.batch).loss, "loss of single steps")


def check_every_parameter(settings: Mapping[str, Any]) -> None:
    """Every parameter of embedder, core and task gets a gradient that is finite and more than a rounding of zero."""
    case = make_case(settings)
    parameters = case.parameters()
    case.loss(case.batch).loss.backward()
    largest = max(float(p.grad.abs().max()) for p in parameters.values() if p.grad is not None)
    for name, parameter in parameters.items():
        grad = parameter.grad
        assert grad is None or grad.isfinite().all(), f"the gradient at {name} is not finite"
        assert grad is not None and grad.abs().max() > EXACT * largest, f"no gradient at {name}"


def check_overfits(settings: Mapping[str, Any]) -> None:
    """Four random examples are learnt by heart: where the task answers, all its answers are right.

    The loss is that of use, since dropout and smoothed labels keep the one of training up; of a task that learns
    something beside its answers, the answers' own.
    """
    case = make_case(settings, lengths=(5, 3, 6, 4))
    optimiser = torch.optim.Adam(case.parameters().values(), lr=0.02)
    for _ in range(20):
        case.train()
        for _ in range(20):
            optimiser.zero_grad()
            case.loss(case.batch).loss.backward()
            optimiser.step()
        case.train(False)
        with torch.no_grad():
            output = case.loss(case.batch)
        loss = float(output.details.get("answers", output.loss)) / output.targets
        if loss < 0.05:
            break
    else:
        raise AssertionError(f"loss on four examples is still {loss:.3f} a target after 400 steps")
    answers = case.answers(case.batch)
    for name, said in (answers[1] if answers else {}).items():
        truth = _numbers(name, case.batch)
        assert said == truth, f"{name} of four examples learnt by heart: {said}, expected {truth}"


def _numbers(name: str, batch: Batch) -> list[Any]:
    """A field of the batch as `decode` gives it."""
    values: Tensor = batch.fields[name]
    if name == "labels":
        return [row.nonzero()[:, 0].tolist() for row in values]
    if name == "target":
        return [row[row != IGNORED][:-1].tolist() for row in values]  # without the end mark
    if name == "label" or batch.structure.values is None:
        return values.tolist()
    return [row[:n].tolist() for row, n in zip(values, batch.structure.values, strict=True)]


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


def check_task(task: str | Mapping[str, Any]) -> None:
    """All conformance checks for a task, by name or with settings; raises AssertionError with the first that fails."""
    settings = {"kind": task} if isinstance(task, str) else task
    for check in TASK_CHECKS.values():
        check(settings)
