"""A session beside the model itself: what it says, writes, keeps and refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recurra import checkpoint
from recurra.data.codecs.characters import Character
from recurra.data.codecs.labels import Labels
from recurra.data.codecs.ngrams import Ngrams
from recurra.data.codecs.tokens import Tokens
from recurra.data.codecs.word import Word
from recurra.decoding.sample import sample
from recurra.engine.native import build
from recurra.errors import CheckpointError, ConfigError, DataError, NotCausal
from recurra.model import Model
from recurra.streaming.session import advance, open_session
from recurra.streaming.stepping import PackedSteps
from recurra.types import Batch

TEXT = "the quick brown fox jumps over the lazy dog\n"
CONFIG: dict[str, Any] = {
    "embedder": {"kind": "symbols", "size": 6},
    "core": {"kind": "recurrent", "cell": "lstm", "hidden_size": 8},
    "task": {"kind": "generate"},
}
HERE = Path("run")


def made(vocabulary: Any = None, seed: int = 0, **sections: Any) -> Model:
    """A model that writes, with other `sections` than `CONFIG`'s."""
    torch.manual_seed(seed)
    return Model.from_config(CONFIG | sections, {"input": vocabulary or Character().fit([TEXT])}).double().eval()


def tagger(core: Any = None) -> Model:
    torch.manual_seed(0)
    sections = {"embedder": {"kind": "words", "size": 6}, "core": core or CONFIG["core"], "task": {"kind": "tag"}}
    words = {"input": Tokens().fit([TEXT.split()]), "tags": Labels().fit([["O", "B"]])}
    return Model.from_config(sections, words).eval()


def test_surprise_is_the_loss() -> None:
    model = made()
    ids = torch.from_numpy(model.codecs["input"].encode(TEXT))[None]
    loss = model.loss(Batch({"input": ids[:, :-1], "target": ids[:, 1:]})).loss
    answers = open_session(model, HERE).feed(TEXT)
    assert [answer["symbol"] for answer in answers] == list(TEXT)
    assert answers[0]["log_p"] is None
    assert -sum(answer["log_p"] for answer in answers[1:]) == pytest.approx(float(loss.detach()), rel=1e-12)
    best = answers[4]["next"]
    assert len(best) == 5 and [one["p"] for one in best] == sorted((one["p"] for one in best), reverse=True)
    assert math.log(next(o["p"] for o in open_session(model, HERE).feed(TEXT, top=99)[4]["next"] if o["symbol"] == "u"))


def test_writing_draws_what_sample_draws_and_reads_nothing() -> None:
    model = made()
    ids = model.codecs["input"].encode(TEXT)
    choice: dict[str, Any] = {"temperature": 0.8, "top_k": 9, "seed": 3}
    expected = model.codecs["input"].decode(sample(model.step, None, ids, 30, never=0, **choice))
    session = open_session(model, HERE)
    session.feed(TEXT)
    assert session.write(30, **choice) == expected == session.write(30, **choice)
    assert session.count == len(TEXT)
    begin = sample(model.step, None, model.codecs["input"].encode("\n"), 30, seed=1, never=0)
    begin = model.codecs["input"].decode(begin)
    assert open_session(model, HERE).write(30, seed=1) == begin


def test_words_are_written_with_a_space_before_them() -> None:
    session = open_session(made(Word().fit([TEXT])), HERE)
    session.feed("the quick")
    assert session.write(3, seed=2).startswith((" ", "\n"))


def test_forks_go_on_by_themselves() -> None:
    session = open_session(made(), HERE)
    session.feed("the ")
    fork = session.fork()
    other = session.fork()
    fork.feed("lazy")
    assert (session.count, fork.count) == (4, 8)
    assert (
        session.feed("quick") == other.feed("quick") == open_session(session._stream.model, HERE).feed("the quick")[4:]
    )
    assert fork.feed("x") != session.feed("x")


def test_a_state_comes_back_whatever_steps_it_went_by(tmp_path: Path) -> None:
    model = made(core={**CONFIG["core"], "num_layers": 2}).float()
    session = open_session(model, HERE)
    assert session.bytes == 0 and session.state is None
    session.save(tmp_path / "nothing")
    session.feed(TEXT)
    session.save(tmp_path / "some")
    expected = session.feed("the")
    for how in ("module", "auto"):
        other = open_session(model, HERE, how).load(tmp_path / "some")  # type: ignore[arg-type]
        assert other.count == len(TEXT)
        found = other.feed("the")
        assert [a["log_p"] for a in found] == pytest.approx([a["log_p"] for a in expected], abs=1e-5)
        assert [tuple(s.shape) for s in other.state] == [(2, 1, 8)] * 2
    assert other.load(tmp_path / "nothing").count == 0
    assert other.feed("t")[0]["log_p"] is None


