"""Texts written symbol by symbol, each as `predict` would draw it, those of one language model all in one step.

A text is chosen by a `Writing` and read by its voice: a language model's session, an export's steps, or a decoder. A
voice has `ids`, what stands before the text by number; `longest`, symbols it may have; `never`, the symbol that is not
written; `next()`, log-probabilities [V], or None where it still reads what stands before; `read`, `ends` and `symbol`
of a number; `decode` of several, and `whole`, the text as it is in the end.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from recurra.answers.pair import END
from recurra.asking.alignment import attention, looked_at, written_text
from recurra.asking.examples import as_example
from recurra.decoding.hypothesis import Hypothesis, check_cuts, not_finite
from recurra.decoding.sample import distribution, prompt_ids, without
from recurra.decoding.search import longest_of
from recurra.engine.device import moved
from recurra.streaming.session import Session, advance
from recurra.tasks.writing import copies

PROMPT = 256
"""Symbols of a prompt that are read in one round."""


WINDOW = 16
"""Symbols behind which a new one is decoded: a space may belong between."""
LENGTH = 300
"""Symbols of a text, where nothing else is said."""
TOP = 5
"""Alternatives of a symbol, where nothing else is said."""
HALF = "\ufffd"
"""What bytes that are not yet a character decode to."""


class Writing:
    """One text on its way: chooses symbols as its options say, and has an event for each in `events`: `symbol` after
    `symbol`, then `end` or `error`. Raises `ConfigError` for options out of range."""

    def __init__(self, given: str, options: Mapping[str, Any]) -> None:
        self.given, self.form = given, bool(options.get("form"))
        self.length: int = options.get("length", LENGTH)
        self.seed: int = options.get("seed") or 0
        self._top: int = options.get("top", TOP)
        self._cuts = {name: options.get(name) for name in ("top_k", "top_p")}
        self._temperature: float = 1.0 if options.get("temperature") is None else options["temperature"]
        check_cuts(self._temperature, **self._cuts)
        self.voice: Any = None
        self.written: list[int] = []
        self.events: list[tuple[str, Any]] = []
        self._text, self._half = "", False

    def begin(self, voice: Any) -> None:
        """Be written by a voice."""
        self.voice, self._generator = voice, np.random.default_rng(voice.seed(self.seed))

    @property
    def finished(self) -> bool:
        """Whether it is as long as it may be."""
        return len(self.written) >= min(self.length, self.voice.longest)

    def further(self) -> bool:
        """Write one symbol more; whether it was the last."""
        if self.finished:
            return True
        log_p = self.voice.next()
        if log_p is None:
            return False
        number = self._choose(log_p.detach().to("cpu", torch.float64).numpy().reshape(-1))
        self.voice.read(number)
        return self.voice.ends(number) or self.finished

    def end(self, error: BaseException | None) -> None:
        """Say that this is all, or why it is."""
        if error is not None:
            self.events.append(("error", error))
            return
        whole = self.voice.whole(self.written) if self.written else ""
        self.events.append(("end", {"text": whole, "symbols": len(self.written)}))

    def _choose(self, log_p: Any) -> int:
        """The next symbol, by log-probabilities [V]."""
        if not np.isfinite(log_p.max()):
            raise not_finite(len(self.written), " written")
        log_p = without(log_p, self.voice.never)
        if self._temperature == 0:
            number = int(log_p.argmax())
        else:
            p = distribution(log_p, temperature=self._temperature, **self._cuts)
            number = int(self._generator.choice(len(p), p=p))
        text = "" if self.voice.ends(number) else self.voice.named(self._added(number), number)
        event = {"symbol": self.voice.symbol(number), "text": text, "p": float(np.exp(log_p[number]))}
        if self._top:
            best = np.argpartition(-log_p, min(self._top, len(log_p) - 1))[: self._top]
            best = best[np.argsort(-log_p[best], kind="stable")]
            best = best[log_p[best] > -np.inf]
            event["alternatives"] = [{"symbol": self.voice.symbol(int(k)), "p": float(np.exp(log_p[k]))} for k in best]
        self.events.append(("symbol", event))
        return number

    def _added(self, number: int) -> str:
        """What one more symbol adds to the text; half a character waits for its other half."""
        decode, ids = self.voice.decode, self.voice.ids
        before = (*ids, *self.written)[-WINDOW:]
        self.written.append(number)
        added: str = decode([*before, number])[len(decode(before)) :]
        if HALF in added or self._half:
            whole = decode([*ids, *self.written])[len(decode(ids)) :]
            bare = whole.rstrip(HALF)
            self._half = len(bare) < len(whole)
            added = bare[len(self._text) :]
        self._text += added
        return added


class Prose:
    """A language model, read by its session, or, of an export, which has none, by its steps."""

    longest = math.inf

    def __init__(self, model: Any, prompt: str, session: Session | None) -> None:
        self._model, self._state, self._log_p = model, None, None
        self.session: Any = session
        self.ids: list[int] = prompt_ids(model.codecs["input"], prompt).tolist()
        self.never: int | None = model.codecs["input"].unknown
        self.unread = list(self.ids)

    def seed(self, given: int) -> int:
        return given

    def next(self) -> Any:
        some = self.unread[: max(1, min(PROMPT, len(self.unread) - 1))]
        del self.unread[: len(some)]
        if self.session is None:
            for number in some:
                self._log_p, self._state = self._model.step(self._state, number)
        elif len(some) == 1:
            self.session.step(some[0])
        else:
            self.session.feed(some, top=0)
        if self.unread:
            return None
        return self._log_p if self.session is None else self.session.said["next"]

    def read(self, number: int) -> None:
        self.unread.append(number)

    def ends(self, number: int) -> bool:
        return False

    def symbol(self, number: int) -> str:
        return str(self._model.codecs["input"].symbols[number])

    def named(self, text: str, number: int) -> str:
        return text

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._model.codecs["input"].decode(list(ids)))

    def whole(self, written: Sequence[int]) -> str:
        return self.decode([*self.ids, *written])[len(self.decode(self.ids)) :]


class Target:
    """A decoder on its way through a target."""

    session = None

    def __init__(self, run: Any, given: str, form: bool) -> None:
        model = self._model = run.model
        task, self._codec, self._end = model.task, model.codecs["target"], model.task.end
        search = run.options({"form": True} if form else {})
        asked = run.questions([as_example(given, model.codecs)])
        self._batch = moved(asked.passes[0][0], run.device)
        self._pieces = asked.examples[0]["tokens"]
        self.longest, self.ids = longest_of(search, len(self._pieces) + 1), list[int]()
        self._copies = copies(model)
        self.never: int | None = None if self._copies else self._codec.unknown
        self._step: Any = partial(self._looking if self._copies else task.step, model.embedder, model.core)
        self._state = task.start(model.embedder, model.core, self._batch)
        if form:
            self._step, self._state = task.constrain(self._step, self._state, asked.examples, model.codecs)
        self._token = torch.full((1,), self._end, dtype=torch.int64, device=run.device)

    def seed(self, given: int) -> int:
        return given << 32

    def next(self) -> Any:
        log_p, self._state = self._step(self._state, self._token)
        return log_p[0]

    def _looking(self, embedder: Any, core: Any, state: Any, token: Any) -> tuple[Any, Any]:
        """A step that keeps what the source's symbol is that it looks at most."""
        said, state = self._model.task.look(embedder, core, state, token)
        looks = said["attention"][0]
        self._looked_at = self._pieces[int(looks[: max(1, len(self._pieces))].argmax())]
        return said["log_probabilities"], state

    def read(self, number: int) -> None:
        self._token = torch.full_like(self._token, number)

    def ends(self, number: int) -> bool:
        return number == self._end

    def symbol(self, number: int) -> str:
        if self._copies and number == self._codec.unknown:
            return str(self._looked_at)
        return END if self.ends(number) else str(self._codec.pieces([number])[0])

    def named(self, text: str, number: int) -> str:
        """A text with a copy from the source in the place of its unknown symbol."""
        if number != self._codec.unknown:
            return text
        return text.replace(self._codec.symbols[number], self.symbol(number))

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._codec.decode(list(ids)))

    def whole(self, written: Sequence[int]) -> str:
        """As `predict` says it: unknown symbols are copied from where they look in the source."""
        places = None
        if self._codec.unknown in written:
            one = Hypothesis(tuple(written), 0.0, 0.0, True)
            places = looked_at(attention(self._model, self._batch, [(0, one)])[0])
        return written_text(self._codec, written, places, self._pieces)[0]


class Writer:
    """Writes on texts, those of a language model all in one step; `speak` gives a text its voice."""

    def __init__(self, speak: Callable[[Writing], Any]) -> None:
        self._speak = speak

    @torch.no_grad()
    def __call__(self, texts: Sequence[Writing]) -> list[bool | BaseException]:
        """A symbol more of each; of each whether it was the last, or why it cannot go on."""
        found: dict[Writing, bool | BaseException] = {}
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

    def _step(self, texts: Sequence[Writing]) -> None:
        """Let the sessions that wait for one symbol read it in one step of all: where that fails, nobody's, and each
        takes its own."""
        ready = [one.voice for one in texts if one.voice.session is not None and len(one.voice.unread) == 1]
        if len(ready) < 2:
            return
        before = [voice.session.count for voice in ready]
        with contextlib.suppress(Exception):  # whose fault it is shows when each is tried alone
            advance([voice.session for voice in ready], [voice.unread[0] for voice in ready], top=0)
        for voice, count in zip(ready, before, strict=True):
            if voice.session.count > count:
                voice.unread.clear()
