"""A trained run, opened: it continues prompts and scores files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recurra import checkpoint, registry
from recurra import config as configuration
from recurra.checkpoint import RunFolder
from recurra.config import Config, Data
from recurra.data import vocabulary as vocabularies
from recurra.data.corpus import Corpus, check_files, gather, read_text
from recurra.data.sets import Reader
from recurra.decoding.sample import prompt_ids, sample
from recurra.errors import ConfigError, DataError
from recurra.model import Model
from recurra.serving.score import score, score_baseline
from recurra.training.evaluation import find_device


@dataclass(frozen=True)
class Run:
    """A run directory and the model in it::

    run = recurra.load("run")
    print(run.predict("ROMEO:", length=300, temperature=0.8))
    run.evaluate("other.txt")["model"]["bits_per_symbol"]
    """

    path: Path
    config: Config
    model: Model
    device: torch.device

    @property
    def report(self) -> dict[str, Any]:
        """What training wrote down: scores beside the baseline, split, seed, commands, minutes."""
        report: dict[str, Any] = checkpoint.read_json(RunFolder(self.path).report)
        return report

    def unknown_symbols(self, text: str) -> int:
        """How many symbols of a text the vocabulary does not hold."""
        ids = self.model.vocabulary.encode(text)
        return round(self.model.vocabulary.unknown_share(ids) * len(ids))

    def predict(
        self,
        prompt: str = "",
        *,
        length: int = 300,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> str:
        """What the model writes after `prompt`: `length` symbols, drawn at random. Without a prompt, a line begins.

        A step of one sequence is little work: more processor threads than one wait for each other most of the time.
        """
        vocabulary = self.model.vocabulary
        known = prompt_ids(vocabulary, prompt)
        choice: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
        with _threads(threads):
            new = sample(self.model.step, None, known, length, **choice)
        # Decoded as a whole, because a space may belong between prompt and continuation.
        whole = vocabulary.decode(np.concatenate([known, new]))
        return whole[len(vocabulary.decode(known)) :]

    def evaluate(self, *files: str | Path, baseline: bool = True, threads: int | None = None) -> dict[str, Any]:
        """Score files, or, where none is named, the run's own test part (its validation part if it has no test).

        Gives `{"data", "symbols", "unknown_share", "parameters", "model": {metrics}, "baseline": [{"name", "order",
        "ngrams", metrics}]}`, and the `split` of the run's own text.
        The baseline is fitted anew on the text that the run was trained on, which must still be there.
        """
        check_files(files)
        if files:
            text = read_text([Path(file) for file in files], self._reader())
            train = self._corpus().train if baseline else None
            found: dict[str, Any] = {"data": ", ".join(map(str, files))}
        else:
            corpus = self._corpus()
            part, text = ("test", corpus.test) if corpus.test else ("valid", corpus.valid)
            train = corpus.train if baseline else None
            found = {"data": part, "split": corpus.split}
        with _threads(threads):
            return found | self.score(text, train)

    def score(self, text: str, train: str | None) -> dict[str, Any]:
        """The model's metrics on a text, beside those of the baseline fitted on `train` (None: without it)."""
        vocabulary = self.model.vocabulary
        ids = vocabulary.encode(text)
        scored = {
            "symbols": len(ids),
            "unknown_share": vocabulary.unknown_share(ids),
            "parameters": sum(weights.numel() for weights in self.model.parameters()),
            "model": score(self.model, self.config["batching"], ids, self.device),
        }
        if train is not None:
            scored["baseline"] = score_baseline(self.model, self.config["baseline"], vocabulary.encode(train), ids)
        return scored

    def _reader(self) -> Reader:
        reader: Reader = registry.construct("reader", self.config["reader"])
        return reader

    def _corpus(self) -> Corpus:
        """The texts the run was trained on, read again."""
        try:
            return gather(Data(**registry.checked(Data, self.config["data"], where="data")), self._reader())
        except DataError as error:
            raise DataError(
                f"the run's own training text cannot be read: {error} Or name a file and leave the baseline away, "
                "which is fitted on that text: --no-baseline."
            ) from error


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Inside, torch uses so many processor threads; None changes nothing."""
    before = torch.get_num_threads()
    if count is not None and count < 1:
        raise ConfigError(f"threads = {count}, expected 1 or more.")
    torch.set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def load_run(path: str | Path, plugins: Iterable[str | Path] = (), device: str = "auto") -> Run:
    """Open a run directory. Raises `CheckpointError` for one that is missing, cut, corrupt or of another version."""
    for plugin in plugins:
        registry.load_plugin(plugin)
    folder = checkpoint.open_run(path)
    config = configuration.load_recipe(folder.config)
    configuration.check(config)
    model = Model.from_config(config, vocabularies.load(folder.vocabulary))
    place = find_device(device)
    checkpoint.load_model(folder.model, model).to(place).eval()
    return Run(folder.path, config, model, place)
