"""A model that writes down what is said in a recording, or written in a picture."""

from __future__ import annotations

import json

import numpy as np

from recurra.answers.notes import NOTHING
from recurra.decoding.confidence import confidence
from recurra.decoding.ctc import UNLIKELY, collapsed, likeliest_path, prefix_beam, scores_of
from recurra.decoding.written_language import SymbolNgrams, WordNgrams, language_of
from recurra.export.clients.common import FILES, NOTES, Asked, following, numbers_of, text_of, unknown_of, vocabulary


def transcript_of(symbols: list[int]) -> str:
    """The text of symbols; the unknown one is never written."""
    target = vocabulary("target")
    return text_of(target, [symbol for symbol in symbols if symbol != unknown_of(target)])


def language(model: Asked, search: dict) -> SymbolNgrams | WordNgrams | None:
    """What the n-grams of the training transcripts add to a search; None of a model without. They are counted from the
    transcripts in codecs.json."""
    task = json.loads(model.metadata["config"])["task"]
    if not task.get("ngrams", 0):
        return None
    target, unit = vocabulary("target"), task.get("ngram_unit", "symbols")
    texts = [numbers_of(target, text) for text in vocabulary("texts")["texts"]]
    blank, closed = len(target["symbols"]), task.get("closed", False)
    found = language_of(texts, blank, task["ngrams"], unit, numbers_of(target, " "), closed)
    return found.weighed(search.get("weight", 0.5), search.get("bonus", 0.0))


def answer(given: str | np.ndarray, top: int = 0) -> dict:
    """The "transcript" of a file, or of a picture as an array, and its "confidence", by the search that the run's
    recipe has; with `top` so many further ones."""
    inputs = FILES[vocabulary("input")["kind"]](given)
    place = {"place": given} if isinstance(given, str) else {}
    if not inputs:
        NOTES.append(NOTHING)
        return {"notes": [NOTHING]}
    model = Asked("model")
    search = json.loads(model.metadata["config"]).get("search", {})
    beam = max(search.get("beam", 1), top + 1 if top else 1)
    said = model(**inputs, **model.start())
    rows = said["symbols"][0].astype(np.float64)
    blank = len(vocabulary("target")["symbols"])
    found = [likeliest_path(rows, blank)]
    if beam > 1:
        found = prefix_beam(rows, blank, beam, language(model, search), UNLIKELY)
    sure = float(np.exp(found[0].log_p / float(said["temperature"][0])))
    if beam > 1 and said["ranking"][0] == 1:
        sure = confidence(scores_of(found), said["ranking"][1:].tolist())
    others = [{"transcript": transcript_of(list(each.symbols)), "score": each.score} for each in found[1 : top + 1]]
    first = {**place, "transcript": transcript_of(list(found[0].symbols)), "confidence": sure}
    return first | ({"others": others} if others else {})


class Transcriber:
    """What is said in frames that come bit by bit, of a model that was trained to be streamed. The state goes from one
    call to the next by itself, so nobody can forget it; a new recording wants a new one of these."""

    def __init__(self) -> None:
        self._model = Asked("model")
        self._state = self._model.start()
        if not self._state:
            raise ValueError("this model reads a recording as a whole: ask it with answer(path).")
        self._blank = len(vocabulary("target")["symbols"])
        self._last = self._blank
        self.transcript = ""
        """All that was written so far; nothing of it is taken back."""

    def feed(self, frames: np.ndarray) -> str:
        """Read frames [T, D], as features.onnx gives them; what they add to the transcript."""
        if not len(frames):
            return ""
        inputs = {"input": frames[None].astype(np.float32), "lengths": np.array([len(frames)])}
        said = self._model(**inputs, **self._state)
        path = said["symbols"][0].argmax(1).tolist()
        new = transcript_of(collapsed([self._last, *path], self._blank)[int(self._last != self._blank) :])
        self._state, self._last = following(said), path[-1]
        self.transcript += new
        return new
