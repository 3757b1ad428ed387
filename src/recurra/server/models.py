"""What is served: runs by name, each with its own thread."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from recurra.answers import Answer
from recurra.answers import Text as Written
from recurra.asking.examples import unknown_of
from recurra.asking.stopped import Stopped
from recurra.diagnostics.brief import brief
from recurra.diagnostics.reading import read
from recurra.errors import did_you_mean
from recurra.runs.writing import LENGTH, Writing
from recurra.server import asked
from recurra.server.heard import heard
from recurra.server.limits import Limits, size_of
from recurra.server.parts import fit_maps, reply
from recurra.server.problems import Problem, too_long, too_slow
from recurra.server.requests import Feed
from recurra.server.sessions import Sessions
from recurra.server.texts import Text
from recurra.server.worker import CLOSING, Worker
from recurra.streaming.session import Session, advance

HEAD = 1 << 16
"""Bytes of a request's body besides a file in it."""


class Served:
    """One model: its run, its card, its queue, its sessions."""

    def __init__(self, name: str, run: Any, limits: Limits, threads: int) -> None:
        self.name, self.run, self.limits = name, run, limits
        self.card = asked.card(name, run, limits)
        self.sessions = Sessions(limits)
        self._first: Session | None = None
        write, usual = asked.writer(run, self._session) or (list, None)
        self._usual: dict[str, Any] | None = usual
        self.worker = Worker(self._compute, write, limits, name, str(run.path), lambda: torch.set_num_threads(threads))

    async def predict(self, inputs: Sequence[Any], given: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Each input's answer. Raises `Problem` for inputs or options that do not fit."""
        options = asked.read_options(self.run, given, self.limits)
        if len(inputs) > self.limits.inputs:
            expected, move = f"{self.limits.inputs} at most", "Send several: those that wait are computed together."
            raise Problem(422, "there are too many inputs", expected=expected, got=len(inputs), next=move)
        for each in inputs:
            self.check_input(each)
        most = self.limits.file if self.run.of_files else self.limits.in_all
        if (size := sum(map(size_of, inputs))) > most:
            raise too_long("what is sent", most, size, "characters in all")
        if asked.writes(self.run):
            return await self._written(inputs, options)
        found = await self.worker.ask(asked.batch_key(self.run, options), inputs)
        fit_maps(found, self.limits.cells)
        return found

    def text(self, given: Any, options: Mapping[str, Any], streamed: bool) -> Text:
        """A text that is to be generated. Raises `Problem` for a model that generates none, for options that do not
        fit, and where there are too many."""
        if self._usual is None:
            error, move = (
                "this model generates no text symbol by symbol",
                f"POST to /api/models/{self.name}/predict.",
            )
            expected = "a model whose card says that it can generate"
            raise Problem(422, error, expected=expected, got=self.name, next=move)
        options = asked.read_options(self.run, options, self.limits, generated=True)
        asked.check_generated(self.run, given)
        self.check_input(given)
        text = Text(Writing(given, self._usual | options), streamed)
        self.worker.write(text)
        return text

    async def inspect(self, text: str, target: str | None) -> dict[str, Any]:
        """What goes on inside while an input is read."""
        self.check_parts()
        for each in (text, target or ""):
            self.check_input(each)
        return dict(await self.worker.call(lambda: self._look(text, target)))

    async def open_session(self) -> Session:
        """A session at its begin."""
        self.check_parts()
        self.sessions.check_room()
        session: Session = await self.worker.call(self._session)
        return session

    async def feed(self, session: Session, body: Feed) -> dict[str, Any]:
        """How many symbols a session has read when it was fed, and the answers."""
        given: Any = body.input
        top, dt = body.top, body.dt
        asked.check_sizes({"top": top}, self.limits)
        if self.run.of_files:
            sound = heard(self.run, given, body.rate, self.limits)

            def hear() -> dict[str, Any]:
                answers = session.feed(sound, top, dt)
                return {"answers": answers + (session.end(top) if body.ended else []), "count": session.count}

            found: dict[str, Any] = await self.worker.call(hear)
            return found
        if body.rate is not None or body.ended:
            error, move = "this model hears no recordings", "Leave rate and ended out."
            raise Problem(422, error, expected="a text, or steps", got="samples", next=move)
        if all(isinstance(each, str) for each in given):
            self.check_input(given, self.limits.characters)
        if len(given) > self.limits.written:
            raise too_long("what a session is fed", self.limits.written, len(given), "symbols at once")
        apart = dt[0] if isinstance(dt, list) and len(dt) == 1 else dt
        if isinstance(given, list) and len(given) == 1 and not isinstance(apart, list):
            # those of other sessions may share the step
            count, answers = (await self.worker.ask(("fed", top), [(session, given[0], apart)]))[0]
        else:
            answers, count = await self.worker.call(lambda: (session.feed(given, top, dt), session.count))
        return {"count": count, "answers": answers}

    def check_input(self, given: str | Sequence[Any], longest: int | None = None) -> None:
        """Raise `Problem` for an input that is too long for the run, or is no text."""
        text = given if isinstance(given, str) else "".join(step for step in given if isinstance(step, str))
        most = asked.longest(self.run, self.limits) if longest is None else longest
        if size_of(given) > most:
            raise too_long("an input", most, size_of(given), "characters")
        asked.check_input(self.run, given, self.limits)
        if not isinstance(given, str) and len(given) > self.limits.tokens:
            raise too_long("an input", self.limits.tokens, len(given), "tokens")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            refusal, got = "an input holds half a character", f"U+{ord(text[error.start]):04X}"
            expected = "Unicode text: a surrogate stands in no text by itself"
            raise Problem(422, refusal, expected=expected, got=got, next="Send it in UTF-8.") from error

    def check_parts(self) -> None:
        """Raise `Problem` for an export, which has no parts to look into or to hold sessions of."""
        if not asked.has_parts(self.run):
            error = "this model is an export, which cannot be looked into and holds no sessions"
            expected, move = "a run's own folder", "Serve the run that it was exported from."
            raise Problem(422, error, expected=expected, got=self.name, next=move)

    async def _written(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The answers of texts that are generated one after the other."""
        found, wanted = [], len(inputs) * options.get("length", LENGTH)
        if wanted > self.limits.written:
            raise too_long("what is to be written", self.limits.written, wanted, "symbols in all")
        deadline = asyncio.get_running_loop().time() + self.limits.seconds
        for given in inputs:
            one = self.text(given, options, streamed=False)
            try:
                *symbols, (name, data) = [event async for event in one.events(deadline)]
            finally:
                self.worker.drop(one)
            if name == "error":
                raise too_slow(self.limits.seconds, one.begun) if data is None else data
            part = Written(given, data["text"], [symbol for _, symbol in symbols])
            codec = self.run.model.codecs["input"]
            found.append(reply(Answer((part,), unknown=unknown_of(codec, given))))
        return found

    def _look(self, text: str, target: str | None) -> dict[str, Any]:
        given = asked.example(self.run, text, target, self.limits)
        if (count := len(read(self.run.model, given).tokens)) > self.limits.looked_at:
            raise too_long("the text to look inside at", self.limits.looked_at, count, "symbols")

        def check() -> None:
            if self.worker.stop():
                raise Stopped

        return brief(self.run.model, given, check)

    def _session(self) -> Session:
        """A session at its begin, in the model's thread. The first is kept, so that weights are packed once."""
        if self._first is None:
            self._first = self.run.session()
        return self._first.fork()

    def _compute(self, key: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        if key[0] == "fed":
            sessions, symbols, dt = zip(*inputs, strict=True)
            answers = advance(sessions, symbols, key[1], dt)
            return [(session.count, [answer]) for session, answer in zip(sessions, answers, strict=True)]
        return asked.answers(self.run, key, inputs, self.limits, self.worker.stop)


class Models:
    """All that is served, by name."""

    def __init__(self, runs: Sequence[Any], limits: Limits | None = None, threads: int = 1) -> None:
        self.limits = limits or Limits()
        names = names_of([run.path for run in runs])
        self.by_name: Mapping[str, Served] = {
            name: Served(name, run, self.limits, threads) for name, run in zip(names, runs, strict=True)
        }

    @property
    def most_bytes(self) -> int:
        """Of a request's body: more where a model is asked by files."""
        files = any(served.run.of_files for served in self.by_name.values())
        return max(self.limits.body, self.limits.file + HEAD) if files else self.limits.body

    def find(self, name: str) -> Served:
        """The model of a name. Raises `Problem` for one there is not."""
        if name not in self.by_name:
            error = "there is no model of this name" + did_you_mean(name, self.by_name).removesuffix(".")
            expected, move = ", ".join(self.by_name), "GET /api/models lists them."
            raise Problem(404, error, expected=expected, got=name, next=move)
        return self.by_name[name]

    def refuse_all(self) -> None:
        """Answer whoever waits by 503, and take nothing more. In the event loop."""
        for served in self.by_name.values():
            served.worker.refuse_all()

    def close(self) -> None:
        """Stop all threads, but wait no longer than a few seconds for what is being computed."""
        until = time.monotonic() + CLOSING
        for served in self.by_name.values():
            served.worker.close(0)
        for served in self.by_name.values():
            served.worker.close(max(0.0, until - time.monotonic()))


def names_of(paths: Sequence[Path]) -> list[str]:
    """A name for each folder, that can stand in an address and that no other has."""
    names: list[str] = []
    for path in paths:
        bare = re.sub(r"[^\w.-]+", "-", path.resolve().name).strip("-.") or "model"
        k, name = 1, bare
        while name in names:
            k += 1
            name = f"{bare}-{k}"
        names.append(name)
    return names
