"""What a run that writes poems is scored by: the true poems' probability, and poems drawn freely and in their form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from recurra import registry
from recurra.baselines.row import Row, scored_rows
from recurra.data.former import pair_codecs
from recurra.data.readers.poems import is_character, prompt
from recurra.data.sides import targets_of
from recurra.errors import ConfigError, DataError
from recurra.model import Model
from recurra.tasks.copied import longest_copies
from recurra.tasks.scores import Scores, perplexity
from recurra.training.evaluation import evaluate
from recurra.types import Example

COUNTED = (
    "nats per symbol and perplexity: of the held-out poems, every character, every mark and the end of each poem "
    "counted; the n-gram model sees the same symbols, poem behind poem, but neither form nor title. copied: characters "
    "of the longest run that stands in a training poem, marks not counted, in the mean and at most."
)


def check_form(task: Any) -> None:
    """Raise `ConfigError` for a search that keeps a form, of a task that writes no poems."""
    if task.scores != "poems":
        raise ConfigError(
            f"search.form keeps the form of a poem, but this run is scored as {task.scores}. Leave it out, or train "
            "the recipe poem."
        )


def check_alone(runs: int) -> None:
    """Raise `ConfigError` where several runs are to be scored together."""
    if runs > 1:
        raise ConfigError(f"{runs} runs that write poems cannot be scored together. Evaluate one at a time.")


def prompted(example: Example) -> Example:
    """An example whose source is as training saw it: see `recurra.data.readers.poems.prompt`."""
    return {**example, "source": prompt(example["source"])} if isinstance(example["source"], str) else example


def score_poems(
    model: Model,
    device: torch.device,
    examples: Sequence[Example],
    train: Sequence[Example] | None,
    free: Sequence[str],
    kept: Sequence[str],
) -> tuple[Scores, list[dict[str, Any]]]:
    """The metrics of a model on poems, and the rows that stand beside: the n-gram model of `[baseline]`, poems written
    in their form, and the held-out poems themselves. Without `train` there is no n-gram model, and nothing copied.

    `free` and `kept`: what the model wrote for the examples freely, which its own figures are of, and with the form
    kept. Raises DataError as `evaluate` and the task's `score` do.
    """
    codecs = pair_codecs(model.vocabularies)
    encoded = codecs.encode_all(examples)
    batches = registry.construct("batching", model.config["batching"]).batches(encoded, codecs.layouts, whole=True)
    loss = evaluate(model, batches, device=device)
    if loss is None:
        raise DataError("the evaluation was stopped before its end, so there is no score. Evaluate again.")
    rows = {"": free, "model, form kept": kept, "held-out poems": _texts(examples)}
    known = None if train is None else [_characters(text) for text in _texts(train)]
    scored = {name: model.task.score(examples, [{"target": text} for text in texts]) for name, texts in rows.items()}
    found = {
        name: scored[name].metrics | ({} if known is None else _copied(texts, known)) for name, texts in rows.items()
    }
    metrics = _predicted(loss.loss, loss.targets) | found.pop("")
    beside = [{"name": name, "size": len(examples), "unit": "poems", "note": "", **row} for name, row in found.items()]
    if train is not None:
        beside = [*_ngrams(model, train, examples), *beside]
    return Scores(metrics, scored[""].tables, [*scored[""].notes, COUNTED]), beside


def _predicted(loss: float, targets: int) -> dict[str, float]:
    return {"nats_per_symbol": loss / targets, "perplexity": perplexity(loss / targets)}


def _copied(texts: Sequence[str], known: Sequence[str]) -> dict[str, float]:
    runs = longest_copies([_characters(text) for text in texts], known)
    return {"copied": float(runs.mean()), "copied_most": float(runs.max())}


def _texts(examples: Sequence[Example]) -> list[str]:
    """The first target of each."""
    return ["".join(targets_of(example)[0]) for example in examples]


def _characters(text: str) -> str:
    return "".join(filter(is_character, text))


def _ngrams(model: Model, train: Sequence[Example], examples: Sequence[Example]) -> list[dict[str, Any]]:
    """The n-gram model's rows: poems one behind the other, an end mark before the first and behind each."""

    def scored(row: Row) -> dict[str, float]:
        assert row.log_p is not None
        return _predicted(-float(row.log_p.sum()), len(row.log_p))

    codecs = {"target": model.vocabularies["target"]}
    return scored_rows([model.config["baseline"]], train, examples, codecs, scored)
