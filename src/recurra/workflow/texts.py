"""One long text as training material: cut, encoded, read in streams."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from recurra import registry
from recurra.config import Config, Data
from recurra.data.batching.layout import SYMBOLS
from recurra.data.codecs.contract import Vocabulary, unknown_share
from recurra.data.parts import gather, text_of
from recurra.data.readers.sniff import AutoReader
from recurra.data.shuffled import Parts
from recurra.errors import ConfigError
from recurra.model import Model
from recurra.training.evaluation import Batches, Judge, by_loss
from recurra.types import Batch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class TextMaterial:
    """The text that `config` names. `known`: the vocabularies of a run that goes on.

    Raises `ConfigError` where there is no validation text, `DataError` for a text too short for its streams.
    """

    def __init__(self, config: Config, known: Mapping[str, Vocabulary] | None = None) -> None:
        corpus = gather(Data(**registry.checked(Data, config["data"], where="data")), _reader(config), "time")
        if not corpus.valid:
            raise ConfigError("there is no validation text. Name one with --valid, or set data.valid_fraction above 0.")
        self.config, words = _settled(config, corpus)
        self.split, self.fingerprint = corpus.split, corpus.fingerprint
        self._notes = [note for path in config["data"].get("train", ())[:1] if (note := _labelled(path, config))]
        self._notes += [*corpus.notes, *words]
        self.parts: dict[str, Any] = {part: text_of(getattr(corpus, part)) for part in ("train", "valid", "test")}
        if known is None:
            vocabulary: Vocabulary = registry.construct("codec", self.config["vocabulary"])
            known = {"input": vocabulary.fit([self.parts["train"]])}
        self.vocabularies = dict(known)
        self._ids = {part: self.vocabularies["input"].encode(self.parts[part]) for part in ("train", "valid")}
        self._encoded = {part: [{"input": ids}] for part, ids in self._ids.items()}
        self._batching = registry.construct("batching", config["batching"])
        self.train(0, 0)  # a text too short for its streams is refused before there is a run

    judge: Judge = staticmethod(by_loss)

    def adapt(self, model: Model) -> None:
        """Tell a fresh model what the data know beyond sizes: nothing here."""

    def train(self, epoch: int, seed: int) -> Batches:
        """The batches of an epoch."""
        batches: Batches = self._batching.batches(self._encoded["train"], SYMBOLS, epoch=epoch, seed=seed)
        return batches

    def valid(self) -> Iterable[Batch]:
        """All of the validation text."""
        batches: Iterable[Batch] = self._batching.batches(self._encoded["valid"], SYMBOLS, whole=True)
        return batches

    def input_ids(self) -> list[NDArray[np.int64]]:
        """The numbers of the training text's symbols."""
        return [self._ids["train"]]

    def facts(self) -> dict[str, Any]:
        """What the report knows of the data before training."""
        vocabulary = self.vocabularies["input"]
        return {
            "symbols": {part: len(ids) for part, ids in self._ids.items()},
            "unknown_share": {part: unknown_share(vocabulary, [ids]) for part, ids in self._ids.items()},
            "vocabulary": {"kind": self.config["vocabulary"]["kind"], "size": len(vocabulary)},
        }

    def told(self) -> list[str]:
        """The same in sentences."""
        facts = self.facts()
        return [
            f"Text: {self.split}.",
            *self._notes,
            f"Vocabulary: {facts['vocabulary']['size']:,} symbols ({facts['vocabulary']['kind']}), "
            f"{facts['unknown_share']['valid']:.2%} of the validation text unknown. "
            f"Training: {facts['symbols']['train']:,} symbols.",
        ]


def _settled(config: Config, corpus: Parts) -> tuple[Config, list[str]]:
    """The config with what it leaves to the data, for later files of the same kind, and sentences about that.

    Words of examples are parted as the recipes that label them do, so that a model of labels can start from this one.
    """
    if corpus.lines_of is None:
        return config, []
    config = {**config, "reader": corpus.reader or config["reader"]}
    vocabulary = config["vocabulary"]
    if vocabulary["kind"] != "word":
        return config, []
    given: dict[str, Any] = {"split": "words", "lower": True}
    if corpus.lines_of == "tokens":
        given = {"split": "space", "lower": True, "digits": True}
    left = {key: value for key, value in given.items() if key not in vocabulary}
    if not left:
        return config, []
    said = ", ".join(f"vocabulary.{key} = {str(value).lower()}" for key, value in left.items())
    return {**config, "vocabulary": {**vocabulary, **left}}, [f"Words are read as the recipes of labels do: {said}."]


def _labelled(path: str, config: Config) -> str | None:
    """A sentence about a file that looks labelled, and is about to be read as plain text."""
    if config["reader"]["kind"] != "text":
        return None
    found = AutoReader(config["reader"].get("encoding", "utf-8")).sniff(path)
    if found is None:
        return None
    kind, _, why = found.partition(": ")
    fields = registry.find("reader", kind).fields
    recipe = " or ".join(name for field, name in (("tags", "tagger"), ("label", "classifier")) if field in fields)
    return (
        f"{path} looks labelled ({why}), and is read as plain text. To learn from its texts alone: --set "
        f"reader.kind={kind}. To learn the labels: recurra train {recipe} …"
    )


def _reader(config: Config) -> Any:
    return registry.construct("reader", config["reader"])
