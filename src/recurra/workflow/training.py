"""Does what a plan says: texts, vocabulary, model, training, scores beside the baseline, a sample."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

import recurra
from recurra import checkpoint, registry
from recurra import config as configuration
from recurra.checkpoint import RunFolder
from recurra.config import Config, Data
from recurra.data import vocabulary as vocabularies
from recurra.data.corpus import Corpus, gather
from recurra.data.vocabulary import Vocabulary
from recurra.errors import ConfigError, DataError
from recurra.model import Model, make_parts
from recurra.serving.predictor import Run, load_run
from recurra.serving.score import Ids
from recurra.training.log import Progress, Result
from recurra.training.settings import Training
from recurra.training.trainer import Trainer
from recurra.workflow.plan import Plan

Say = Callable[[str], None]
SAMPLE: dict[str, Any] = {"length": 300, "temperature": 0.8}


def execute(
    plan: Plan,
    *,
    say: Say = lambda sentence: None,
    progress: Progress = lambda event: None,
    command: str | None = None,
) -> Run:
    """Train, score the best weights, write the report, and open the run.

    `say` is told in sentences what was found and done, `progress` every step; `command` goes into the report.
    Ctrl-C ends training in order and raises `KeyboardInterrupt`, which says how to go on.
    """
    config, begun = plan.config, time.monotonic()
    configuration.check(config)
    make_parts(config)  # parts that do not go together are refused before any data are read
    training = Training(**registry.checked(Training, config["training"], where="training"))
    corpus = _gather(config)
    folder = checkpoint.open_run(plan.out) if plan.resume else None
    vocabulary = _vocabulary(config, corpus, folder)
    texts = {part: vocabulary.encode(getattr(corpus, part)) for part in ("train", "valid")}
    batching = registry.construct("batching", config["batching"])
    batching.batches(texts["train"])  # a text too short for its streams is refused before there is a run
    torch.manual_seed(training.seed)
    model = Model.from_config(config, vocabulary)
    report = _facts(config, corpus, vocabulary, texts, model) | {
        "seed": training.seed,
        "commands": _commands(folder, command),
    }
    _tell(report, say)
    folder = folder or checkpoint.create_run(plan.out)
    vocabularies.save(vocabulary, folder.vocabulary)
    checkpoint.write_json(folder.report, report)
    checkpoint.write_text(folder.config, configuration.dump_toml(config))
    trainer = Trainer(
        model,
        training,
        lambda epoch: batching.batches(texts["train"], epoch=epoch, seed=training.seed),
        lambda: batching.batches(texts["valid"], whole=True),
        folder,
        progress=progress,
    )
    fitting = time.monotonic()
    result = trainer.fit(resume=plan.resume)
    fitted = time.monotonic() - fitting
    if result.interrupted:
        raise KeyboardInterrupt(
            f"stopped after step {result.step:,} and saved. Go on: recurra train {folder.path} --resume"
        )
    say(_ended(result, training))
    run = load_run(folder.path, device=training.device)
    report |= _results(run, corpus, result, trainer)
    report["minutes"] = {"training": result.minutes, "around": (time.monotonic() - begun - fitted) / 60}
    checkpoint.write_json(folder.report, report)
    return run


def _gather(config: Config) -> Corpus:
    reader = registry.construct("reader", config["reader"])
    corpus = gather(Data(**registry.checked(Data, config["data"], where="data")), reader)
    if not corpus.valid:
        raise ConfigError("there is no validation text. Name one with --valid, or set data.valid_fraction above 0.")
    return corpus


def _vocabulary(config: Config, corpus: Corpus, folder: RunFolder | None) -> Vocabulary:
    """The symbols of the training text; those of the run where one goes on, with the text it was started with."""
    if folder is None:
        vocabulary: Vocabulary = registry.construct("vocabulary", config["vocabulary"])
        return vocabulary.fit([corpus.train])
    if checkpoint.read_json(folder.report).get("text") != corpus.fingerprint:
        raise DataError(
            f"the training text is another one than when {folder.path} was started, so its training cannot go on. "
            "Put the former files back, or train anew with another --out."
        )
    return vocabularies.load(folder.vocabulary)


def _commands(folder: RunFolder | None, command: str | None) -> list[str]:
    """The commands that led to the run, one for each time it was gone on with."""
    before = [] if folder is None else checkpoint.read_json(folder.report).get("commands", [])
    return [*before, *([command] if command else [])]


def _facts(
    config: Config, corpus: Corpus, vocabulary: Vocabulary, texts: dict[str, Ids], model: Model
) -> dict[str, Any]:
    """What the report knows before training."""
    return {
        "recurra": recurra.__version__,
        "torch": torch.__version__,
        "split": corpus.split,
        "text": corpus.fingerprint,
        "symbols": {part: len(ids) for part, ids in texts.items()},
        "unknown_share": {part: vocabulary.unknown_share(ids) for part, ids in texts.items()},
        "vocabulary": {"kind": config["vocabulary"]["kind"], "size": len(vocabulary)},
        "parameters": sum(weights.numel() for weights in model.parameters()),
    }


def _results(run: Run, corpus: Corpus, result: Result, trainer: Trainer) -> dict[str, Any]:
    """What the report knows after it: scores of the best weights beside the baseline, and what they write."""
    texts, seed = {"valid": corpus.valid, "test": corpus.test}, trainer.settings.seed
    return {
        "threads": torch.get_num_threads(),
        "device": str(run.device),
        "precision": trainer.precision,
        "ended": result.reason,
        "steps": result.step,
        "epochs": result.epochs,
        "scores": {part: run.score(text, corpus.train) for part, text in texts.items() if text},
        "sample": {**SAMPLE, "seed": seed, "text": run.predict(**SAMPLE, seed=seed)},
    }


def _tell(report: dict[str, Any], say: Say) -> None:
    say(f"Text: {report['split']}.")
    unknown = report["unknown_share"]["valid"]
    say(
        f"Vocabulary: {report['vocabulary']['size']:,} symbols ({report['vocabulary']['kind']}), "
        f"{unknown:.2%} of the validation text unknown. Training: {report['symbols']['train']:,} symbols. "
        f"Model: {report['parameters']:,} parameters."
    )


def _ended(result: Result, training: Training) -> str:
    why = {
        "epochs": f"all {training.epochs} epochs are done",
        "time": f"the {training.max_minutes} minutes are over",
        "patience": f"no better validation in {training.patience} tries",
    }[result.reason]
    return f"Training ended after {result.epochs:.2f} epochs and {result.minutes:.1f} minutes: {why}."
