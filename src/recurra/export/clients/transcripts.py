"""A model that writes down what is said in a recording."""

from __future__ import annotations

import json
import sys

import numpy as np

from recurra.answers.notes import NOTHING
from recurra.decoding.ctc import collapsed, likeliest_path
from recurra.export.clients.common import FILES, NOTES, Asked, following, text_of, unknown_of, vocabulary


def written(symbols: list[int]) -> str:
    """The text of symbols; the unknown one is never written."""
    target = vocabulary("target")
    return text_of(target, [symbol for symbol in symbols if symbol != unknown_of(target)])


def answer(path: str, top: int = 0) -> dict:
    """The "transcript" of a recording by the likeliest symbol of every step, and its "confidence"."""
    if top:
        sys.exit("--top is for models that name something; recurra predict gives further transcripts.")
    inputs = FILES[vocabulary("input")["kind"]](path)
    if not inputs:
        NOTES.append(NOTHING)
        return {"notes": [NOTHING]}
    model = Asked("model")
    beam = json.loads(model.metadata["config"]).get("search", {}).get("beam", 1)
    if beam > 1:
        NOTES.append(f"By the likeliest symbol of every step; the run itself searches with a beam of {beam}.")
    said = model(**inputs, **model.start())
    rows = said["symbols"][0].astype(np.float64)
    best = likeliest_path(rows, len(vocabulary("target")["symbols"]))
    confidence = float(np.exp(best.log_p / float(said["temperature"][0])))
    return {"place": path, "transcript": written(list(best.symbols)), "confidence": confidence}


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
        new = written(collapsed([self._last, *path], self._blank)[int(self._last != self._blank) :])
        self._state, self._last = following(said), path[-1]
        self.transcript += new
        return new
