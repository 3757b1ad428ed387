"""From a recipe and a file to a run: trained, opened, gone on with, in Python."""

from __future__ import annotations

import json
import math
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
import torch

import recurra
from recurra import config as configuration
from recurra import registry
from recurra.data.batching.layout import SYMBOLS
from recurra.decoding.ngram import NgramModel
from recurra.errors import CheckpointError, ConfigError, DataError
from recurra.runs.run import Run
from recurra.training.evaluation import evaluate
from recurra.training.log import Event
from recurra.workflow.plan import make_plan

PROSE = Path(__file__).parent / "fixtures" / "prose.txt"
TINY = {
    "core.hidden_size": 12,
    "core.num_layers": 1,
    "embedder.size": 6,
    "batching.streams": 8,
    "batching.steps": 16,
    "training.epochs": 2,
    "training.schedule": "constant",
    "training.threads": 1,
    "training.device": "cpu",
    "baseline.order": 3,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    out = tmp_path_factory.mktemp("workflow") / "run"
    events: list[Event] = []
    run = recurra.train("char-lm", PROSE, out=out, settings=TINY, progress=events.append)
    assert [event.kind for event in events].count("step") == events[-1].step
    return run


def test_the_run_directory_is_complete(run: Run) -> None:
    assert {file.name for file in run.path.iterdir()} == {
        *("config.toml", "codecs.json", "model.safetensors", "resume.safetensors", "metrics.jsonl", "report.json")
    }
    config = configuration.load_recipe(run.path / "config.toml")
    assert config == run.config
    assert config["core"]["hidden_size"] == 12
    assert config["data"]["train"] == [str(PROSE)]
    configuration.check(config)


def test_the_report_says_all_that_a_score_needs(run: Run) -> None:
    report = run.report
    facts = "recurra torch split seed threads device precision commands minutes parameters"
    assert set(facts.split()) <= set(report)
    text = PROSE.read_text(encoding="utf-8")
    train, valid, test = (report["symbols"]["train"], *(report["scores"][p]["symbols"] for p in ("valid", "test")))
    assert train + valid + test == len(text)
    assert report["ended"] == "epochs"
    assert report["epochs"] == 2
    assert report["parameters"] == sum(p.numel() for p in run.model.parameters())
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    best = min(json.loads(line)["valid_nats_per_symbol"] for line in lines if "valid_nats_per_symbol" in line)
    ids = run.model.codecs["input"].encode(text[train : train + valid])
    batches = registry.construct("batching", run.config["batching"]).batches([{"input": ids}], SYMBOLS, whole=True)
    again = evaluate(run.model, batches)
    assert again is not None
    assert again.per_target == pytest.approx(best, rel=1e-6)


def test_scores_are_those_of_model_and_baseline_step_by_step(run: Run, tmp_path) -> None:
    text = PROSE.read_text(encoding="utf-8")[3000:3200]
    file = tmp_path / "text.txt"
    file.write_text(text, encoding="utf-8")
    scored = recurra.load(run.path, device="cpu").evaluate(file)
    vocabulary = run.model.codecs["input"]
    ids = vocabulary.encode(text)

    # A short text is scored in one stream, whatever the training's number of them.
    nats, state = 0.0, None
    for token, target in pairwise(ids):
        log_p, state = run.model.step(state, int(token))
        nats -= float(log_p[0, target])
    assert scored["model"]["nats_per_symbol"] == pytest.approx(nats / (len(ids) - 1), rel=1e-5)
    assert scored["model"]["bits_per_symbol"] == pytest.approx(scored["model"]["nats_per_symbol"] / math.log(2))

    train = vocabulary.encode(PROSE.read_text(encoding="utf-8")[: run.report["symbols"]["train"]])
    baseline = NgramModel(order=3).fit(train, len(vocabulary))
    row = scored["baseline"][-1]
    assert (row["order"], row["size"]) == (3, sum(baseline.size.values()))
    assert row["nats_per_symbol"] == pytest.approx(-baseline.log_probabilities(ids).mean())


def test_evaluate_without_files_is_the_reports_test(run: Run) -> None:
    scored = run.evaluate()
    assert (scored.pop("data"), scored.pop("split")) == ("test", run.report["split"])
    assert scored == run.report["scores"]["test"]
    assert "baseline" not in run.evaluate(baseline=False)


def test_predict_is_drawn_anew_for_every_seed(run: Run) -> None:
    texts = {seed: run.predict("The ", length=30, seed=seed)[0]["text"] for seed in range(3)}
    assert all(len(text) == 30 for text in texts.values())
    assert len(set(texts.values())) == 3
    assert run.predict("The ", length=30, seed=1)[0]["text"] == texts[1]
    assert recurra.load(run.path).predict("The ", length=30, seed=1)[0]["text"] == texts[1]
    assert [len(each["text"]) for each in run.predict("", "A ", length=5)] == [5, 5]
    (sample,) = run.predict(length=300, temperature=0.8, seed=0)
    assert run.report["sample"]["text"] == sample["text"]


def test_words_are_joined_to_the_prompt(tmp_path) -> None:
    settings = {**TINY, "vocabulary.kind": "word", "batching.streams": 2, "training.epochs": 1}
    run = recurra.train("char-lm", PROSE, out=tmp_path / "run", settings=settings)
    text = run.predict("the", length=6)[0]["text"]
    assert text[0] in " \n"
    assert len(run.model.codecs["input"].encode("the" + text)) == 7


def test_half_and_half_is_the_whole(run: Run, tmp_path) -> None:
    out = tmp_path / "half"
    recurra.train("char-lm", PROSE, out=out, settings=TINY | {"training.epochs": 1})
    again = recurra.train(out, resume=True, settings={"training.epochs": 2})
    for name, weights in again.model.state_dict().items():
        assert torch.equal(weights, run.model.state_dict()[name]), name
    scores = (again.report["scores"], run.report["scores"])
    assert scores[0] == scores[1]
    assert again.config["training"]["epochs"] == 2


def test_resume_refuses_another_job(run: Run, tmp_path) -> None:
    before = run.report
    with pytest.raises(ConfigError, match=r"core.hidden_size was 12 when .*run was started, now it is 13. Resume with"):
        recurra.train(run.path, resume=True, settings={"core.hidden_size": 13})
    with pytest.raises(ConfigError, match=r"--resume goes on in .*, --out says elsewhere. Leave --out away"):
        recurra.train(run.path, out="elsewhere", resume=True)
    with pytest.raises(CheckpointError, match=r"none is no run"):
        recurra.train("char-lm", PROSE, out=tmp_path / "none", resume=True)
    with pytest.raises(ConfigError, match=r"is a run already. Go on with it by --resume, or train its recipe anew"):
        recurra.train(run.path)
    assert run.report == before


def test_resume_refuses_another_text_and_evaluate_says_when_it_is_gone(tmp_path) -> None:
    text, out = tmp_path / "text.txt", tmp_path / "run"
    text.write_bytes(PROSE.read_bytes())
    run = recurra.train("char-lm", text, out=out, settings=TINY | {"training.epochs": 1})
    text.write_bytes(PROSE.read_bytes().replace(b"e", b"a"))
    with pytest.raises(DataError, match=r"the training data are others than when .*run was started.* Put the former"):
        recurra.train(out, resume=True, settings={"training.epochs": 2})
    text.unlink()
    with pytest.raises(DataError, match=r"the run's own training data cannot be read: .*no such file.* Or name files"):
        run.evaluate()
    found = run.evaluate(PROSE)
    assert "baseline" not in found and found["symbols"] == len(PROSE.read_text(encoding="utf-8"))
    assert found["notes"][0].startswith("No baseline, which is fitted on the training data: the run's own training da")
    assert "Or name files" not in found["notes"][0]
    assert run.evaluate(PROSE, baseline=False)["notes"] == found["notes"][1:]


def test_a_test_of_its_own_file_is_scored_though_the_training_data_are_gone(tmp_path) -> None:
    text, test = tmp_path / "text.txt", tmp_path / "test.txt"
    text.write_bytes(PROSE.read_bytes())
    test.write_bytes(PROSE.read_bytes()[:2000])
    settings = TINY | {"training.epochs": 1}
    run = recurra.train("char-lm", text, test=[test], out=tmp_path / "run", settings=settings, baseline=False)
    whole = run.evaluate(baseline=False)
    text.unlink()
    found = run.evaluate()
    assert (found["data"], found["model"]) == ("test", whole["model"])
    assert found["notes"][0].startswith("No baseline")
    test.unlink()
    with pytest.raises(DataError, match=r"the run's own training data cannot be read"):
        run.evaluate()


def test_the_test_and_the_baselines_are_left_out_when_asked(tmp_path) -> None:
    settings = TINY | {"training.epochs": 1}
    run = recurra.train("char-lm", PROSE, out=tmp_path / "run", settings=settings, no_test=True, baseline=False)
    assert run.report["scores"].keys() == {"valid"}
    assert "baseline" not in run.report["scores"]["valid"]
    assert run.evaluate(baseline=False)["data"] == "test"


def test_a_plan_puts_files_in_the_place_of_the_recipes_set(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROSE.parent)
    plan = make_plan("demo-char-lm", [PROSE.name], test=[PROSE.name], settings={"training.seed": 7})
    assert plan.config["data"] | {"set": None, "train": [str(PROSE)], "test": [str(PROSE)]} == plan.config["data"]
    assert plan.config["training"]["seed"] == 7
    assert plan.out == Path("run")
    assert make_plan("demo-char-lm").config["data"]["set"] == "pydoc"


def test_a_run_called_like_a_recipe_does_not_hide_it(run: Run, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(run.path, tmp_path / "char-lm")
    monkeypatch.chdir(tmp_path)
    assert make_plan("char-lm", [PROSE], out="other").config["core"]["hidden_size"] != TINY["core.hidden_size"]
    assert make_plan("char-lm", [PROSE]).out == Path("run")
    again = make_plan("char-lm", resume=True)
    assert (again.out, again.config["core"]["hidden_size"]) == (Path("char-lm"), TINY["core.hidden_size"])


def test_the_baseline_is_one_of_the_tasks(run: Run, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"baseline.kind = 'blank-ngrams', this task is scored beside kneser-ney"):
        recurra.train("char-lm", PROSE, out=tmp_path / "run", settings=TINY | {"baseline.kind": "blank-ngrams"})
    monkeypatch.setitem(run.config["baseline"], "kind", "other")
    with pytest.raises(ConfigError, match=r"unknown baseline 'other': .*Known: .*kneser-ney"):
        run.evaluate(PROSE)


def test_public_names() -> None:
    names = {"Run", "__version__", "backtest", "compare", "encode", "evaluate", "inspect", "load", "predict"}
    names |= {"sweep", "train"}
    assert set(recurra.__all__) == names
    assert recurra.Run is Run
    assert all(callable(getattr(recurra, name)) for name in ("train", "load", "inspect"))
    with pytest.raises(AttributeError, match="module 'recurra' has no attribute 'trian'"):
        _ = recurra.trian  # type: ignore[attr-defined]
