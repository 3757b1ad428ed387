"""A session holds the state of one stream: what a run says of symbols as they come, one by one, for as long as they
come."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from recurra import checkpoint, forms
from recurra.data.codecs.contract import Splits
from recurra.data.heard import Heard
from recurra.decoding.sample import prompt_ids, sample
from recurra.decoding.state import leaves, rebuilt
from recurra.errors import CheckpointError, ConfigError, DataError
from recurra.forms.files import SESSION
from recurra.model import Model
from recurra.streaming.measured import Symbol
from recurra.streaming.stepping import How, joined, parted
from recurra.streaming.stream import Apart, Fed, Said, Stream, stream_of
from recurra.tasks.naming import likeliest_symbols
from recurra.tasks.writing import Continues

AT_ONCE = 64
"""Symbols of one session that are read before the first of them is answered."""
KEPT = ("core", "memory", "said")
"""What a saved state is made of."""


class Session:
    """The state of one stream of a run::

    session = recurra.load("run").session()
    for answer in session.feed("To be, or"):
        print(answer["symbol"], answer["log_p"], answer["next"][0])

    What a step takes in time and memory does not depend on how many went before: the state of a recurrent core and of
    a causal time-delay network never grows, a causal Transformer's does until it holds `core.span` − 1 steps.
    A session is for one thread at a time; different sessions of a run may be used in different ones.
    """

    count: int
    """Symbols read since the begin."""
    _held: Heard | None
    """Of a recording what frames to come are still made of."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.reset()

    def reset(self) -> Self:
        """Forget everything: the next symbol is the first."""
        state, memory, said = self._stream.begun()
        self._take(state, memory, said, None, 0)
        self._held = None
        return self

    @property
    def step_kind(self) -> str:
        """How steps are made: "module", or the type of the packed weights."""
        return self._stream.steps.how

    @property
    def state(self) -> Any:
        """The core's state; None before the first symbol, but where a step of zeros is read before it."""
        return self._stream.steps.own(self._state)

    @property
    def said(self) -> Said | None:
        """What `step` gave for the last symbol that was read; None before the first, but where a step of zeros is read
        before it."""
        return self._said

    @property
    def bytes(self) -> int:
        """Memory of all that is held for this stream."""
        heard = 0 if self._held is None else sum(each.nbytes for each in self._held.arrays().values())
        return heard + sum(tensor.nbytes for tensor in leaves((self._state, self._memory, self._said)))

    def feed(self, given: Fed, top: int = 5, dt: Apart = None) -> list[dict[str, Any]]:
        """Read a text, or symbols by their numbers, or tokens; an answer for each symbol, probabilities in [0, 1]. Of a
        run that reads numbers, those of some steps, [T] or [T, D]; where it was trained on series with gaps, NaN for
        what is missing, and `dt`, how long ago each step before was, in units of the usual step, where it was not 1.

        What an answer holds its task says (`followed`): of a language model `{"symbol", "log_p", "next": [{"symbol",
        "p"}]}`, the natural log-probability the symbol had before it was read (None for the first), and the `top`
        likeliest behind it. What is fed is split into symbols by itself: a word must not be cut in two.

        A run that reads recordings is fed samples, a `Sound` or an array [N] at the run's rate, in pieces of any size:
        an answer for each frame that they complete. `end` gives those that are left when a recording is over.
        """
        if top < 0:
            raise ConfigError(f"top = {top}, expected 0 or more symbols.")
        hearing = self._stream.hearing
        if hearing is None:
            symbols: Any = given
            return self._answers(self._stream.symbols(symbols, self._last, dt), top)
        if dt is not None:
            raise ConfigError(f"{self._stream.path} hears recordings, whose samples say their time. Leave dt out.")
        answers = []
        for piece in hearing.pieces(given):
            steps, held = hearing.steps(piece, self._held, self.count)
            answers += self._answers(steps, top)
            self._held = held
        return answers

    def end(self, top: int = 5) -> list[dict[str, Any]]:
        """The answers that are left where a recording is over: of frames that waited for what comes behind them, and of
        one shorter than a frame. Then the session is to be reset. Of runs that read anything else there are none."""
        hearing = self._stream.hearing
        if hearing is None or self._held is None or self._held.ended:
            return []
        steps, held = hearing.rest(self._held, self.count)
        answers = self._answers(steps, top)
        self._held = held
        return answers

    def _answers(self, symbols: Sequence[Symbol], top: int) -> list[dict[str, Any]]:
        """Read symbols; an answer for each."""
        answers = []
        for first in range(0, len(symbols), AT_ONCE):
            some, before = symbols[first : first + AT_ONCE], self._said
            for symbol, said in zip(some, self._read(some), strict=True):
                answers.append(self._stream.answer(symbol, before, said, top))
                before = said
        return answers

    def likeliest(self, top: int = 5) -> list[dict[str, Any]]:
        """The `top` likeliest symbols behind what was read, `[{"symbol", "p"}]`, the likeliest first: what `feed` says
        as "next" of the last symbol. Raises `ConfigError` before the first symbol, and for a run that labels."""
        if top < 0:
            raise ConfigError(f"top = {top}, expected 0 or more symbols.")
        if self._said is None:
            raise ConfigError("nothing has been read, so nothing is known of what follows. Feed the session first.")
        if "next" not in self._said:
            raise ConfigError(f"{self._stream.path} expects no symbols. Feed it, and read its answers.")
        return likeliest_symbols(self._said["next"][0], self._stream.codec, top)

    def step(self, number: int) -> Said:
        """Read one symbol by its number; what the task says as it is, [1, ·]: "next", log-probabilities of the symbol
        behind it; "tag", "filtered_tag", "label": log-probabilities; "labels": log p / (1 − p). For speed: the number
        is not checked, and it stands for its word where words are spelled."""
        return self._read_one(self._stream.symbol(number))

    def fork(self) -> Session:
        """Another session that has read the same; both go on by themselves."""
        other = Session(self._stream)
        other._take(self._state, self._memory, self._said, self._last, self.count)
        other._held = self._held
        return other

    def write(
        self,
        length: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> str:
        """What the model would write here: `length` symbols, as `Run.predict` draws them. Nothing of it is read."""
        vocabulary = self._stream.codec
        if not isinstance(self._stream.model.task, Continues) or not self._stream.of_symbols:
            raise ConfigError(f"{self._stream.path} does not write text. Feed it, and read its answers.")
        known = prompt_ids(vocabulary, "") if self._last is None else [self._last.number]

        other = self.fork()

        def step(read: bool, number: int) -> tuple[Tensor, bool]:
            said = other._said if read else None
            return (other.step(number) if said is None else said)["next"], False

        begin = self._last is not None  # the last symbol has been read
        cuts: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        drawn = sample(step, begin, known, length, seed=seed, never=vocabulary.unknown, **cuts)
        whole = vocabulary.decode([*known, *drawn])  # a space may belong between the two
        return str(whole[len(vocabulary.decode(known)) :])

    def save(self, path: str | Path) -> None:
        """Write the state into a safetensors file. Raises `CheckpointError` where it cannot be written."""
        parts = dict(zip(KEPT, self._parts(), strict=True))
        tensors = {f"{name}.{k}": t.clone() for name, part in parts.items() for k, t in enumerate(leaves(part))}
        if self._held is not None:
            tensors |= {f"held.{name}": torch.from_numpy(each) for name, each in self._held.arrays().items()}
        about = {"run": self._stream.weights, "count": self.count, "last": self._last and self._last._asdict()}
        checkpoint.save_tensors(Path(path), tensors, {"session": json.dumps(about)})

    def load(self, path: str | Path) -> Self:
        """Go on from a state that `save` wrote, by whatever `step` it went; gives the session itself.

        Raises `CheckpointError` for a file that is missing, cut, corrupt, no session's, or of another run.
        """
        path = Path(path)
        if not path.is_file():
            raise CheckpointError(f"{path} is no file, expected a session's state: what `save` wrote.")
        tensors, metadata = checkpoint.load_tensors(path)
        if "session" not in metadata:
            raise CheckpointError(f"{path} holds weights, expected a session's state: what `save` wrote.")
        run, count, last = _about(path, metadata["session"])
        if run != self._stream.weights:
            raise CheckpointError(
                f"{path} is the state of another run: of weights {run}, those of {self._stream.path} are "
                f"{self._stream.weights}. Load it into a session of the run it came from, or begin anew."
            )
        held = self._heard(path, tensors)
        if last is None:
            self.reset()
            self._held = held
            return self
        if self._stream.of_symbols and last.number >= len(self._stream.codec):
            raise _damaged(path, f"symbol number {last.number} of {len(self._stream.codec)}")
        if self._stream.measured is not None and (wrong := self._stream.measured.unlike(last)):
            raise _damaged(path, wrong)
        once, twice = Session(self._stream), Session(self._stream)  # for how a state is nested, and what of it grows
        for like in (once, twice, twice):
            like._read_one(last)
        device, found = next(self._stream.model.parameters()).device, []
        for name, nest, later in zip(KEPT, once._parts(), twice._parts(), strict=True):
            names = [f"{name}.{k}" for k in range(len(leaves(nest)))]
            if missing := [each for each in names if each not in tensors]:
                raise _damaged(path, f"no {missing[0]}")
            for each, first, second in zip(names, leaves(nest), leaves(later), strict=True):
                _check_like(path, each, tensors[each], first, second)
            found.append(rebuilt(nest, (tensors[each].to(device) for each in names)))
        own, memory, said = found
        self._take(self._stream.steps.taken(own), memory, said, last, count)
        self._held = held
        return self

    def _heard(self, path: Path, tensors: Mapping[str, Tensor]) -> Heard | None:
        """What a file holds of a recording that goes on."""
        arrays = {name.removeprefix("held."): each.numpy() for name, each in tensors.items() if "held." in name}
        if self._stream.hearing is None or not arrays:
            return None
        try:
            return self._stream.hearing.restored(arrays)
        except DataError as error:
            raise _damaged(path, str(error)) from error

    def _parts(self) -> tuple[Any, Any, Any]:
        """What is kept of what was read; see `KEPT`."""
        return self.state, self._memory, self._said

    def _take(self, state: Any, memory: Any, said: Said | None, last: Symbol | None, count: int) -> None:
        self._state, self._memory, self._said, self._last, self.count = state, memory, said, last, count

    def _read_one(self, symbol: Symbol) -> Said:
        """Read a symbol; what is said with it."""
        if torch.is_grad_enabled():  # whoever steps without gradients need not switch them off at every step
            with torch.no_grad():
                return self._read_one(symbol)
        stream = self._stream
        x, gaps = stream.vector(symbol)
        y, state = stream.steps.one(x, self._state, gaps)
        said, memory = stream.follow(stream.embedder, y, self._memory)
        self._take(state, memory, said, symbol, self.count + 1)
        return said

    @torch.no_grad()
    def _read(self, symbols: Sequence[Symbol]) -> list[Said]:
        """Read symbols, all or, where that is interrupted, none of them; what is said with each."""
        if len(symbols) == 1:
            return [self._read_one(symbols[0])]
        stream, memory, found = self._stream, self._memory, []
        x, gaps = stream.vectors(symbols)
        ys, state = stream.steps.several(x, self._state, gaps)
        for y in ys:
            said, memory = stream.follow(stream.embedder, y, memory)
            found.append(said)
        self._take(state, memory, found[-1], symbols[-1], self.count + len(symbols))
        return found


def _about(path: Path, written: str) -> tuple[str, int, Symbol | None]:
    """What `save` wrote beside the tensors: the run's weights, how many symbols were read, and the last of them.

    The file's checksum is of its tensors alone: raises `CheckpointError` where this is damaged.
    """
    about = forms.read_json_text(written, "session", SESSION, partial(_damaged, path), "")
    count, last = about["count"], about["last"]
    if last is not None:
        values, seen, since = (tuple(last.get(name, ())) for name in ("values", "seen", "since"))
        last = Symbol(last["written"], last["number"], values, seen, since, last.get("dt", 1.0))
    if (count > 0) is not isinstance(last, Symbol):
        raise _damaged(path, f"count {count!r}, last {last!r}")
    return str(about["run"]), count, last


def _check_like(path: Path, name: str, saved: Tensor, once: Tensor, twice: Tensor) -> None:
    """Raise `CheckpointError` for a tensor of another type than after one symbol and after two, of another shape where
    those two have the same, or with numbers that are not finite."""
    sizes = zip(saved.shape, once.shape, twice.shape, strict=False)
    same = saved.dim() == once.dim() and all(own == a or a != b for own, a, b in sizes)
    if not same or saved.dtype != once.dtype:
        raise _damaged(path, f"{name} is {saved.dtype} {list(saved.shape)}, not {once.dtype} {list(once.shape)}")
    if saved.is_floating_point() and not bool(saved.isfinite().all()) and bool(once.isfinite().all()):
        raise _damaged(path, f"{name} holds numbers that are not finite")


def _damaged(path: Path, what: str) -> CheckpointError:
    return CheckpointError(
        f"{path} is damaged: what it says of the session cannot be read ({what.strip()}). Copy it again "
        "from where it was whole, or begin anew."
    )


def open_session(model: Model, path: str | Path, step: How = "auto") -> Session:
    """A session of a model, at its begin; `path` is what messages call it.

    Raises `NotCausal` for a model that cannot answer before the end of its input, `ConfigError` for an export
    and where its weights cannot be packed as `step` says. Packed weights are those of when the first session of the
    model was opened.
    """
    return Session(stream_of(model, Path(path), step))


def advance(
    sessions: Sequence[Session], given: Sequence[Any], top: int = 5, dt: Sequence[float | None] | None = None
) -> list[dict[str, Any]]:
    """Read one symbol in each of several sessions of a run, in one step of all: the answers that each would give.

    `given`: a symbol for each, by its number or as it is written, or the numbers of a step, and `dt`, as of
    `Session.feed`, where they have any. Sessions at their begin go in a step of their own.
    Raises `ConfigError` for sessions of several runs or kinds of steps, for one named twice, and for anything that is
    not one symbol each.
    """
    if len(sessions) != len(given):
        raise ConfigError(f"{len(given)} symbols for {len(sessions)} sessions, expected one for each.")
    if not sessions:
        return []
    stream = sessions[0]._stream
    if any(session._stream is not stream for session in sessions):
        raise ConfigError(
            "the sessions are of several runs, or go by several kinds of steps, and only one run's can share a step. "
            "Advance them apart."
        )
    if len({id(session) for session in sessions}) < len(sessions):
        raise ConfigError("a session is named twice, and reads one symbol at a time. Advance it again afterwards.")
    alone = isinstance(stream.codec, Splits)
    read = []
    for session, one, apart in zip(sessions, given, dt or [None] * len(given), strict=True):
        wrapped = not isinstance(one, str) if stream.measured is not None else alone and isinstance(one, str)
        read.append(stream.symbols([one] if wrapped else one, session._last, apart))
    for one, symbols in zip(given, read, strict=True):
        if len(symbols) != 1:
            raise ConfigError(f"{one!r} is {len(symbols)} symbols, expected one for each session.")
    begun = [session.count > 0 for session in sessions]
    answers: dict[int, dict[str, Any]] = {}
    for some in (False, True):
        rows = [k for k, each in enumerate(begun) if each is some]
        if rows:
            found = _advance([sessions[k] for k in rows], [read[k][0] for k in rows], top)
            answers |= dict(zip(rows, found, strict=True))
    return [answers[k] for k in range(len(sessions))]


@torch.no_grad()
def _advance(sessions: Sequence[Session], symbols: Sequence[Symbol], top: int) -> list[dict[str, Any]]:
    """`advance` for sessions that are all at their begin, or none."""
    stream, new = sessions[0]._stream, sessions[0].count == 0
    olds = [None if new else (session._state, session._memory, session._said) for session in sessions]
    state, memory, _ = (None, None, None) if new else joined(olds)
    x, gaps = stream.vectors(symbols)
    y, state = stream.steps.one(x, state, gaps)
    said, memory = stream.follow(stream.embedder, y, memory)
    answers = []
    for session, symbol, part in zip(sessions, symbols, parted((state, memory, said), olds, 1), strict=True):
        answers.append(stream.answer(symbol, session._said, part[2], top))
        session._take(part[0], part[1], part[2], symbol, session.count + 1)
    return answers
