"""Texts written symbol by symbol, each as `predict` would draw it: chosen, sent, and read by what reads them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import numpy as np
import torch

from recurra.decoding.hypothesis import check_cuts, not_finite
from recurra.decoding.sample import distribution

WINDOW = 16
"""Symbols behind which a new one is decoded: a space may belong between."""
LENGTH = 300
"""Symbols of a text, where nothing else is said."""
TOP = 5
"""Alternatives, where nothing else is said."""
HALF = "\ufffd"
"""What bytes that are not yet a character decode to."""
UNREAD = 256
"""Events that wait to be read before their text does."""


class Text:
    """One text on its way: chooses symbols as its options say, and has an event for each.

    Made in the event loop, which its events are read in; written in the model's thread.
    """

    def __init__(self, given: str, options: Mapping[str, Any], streamed: bool = False) -> None:
        self.given, self.streamed, self.begun = given, streamed, False
        self.form = bool(options.get("form"))
        self.length: int = options.get("length", LENGTH)
        self.seed: int = options.get("seed") or 0
        self._top: int = options.get("top", TOP)
        self._cuts = {name: options.get(name) for name in ("top_k", "top_p")}
        self._temperature: float = 1.0 if options.get("temperature") is None else options["temperature"]
        check_cuts(self._temperature, **self._cuts)
        self.voice: Any = None
        self.written: list[int] = []
        self._text, self._half = "", False
        self._fresh: list[tuple[str, Any]] = []
        self._events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    @property
    def full(self) -> bool:
        """Whether its reader is so far behind that it waits."""
        return self.streamed and self._events.qsize() + len(self._fresh) >= UNREAD

    def begin(self, voice: Any) -> None:
        """Be written by a voice, see `voices`."""
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
            self._fresh.append(("error", error))
            return
        whole = self.voice.whole(self.written) if self.written else ""
        self._fresh.append(("end", {"text": whole, "symbols": len(self.written)}))

    def send(self, refusal: BaseException | None = None) -> None:
        """Give its reader what was written, or why nothing more is."""
        fresh, self._fresh = self._fresh, []
        for event in fresh if refusal is None else [("error", refusal)]:
            self._events.put_nowait(event)

    async def events(self, deadline: float) -> AsyncIterator[tuple[str, Any]]:
        """`symbol` after `symbol`, then `end` or `error`, whose data is None where nothing came until then, by the event
        loop's clock."""
        name, loop = "symbol", asyncio.get_running_loop()
        while name == "symbol":
            name, data = "error", None
            if loop.time() < deadline:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(deadline):
                        name, data = await self._events.get()
            yield name, data

    def _choose(self, log_p: Any) -> int:
        """The next symbol, by log-probabilities [V], which its reader is told of."""
        if not np.isfinite(log_p.max()):
            raise not_finite(len(self.written), " written")
        if self._temperature == 0:
            number = int(log_p.argmax())
        else:
            p = distribution(log_p, temperature=self._temperature, **self._cuts)
            number = int(self._generator.choice(len(p), p=p))
        text = "" if self.voice.ends(number) else self._added(number)
        event = {"symbol": self.voice.symbol(number), "text": text, "p": float(np.exp(log_p[number]))}
        if self._top:
            best = np.argpartition(-log_p, min(self._top, len(log_p) - 1))[: self._top]
            best = best[np.argsort(-log_p[best], kind="stable")]
            event["alternatives"] = [{"symbol": self.voice.symbol(int(k)), "p": float(np.exp(log_p[k]))} for k in best]
        self._fresh.append(("symbol", event))
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
