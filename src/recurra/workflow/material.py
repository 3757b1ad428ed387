"""What a model is trained on: read, cut into parts, prepared by the task, encoded, batched. One class for all tasks."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recurra import registry, signatures
from recurra.answers import Answer
from recurra.asking.answering import Questions, answer, questions, said
from recurra.asking.stopped import Stopped
from recurra.config import Config, Data
from recurra.data.codecs.contract import Opens, Varies
from recurra.data.corpus.reading import read_corpus
from recurra.data.fields import Codecs
from recurra.data.files import counted
from recurra.data.parts import gather
from recurra.engine.device import moved
from recurra.errors import ConfigError
from recurra.model import Model, make_codecs, make_parts
from recurra.progress import stage, steps
from recurra.runs.reading import cut_of
from recurra.runs.scoring import sizes
from recurra.tasks.contract import (
    Adapts,
    Begins,
    BeginsWith,
    Calibrates,
    CalibratesSearch,
    ChecksExamples,
    Conforms,
    Prepares,
    Settles,
)
from recurra.tasks.options import make_options
from recurra.tasks.scored import JudgedByLoss, ScoredByLoss
from recurra.tasks.writing import Starts
from recurra.training.evaluation import Batches, Validation, evaluate
from recurra.training.group import Alone, Group
from recurra.types import GAPS, Batch, Example
from recurra.workflow import from_corpus
from recurra.workflow.doubts import (
    against_the_columns,
    check_fields,
    doubts,
    looks_labelled,
    other_format,
    settled_words,
    unseen,
)
from recurra.workflow.start import symbols_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
FEWEST = 16
"""Validation examples, or steps of one, that are validated on at least."""
SEARCHED, AT_ONCE = 500, 16
"""Validation examples that a search is judged by at most, and those of them that are asked at a time."""
SYMBOLS = {
    "input": "symbols",
    "target": "target symbols",
    "label": "labels",
    "ngrams": "n-grams",
    "scale": "scales",
    "node_labels": "labels",
}
"""What a vocabulary has so many of, where that is not called like its field."""


class Material:
    """The examples that `config` names. `known`: the codecs of a run that goes on, by the name they are saved under.

    What the settings leave to the data (the reader, how tags are written) is put in its place in `config`, so that the
    run reads later files in the same way. Raises `ConfigError` where there are no validation examples.
    """

    def __init__(self, config: Config, known: Mapping[str, Any] | None = None) -> None:
        data = Data(**signatures.checked(Data, config["data"], where="data"))
        reader = registry.construct("reader", config["reader"])
        embedder, _, task = make_parts(config)
        self._batching = registry.construct("batching", config["batching"])
        with other_format(reader, task):
            parts = gather(data, reader, cut_of(config))
        if not parts.valid:
            raise ConfigError(
                "there are no validation examples. Name a file with --valid, or set data.valid_fraction above 0."
            )
        self.split, self.fingerprint = parts.split, parts.fingerprint
        self._notes = [*looks_labelled(config), *parts.notes]
        self.parts = {"train": parts.train, "valid": parts.valid, "test": parts.test}
        self.config = copy.deepcopy(config)
        if parts.reader is not None:
            self.config["reader"] = parts.reader
        self._notes += settled_words(self.config, parts)
        for examples in self.parts.values():
            check_fields(examples, task.fields)
        if isinstance(task, Settles):
            settled = dict(task.settled(parts.train))
            self._notes += settled.pop("notes", ())
            self.config["task"] |= settled
            task = registry.construct("task", self.config["task"])
        self._task = task
        corpus = read_corpus(data.corpus) if data.corpus else None
        learned = known if corpus is None or known is not None else corpus.codecs()
        self.codecs = make_codecs(self.config, embedder, task, learned)
        if corpus is not None:
            from_corpus.check_fields(corpus.index, self.codecs)
        prepared = {part: self._prepare(part) for part in ("train", "valid")}
        self._examples = {part: len(each) for part, each in prepared.items()}
        if known is None:
            if corpus is None:
                self.codecs.fit(prepared["train"])
            if hasattr(self.codecs["input"], "extend") and (symbols := symbols_of(config)):
                self.codecs["input"].extend(symbols)
        self._notes += dict.fromkeys(note for each in self.codecs.saved.values() for note in getattr(each, "notes", ()))
        self._notes += unseen(prepared["valid"], self.codecs)
        self._notes += doubts(prepared["train"], task.fields)
        self._notes += against_the_columns(prepared["train"], self.codecs)
        self._valid = self._judged(prepared["valid"])
        self._encoded: dict[str, Sequence[Mapping[str, Any]]] = {
            "train": self.codecs.encode_all(varied(one_each(prepared["train"], task.fields), self.codecs)),
            "valid": self.codecs.encode_all(prepared["valid"]),
        }
        self._known = self._encoded["train"]  # what statistics are taken from: of a corpus what it keeps
        self._sizes: dict[str, Any] | None = None
        if corpus is not None:
            self._encoded["train"] = corpus.train()
            self._sizes = dict(corpus.index.sizes)
            self._examples["train"] = corpus.index.whole
        self._validated, self._judge = self._encoded["valid"], self._valid
        self._questions: Questions | None = None
        self._note_left_out(self.train(0, 0))  # what is too short for its streams is refused before there is a run

    def adapt(self, model: Model) -> None:
        """Tell a fresh model what the data know beyond sizes: vectors to start from, how often each label is."""
        vectors = getattr(self.codecs["input"], "vectors", None)
        if vectors is not None:
            model.embedder.adopt(torch.from_numpy(vectors))
        if isinstance(model.task, Adapts):
            model.task.adapt(self._known)
        if isinstance(model.task, ChecksExamples):
            for encoded in (self._known, self._encoded["valid"]):
                model.task.check_examples(encoded)

    def begin(self, model: Model) -> str:
        """Let a fresh model's task begin at what statistics say; gives a sentence about it, or nothing."""
        with stage("beginning from statistics"):
            if isinstance(model.task, BeginsWith):
                return model.task.begin_with(model.embedder, model.core, self._known)
            return model.task.begin_from(self._known) if isinstance(model.task, Begins) else ""

    def train(self, epoch: int, seed: int) -> Batches:
        """The batches of an epoch."""
        batches: Batches = self._batching.batches(self._encoded["train"], self.codecs.layouts, epoch=epoch, seed=seed)
        return batches

    def batches(self, config: Config) -> Batches:
        """The batches of the first epoch with the batching of another config."""
        batching = registry.construct("batching", config["batching"])
        batches: Batches = batching.batches(self._encoded["train"], self.codecs.layouts, epoch=0, seed=0)
        return batches

    def model(self, config: Config) -> Model:
        """A model with fresh weights that a config describes, for these data."""
        model = Model.from_config(config, self.codecs)
        if hasattr(model.embedder, "describe"):
            model.embedder.describe(self.codecs["input"].symbols)
        return model

    def take(self, config: Config) -> None:
        """Go on with a config whose batches or widths are others: the data stay as they are encoded."""
        self.config = copy.deepcopy(config)
        self._batching = registry.construct("batching", config["batching"])

    def valid(self) -> Iterable[Batch]:
        """The validation examples in batches."""
        batches: Iterable[Batch] = self._batching.batches(self._validated, self.codecs.layouts, whole=True)
        return batches

    def sample(self, share: float, seed: int) -> str:
        """Validate on a seeded share of the validation examples from now on, and say how many these are.

        Of few long sequences it is a part of each, of one length, that begins anywhere.
        """
        random = np.random.default_rng(seed)
        whole = self._encoded["valid"] if self._by_loss else self._judge
        self._questions = None
        if self._by_loss and self._batching.in_pieces:
            self._validated = [_part(each, share, random) for each in whole]
            kept, there = (sum(len(each["input"]) for each in some) for some in (self._validated, whole))
            return f"{kept:,} of {counted(there, 'step')}"
        count = min(len(whole), max(FEWEST, round(share * len(whole))))
        rows = sorted(random.permutation(len(whole))[:count].tolist())
        if self._by_loss:
            self._validated = [whole[row] for row in rows]
        else:
            self._valid = [whole[row] for row in rows]
        return f"{count:,} of {counted(len(whole), 'validation example')}"

    def validate(
        self,
        model: Model,
        batches: Iterable[Batch],
        /,
        *,
        device: torch.device,
        precision: str,
        stop: Callable[[], bool],
        group: Group | None = None,
    ) -> Validation | None:
        """The task's main metric on the validation examples, by the loss or by quick answers; what the task leaves to
        them is chosen first. The processes of a group divide the examples, but for a task that leaves them something.
        """
        metric, direction = self._task.main_metric
        if self._by_loss:
            score = evaluate(model, batches, device=device, precision=precision, stop=stop, group=group)
            if score is None:
                return None
            value = score.per_target
            if isinstance(self._task, ScoredByLoss):
                value = self._task.metrics(score.loss, score.targets, score.details).metrics[metric]
            return Validation(metric, value, direction == "max")
        group = group or Alone()
        alone = isinstance(self._task, Calibrates)  # by all of them
        own = self._valid[group.rank :: group.size] if not alone else [] if group.rank else self._valid
        training = model.training
        answers: list[Answer] = []
        parts: list[list[Answer] | None]
        model.eval()
        try:
            with stage("validating"):
                if own:
                    self._questions = self._questions or questions([model], own)
                    answers = answer(
                        [model], self._questions, self._options, device, precision=precision, stop=stop, calibrate=True
                    )
            parts = [*group.gathered(answers)]
        except Stopped:
            parts = [*group.gathered(None)]
        finally:
            model.train(training)
        dealt = [part for part in parts if part is not None]
        if group.rank or len(dealt) < len(parts):
            return None
        found = dealt[0] if alone else [dealt[k % group.size][k // group.size] for k in range(len(self._valid))]
        return Validation(metric, self._task.score(self._valid, found).metrics[metric], direction == "max")

    def conform(self, model: Model, device: torch.device, seed: int = 0, seconds: float = math.inf) -> bool:
        """Let a trained model's task set its ranges by the validation examples, or how sure what its search finds is;
        gives whether it has any. A search is asked for so many examples as take that long, drawn by the seed."""
        task = model.task
        if isinstance(task, Conforms):
            batches = self._batching.batches(self._encoded["valid"], self.codecs.layouts, whole=True)
            with stage("setting ranges"):
                task.conform(model.embedder, model.core, (moved(batch, device) for batch in batches))
            return True
        options = make_options(task, self.config.get("search", {}), {})
        if not isinstance(task, CalibratesSearch) or not task.calibrates(options):
            return False
        task.calibrate_search(self._asked_in_turn(model, device, seed, seconds), self.codecs, options)
        return True

    def _asked_in_turn(
        self, model: Model, device: torch.device, seed: int, seconds: float
    ) -> Iterator[tuple[Mapping[str, torch.Tensor], list[Example]]]:
        """What a model says of validation examples in an order that the seed draws, a few at a time, until the seconds
        are over."""
        begun = time.monotonic()
        rows = np.random.default_rng(seed).permutation(len(self._judge))[:SEARCHED].tolist()
        for first in steps(range(0, len(rows), AT_ONCE), "fitting confidences", "batches"):
            if first >= FEWEST and time.monotonic() - begun > seconds:
                return
            asked = questions([model], [self._judge[row] for row in rows[first : first + AT_ONCE]])
            for places, said_ in said([model], asked, device):
                yield said_, [asked.examples[place] for place in places]

    def input_ids(self) -> list[NDArray[np.int64]]:
        """The numbers of the training examples' symbols, without end marks."""
        end = -1 if self.codecs.fields["input"].ended else None
        return [each["input"][:end] for each in self._known]

    def facts(self) -> dict[str, Any]:
        """What the report knows of the data before training."""
        held = {
            part: self._sizes
            if part == "train" and self._sizes is not None
            else sizes(self.codecs, each, self._batching.in_pieces)
            for part, each in self._encoded.items()
        }
        found: dict[str, Any] = {key: {part: of[key] for part, of in held.items()} for key in held["train"]}
        coverage = getattr(self.codecs["input"], "coverage", None)
        if "examples" in found:
            found["examples"] = self._examples  # the validation's are all, also where weights are judged by fewer
        if isinstance(self._task, Starts):
            found["pairs"] = len(self._encoded["train"])
            found["joint"] = any(field.record == "input" for field in self.codecs.fields.values())
            found["judged"] = len(self._valid)
        return {
            **found,
            "vocabulary": {n: c.size for n, c in self.codecs.saved.items() if n not in GAPS},
            **({"coverage": coverage} if coverage else {}),
            **({"asked_by_files": True} if isinstance(self.codecs["input"], Opens) else {}),
            "notes": self._notes,
        }

    def sentences(self) -> list[str]:
        """The same in words."""
        facts = self.facts()
        sizes_ = {name: size for name, size in facts["vocabulary"].items() if name != "number"}  # a target, not a size
        known = ", ".join(f"{size:,} {self._counted(name)}" for name, size in sizes_.items())
        parts = [f"Vocabulary: {known}"] if known else []
        if hasattr(self.codecs["input"], "symbols"):
            shares = self.codecs.unknown_shares(self._encoded["valid"])
            target = f" and {shares['target']:.2%} of the target" if "target" in shares else ""
            parts.append(f"{facts['unknown_share']['valid']:.2%} of the validation input{target} unknown")
        sentence = "; ".join(parts) + ". " if parts else ""
        if vectors := facts.get("coverage"):
            sentence += f"Vectors for {vectors[0]:.1%} of the words, {vectors[1]:.1%} of the tokens. "
        return [f"Data: {self.split}.", *self._notes, f"{sentence}Training: {self._amount(facts)}."]

    def _counted(self, name: str) -> str:
        """What a codec has so many of."""
        numbers = name in self.codecs and not hasattr(self.codecs[name], "symbols")
        return "numbers a step" if numbers and name == "input" else SYMBOLS.get(name, name)

    def _amount(self, facts: Mapping[str, Any]) -> str:
        """How much there is to train on."""
        if "symbols" in facts:
            unit = "symbols" if hasattr(self.codecs["input"], "symbols") else "steps"
            return f"{facts['symbols']['train']:,} {unit}"
        tokens = facts["tokens"]["train"]
        named = tokens if isinstance(tokens, Mapping) else {"": tokens}
        words = {"": "tokens" if hasattr(self.codecs["input"], "symbols") else "steps", "steps": "steps"}
        words |= {"tokens": "tokens", "node_labels": "nodes"}
        amounts = [f"{count:,} {words.get(name, f'{name} tokens')}" for name, count in named.items()]
        return f"{counted(facts['examples']['train'], 'example')}, {', '.join(amounts)}"

    def _prepare(self, part: str) -> list[Example]:
        """The examples of a part as the task reads them."""
        examples = self.parts[part]
        if not isinstance(self._task, Prepares):
            return list(examples)
        prepared, notes = self._task.prepare(
            [self.codecs.tokenised(example) for example in steps(examples, "splitting into tokens", "examples")]
        )
        said = [note if part == "train" else f"Validation: {note}" for note in notes]
        self._notes += [note for note in said if note.removeprefix("Validation: ") not in self._notes]
        return prepared

    def _judged(self, examples: list[Example]) -> list[Example]:
        """The validation examples that weights are judged by: of a task that writes, as many as its options say."""
        self._by_loss = isinstance(self._task, ScoredByLoss) or (
            isinstance(self._task, JudgedByLoss) and self._task.judged_by_loss
        )
        options = make_options(self._task, self.config.get("search", {}), {})
        self._options = getattr(options, "quick", options)
        most = None if self._by_loss else getattr(options, "valid", None)
        if most is None or len(examples) <= most:
            return examples
        self._notes.append(
            f"A validation writes for {most:,} of {counted(len(examples), 'validation source')}, evenly spaced among "
            "them (search.valid)."
        )
        rows = np.linspace(0, len(examples) - 1, most).round().astype(int).tolist()
        return [examples[row] for row in rows]

    def _note_left_out(self, batches: Any) -> None:
        """Say how many training examples are cut, or left out, as they are too long."""
        if cut := getattr(batches, "cut", 0):
            longest = f"{self._batching.longest:,} tokens (batching.longest)"
            self._notes.append(f"{counted(cut, 'training example')} cut after {longest}.")
        if left := getattr(batches, "left_out", 0):
            self._notes.append(
                f"{left:,} of {counted(len(self._encoded['train']), 'training pair')} left out, as a side has more "
                f"than {self._batching.longest:,} symbols (batching.longest)."
            )


def _part(encoded: Mapping[str, Any], share: float, random: np.random.Generator) -> dict[str, Any]:
    """A part of a long sequence, of all fields that are as long as its input."""
    steps = len(encoded["input"])
    length = min(steps, max(FEWEST, round(share * steps)))
    start = int(random.integers(steps - length + 1))
    return {name: value[start : start + length] if len(value) == steps else value for name, value in encoded.items()}


def one_each(examples: Sequence[Example], fields: Mapping[str, Any]) -> list[Example]:
    """A training example for each of several values that a field may have, one that comes twice taken once; others as
    they are."""
    for field in fields.values():
        if field.several is not None:
            examples = [one for example in examples for one in _each(example, field)]
    return list(examples)


def varied(examples: Sequence[Example], codecs: Codecs) -> list[Example]:
    """Training examples, and each with its input in the other ways that its codec has training read it."""
    codec, found = codecs["input"], list(examples)
    if not isinstance(codec, Varies):
        return found
    for example in examples:
        name = next(of for of in codecs.fields["input"].of if of in example)
        found += [{**example, name: value} for value in codec.variants(example[name])]
    return found


def _each(example: Example, field: Any) -> list[Example]:
    if field.several not in example:
        return [example]
    rest = {name: value for name, value in example.items() if name != field.several}
    values = example[field.several]
    once = [value for k, value in enumerate(values) if not isinstance(value, str) or value not in values[:k]]
    return [{**rest, field.of[0]: value} for value in once]
