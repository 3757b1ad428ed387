"""A run that fills blanks, opened: it guesses what is missing in a text, and scores its guesses at every place."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from recurra import registry
from recurra.baselines.row import scored_rows
from recurra.data.blanks import BLANK, Line, read_line
from recurra.data.fields import Codecs
from recurra.data.former import label_codecs
from recurra.errors import ConfigError
from recurra.serving.opened import OpenedRun
from recurra.serving.reading import examples_to_score
from recurra.serving.stopped import Stopped
from recurra.serving.threads import threads_set
from recurra.training.evaluation import moved
from recurra.types import Example

SHOWN = 3
"""Sentences of the test that the report shows, with a blank in each."""
LEFT = "left only, the same network"


class FillRun(OpenedRun):
    """A run directory and the model in it::

    run = recurra.load("run")
    run.predict("i am going to ___ a new phone", top=3)[0]["blanks"][0]["both"]
    run.evaluate("other.txt")["model"]["top1"]
    """

    does: ClassVar[str] = "fill"

    def predict(
        self,
        *inputs: str | Sequence[str],
        top: int = 5,
        threads: int | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> list[dict[str, Any]]:
        """The likeliest symbols of every blank, `___`, of texts, or of sentences given as lists of tokens.

        `[{"tokens", "unknown", "blanks": [{"place", "both": [{"symbol", "p"}], "left": […]}]}]`: guessed from both
        sides and from the left alone, the likeliest first, `p` of all symbols; the unknown one is never offered. Where
        a text has several blanks, each is guessed with the unknown symbol in the place of the others.

        Raises `DataError` for a text without a blank, an empty one apart, which has no answers; `ConfigError` for
        several blanks where training has never seen the unknown symbol; `Stopped` where `stop()` says so between two
        batches.
        """
        if top < 1:
            raise ConfigError(f"top = {top}, expected 1 or more symbols for a blank.")
        vocabulary = self.model.vocabularies["input"]
        lines = [
            read_line(given, vocabulary) if (given.strip() if isinstance(given, str) else given) else Line([], [], [])
            for given in inputs
        ]
        self._check_several(lines)
        with threads_set(threads):
            guesses = self._guesses(lines, top, stop)
        return [
            {"tokens": line.tokens, "unknown": line.unknown, "blanks": blanks}
            for line, blanks in zip(lines, guesses, strict=True)
        ]

    def evaluate(
        self,
        *files: str | Path,
        baseline: bool = True,
        threads: int | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Score files, or, where none is named, the run's own test part (its validation part if it has no test).

        Every place of every sentence is a blank once. `settings` are those of the reader for files unlike the
        training's, `{"reader.kind": "table"}`.
        Gives `{"data", "examples", "tokens", "unknown_share", "parameters", "model": {metrics}, "tables", "baseline":
        [{"name", "size", "unit", metrics}]}`, and the `split` of the run's own data.
        """
        found, examples, train = examples_to_score(self.config, files, settings or {}, baseline)
        with threads_set(threads):
            return found | self.score(examples, train)

    def score(self, examples: Sequence[Example], train: Sequence[Example] | None) -> dict[str, Any]:
        """The metrics of the model on sentences, beside its own from the left alone, and beside those of the baselines
        fitted on `train` (None: without these)."""
        task, vocabulary = self.model.task, self.model.vocabularies["input"]
        encoder = label_codecs(self.model.vocabularies)
        encoded = [encoder.encode(example) for example in examples]
        ids = [each["input"] for each in encoded]
        begun = time.perf_counter()
        found = self._ranked(encoded, encoder)
        seconds = time.perf_counter() - begun
        answers = found["both" if "both" in found else "left"]
        places = sum(map(len, ids))
        unknown = sum(int((each == vocabulary.unknown).sum()) for each in ids)
        result: dict[str, Any] = {
            "examples": len(examples),
            "tokens": places,
            "unknown_share": unknown / max(1, places),
            "notes": _notes(unknown, places),
            "parameters": self.model.parameter_count,
            "runs": 1,
            "places_per_second": places / seconds,
            "model": task.score(answers).metrics,
            "tables": {"places": task.score_by(answers, [each != vocabulary.unknown for each in ids])}
            if unknown
            else {},
            "baseline": [],
        }
        if "both" in found:
            size = task.left_size(self.model.embedder, self.model.core)
            row = {"name": LEFT, "size": size, "unit": "parameters", "note": ""}
            result["baseline"].append(row | task.score(found["left"]).metrics)
        if train is not None:
            learnt, asked = ([{"tokens": encoder.tokens(e)} for e in side] for side in (train, examples))
            result["baseline"] += scored_rows(
                [self.config["baseline"]],
                learnt,
                asked,
                encoder,
                lambda row: task.score(row.predictions).metrics,
            )
        return result

    def shown(self, test: Sequence[Example], seed: int) -> dict[str, Any]:
        """What the report shows of the model beside its scores: the first sentences with a blank at a random place."""
        encoder, draw = label_codecs(self.model.vocabularies), np.random.default_rng(seed)
        shown = []
        for example in test[:SHOWN]:
            tokens = encoder.tokens(example)
            if tokens:
                place = int(draw.integers(len(tokens)))
                (answer,) = self.predict([*tokens[:place], BLANK, *tokens[place + 1 :]])
                shown.append({**answer, "truth": tokens[place]})
        return {"shown": shown} if shown else {}

    def _ranked(self, encoded: Sequence[Any], encoder: Codecs) -> dict[str, list[dict[str, Any]]]:
        """By side, how every sentence's symbols are guessed: see `recurra.tasks.fill`."""
        batches = registry.construct("batching", self.config["batching"]).batches(encoded, encoder.layouts, whole=True)
        task = self.model.task
        found: dict[str, list[dict[str, Any]]] = {}
        for k, rows in enumerate(batches.order):
            for side, (ranks, log_p) in task.ranked(
                self.model.embedder, self.model.core, moved(batches[k], self.device)
            ).items():
                of_side = found.setdefault(side, [{} for _ in encoded])
                for row, rank, p in zip(rows, ranks.cpu().numpy(), log_p.cpu().numpy(), strict=True):
                    n = len(encoded[row]["input"])
                    of_side[row] = {"rank": rank[:n], "log_p": p[:n]}
        return found

    @torch.no_grad()
    def _guesses(self, lines: Sequence[Line], top: int, stop: Callable[[], bool]) -> list[list[dict[str, Any]]]:
        """The likeliest symbols at the blanks of lines."""
        vocabulary: Any = self.model.vocabularies["input"]
        encoder = label_codecs(self.model.vocabularies)
        answers: list[list[dict[str, Any]]] = [[{"place": place} for place in line.blanks] for line in lines]
        asked = [k for k, line in enumerate(lines) if line.blanks]
        encoded = [encoder.encode({"tokens": lines[k].tokens}) for k in asked]
        for k, each in zip(asked, encoded, strict=True):
            each["input"][lines[k].blanks] = vocabulary.unknown
        if not asked:
            return answers
        batches = registry.construct("batching", self.config["batching"]).batches(encoded, encoder.layouts, whole=True)
        for k, order in enumerate(batches.order):
            if stop():
                raise Stopped
            places = [(row, lines[asked[n]].blanks) for row, n in enumerate(order)]
            flat = [(row, step) for row, blanks in places for step in blanks]
            rows, steps = torch.tensor(flat, device=self.device).t()
            found = self.model.task.potentials(
                self.model.embedder, self.model.core, moved(batches[k], self.device), (rows, steps)
            )
            here = [answer for n in order for answer in answers[asked[n]]]
            for side, log_p in found.items():
                log_p[:, vocabulary.unknown] = -torch.inf
                best = log_p.topk(min(top, log_p.shape[1] - 1))
                for answer, values, ids in zip(here, best.values.exp().tolist(), best.indices.tolist(), strict=True):
                    named = zip(vocabulary.pieces(ids), values, strict=True)
                    answer[side] = [{"symbol": symbol, "p": p} for symbol, p in named]
        return answers

    def _check_several(self, lines: Sequence[Line]) -> None:
        """Refuse several blanks in a line where the model has never read an unknown symbol."""
        if all(len(line.blanks) < 2 for line in lines):
            return
        if not self.report.get("unknown_share", {}).get("train"):
            raise ConfigError(
                f"{max(len(line.blanks) for line in lines)} blanks in one text: while one is filled, the others are "
                "read as an unknown symbol, and this run was trained without any. Write one blank a text, or train "
                "with --set vocabulary.min_count=2."
            )


def _notes(unknown: int, places: int) -> list[str]:
    """What the scores must be read with."""
    if not unknown:
        return []
    return [
        f"{unknown / places:.1%} of the places hold the unknown symbol, which counts as a symbol like any other, for "
        "the model and beside it."
    ]
