"""Texts generated symbol by symbol, each as `predict` would draw it; those of one language model go together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from recurra.decoding.hypothesis import check_cuts, not_finite
from recurra.decoding.sample import distribution
from recurra.server.answering import DRAWING, TOP
from recurra.server.voices import Prose, Target
from recurra.streaming.session import Session, advance

PROMPT = 256
"""Symbols of a prompt that are read in one round."""
WINDOW = 16
"""Symbols behind which a new one is decoded: a space may belong between."""
LENGTH = 300
HALF = "�"
"""What bytes that are not yet a character decode to."""
UNREAD = 256
"""Events that wait to be read before their text does."""


class Channel:
    """The way from a model's thread to the event loop that it was made in."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    def __call__(self, name: str, data: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop is closed, nobody reads any more
            self._loop.call_soon_threadsafe(self.events.put_nowait, (name, data))

    @property
    def full(self) -> bool:
        """Whether its reader is far behind."""
        return self.events.qsize() >= UNREAD


class Writing:
    """One text on its way: chooses symbols as its options say, and tells of each."""

    def __init__(self, say: Channel, given: str, options: Mapping[str, Any], default: Mapping[str, Any]) -> None:
        said = {**default, **options}
        self.given, self.gone, self.begun = given, False, False
        self.form: bool = bool(said.get("form"))
        self.length: int = said.get("length", LENGTH)
        self.top: int = said.get("top", TOP)
        self.seed: int = said.get("seed") or 0
        self.cuts = {name: said.get(name) for name in ("top_k", "top_p")}
        self.temperature: float = 1.0 if said.get("temperature") is None else said["temperature"]
        check_cuts(self.temperature, self.cuts["top_k"], self.cuts["top_p"])
        self.generator: np.random.Generator | None = None
        self.voice: Any = None
        self.written: list[int] = []
        self._say, self._text, self._half = say, "", False

    @property
    def full(self) -> bool:
        """Whether it waits for its reader."""
        return self._say.full

    def choose(self, log_p: Any) -> int:
        """The next symbol, by log-probabilities [V], which the client is told of."""
        vector = log_p.detach().to("cpu", torch.float64).numpy().reshape(-1)
        if not np.isfinite(vector.max()):
            raise not_finite(len(self.written), " written")
        if self.temperature == 0:
            number = int(vector.argmax())
        else:
            assert self.generator is not None
            p = distribution(vector, temperature=self.temperature, **self.cuts)
            number = int(self.generator.choice(len(p), p=p))
        ended = self.voice.ends(number)
        text = "" if ended else self._new(number)
        event = {"symbol": self.voice.symbol(number), "text": text, "p": float(np.exp(vector[number]))}
        if self.top:
            event["alternatives"] = [
                {"symbol": self.voice.symbol(int(k)), "p": float(np.exp(vector[k]))} for k in _best(vector, self.top)
            ]
        self._say("symbol", event)
        return number

    def end(self, error: BaseException | None) -> None:
        """Tell the client that this is all, or why it is."""
        if error is not None:
            self._say("error", error)
            return
        whole = self.voice.whole(self.written) if self.written else ""
        self._say("end", {"text": whole, "symbols": len(self.written)})

    def _new(self, number: int) -> str:
        """What one more symbol adds to the text; half a character waits for its other half."""
        before = (*self.voice.ids, *self.written)[-WINDOW:]
        self.written.append(number)
        added = self.voice.decode([*before, number])[len(self.voice.decode(before)) :]
        if HALF in added or self._half:
            whole = self.voice.decode([*self.voice.ids, *self.written])[len(self.voice.decode(self.voice.ids)) :]
            bare = whole.rstrip(HALF)
            self._half = len(bare) < len(whole)
            added = bare[len(self._text) :]
        self._text += added
        return added


