"""Texts that are generated symbol by symbol, each as `predict` would draw it; those of one language model go together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from recurra import registry
from recurra.data.pair_encode import PairEncoder, source_of
from recurra.data.poems import form_of
from recurra.decoding.form import in_form
from recurra.decoding.hypothesis import check_cuts
from recurra.decoding.sample import distribution, prompt_ids
from recurra.serving.poems import prompted
from recurra.serving.server.answering import DRAWING, TOP
from recurra.serving.server.kinds import END
from recurra.serving.session import Session, advance
from recurra.serving.translate import LENGTHENING, MORE, source_pieces, symbol_kinds
from recurra.training.evaluation import moved

PROMPT = 256
"""Symbols of a prompt that are read in one round."""
WINDOW = 16
"""Symbols behind which a new one is decoded: a space may belong between."""
LENGTH = 300
HALF = "�"
"""What bytes that are not yet a character decode to."""
Say = Callable[[str, Mapping[str, Any]], None]


class Channel:
    """The way from a model's thread to the event loop that it was made in."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    def __call__(self, name: str, data: Any) -> None:
        self._loop.call_soon_threadsafe(self.events.put_nowait, (name, data))


class Voice(Protocol):
    """Whatever gives log-probabilities of the next symbol."""

    ids: list[int]
    """What stands before, and what was written, by number."""

    def symbol(self, number: int) -> str: ...

    def decode(self, ids: Sequence[int]) -> str: ...

    def ends(self, number: int) -> bool: ...


class Writing:
    """One text on its way: chooses symbols as its options say, and tells of each."""

    def __init__(self, say: Say, given: str, options: Mapping[str, Any], default: Mapping[str, Any]) -> None:
        said = {**default, **options}
        self.given, self.gone = given, False
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

    def choose(self, log_p: Any) -> int:
        """The next symbol, by log-probabilities [V], which the client is told of."""
        vector = log_p.detach().to("cpu", torch.float64).numpy().reshape(-1)
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
        ids = [] if self.voice is None else self.voice.ids
        whole = self.voice.decode([*ids, *self.written])[len(self.voice.decode(ids)) :] if self.written else ""
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


class Prose:
    """A language model's session, as a voice."""

    def __init__(self, session: Session, vocabulary: Any, prompt: str) -> None:
        self.session, self._vocabulary = session, vocabulary
        self.ids: list[int] = prompt_ids(vocabulary, prompt).tolist()
        self.unread = list(self.ids)

    def symbol(self, number: int) -> str:
        return str(self._vocabulary.symbols[number])

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._vocabulary.decode(list(ids)))

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
        encoded = PairEncoder(model.vocabularies).encode_all([example])
        batching = registry.construct("batching", model.config["batching"])
        batch = moved(batching.batches(encoded, None, whole=True)[0], run.device)
        self.longest = LENGTHENING * len(encoded[0]["input"]) + MORE
        self._step: Any = lambda state, token: model.task.step(model.embedder, model.core, state, token)
        self._state = model.task.start(model.embedder, model.core, batch)
        if form:
            pieces = source_pieces(model.vocabularies["input"], source_of(example), encoded[0]["input"][:-1])
            asked = torch.tensor([form_of(" ".join(pieces))], device=run.device)
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
        return str(self._vocabulary.text(list(ids)))

    def ends(self, number: int) -> bool:
        return number == self._end


class Proser:
    """Advances the texts of a language model, all in one step."""

    def __init__(self, run: Any) -> None:
        self._run = run

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
        if len(ready) == 1:
            _, one, number = ready[0]
            one.voice.session.step(number)
        elif ready:
            advance([one.voice.session for _, one, _ in ready], [number for *_, number in ready], top=0)
        for k, one, _ in ready:
            one.choose(one.voice.session.said["next"])
            said[k] = len(one.written) >= one.length
        return [said[k] for k in range(len(texts))]

    def _number(self, one: Writing) -> int | None:
        """The symbol to be read before the next is drawn; None while the prompt is read, and where none is wanted."""
        if one.voice is None:
            one.voice = Prose(self._run.session(), self._run.model.vocabulary, one.given)
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


def written_by(run: Any) -> tuple[Any, dict[str, Any]] | None:
    """What generates the texts of a run, and options where none are said; None for a run that generates none."""
    if run.does == "write":
        return Proser(run), {}
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
