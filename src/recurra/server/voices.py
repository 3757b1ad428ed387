"""What texts are written by, symbol by symbol: a language model's session, an export's steps, a decoder.

A voice has `ids`, what stands before the text by number; `longest`, symbols it may have; `next()`, log-probabilities
[V], or None where it still reads what stands before; `read`, `ends` and `symbol` of a number; `decode` of several, and
`whole`, the text as it is in the end.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from recurra import registry
from recurra.data.former import pair_codecs
from recurra.data.poems import form_of
from recurra.data.sides import source_of
from recurra.decoding.form import in_form
from recurra.decoding.hypothesis import Hypothesis
from recurra.decoding.sample import prompt_ids
from recurra.server.parts import END
from recurra.server.texts import Text
from recurra.serving.alignment import attention, looked_at, written_text
from recurra.serving.poems import prompted
from recurra.serving.session import Session, advance
from recurra.serving.translate import LENGTHENING, MORE, source_pieces, symbol_kinds
from recurra.training.evaluation import moved

PROMPT = 256
"""Symbols of a prompt that are read in one round."""


class Steps:
    """What a session does, for a model that only has steps."""

    def __init__(self, model: Any) -> None:
        self._model, self._state = model, None
        self.said: dict[str, Any] = {}

    def step(self, number: int) -> None:
        log_p, self._state = self._model.step(self._state, number)
        self.said = {"next": log_p}

    def feed(self, given: Sequence[int], top: int = 0) -> None:
        for number in given:
            self.step(number)


class Prose:
    """A language model, read by its session, or, of an export, which has none, by its steps."""

    longest = math.inf

    def __init__(self, model: Any, prompt: str, session: Session | None) -> None:
        self._vocabulary = model.vocabulary
        self.session: Any = Steps(model) if session is None else session
        self.ids: list[int] = prompt_ids(self._vocabulary, prompt).tolist()
        self.unread = list(self.ids)

    def seed(self, given: int) -> int:
        return given

    def next(self) -> Any:
        if len(self.unread) > 1:
            some = self.unread[: min(PROMPT, len(self.unread) - 1)]
            self.session.feed(some, top=0)
            del self.unread[: len(some)]
            return None
        if self.unread:
            self.session.step(self.unread.pop())
        return self.session.said["next"]

    def read(self, number: int) -> None:
        self.unread.append(number)

    def ends(self, number: int) -> bool:
        return False

    def symbol(self, number: int) -> str:
        return str(self._vocabulary.symbols[number])

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._vocabulary.decode(list(ids)))

    def whole(self, written: Sequence[int]) -> str:
        return self.decode([*self.ids, *written])[len(self.decode(self.ids)) :]


class Target:
    """A decoder on its way through a target."""

    session = None

    def __init__(self, run: Any, given: str, form: bool) -> None:
        model = self._model = run.model
        self._vocabulary, self._end = model.vocabularies["target"], model.task.end
        example: Any = prompted({"source": given}) if run.writes_poems else {"source": given}
        codecs = pair_codecs(model.vocabularies)
        encoded = codecs.encode_all([example])
        batching = registry.construct("batching", model.config["batching"])
        self._batch = moved(batching.batches(encoded, codecs.layouts, whole=True)[0], run.device)
        source = encoded[0]["input"][:-1]
        self._pieces = source_pieces(model.vocabularies["input"], source_of(example), source)
        self.longest, self.ids = LENGTHENING * len(encoded[0]["input"]) + MORE, list[int]()
        self._step: Any = lambda state, token: model.task.step(model.embedder, model.core, state, token)
        self._state = model.task.start(model.embedder, model.core, self._batch)
        if form:
            asked = torch.tensor([form_of(" ".join(self._pieces))], device=run.device)
            kinds = torch.tensor(symbol_kinds(self._vocabulary), device=run.device)
            self._step, self._state = in_form(self._step, self._state, asked, kinds)
        self._token = torch.full((1,), self._end, dtype=torch.int64, device=run.device)

    def seed(self, given: int) -> int:
        return given << 32

    def next(self) -> Any:
        log_p, self._state = self._step(self._state, self._token)
        return log_p[0]

    def read(self, number: int) -> None:
        self._token = torch.full_like(self._token, number)

    def ends(self, number: int) -> bool:
        return number == self._end

    def symbol(self, number: int) -> str:
        return END if self.ends(number) else str(self._vocabulary.pieces([number])[0])

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._vocabulary.decode(list(ids)))

    def whole(self, written: Sequence[int]) -> str:
        """As `predict` says it: unknown symbols are copied from where they look in the source."""
        places = None
        if self._vocabulary.unknown in written and self._model.task.aligns:
            one = Hypothesis(tuple(written), 0.0, 0.0, True)
            places = looked_at(attention(self._model, self._batch, [(0, one)])[0])
        return written_text(self._vocabulary, written, places, self._pieces)[0]


class Writer:
    """Writes on texts, those of a language model all in one step; `speak` gives a text its voice."""

    def __init__(self, speak: Callable[[Text], Any]) -> None:
        self._speak = speak

    @torch.no_grad()
    def __call__(self, texts: Sequence[Text]) -> list[bool | BaseException]:
        """A symbol more of each; of each whether it was the last, or why it cannot go on."""
        found: dict[Text, bool | BaseException] = {}
        for one in texts:
            try:
                if one.voice is None:
                    one.begin(self._speak(one))
            except Exception as error:
                found[one] = error
        self._step([one for one in texts if one not in found and not one.finished])
        for one in texts:
            if one not in found:
                try:
                    found[one] = one.further()
                except Exception as error:
                    found[one] = error
        return [found[one] for one in texts]

    def _step(self, texts: Sequence[Text]) -> None:
        """Let the sessions that wait for one symbol read it in one step of all: where that fails, nobody's, and each
        takes its own."""
        ready = [one.voice for one in texts if hasattr(one.voice.session, "count") and len(one.voice.unread) == 1]
        if len(ready) < 2:
            return
        before = [voice.session.count for voice in ready]
        with contextlib.suppress(Exception):  # whose fault it is shows when each is tried alone
            advance([voice.session for voice in ready], [voice.unread[0] for voice in ready], top=0)
        for voice, count in zip(ready, before, strict=True):
            if voice.session.count > count:
                voice.unread.clear()
