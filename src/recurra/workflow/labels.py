"""Labelled examples as training material: read, prepared by the task, encoded, read in buckets of like length."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recurra import registry
from recurra.config import Config, Data
from recurra.data.codecs.contract import IGNORED, Vocabulary, unknown_share
from recurra.data.fields import readers_of
from recurra.data.former import label_codecs, new_label_codecs
from recurra.data.parts import gather
from recurra.errors import ConfigError, DataError
from recurra.model import Model
from recurra.serving.labels import answers_to_passes, unseen
from recurra.training.evaluation import Verdict
from recurra.types import Example, NeedsFields
from recurra.workflow.encoded import EncodedMaterial
from recurra.workflow.start import symbols_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCHEMES = {
    "bio": "The tags are spans in bio.",
    "none": "The tags are no spans, so each is scored by itself. Spans have B-, I- and O in capitals.",
}
"""What is said of a scheme that was found; of others the task says that it writes them anew."""
MANY = 20
"""Labels from which on it is asked whether they are labels at all, if most occur but once."""


class LabelMaterial(EncodedMaterial):
    """The examples that `config` names. `known`: the vocabularies of a run that goes on.

    What the settings leave to the data (the reader, how tags are written) is put in its place in `config`, so that the
    run reads later files in the same way.
    """

    def __init__(self, config: Config, known: Mapping[str, Vocabulary] | None = None) -> None:
        data = Data(**registry.checked(Data, config["data"], where="data"))
        reader = registry.construct("reader", config["reader"])
        fields = registry.construct("task", config["task"]).needs[1:]
        try:
            parts = gather(data, reader, "shuffle")
        except DataError as error:
            raise _other_format(error, reader, fields) from error
        if not parts.valid:
            raise ConfigError("there are no validation examples. Name a file with --valid, or set data.valid_fraction.")
        self.config = copy.deepcopy(config)
        if parts.reader is not None:
            self.config["reader"] = parts.reader
        settled = registry.construct("task", config["task"]).settled(parts.train)
        self.config["task"] |= settled
        self._task = registry.construct("task", self.config["task"])
        self.split, self.fingerprint, self._notes = parts.split, parts.fingerprint, list(parts.notes)
        if config["task"].get("scheme", "auto") == "auto" and settled.get("scheme") in SCHEMES:
            self._notes.append(SCHEMES[settled["scheme"]])
        self.parts: dict[str, Any] = {"train": parts.train, "valid": parts.valid, "test": parts.test}
        for examples in self.parts.values():
            _check_fields(examples, fields)
        embedder = registry.construct("embedder", config["embedder"])
        spells = isinstance(embedder, NeedsFields) and "characters" in embedder.fields
        self._encoder = new_label_codecs(config["vocabulary"], spells, fields) if known is None else label_codecs(known)
        self._prepared: dict[str, Any] = {}
        for part in ("train", "valid"):
            tokenised = [{**example, "tokens": self._encoder.tokens(example)} for example in self.parts[part]]
            self._prepared[part], notes = self._task.prepare(tokenised)
            self._notes += [_of(part, note) for note in notes if note not in self._notes]
        if known is None:
            self._encoder.fit(self._prepared["train"])
            if symbols := symbols_of(config):
                self._encoder["input"].extend(symbols)
        vocabularies: Mapping[str, Any] = self._encoder.saved
        labels = {name: vocabularies[name].symbols for name in ("tags", "label") if name in vocabularies}
        self._notes += [_of("valid", note) for note in unseen(self._prepared["valid"], labels)]
        self._notes += _doubts(self._prepared["train"], fields)
        self._encode(self._prepared, config["batching"], "example")

    def adapt(self, model: Model) -> None:
        """Tell a fresh model what the data know beyond sizes: word vectors, how often each label is."""
        super().adapt(model)
        if "label" in self._encoder.saved:
            model.task.set_counts(_counts(self._encoded["train"], len(self._encoder.saved["label"])))

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
        """The task's main metric on the validation examples."""
        training = model.training
        model.eval()
        try:
            found = answers_to_passes([model], [batches], device, precision, stop)
        finally:
            model.train(training)
        if found is None:
            return None
        metric, direction = self._task.main_metric
        value = self._task.score(self._prepared["valid"], found).metrics[metric]
        return Verdict(metric, value, higher_is_better=direction == "max")

    def input_ids(self) -> list[NDArray[np.int64]]:
        """The numbers of the training examples' tokens."""
        return [example["input"] for example in self._encoded["train"]]

    def facts(self) -> dict[str, Any]:
        """What the report knows of the data before training."""
        vocabulary: Any = self._encoder["input"]
        ids = {part: [e["input"] for e in encoded] for part, encoded in self._encoded.items()}
        tokens = {part: sum(map(len, each)) for part, each in ids.items()}
        return {
            "examples": {part: len(each) for part, each in ids.items()},
            "tokens": tokens,
            "unknown_share": {part: unknown_share(vocabulary, each) for part, each in ids.items()},
            "vocabulary": {name: len(symbols) for name, symbols in self._encoder.saved.items()},
            "coverage": getattr(vocabulary, "coverage", None),
            "notes": self._notes,
        }

    def told(self) -> list[str]:
        """The same in sentences."""
        facts = self.facts()
        sizes = ", ".join(f"{size:,} {name}" for name, size in facts["vocabulary"].items())
        vectors = facts["coverage"]
        covered = f" Vectors for {vectors[0]:.1%} of the words, {vectors[1]:.1%} of the tokens." if vectors else ""
        return [
            f"Data: {self.split}.",
            *self._notes,
            f"Vocabulary: {sizes}; {facts['unknown_share']['valid']:.2%} of the validation tokens unknown.{covered} "
            f"Training: {facts['examples']['train']:,} examples, {facts['tokens']['train']:,} tokens.",
        ]


