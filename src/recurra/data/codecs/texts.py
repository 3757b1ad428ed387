"""The training texts as they are, kept for what counts them when a model is used: n-grams, a list of words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from recurra.errors import CheckpointError, ConfigError, DataError
from recurra.registry import part

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@part("codec", "texts")
class Texts:
    """Keeps the training texts, of more than `most` characters together the first so many; encodes nothing, [0]."""

    forms: ClassVar[tuple[str, ...]] = ("text",)
    dtype: ClassVar[type[np.generic]] = np.float32
    shape: ClassVar[tuple[int | None, ...]] = (0,)
    padding: ClassVar[float] = 0.0
    comes_back: ClassVar[bool] = False

    def __init__(self, most: int = 5_000_000) -> None:
        if most < 1:
            raise ConfigError(f"texts.most = {most}, expected 1 character or more.")
        self.most = most
        self.texts: list[str] = []

    @property
    def size(self) -> int:
        """How many texts are kept."""
        return len(self.texts)

    def fit(self, values: Iterable[str]) -> Self:
        """Keep them. Raises `DataError` where there is none."""
        kept, characters = list[str](), 0
        for value in values:
            if kept and characters + len(value) > self.most:
                break
            kept.append(value)
            characters += len(value)
        if not kept:
            raise DataError("the training data hold no text to count n-grams of. Is the right field read?")
        self.texts = kept
        return self

    def encode(self, value: str) -> NDArray[np.float32]:
        return np.zeros(0, np.float32)

    def decode(self, array: ArrayLike) -> str:
        return ""

    def record(self) -> dict[str, Any]:
        return {"kind": "texts", "settings": {"most": self.most}, "texts": self.texts}

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        texts = record.get("texts")
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise CheckpointError("what a run keeps of its training texts is a list of them. Copy it again.")
        self.texts = texts
        return self
