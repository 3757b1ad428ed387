"""Pairs of a source and a target as training material: read, encoded, read in buckets of like length."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recurra import registry
from recurra.config import Config, Data
from recurra.data.codecs.contract import Vocabulary
from recurra.data.files import counted
from recurra.data.former import by_field, new_pair_codecs, pair_codecs
from recurra.data.parts import gather
from recurra.data.sides import one_target_each, source_of, targets_of
from recurra.errors import ConfigError, DataError
from recurra.model import Model
from recurra.serving.search import Search, make_search
from recurra.serving.translate import source_pieces, translate, without_targets
from recurra.training.evaluation import Verdict, evaluate
from recurra.types import Batch, Example

if TYPE_CHECKING:
    from numpy.typing import NDArray

GREEDY = Search(beam=1)
"""How targets are found in a validation: it is to say which weights are better, not how good they are."""


class PairMaterial:
    """The pairs that `config` names. `known`: the vocabularies of a run that goes on.

    A source with several targets trains on each of them, and is validated with all of them. The reader that was found
    is put in its place in `config`, so that the run reads later files in the same way.
    """

    def __init__(self, config: Config, known: Mapping[str, Vocabulary] | None = None) -> None:
        data = Data(**registry.checked(Data, config["data"], where="data"))
        parts = gather(data, registry.construct("reader", config["reader"]), "shuffle")
        if not parts.valid:
            raise ConfigError("there are no validation pairs. Name files with --valid, or set data.valid_fraction.")
        self.config = copy.deepcopy(config)
        if parts.reader is not None:
            self.config["reader"] = parts.reader
        self.split, self.fingerprint, self._notes = parts.split, parts.fingerprint, list(parts.notes)
        self.parts: dict[str, Any] = {"train": parts.train, "valid": parts.valid, "test": parts.test}
        for examples in self.parts.values():
            _check_targets(examples)
        self._task = registry.construct("task", config["task"])
        self._joint: bool = self._task.tied == "all"
        if known is None:
            encoder = new_pair_codecs(config["vocabulary"], config.get("target"), joint=self._joint).fit(parts.train)
        else:
            encoder = pair_codecs(known)
        self._encoder = encoder
        self._train = encoder.encode_all(one_target_each(parts.train))
        self._by_loss: bool = self._task.judged_by_loss
        count = len(parts.valid) if self._by_loss else make_search(config.get("search", {})).valid
        self._judged = _spread(parts.valid, count)
        if len(self._judged) < len(parts.valid):
            self._notes.append(
                f"A validation writes for {len(self._judged):,} of {counted(len(parts.valid), 'validation source')}, "
                "evenly spaced among them (search.valid)."
            )
        self._asked = encoder.encode_all(self._judged if self._by_loss else map(without_targets, self._judged))
        self._batching = registry.construct("batching", config["batching"])
        left_out = self.train(0, 0).left_out
        if left_out:
            self._notes.append(
                f"{left_out:,} of {counted(len(self._train), 'training pair')} left out, as a side has more than "
                f"{self._batching.longest:,} symbols (batching.longest)."
            )

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        """By field: "input" and "target"; one for both where the task ties all."""
        return by_field(self._encoder)

    def adapt(self, model: Model) -> None:
        """Tell a fresh model what the data know beyond sizes: nothing here."""

    def train(self, epoch: int, seed: int) -> Any:
        """The batches of an epoch."""
        return self._batching.batches(self._train, self._encoder.layouts, epoch=epoch, seed=seed)

    def valid(self) -> Iterable[Batch]:
        """The validation's sources in batches, with their targets where those are judged by."""
        batches: Iterable[Batch] = self._batching.batches(self._asked, self._encoder.layouts, whole=True)
        return batches

    def judge(
        self,
        model: Model,
        batches: Any,
        /,
        *,
        device: torch.device,
        precision: str,
        stop: Callable[[], bool],
    ) -> Verdict | None:
        """The task's main metric: its loss on the true targets, or a score of what greedy search writes."""
        metric, direction = self._task.main_metric
        if self._by_loss:
            score = evaluate(model, batches, device=device, precision=precision, stop=stop)
            return None if score is None else Verdict(metric, score.per_target)
        vocabulary = self._encoder["input"]
        sources = [
            source_pieces(vocabulary, source_of(example), encoded["input"][:-1])
            for example, encoded in zip(self._judged, self._asked, strict=True)
        ]
        training = model.training
        model.eval()
        try:
            found = translate([model], [batches], sources, GREEDY, device, precision=precision, stop=stop)
        finally:
            model.train(training)
        if found is None:
            return None
        written = [{"target": found[row][0].target} for row in range(len(self._judged))]
        value = self._task.score(self._judged, written).metrics[metric]
        return Verdict(metric, value, higher_is_better=direction == "max")

    def input_ids(self) -> list[NDArray[np.int64]]:
        """The numbers of the training sources' symbols, without their end marks."""
        return [pair["input"][:-1] for pair in self._train]

    def facts(self) -> dict[str, Any]:
        """What the report knows of the data before training."""
        valid = self._encoder.encode_all(self.parts["valid"])
        return {
            "examples": {"train": len(self.parts["train"]), "valid": len(self.parts["valid"])},
            "pairs": len(self._train),
            "tokens": {
                name: sum(len(each[field]) - 1 for each in self._train)
                for name, field in (("source", "input"), ("target", "target"))
            },
            "unknown_share": self._encoder.unknown_shares(valid),
            "vocabulary": {name: len(symbols) for name, symbols in self.vocabularies.items()},
            "joint": self._joint,
            "judged": len(self._judged),
            "notes": self._notes,
        }

    def told(self) -> list[str]:
        """The same in sentences."""
        facts = self.facts()
        source, target = facts["vocabulary"]["input"], facts["vocabulary"]["target"]
        symbols = f"{source:,} symbols for both sides" if facts["joint"] else f"{source:,} source, {target:,} target"
        unknown = facts["unknown_share"]
        return [
            f"Data: {self.split}.",
            *self._notes,
            f"Vocabulary: {symbols}; {unknown['input']:.2%} of the validation sources' and "
            f"{unknown['target']:.2%} of the targets' symbols unknown. Training: {facts['pairs']:,} pairs, "
            f"{facts['tokens']['source']:,} source and {facts['tokens']['target']:,} target symbols.",
        ]


def _spread(examples: Sequence[Example], count: int) -> list[Example]:
    """So many of the examples, evenly spaced: files are often ordered by length."""
    if len(examples) <= count:
        return list(examples)
    return [examples[row] for row in np.linspace(0, len(examples) - 1, count).round().astype(int).tolist()]


def _check_targets(examples: Iterable[Example]) -> None:
    """Raise `DataError` for an example that is no pair."""
    for example in examples:
        if "source" not in example or not targets_of(example):
            there = ", ".join(name for name in example if name != "place")
            raise DataError(
                f"{example.get('place', 'an example')}: no pair of source and target, only {there}. Name a reader that "
                "gives pairs: --set reader.kind=parallel, pairs or dictionary."
            )
