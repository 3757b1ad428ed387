"""What texts are written by, symbol by symbol: a language model's session, an export's steps, a decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch

from recurra import registry
from recurra.asking.alignment import attention, looked_at, written_text
from recurra.data.former import pair_codecs
from recurra.data.poems import form_of
from recurra.data.sides import source_of
from recurra.decoding.form import in_form
from recurra.decoding.hypothesis import Hypothesis
from recurra.decoding.sample import prompt_ids
from recurra.server.kinds import END
from recurra.serving.poems import prompted
from recurra.serving.translate import LENGTHENING, MORE, source_pieces, symbol_kinds
from recurra.streaming.session import Session
from recurra.training.evaluation import moved


class Voice(Protocol):
    """Whatever gives log-probabilities of the next symbol."""

    ids: list[int]
    """What stands before, and what was written, by number."""

    def symbol(self, number: int) -> str: ...

    def decode(self, ids: Sequence[int]) -> str: ...

    def whole(self, written: Sequence[int]) -> str: ...

    def ends(self, number: int) -> bool: ...


class Reader:
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
    """A language model, as a voice. What reads is its session, or, of an export, which has none, its `reader`."""

    def __init__(self, model: Any, prompt: str, session: Session | None) -> None:
        self._vocabulary = model.vocabulary
        self.session: Any = Reader(model) if session is None else session
        self.ids: list[int] = prompt_ids(self._vocabulary, prompt).tolist()
        self.unread = list(self.ids)

    def symbol(self, number: int) -> str:
        return str(self._vocabulary.symbols[number])

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._vocabulary.decode(list(ids)))

    def whole(self, written: Sequence[int]) -> str:
        return self.decode([*self.ids, *written])[len(self.decode(self.ids)) :]

    def ends(self, number: int) -> bool:
        return False


class Target:
    """A decoder on its way through a target, as a voice."""

    def __init__(self, run: Any, given: str, form: bool) -> None:
        model = run.model
        self._vocabulary, self._end = model.vocabularies["target"], model.task.end
        example: Any = {"source": given}
        if run.writes_poems:
            example = prompted(example)
        codecs = pair_codecs(model.vocabularies)
        encoded = codecs.encode_all([example])
        batching = registry.construct("batching", model.config["batching"])
        batch = moved(batching.batches(encoded, codecs.layouts, whole=True)[0], run.device)
        self._model, self._batch = model, batch
        source = encoded[0]["input"][:-1]
        self._pieces = source_pieces(model.vocabularies["input"], source_of(example), source)
        self.longest = LENGTHENING * len(encoded[0]["input"]) + MORE
        self._step: Any = lambda state, token: model.task.step(model.embedder, model.core, state, token)
        self._state = model.task.start(model.embedder, model.core, batch)
        if form:
            asked = torch.tensor([form_of(" ".join(self._pieces))], device=run.device)
            kinds = torch.tensor(symbol_kinds(self._vocabulary), device=run.device)
            self._step, self._state = in_form(self._step, self._state, asked, kinds)
        self._token = torch.full((1,), self._end, dtype=torch.int64, device=run.device)
        self.ids: list[int] = []

    def next(self) -> Any:
        """Log-probabilities [V] of the next symbol."""
        log_p, self._state = self._step(self._state, self._token)
        return log_p[0]

    def read(self, number: int) -> None:
        self._token = torch.full_like(self._token, number)

    def symbol(self, number: int) -> str:
        return END if self.ends(number) else str(self._vocabulary.pieces([number])[0])

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._vocabulary.decode(list(ids)))

    @torch.no_grad()
    def whole(self, written: Sequence[int]) -> str:
        """As `predict` says it: unknown symbols are copied from where they look in the source."""
        places = None
        if self._vocabulary.unknown in written and self._model.task.aligns:
            one = Hypothesis(tuple(written), 0.0, 0.0, True)
            places = looked_at(attention(self._model, self._batch, [(0, one)])[0])
        return written_text(self._vocabulary, written, places, self._pieces)[0]

    def ends(self, number: int) -> bool:
        return number == self._end