class Proser:
    """Advances the texts of a language model, all in one step."""

    def __init__(self, run: Any, open_session: Callable[[], Session]) -> None:
        self._run, self._open = run, open_session
        self._together = has_parts(run.model)

    def __call__(self, texts: Sequence[Writing]) -> list[bool | BaseException]:
        """A symbol more of each; True where that was the last."""
        said: dict[int, bool | BaseException] = {}
        ready: list[tuple[int, Writing, int]] = []
        for k, one in enumerate(texts):
            try:
                number = self._number(one)
            except Exception as error:
                said[k] = error
                continue
            if number is None:
                said[k] = len(one.written) >= one.length
            else:
                ready.append((k, one, number))
        stepped = self._stepped([(one, number) for _, one, number in ready])
        for k, one, number in ready:
            try:
                if one not in stepped:
                    one.voice.session.step(number)
                one.choose(one.voice.session.said["next"])
                said[k] = len(one.written) >= one.length
            except Exception as error:
                said[k] = error
        return [said[k] for k in range(len(texts))]

    def _stepped(self, ready: Sequence[tuple[Writing, int]]) -> list[Writing]:
        """The texts whose symbols were read in one step of all: none where that fails, and each takes its own."""
        if len(ready) < 2 or not self._together:
            return []
        sessions = [one.voice.session for one, _ in ready]
        before = [session.count for session in sessions]
        with contextlib.suppress(Exception):  # whose fault it is shows when each is tried alone
            advance(sessions, [number for _, number in ready], top=0)
        return [one for (one, _), session, count in zip(ready, sessions, before, strict=True) if session.count > count]

    def _number(self, one: Writing) -> int | None:
        """The symbol to be read before the next is drawn; None while the prompt is read, and where none is wanted."""
        if one.voice is None:
            one.voice = Prose(self._run.model, one.given, self._open() if self._together else None)
            one.generator = np.random.default_rng(one.seed)
        if not one.length:
            return None
        unread = one.voice.unread
        if len(unread) > 1:
            some = unread[: min(PROMPT, len(unread) - 1)]
            one.voice.session.feed(some, top=0)
            del unread[: len(some)]
            return None
        return unread.pop() if unread else one.written[-1]


class Translator:
    """Advances the targets of a run that turns sources into targets, one after the other."""

    def __init__(self, run: Any) -> None:
        self._run = run

    @torch.no_grad()
    def __call__(self, texts: Sequence[Writing]) -> list[bool | BaseException]:
        """A symbol more of each; True where that was the last."""
        said: list[bool | BaseException] = []
        for one in texts:
            try:
                said.append(self._further(one))
            except Exception as error:
                said.append(error)
        return said

    def _further(self, one: Writing) -> bool:
        if one.voice is None:
            one.voice = Target(self._run, one.given, one.form)
            one.generator = np.random.default_rng(one.seed << 32)
        voice = one.voice
        if len(one.written) >= min(one.length, voice.longest):
            return True
        number = one.choose(voice.next())
        voice.read(number)
        return bool(voice.ends(number))


def has_parts(model: Any) -> bool:
    """Whether a model has parts to look into and to hold sessions of; an export has not."""
    return model.core is not None


def written_by(run: Any, open_session: Callable[[], Session]) -> tuple[Any, dict[str, Any]] | None:
    """What generates the texts of a run, and options where none are said; None for a run that generates none.
    `open_session` gives a session of the run at its begin."""
    if run.does == "write":
        return Proser(run, open_session), {}
    if run.does == "translate" and hasattr(run.model.task, "start"):
        search = run.search
        said = {name: getattr(search, name) for name in DRAWING if getattr(search, name) is not None}
        greedy = {} if search.draws else {"temperature": 0.0}
        return Translator(run), {**greedy, **said, "form": search.form, "length": search.longest or 2_000}
    return None


def _best(vector: Any, top: int) -> Any:
    """Numbers of the `top` highest, the highest first."""
    some = np.argpartition(-vector, min(top, len(vector) - 1))[:top]
    return some[np.argsort(-vector[some], kind="stable")]
