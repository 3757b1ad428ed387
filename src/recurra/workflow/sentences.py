"""Sentences as training material for filling blanks: read, encoded, read in buckets of like length."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from recurra import registry
from recurra.config import Config, Data
from recurra.data.codecs.contract import Vocabulary
from recurra.data.files import counted
from recurra.data.former import label_codecs, new_label_codecs
from recurra.data.parts import gather
from recurra.errors import ConfigError
from recurra.model import Model
from recurra.tasks.scores import perplexity
from recurra.training.evaluation import Verdict, autocast, moved
from recurra.types import Batch, NeedsFields
from recurra.workflow.encoded import EncodedMaterial
from recurra.workflow.start import symbols_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class SentenceMaterial(EncodedMaterial):
    """The sentences that `config` names; labels they bear are left out. `known`: the vocabularies of a run that goes
    on.

    The reader that was found is put in its place in `config`, so that the run reads later files in the same way.
    """

    def __init__(self, config: Config, known: Mapping[str, Vocabulary] | None = None) -> None:
        data = Data(**registry.checked(Data, config["data"], where="data"))
        parts = gather(data, registry.construct("reader", config["reader"]), "shuffle")
        if not parts.valid:
            raise ConfigError(
                "there are no validation sentences. Name a file with --valid, or set data.valid_fraction."
            )
        self.config = copy.deepcopy(config)
        if parts.reader is not None:
            self.config["reader"] = parts.reader
        self.split, self.fingerprint, self._notes = parts.split, parts.fingerprint, list(parts.notes)
        self.parts: dict[str, Any] = {"train": parts.train, "valid": parts.valid, "test": parts.test}
        if known is None:
            embedder = registry.construct("embedder", config["embedder"])
            spells = isinstance(embedder, NeedsFields) and "characters" in embedder.fields
            encoder = new_label_codecs(config["vocabulary"], spells, ()).fit(parts.train)
            if symbols := symbols_of(config):
                encoder["input"].extend(symbols)
        else:
            encoder = label_codecs(known)
        self._encoder = encoder
        self._encode(self.parts, config["batching"], "sentence")

    def judge(
        self,
        model: Model,
        batches: Iterable[Batch],
        /,
        *,
        device: torch.device,
        precision: str,
        stop: Callable[[], bool],
    ) -> Verdict | None:
        """Perplexity of the answers: from both sides, where the task has them, whatever it learns beside them."""
        training, nats, places = model.training, torch.zeros((), dtype=torch.float64, device=device), 0
        model.eval()
        try:
            with torch.no_grad():
                for batch in batches:
                    if stop():
                        return None
                    with autocast(device, precision):
                        output = model.loss(moved(batch, device))
                    nats += output.details["answers"]
                    places += output.targets
        finally:
            model.train(training)
        return Verdict("perplexity", perplexity(float(nats) / max(1, places)))

    def input_ids(self) -> list[NDArray[np.int64]]:
        """The numbers of the training sentences' tokens."""
        return [sentence["input"] for sentence in self._encoded["train"]]

    def facts(self) -> dict[str, Any]:
        """What the report knows of the data before training."""
        ids = {part: [each["input"] for each in encoded] for part, encoded in self._encoded.items()}
        return {
            "examples": {part: len(each) for part, each in ids.items()},
            "tokens": {part: sum(map(len, each)) for part, each in ids.items()},
            "unknown_share": {
                part: self._encoder.unknown_shares(encoded).get("input", 0.0) for part, encoded in self._encoded.items()
            },
            "vocabulary": {name: len(symbols) for name, symbols in self._encoder.saved.items()},
            "notes": self._notes,
        }

    def told(self) -> list[str]:
        """The same in sentences."""
        facts = self.facts()
        return [
            f"Data: {self.split}.",
            *self._notes,
            f"Vocabulary: {facts['vocabulary']['input']:,} symbols; {facts['unknown_share']['valid']:.2%} of the "
            f"validation tokens unknown. Training: {counted(facts['examples']['train'], 'sentence')}, "
            f"{facts['tokens']['train']:,} tokens.",
        ]
