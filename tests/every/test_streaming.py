"""Sessions over the registries: the whole = chunks = steps, many at once = one by one, for every core and task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from recurra import registry
from recurra.data.codecs.characters import Character
from recurra.data.codecs.labels import Labels
from recurra.data.codecs.tokens import Tokens
from recurra.engine.native import build
from recurra.errors import NotCausal
from recurra.model import Model
from recurra.nn.crf import marginals
from recurra.registry import names
from recurra.streaming.session import Session, advance, open_session
from recurra.streaming.stepping import How
from recurra.tasks.writing import Continues
from recurra.testing.cores import core_settings
from recurra.types import Batch

TEXT = "to be, or not to be: that is the question\n"
WORDS = ["from", "boston", "to", "denver", "on", "a", "monday", "and", "back", "to", "boston"]
EXACT = 1e-12
WAYS: list[dict[str, Any]] = [
    {"kind": "generate"},
    {"kind": "generate", "softmax": {"kind": "adaptive", "cutoffs": [3, 7], "factor": 2}},
    {"kind": "tag"},
    {"kind": "tag", "decoder": "crf"},
    *({"kind": "tag", "decoder": "crf", "intent": True, "intent_pooling": p} for p in ("mean", "attention")),
    *({"kind": "classify", "pooling": p} for p in ("last", "mean", "max", "attention")),
    {"kind": "classify", "pooling": "mean", "multi_label": True},
    {"kind": "transcribe"},
]
CORES = [settings for name in names("core") for settings in core_settings(name)]
LSTM = {"kind": "recurrent", "cell": "lstm", "hidden_size": 6, "num_layers": 2}


class ByFrequency(Character):
    """Characters that say they are numbered as an adaptive softmax wants them; here nobody counts."""

    by_frequency = True


def made(core: Mapping[str, Any], task: Mapping[str, Any], embedder: Mapping[str, Any] | None = None) -> Model:
    """A model of random weights in float64."""
    torch.manual_seed(0)
    embedder = embedder or {"kind": "symbols" if task["kind"] == "generate" else "words", "size": 6}
    vocabularies: dict[str, Any] = {"input": Tokens().fit([WORDS])}
    if task["kind"] == "generate":
        vocabularies = {"input": ByFrequency().fit([TEXT])}
    elif task["kind"] == "tag":
        vocabularies["tags"] = Labels().fit([["O", "B-from", "B-to", "I-to"]])
    if "spelling" in embedder:
        vocabularies["characters"] = Character().fit(WORDS)
    elif task["kind"] == "transcribe":
        vocabularies["target"] = Character().fit(["to boston"])
    vocabularies["label"] = Labels().fit([["flight", "fare", "time"]])
    sections = {"embedder": embedder, "core": core, "task": task, "batching": {"kind": "buckets"}}
    model = Model.from_config(sections, vocabularies).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


def given(model: Model) -> Any:
    return TEXT if isinstance(model.task, Continues) else WORDS


def numbers(answers: list[dict[str, Any]]) -> Tensor:
    """All figures of answers."""
    found: list[float] = []
    for answer in answers:
        found += [answer[name] for name in ("log_p", "p_label") if answer.get(name) is not None]
        found += [one["p"] for one in answer.get("next", ())]
        found += [answer["p"]] if isinstance(answer.get("p"), float) else answer.get("p", [])
    return torch.tensor(found, dtype=torch.float64)


def same(answers: list[dict[str, Any]], expected: list[dict[str, Any]], most: float = EXACT) -> None:
    def plain(several: list[dict[str, Any]]) -> Iterator[Any]:
        for one in several:
            yield {k: v for k, v in one.items() if isinstance(v, str) or k == "labels"}
            yield [each["symbol"] for each in one.get("next", ())]

    assert list(plain(answers)) == list(plain(expected))
    assert torch.allclose(numbers(answers), numbers(expected), rtol=most, atol=most)


def in_chunks(session: Session, text: Any, size: int) -> list[dict[str, Any]]:
    return [answer for k in range(0, len(text), size) for answer in session.feed(text[k : k + size])]


@torch.no_grad()
def oracle(model: Model, text: Any) -> list[dict[str, Tensor]]:
    """What the task says of every beginning of a text, read as a whole."""
    example = {"text": text} if isinstance(text, str) else {"tokens": text}
    ids = torch.from_numpy(model.codecs.encode(example)["input"])[None]
    if model.config["task"]["kind"] == "generate":
        y, _ = model.core(*model.embedder(Batch({"input": ids})), None)
        return [model.task.follow(model.embedder, each)[0] for each in y[0].split(1)]
    found = []
    for n in range(1, ids.shape[1] + 1):
        batch = Batch({"input": ids[:, :n]})
        said = model.task.ask(model.embedder, model.core, batch)
        if "transitions" in said:
            parts = said["transitions"], said["start"], torch.zeros_like(said["end"])
            said["filtered_tag"] = marginals(said.pop("tags").transpose(0, 1), *parts)[-1].log()
        elif "tags" in said:
            said["tag"] = said["tags"][:, -1]
        elif "symbols" in said:
            said["symbols"] = said["symbols"][:, -1]
        found.append(said)
    return found


@pytest.mark.parametrize("task", WAYS, ids=lambda s: " ".join(map(str, s.values())))
def test_steps_say_what_the_whole_says(task: dict[str, Any]) -> None:
    model = made(LSTM, task)
    text = given(model)
    session = open_session(model, "run", "module")
    stream = session._stream
    before = None
    for symbol, truth in zip(stream.symbols(text), oracle(model, text), strict=True):
        expected = stream.answer(symbol, before, {k: truth[k] for k in before or session.fork().step(symbol.number)}, 5)
        same([session.feed([symbol.written] if text is WORDS else [symbol.number])[0]], [expected], 1e-10)
        before = session._said


@pytest.mark.parametrize("core", CORES, ids=lambda s: ", ".join(map(str, s.values())))
@pytest.mark.parametrize("task", WAYS[:1] + WAYS[3:5] + WAYS[7:8], ids=lambda s: s["kind"])
def test_whole_chunks_and_steps(core: dict[str, Any], task: dict[str, Any], tmp_path: Path) -> None:
    if not registry.construct("core", core).causal:
        if task["kind"] != "generate":  # of a core that looks ahead no such model is built
            with pytest.raises(NotCausal, match=r"run cannot be streamed: its core, .* also reads from the end"):
                open_session(made(core, task), "run")
        return
    model = made(core, task)
    text = given(model)
    whole = open_session(model, "run").feed(text)
    steps = open_session(model, "run")
    for answers in (in_chunks(steps, text, 1), in_chunks(open_session(model, "run"), text, 4)):
        same(answers, whole)
    middle = open_session(model, "run")
    first = middle.feed(text[:5])
    middle.save(tmp_path / "state")
    fork = middle.fork()
    same(first + middle.feed(text[5:]), whole)
    same(first + fork.feed(text[5:]), whole)
    same(first + open_session(model, "run").load(tmp_path / "state").feed(text[5:]), whole)
    assert steps.count == len(text)
    same(steps.reset().feed(text), whole)


@pytest.mark.parametrize("how", ["auto", "module"])
@pytest.mark.parametrize("core", CORES, ids=lambda s: ", ".join(map(str, s.values())))
def test_many_at_once_are_one_by_one(core: dict[str, Any], how: How) -> None:
    """Sessions of different ages, so that a state that grows is of different lengths."""
    if not registry.construct("core", core).causal:
        return
    for task in (WAYS[0], WAYS[5], WAYS[6]):
        model = made(core, task)
        text = given(model)
        alone = [open_session(model, "run", how) for _ in range(3)]
        together = [open_session(model, "run", how) for _ in range(3)]
        for k, (one, other) in enumerate(zip(alone, together, strict=True)):
            one.feed(text[: 3 * k])
            other.feed(text[: 3 * k])
        for k in range(6):
            symbols = [text[(3 * n + k) % len(text)] for n in range(3)]
            expected = [s.feed([c] if text is WORDS else c)[0] for s, c in zip(alone, symbols, strict=True)]
            same(advance(together, symbols), expected)
            assert [s.bytes for s in together] == [s.bytes for s in alone]
        assert [s.count for s in together] == [6, 9, 12]
        same([s.feed(text[:2])[1] for s in together], [s.feed(text[:2])[1] for s in alone])


@pytest.mark.skipif(build.no_compiler() is not None, reason=str(build.no_compiler()))
@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole-lstm", "rnn-tanh"])
def test_packed_weights_say_what_the_module_says(cell: str) -> None:
    model = made({**LSTM, "cell": cell, "hidden_size": 20}, WAYS[0]).float()
    expected = open_session(model, "run", "module").feed(TEXT)
    for how, most in (("auto", 1e-5), ("float32", 1e-5), ("bfloat16", 0.2), ("int8", 0.2)):
        session = open_session(model, "run", how)  # type: ignore[arg-type]
        assert session.step_kind == ("float32" if how == "auto" else how)
        found = [answer["log_p"] for answer in session.feed(TEXT)[1:]]
        assert found == pytest.approx([answer["log_p"] for answer in expected[1:]], rel=most, abs=most)


@pytest.mark.skipif(build.no_compiler() is not None, reason=str(build.no_compiler()))
@pytest.mark.parametrize("how", ["float32", "int8"])
def test_more_sessions_than_one_call_takes(how: How) -> None:
    model = made(LSTM, WAYS[0]).float()
    sessions = [open_session(model, "run", how) for _ in range(70)]
    for n in range(3):
        advance(sessions, [(k + n) % len(model.codecs["input"]) for k in range(70)])
    for k in (0, 63, 64, 69):
        one = open_session(model, "run", how)
        for n in range(3):
            said = one.step((k + n) % len(model.codecs["input"]))
        assert torch.allclose(sessions[k]._said["next"], said["next"], atol=1e-6)  # type: ignore[index]


@pytest.mark.parametrize(
    "embedder",
    [
        {"kind": "words", "size": 6, "tune": False},
        {"kind": "words", "size": 6, "spelling": {"kind": "convolution", "size": 4, "filters": 5}},
    ],
    ids=["fixed", "spelled"],
)
def test_words_that_are_more_than_a_row(embedder: dict[str, Any]) -> None:
    model = made(LSTM, {"kind": "tag"}, embedder)
    whole = open_session(model, "run").feed(" ".join(WORDS))
    same(in_chunks(open_session(model, "run"), WORDS, 1), whole)
    sessions = [open_session(model, "run") for _ in range(40)]  # more than a batch of the recipe holds
    answers = advance(sessions, [WORDS[k % len(WORDS)] for k in range(40)])
    same(answers[: len(WORDS)], [open_session(model, "run").feed([word])[0] for word in WORDS])
