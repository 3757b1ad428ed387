"""A folder of .npz files, a labelled sequence of vectors each, for the task `classify`, beside the nearest mean."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from recurra.baselines.row import Row
from recurra.errors import DataError
from recurra.registry import part


@part("reader", "npz-folder")
class NpzReader:
    """An example for each `x` [T, D] of the .npz files in a folder, with its `label`."""

    fields: ClassVar[Mapping[str, str]] = {"vectors": "vectors", "label": "label"}

    def __init__(self, array: str = "x") -> None:
        self.array = array

    def read(self, *paths):
        for path in map(Path, paths):
            files = sorted(path.glob("*.npz")) if path.is_dir() else [path]
            if not files:
                raise DataError(f"{path}: no .npz in this folder, expected one for each sequence. Name another.")
            for file in files:
                yield self._example(file)

    def sniff(self, path):
        return None

    def _example(self, file):
        try:
            with np.load(file, allow_pickle=False) as held:
                if self.array not in held:
                    raise DataError(f"{file}: no {self.array}, only {', '.join(held)}. Say which: reader.array")
                label = {"label": str(held["label"])} if "label" in held else {}
                return {"vectors": held[self.array], **label, "place": str(file)}
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            raise DataError(f"{file}: no .npz of numbers ({error}). Save it by numpy.savez.") from error


@part("baseline", "nearest-mean")
class NearestMean:
    """The label whose training sequences have the nearest mean vector, and the most frequent label."""

    def rows(self, train, test, codecs):
        names = sorted({example["label"] for example in train})
        counts = [sum(example["label"] == name for example in train) for name in names]
        yield Row("most frequent label", 1, "labels", [{"label": names[int(np.argmax(counts))]}] * len(test))
        means = [np.mean([_mean(each) for each in train if each["label"] == name], 0) for name in names]
        nearest = [int(np.argmin([np.square(_mean(each) - mean).sum() for mean in means])) for each in test]
        yield Row("nearest mean", len(names), "means", [{"label": names[k]} for k in nearest])


def _mean(example):
    return np.mean(example["vectors"], 0)
