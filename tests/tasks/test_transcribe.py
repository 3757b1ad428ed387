"""What only this task has; the rest is in tests/every/test_tasks.py."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from recurra.baselines.translate import Frequent
from recurra.baselines.warped_neighbour import WarpedNeighbour
from recurra.decoding.ctc import collapsed, likeliest_path, log_probability, prefix_beam
from recurra.errors import ConfigError, DataError
from recurra.nn.softmax import IGNORED
from recurra.tasks.options import make_options
from recurra.tasks.transcribe import Transcribe, TranscribeOptions
from recurra.testing.tasks import make_case
from recurra.types import Batch, Lengths, Sizes


def task_of(**settings: Any) -> Transcribe:
    torch.manual_seed(0)
    task = Transcribe(**settings).build(Sizes(core=5, fields={"target": 4}))
    return task.double().eval()


def plain(batch: Batch) -> tuple[torch.Tensor, Lengths]:
    return batch.fields["input"], batch.structure


def core(x: torch.Tensor, structure: Lengths, state: Any) -> tuple[torch.Tensor, Any]:
    return x, state


def batch_of(targets: list[list[int]], lengths: list[int]) -> Batch:
    x = torch.randn(len(targets), max(lengths), 5, dtype=torch.float64)
    U = max(map(len, targets))
    rows = torch.tensor([row + [IGNORED] * (U - len(row)) for row in targets])
    return Batch({"input": x, "target": rows}, Lengths(torch.tensor(lengths)))


def test_the_loss_is_that_of_all_paths():
    task, batch = task_of(), batch_of([[1, 1, 2], [3], []], [6, 4, 2])
    output = task(plain, core, batch)
    log_p = task.ask(plain, core, batch)["symbols"].detach().numpy()
    expected = -sum(
        log_probability(log_p[k, :n], [s for s in row if s != IGNORED], 4)
        for k, (n, row) in enumerate(zip([6, 4, 2], batch.fields["target"].tolist(), strict=True))
    )
    assert output.loss.item() == pytest.approx(expected, rel=1e-12)
    assert (output.targets, output.sequences) == (4, 3)


def test_a_transcript_without_a_path_is_named():
    task = task_of()
    with pytest.raises(DataError, match="3 symbols needs 4 steps of the core, there are 3"):
        task(plain, core, batch_of([[1, 1, 2]], [3]))
    encoded = [{"place": "clips/a.wav", "input": np.zeros((3, 5)), "target": np.array([1, 1, 2])}]
    with pytest.raises(DataError, match=r"clips/a\.wav: a transcript of 3 symbols needs 4 steps .* the input has 3"):
        task.check_examples(encoded)
    task.stride = 2
    with pytest.raises(DataError, match=r"needs 4 steps of the core, .* the input has 3"):
        task.check_examples([{**encoded[0], "input": np.zeros((5, 5))}])
    task.check_examples([{**encoded[0], "input": np.zeros((7, 5))}])


def answered(task: Transcribe, log_p: np.ndarray, **options: Any) -> dict[str, Any]:
    case = make_case({"kind": "transcribe"})
    codec = SimpleNamespace(
        size=4, decode=lambda ids: "".join("abcd"[k] for k in ids), encode=lambda text: np.array([0])
    )
    codecs = {"target": codec, "input": case.codecs["input"], "texts": SimpleNamespace(texts=[])}

    class Held(dict):
        def value(self, field, example):
            return example["vectors"]

    asked = {
        "symbols": torch.tensor(log_p)[None],
        "stride": torch.ones(1),
        "temperature": task.temperature[None],
        "ranking": task.ranking,
    }
    example = {"vectors": np.zeros((len(log_p), 3)), "place": "here"}
    (found,) = task.answers(asked, [example], Held(codecs), make_options(task, {}, options))
    return found.json()


def sure(path: list[int], K: int = 5, p: float = 0.9) -> np.ndarray:
    log_p = np.full((len(path), K), math.log((1 - p) / (K - 1)))
    log_p[np.arange(len(path)), path] = math.log(p)
    return log_p


def test_an_answer_has_its_confidence_and_where_symbols_come_from():
    task = task_of()
    log_p = sure([4, 0, 0, 4, 0, 3])
    found = answered(task, log_p, alignment=True)
    assert found["transcript"] == "aad" and found["place"] == "here" and found["unit"] == "steps"
    assert [(each["symbol"], each["begin"], each["end"]) for each in found["symbols"]] == [
        ("a", 1.0, 3.0),
        ("a", 4.0, 5.0),
        ("d", 5.0, 6.0),
    ]
    p = math.exp(log_probability(log_p, [0, 0, 3], 4))
    assert found["confidence"] == pytest.approx(p)
    task.temperature.fill_(2.0)
    assert answered(task, log_p)["confidence"] == pytest.approx(math.sqrt(p))
    assert len(answered(task, log_p, beam=4, top=3)["others"]) == 3


def random_rows(N: int, T: int = 7, seed: int = 0) -> torch.Tensor:
    """Of some sequences more is known than of others."""
    random = np.random.default_rng(seed)
    z = torch.from_numpy(random.normal(size=(N, T, 5)) * random.uniform(1, 12, (N, 1, 1)))
    return z.log_softmax(-1)


def test_the_confidence_of_a_beam_is_fitted_to_what_it_finds():
    """Truths drawn by what is said: about as many are right as the search is sure."""
    task, N = task_of(), 2000
    log_p = random_rows(N)
    paths = torch.distributions.Categorical(logits=log_p).sample().numpy()
    texts = ["".join("abcd"[k] for k in collapsed(path, 4)) for path in paths.tolist()]
    codec = SimpleNamespace(size=4, decode=lambda ids: "".join("abcd"[k] for k in ids))

    class Held(dict):
        def value(self, field, example):
            return example["transcript"] if field == "target" else None

    codecs = Held(target=codec, input=object())
    options = TranscribeOptions(beam=6)
    assert task.calibrates(options) and not task.calibrates(options.quick)
    examples = [{"transcript": text} for text in texts]
    batches = [({"symbols": log_p[k : k + 50]}, examples[k : k + 50]) for k in range(0, N // 2, 50)]
    task.calibrate_search(iter(batches), codecs, options)
    assert task.ranking[0] == 1
    asked = {
        "symbols": log_p[N // 2 :],
        "stride": torch.ones(1),
        "temperature": task.temperature[None],
        "ranking": task.ranking,
    }
    found = [each.json() for each in task.answers(asked, examples[N // 2 :], codecs, options)]
    sure = np.array([each["confidence"] for each in found])
    right = np.array([each["transcript"] == text for each, text in zip(found, texts[N // 2 :], strict=True)])
    assert abs(sure.mean() - right.mean()) < 0.06
    assert sure[right].mean() > sure[~right].mean() + 0.05
    (greedy,) = task.answers({**asked, "symbols": log_p[:1]}, examples[:1], codecs, options.quick)
    best = likeliest_path(log_p[0].numpy(), 4)
    assert greedy.json()["confidence"] == pytest.approx(math.exp(best.log_p))
    without = task.answers({**asked, "ranking": torch.zeros(4)}, examples[N // 2 :], codecs, options)
    hypotheses = prefix_beam(log_p[N // 2].numpy(), 4, 6, None, -9.0)
    assert without[0].json()["confidence"] == pytest.approx(math.exp(hypotheses[0].log_p))


def test_a_beam_without_labelled_examples_is_left_as_it_is():
    task = task_of()
    codecs = type("Held", (dict,), {"value": lambda self, field, example: None})(target=None)
    task.calibrate_search([({"symbols": random_rows(1)}, [{}])], codecs, TranscribeOptions(beam=3))
    assert task.ranking.tolist() == [0.0] * 4


def test_options_out_of_range():
    for settings, message in [
        ({"beam": 0}, "beam = 0"),
        ({"top": -1}, "top = -1"),
        ({"weight": -1}, "weigh"),
    ]:
        with pytest.raises(ConfigError, match=message):
            TranscribeOptions(**settings)
    assert TranscribeOptions.combined({"beam": 2}, {"top": 5}).beam == 6
    with pytest.raises(ConfigError, match="closed"):
        Transcribe(closed=True)


def test_scores_are_sums_over_the_corpus():
    task = Transcribe()
    gold = [{"transcript": "one two", "place": "x:1"}, {"transcript": "aé", "place": "x:2"}]
    said = [{"transcript": "one tow", "confidence": 0.5}, {"transcript": "ae\u0301", "confidence": 1.0}]
    scores = task.score(gold, said)
    assert scores.metrics == pytest.approx(
        {"symbol_error_rate": 100 * 2 / 9, "word_error_rate": 100 / 3, "exact_match": 50.0, "calibration_error": 0.25}
    )
    assert scores.tables["worst"]["rows"] == [["x:1", "one two", "one tow", 2]]
    assert scores.tables["edits"]["rows"][1][1:5] == [3, 1, 0, 0]


def test_baselines_know_transcripts():
    train = [{"vectors": np.zeros((4, 1)), "transcript": "low"}, {"vectors": np.ones((3, 1)), "transcript": "high"}] * 2
    train.append(train[0])
    codec = SimpleNamespace(encode=np.asarray)

    class Held(dict):
        def value(self, field, example):
            return example["vectors"]

    test = [{"vectors": np.full((5, 1), 0.8), "transcript": "?"}]
    (nearest,) = WarpedNeighbour().rows(train, test, Held(input=codec))
    (most,) = Frequent().rows(train, test)
    assert nearest.predictions == [{"transcript": "high"}] and most.predictions == [{"transcript": "low"}]


def test_ngrams_of_words_that_come_once_are_left_out():
    task = Transcribe(ngrams=3, ngram_unit="words")
    digits = [{"transcript": text} for text in ("123", "45", "123", "6789", "10")]
    settled = task.settled(digits)
    assert settled["ngrams"] == 0 and "3 of the 5 words" in settled["notes"][0]
    spoken = [{"transcript": text} for text in ("one two", "two one one")]
    assert not task.settled(spoken)
    for other in (Transcribe(ngrams=3), Transcribe(), Transcribe(ngrams=1, ngram_unit="words", closed=True)):
        assert not other.settled(digits)
