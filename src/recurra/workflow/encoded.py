"""What material of labelled examples and of sentences has in common: examples encoded once, read in batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from recurra import registry
from recurra.data.codecs.contract import Vocabulary
from recurra.data.fields import Codecs
from recurra.data.files import counted
from recurra.model import Model
from recurra.training.evaluation import Batches
from recurra.types import Batch, Example


class EncodedMaterial:
    """The parts "train" and "valid", encoded and batched."""

    _encoder: Codecs
    _notes: list[str]

    def _encode(self, examples: Mapping[str, Sequence[Example]], batching: Mapping[str, Any], noun: str) -> None:
        """Encode both parts, and note how many of the first are cut."""
        self._encoded = {part: self._encoder.encode_all(examples[part]) for part in ("train", "valid")}
        self._batching = registry.construct("batching", batching)
        cut = getattr(self.train(0, 0), "cut", 0)
        if cut:
            longest = f"{self._batching.longest:,} tokens (batching.longest)"
            self._notes.append(f"{counted(cut, f'training {noun}')} cut after {longest}.")

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        """By field: "input", "characters" where words are spelled, "tags" and "label" where there are any."""
        return dict(self._encoder.saved)

    def adapt(self, model: Model) -> None:
        """Tell a fresh model what the data know beyond sizes: word vectors."""
        vectors = getattr(self._encoder["input"], "vectors", None)
        if vectors is not None:
            model.embedder.adopt(torch.from_numpy(vectors))

    def train(self, epoch: int, seed: int) -> Batches:
        """The batches of an epoch."""
        batches: Batches = self._batching.batches(self._encoded["train"], self._encoder.layouts, epoch=epoch, seed=seed)
        return batches

    def valid(self) -> Iterable[Batch]:
        """The validation examples in batches."""
        batches: Iterable[Batch] = self._batching.batches(self._encoded["valid"], self._encoder.layouts, whole=True)
        return batches