def test_a_wrong_state_is_refused(tmp_path: Path) -> None:
    session = open_session(made(), HERE)
    session.feed("the")
    session.save(tmp_path / "state")
    other = open_session(made(seed=1), Path("other"))
    with pytest.raises(CheckpointError, match=r"state is the state of another run: of weights \w{8}, those of other"):
        other.load(tmp_path / "state")
    with pytest.raises(CheckpointError, match=r"gone is no file, expected a session's state"):
        session.load(tmp_path / "gone")
    checkpoint.save_model(tmp_path / "model", made())
    with pytest.raises(CheckpointError, match=r"model holds weights, expected a session's state"):
        session.load(tmp_path / "model")
    raw = bytearray((tmp_path / "state").read_bytes())
    raw[-1] ^= 1
    (tmp_path / "state").write_bytes(raw)
    with pytest.raises(CheckpointError, match="checksum"):
        session.load(tmp_path / "state")
    assert session.count == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t[None], r"core.0 is torch.float64 \[1, "),
        (lambda t: torch.cat((t, t), -1), r"core.0 is torch.float64 "),
        (lambda t: t.float(), r"core.0 is torch.float32 "),
        (lambda t: t * torch.inf, r"core.0 holds numbers that are not finite"),
    ],
)
def test_a_tensor_of_another_form_is_refused(change: Any, said: str, tmp_path: Path) -> None:
    session = open_session(made(), HERE)
    session.feed("the")
    session.save(tmp_path / "state")
    tensors, metadata = checkpoint.load_tensors(tmp_path / "state")
    tensors["core.0"] = change(tensors["core.0"])
    checkpoint.save_tensors(tmp_path / "state", tensors, {"session": metadata["session"]})
    with pytest.raises(CheckpointError, match=said):
        session.load(tmp_path / "state")


@pytest.mark.parametrize(
    "change",
    [
        lambda about: "{",
        lambda about: "[" * 9999,
        lambda about: json.dumps(about | {"count": 10**400}),
        lambda about: json.dumps(about | {"last": {"written": "e", "number": 1, "more": 1}}),
        lambda about: "[1]",
        lambda about: json.dumps({"run": about["run"], "count": 3}),
        lambda about: json.dumps(about | {"count": "3"}),
        lambda about: json.dumps(about | {"count": 0}),
        lambda about: json.dumps(about | {"last": None}),
        lambda about: json.dumps(about | {"last": {"number": 1}}),
        lambda about: json.dumps(about | {"last": {"written": "e", "number": 99}}),
        lambda about: json.dumps(about | {"last": {"written": "e", "number": -1}}),
        lambda about: json.dumps(about | {"last": {"written": 1, "number": 1}}),
        lambda about: None,
    ],
)
def test_damage_beside_the_tensors_is_refused(change: Any, tmp_path: Path) -> None:
    session = open_session(made(), HERE)
    session.feed("the")
    session.save(tmp_path / "state")
    tensors, metadata = checkpoint.load_tensors(tmp_path / "state")
    said = change(json.loads(metadata["session"]))
    if said is None:  # a tensor less
        said = metadata["session"]
        tensors.pop("core.0")
    checkpoint.save_tensors(tmp_path / "state", tensors, {"session": said})
    with pytest.raises(CheckpointError, match=r"state is damaged: what it says of the session cannot be read"):
        session.load(tmp_path / "state")
    assert session.count == 3


def test_the_fingerprint_is_the_checksum_of_the_saved_weights(tmp_path: Path) -> None:
    model = made()
    checkpoint.save_model(tmp_path / "model", model)
    assert checkpoint.load_tensors(tmp_path / "model")[1]["checksum"] == checkpoint.fingerprint(model)


def test_numbers_and_steps() -> None:
    model = made()
    ids = model.codecs["input"].encode("the")
    session, other = open_session(model, HERE), open_session(model, HERE)
    expected = session.feed(ids.tolist())
    assert other.feed(ids)[-1] == expected[-1]  # type: ignore[arg-type]
    log_p = open_session(model, HERE).step(int(ids[0]))["next"]
    assert log_p.shape == (1, len(model.codecs["input"]))
    assert float(log_p.exp().sum()) == pytest.approx(1)
    assert float(log_p[0, ids[1]]) == expected[1]["log_p"]
    assert session.feed("") == [] and session.count == 3
    assert session.feed(np.int64(3))[0]["symbol"] == model.codecs["input"].symbols[3]  # type: ignore[arg-type]


def test_what_is_likeliest_is_what_the_last_answer_says() -> None:
    session = open_session(made(), HERE)
    expected = session.feed(TEXT, top=3)[-1]["next"]
    assert session.likeliest(3) == expected and session.likeliest(0) == [] == session.fork().feed("t", top=0)[0]["next"]
    with pytest.raises(ConfigError, match="top = -1, expected 0 or more symbols"):
        session.likeliest(-1)
    with pytest.raises(ConfigError, match="nothing has been read, so nothing is known of what follows"):
        session.reset().likeliest()
    labels = open_session(tagger(), HERE)
    labels.feed(["the"])
    with pytest.raises(ConfigError, match="run expects no symbols"):
        labels.likeliest()