def _of(part: str, note: str) -> str:
    """A note that says of which part it is, where that is not the training part."""
    return note if part == "train" else f"Validation: {note}"


def _counts(encoded: Iterable[Mapping[str, Any]], labels: int) -> list[int]:
    """How many encoded examples have each label, by its number."""
    counts = np.zeros(labels, np.int64)
    for example in encoded:
        if "labels" in example:
            counts += example["labels"] > 0
        elif example.get("label", IGNORED) != IGNORED:
            counts[example["label"]] += 1
    found: list[int] = counts.tolist()
    return found


def _doubts(train: Sequence[Example], fields: Sequence[str]) -> list[str]:
    """A sentence for each field with so many names that they seem to be something else, numbers of rows or texts; and
    for one with names that stand for none."""
    doubts = []
    for field in fields:
        names = [name for example in train for name in ([example[field]] if field == "label" else example[field])]
        if 0 < (nameless := names.count("_")) < len(names):
            doubts.append(
                f"{nameless:,} of {len(names):,} {field.removesuffix('s')}s are '_', as files of columns write what is "
                "not known: it is learnt like any other."
            )
        distinct = len(set(names))
        if distinct >= MANY and 2 * distinct > len(names):
            doubts.append(
                f"{distinct:,} different {field.removesuffix('s')}s among {len(names):,}: is the right column read?"
            )
    return doubts


def _other_format(error: DataError, reader: Any, fields: Sequence[str]) -> DataError:
    """The error; or, where the format that was found has not what the task learns, that."""
    kind: str | None = getattr(reader, "kind", None)
    gives = registry.find("reader", kind).fields if kind is not None else fields
    missing = next((field for field in fields if field not in gives), None)
    if missing is None:
        return error
    return DataError(
        f"{reader.said}. That format gives no {missing}, expected one of {', '.join(readers_of(missing))}. Write the "
        "file in one of them, or name its format: --set reader.kind=…"
    )


def _check_fields(examples: Iterable[Example], fields: Sequence[str]) -> None:
    """Raise `DataError` for an example without a field of the task's, saying what would learn from it."""
    for example in examples:
        missing = next((field for field in fields if field not in example), None)
        if missing is None:
            continue
        if {missing, *example} >= {"label", "labels"}:
            several = missing == "label"
            what = "any number of labels" if several else "one label"
            move = f"To learn {what} for each: --set task.multi_label={str(several).lower()}"
        elif missing == "label" and "tags" in fields:
            move = "To learn tags alone: --set task.intent=false"
        elif missing == "tags" and example.keys() & {"label", "labels"}:
            move = "To learn labels: recurra train classifier …"
        elif "tags" in example:
            move = "To learn its tags: recurra train tagger …"
        else:
            move = f"Write it there, or name a reader that gives {missing}: --set reader.kind=…"
        there = ", ".join(name for name in example if name != "place")
        raise DataError(f"{example.get('place', 'an example')}: no {missing} in this example, only {there}. {move}")
