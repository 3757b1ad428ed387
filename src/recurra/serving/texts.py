"""A run that was trained on one long text, opened: it continues prompts and scores texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from recurra import config as configuration
from recurra import registry
from recurra.config import Data
from recurra.data.codecs.contract import unknown_share
from recurra.data.parts import gather, read, text_of
from recurra.data.sets import Reader
from recurra.data.shuffled import Parts
from recurra.data.sources import check_files
from recurra.decoding.sample import Step, prompt_ids, sample
from recurra.errors import ConfigError, DataError
from recurra.serving.adaptation import Adaptation, Choice, make_adaptation, not_for
from recurra.serving.adapted_scores import Material, adapted_scores
from recurra.serving.opened import OpenedRun
from recurra.serving.text_scores import score, score_baseline
from recurra.serving.threads import threads_set

SAMPLE: dict[str, Any] = {"length": 300, "temperature": 0.8}
NO_BASELINE = "leave the baseline away, which is fitted on that text: --no-baseline."
GIVE_ALL = (
    "say all that is chosen on it: dynamic.kind=sgd, dynamic.learning_rate, dynamic.decay; cache.theta, cache.weight."
)


class TextRun(OpenedRun):
    """A run directory and the model in it::

    run = recurra.load("run")
    print(run.predict("ROMEO:", length=300, temperature=0.8))
    run.evaluate("other.txt")["model"]["bits_per_symbol"]
    """

    does: ClassVar[str] = "write"

    def unknown_symbols(self, text: str) -> int:
        """How many symbols of a text the vocabulary does not hold."""
        ids = self.model.vocabulary.encode(text)
        return round(unknown_share(self.model.vocabulary, [ids]) * len(ids))

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
        with threads_set(threads):
            new = sample(self._step(), None, known, length, **choice)
        # Decoded as a whole, because a space may belong between prompt and continuation.
        whole = vocabulary.decode(np.concatenate([known, new]))
        return whole[len(vocabulary.decode(known)) :]

    def evaluate(
        self,
        *files: str | Path,
        baseline: bool = True,
        threads: int | None = None,
        settings: Mapping[str, Any] | None = None,
        dynamic: Choice = None,
        cache: Choice = None,
        say: Callable[[str], None] = lambda sentence: None,
    ) -> dict[str, Any]:
        """Score files, or, where none is named, the run's own test part (its validation part if it has no test).

        Gives `{"data", "symbols", "unknown_share", "parameters", "model": {metrics}, "baseline": [{"name", "order",
        "ngrams", metrics}]}`, and the `split` of the run's own text.
        The baseline is fitted anew on the text that the run was trained on, which must still be there. `settings` are
        those of the reader for files unlike the training's, `{"reader.encoding": "latin-1"}`.

        `dynamic=True` also scores the text by dynamic evaluation, `cache=True` with a neural cache; settings in the
        place of True are those of `recurra.serving.adaptation`, `dynamic={"learning_rate": 0.001, "decay": 0.003}`.
        Numbers left open are chosen on the run's own validation text. Each adds a row to `"adapted"`; the model itself
        then reads the text in one stream, too. `say` is told how far it is where that takes long.
        """
        adaptation = make_adaptation(dynamic, cache)
        if adaptation and not hasattr(self.model.task, "predictions"):
            raise ConfigError(not_for(f"{self.path}, whose task is {self.config['task']['kind']},"))
        check_files(files)
        if files:
            reader = configuration.with_settings({"reader": self.config["reader"]}, settings or {})["reader"]
            text = text_of(read([Path(file) for file in files], registry.construct("reader", reader), "time"))
            train = text_of(self._corpus().train) if baseline else None
            found: dict[str, Any] = {"data": ", ".join(map(str, files))}
        else:
            corpus = self._corpus()
            part, texts = ("test", corpus.test) if corpus.test else ("valid", corpus.valid)
            text, train = text_of(texts), text_of(corpus.train) if baseline else None
            found = {"data": part, "split": corpus.split}
            if part == "valid" and adaptation.left_open:
                found["notes"] = [
                    "There is no test: the numbers of what adapts are chosen on the text they are scored on."
                ]
        with threads_set(threads):
            return found | self.score(text, train, adaptation, say)

    def score(
        self,
        text: str,
        train: str | None,
        adaptation: Adaptation | None = None,
        say: Callable[[str], None] = lambda sentence: None,
    ) -> dict[str, Any]:
        """The model's metrics on a text, beside those of the baseline fitted on `train` (None: without it), and its
        own as it adapts to the text."""
        vocabulary = self.model.vocabulary
        ids = vocabulary.encode(text)
        scored = {
            "symbols": len(ids),
            "unknown_share": unknown_share(vocabulary, [ids]),
            "parameters": self.model.parameter_count,
            "model": score(self.model, self.config["batching"], ids, self.device, 1 if adaptation else None),
        }
        if adaptation:
            scored["streams"] = 1
            scored["adapted"] = adapted_scores(self.model, adaptation, ids, self._material, self.device, say)
        if train is not None:
            scored["baseline"] = score_baseline(self.model, self.config["baseline"], train, text)
        return scored

    def shown(self, test: str, seed: int) -> dict[str, Any]:
        """What the report shows of the model beside its scores: a text it writes."""
        return {"sample": {**SAMPLE, "seed": seed, "text": self.predict(**SAMPLE, seed=seed)}}

    def _step(self) -> Step:
        """How the model reads a symbol: from packed weights, or, as an export has no core, by its file."""
        if self.model.core is None:
            return self.model.step
        session = self.session()
        return lambda state, number: (session.step(number)["next"], state)

    def _material(self) -> Material:
        """The run's own texts, for what an adaptation must know beforehand."""
        corpus, encode = self._corpus(GIVE_ALL), self.model.vocabulary.encode
        return Material(encode(text_of(corpus.train)), encode(text_of(corpus.valid)))

    def _reader(self) -> Reader:
        reader: Reader = registry.construct("reader", self.config["reader"])
        return reader

    def _corpus(self, otherwise: str = NO_BASELINE) -> Parts:
        """The texts the run was trained on, read again."""
        try:
            return gather(Data(**registry.checked(Data, self.config["data"], where="data")), self._reader(), "time")
        except DataError as error:
            raise DataError(
                f"the run's own training text cannot be read: {error} Or name a file and {otherwise}"
            ) from error