def test_what_cannot_be_fed_is_refused() -> None:
    session = open_session(made(), HERE)
    with pytest.raises(DataError, match="symbol number 99 is outside the vocabulary"):
        session.feed([99])
    with pytest.raises(ConfigError, match="run reads text: feed a text, or a list of its symbols' numbers"):
        session.feed(["t", "h"])
    with pytest.raises(ConfigError, match="top = -1, expected 0 or more symbols"):
        session.feed("t", top=-1)
    labels = open_session(tagger(), HERE)
    with pytest.raises(ConfigError, match="run reads tokens: feed a text, or a list of tokens as they are written"):
        labels.feed([1, 2])
    with pytest.raises(ConfigError, match="run does not write text"):
        labels.write(3)
    assert session.count == labels.count == 0


def test_advancing_what_does_not_go_together_is_refused() -> None:
    model = made()
    one, two = open_session(model, HERE), open_session(model, HERE)
    assert advance([], []) == []
    with pytest.raises(ConfigError, match="1 symbols for 2 sessions, expected one for each"):
        advance([one, two], ["a"])
    with pytest.raises(ConfigError, match="a session is named twice"):
        advance([one, one], ["a", "b"])
    with pytest.raises(ConfigError, match="'ab' is 2 symbols, expected one for each session"):
        advance([one, two], ["a", "ab"])
    with pytest.raises(ConfigError, match="only one run's can share a step"):
        advance([one, open_session(made(seed=1), HERE)], ["a", "a"])
    assert one.count == two.count == 0


def test_weights_are_packed_once_for_all_sessions() -> None:
    model = made()
    one = open_session(model, HERE)
    assert open_session(model, HERE)._stream is one._stream
    assert open_session(model, HERE, "module")._stream is not one._stream


def test_steps_that_cannot_be_packed_are_refused() -> None:
    tdnn = made(core={"kind": "tdnn", "hidden_size": 8})
    assert open_session(tdnn, HERE).step_kind == "module"
    with pytest.raises(ConfigError, match="step = 'int8' packs the weights of a recurrent core, this one is 'tdnn'"):
        open_session(tdnn, HERE, "int8")
    with pytest.raises(ConfigError, match=r"step = 'int4'.*Expected one of auto, module, float32, bfloat16, int8"):
        open_session(tdnn, HERE, "int4")  # type: ignore[arg-type]


@pytest.mark.skipif(build.no_compiler() is not None, reason=str(build.no_compiler()))
def test_float64_weights_cannot_be_rounded_to_eight_bits() -> None:
    with pytest.raises(ConfigError, match="weights = 'int8' is for a layer of float32"):
        open_session(made(), HERE, "int8")


def test_without_a_compiler_auto_takes_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise build.BuildError("no compiler")

    monkeypatch.setattr(PackedSteps, "__init__", refuse)
    assert open_session(made(), HERE).step_kind == "module"


@pytest.mark.parametrize(
    ("core", "change"),
    [
        ({"kind": "recurrent", "bidirectional": True}, "core.bidirectional=false"),
        ({"kind": "tdnn", "causal": False}, "core.causal=true"),
        ({"kind": "transformer", "hidden_size": 8}, "core.causal=true"),
        ({"kind": "both-ways"}, "core.kind=recurrent"),
    ],
)
def test_a_core_that_reads_from_the_end_is_refused(core: dict[str, Any], change: str) -> None:
    with pytest.raises(NotCausal, match=rf"also reads from the end.*train with --set {change}\."):
        open_session(tagger(core), HERE)


def test_a_model_that_counts_ngrams_is_refused() -> None:
    words = {"input": Tokens().fit([TEXT.split()]), "label": Labels().fit([["good", "bad"]])}
    words["ngrams"] = Ngrams().fit([TEXT.split()] * 2)
    counting = Model.from_config(CONFIG | {"task": {"kind": "classify", "ngrams": 2}}, words)
    with pytest.raises(NotCausal, match=r"it reads ngrams, which are not known .* without them: --set task.ngrams=0"):
        open_session(counting, HERE)


def test_a_task_that_waits_for_the_end_is_refused() -> None:
    fill = made(task={"kind": "fill"}, core={"kind": "both-ways", "hidden_size": 8})
    with pytest.raises(NotCausal, match=r"run cannot be streamed: its task, 'fill', answers when all of its input"):
        open_session(fill, HERE)


def test_memory_does_not_grow_but_for_a_transformer_up_to_its_span() -> None:
    sizes = {}
    small = {"kind": "transformer", "hidden_size": 8, "num_layers": 1, "feed_forward": 8, "causal": True, "span": 5}
    for name, core in (("lstm", CONFIG["core"]), ("tdnn", {"kind": "tdnn", "hidden_size": 8}), ("span", small)):
        session = open_session(made(core=core), HERE)
        sizes[name] = [session.bytes for _ in range(9) if session.feed([1])]
    assert len(set(sizes["lstm"])) == len(set(sizes["tdnn"])) == 1
    assert len(set(sizes["span"])) == 4 and sizes["span"] == sorted(sizes["span"])  # 1, 2, 3, then 4 steps
