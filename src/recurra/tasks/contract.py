"""What a task is. What a file in this room has to say is here; nothing outside it names a task.

A task is a class registered with `@part("task", NAME)`, a torch module with the attributes and methods of `Task`. What
it can do besides is a protocol of its own, which the task has or has not: `isinstance(task, Follows)`. Those of scores
are in `recurra.tasks.scored`, those of writing in `recurra.tasks.writing`.

    files ─reader→ examples ─codecs→ batch ─embedder, core→ y ─task→ loss            in training
                                                             └─ask→ tensors ─answers→ parts

`ask` gives tensors by name, which are also the outputs of an ONNX file; `answers` makes parts of them without a module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self, runtime_checkable

from torch import Tensor, nn

from recurra.answers import Answer
from recurra.data.codecs.contract import needs_end
from recurra.data.fields import Codecs
from recurra.tasks.scores import Scores
from recurra.types import Batch, Example, Field, Output, Sizes, changes_time

INPUT = Field(("tokens", "text", "series", "vectors", "sound", "image"), {"kind": "tokens"})
"""The input of a task that reads any sequence that comes one by one."""


@dataclass(frozen=True)
class Card:
    """A task in words, for a page or a message."""

    verb: str
    """What it does, as a button says it: "Translate"."""
    hint: str
    """What it wants to be given: "A sentence to translate."."""
    example: str
    """An input, where the run's report shows none."""
    noun: str = "model"
    """What a trained model of it is called: "tagger"."""


@dataclass(frozen=True)
class NoOptions:
    """A task that takes nothing at prediction."""


class Task(Protocol):
    """What every task says of itself. An attribute may be a property."""

    fields: Mapping[str, Field]
    """What a batch holds for it, by name; "input" is what the embedder reads."""
    unit: str
    """What its targets are: "tokens"."""
    causal: bool
    """Whether the core must not see what comes after a step."""
    main_metric: tuple[str, Literal["min", "max"]]
    """What the best weights are chosen by, and whether less or more of it is better."""
    baselines: tuple[str, ...]
    """The parts "baseline" that a score may stand beside."""
    card: Card
    Options: type
    """A frozen dataclass of what it takes at prediction, each with a default and, below it, its help as a string. From
    it come the flags of `recurra predict`, the JSON body of a request, and the keywords of `Run.predict`. Those that
    its `of_recipes`, a ClassVar with a tuple of names, has are settings of a recipe's `[search]` alone."""

    def build(self, sizes: Sizes) -> Self:
        """Make the layers above a core of `sizes.core` units; gives itself."""

    def __call__(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss of a batch, summed over its targets, and the core's last state; written as `forward`."""


@runtime_checkable
class Asks(Protocol):
    """A task that says something of a batch as a whole."""

    def ask(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Mapping[str, Tensor]:
        """What answers are made of, by name, [B, …]: also the outputs of an ONNX file, and what is averaged where
        several models answer together. Fields that are `learned` are not looked at."""


@runtime_checkable
class Answers(Asks, Protocol):
    """A task whose answers are made of what it is asked, and scored."""

    main_metric: tuple[str, Literal["min", "max"]]

    def answers(
        self, asked: Mapping[str, Tensor], examples: Sequence[Example], codecs: Codecs, options: Any
    ) -> list[Answer]:
        """The answer to each example of a batch, of what was asked of it; examples whose input is symbols have them
        as they are written, "tokens"."""

    def score(
        self, gold: Sequence[Example], predicted: Sequence[Mapping[str, Any]], codecs: Codecs | None = None
    ) -> Scores:
        """Metrics of answers, or of a baseline's predictions, against examples as the task reads them."""


@runtime_checkable
class Combines(Asks, Protocol):
    """A task whose models answer together otherwise than by the mean of all that they say."""

    def combined(self, said: Sequence[Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
        """What its answers are made of, of what `ask` said of one batch, model by model; the steps of the core may be
        others in each."""


@runtime_checkable
class Arranges(Protocol):
    """A task that asks of a batch as its fields do not lie in it: an ONNX file reads it arranged."""

    inputs: Mapping[str, tuple[str, ...]]
    """The fields that are added to a batch, and the names of their axes."""

    def arrange(self, batch: Batch) -> Batch:
        """The batch with them, all of it as tensors without Python's help; `ask` gives the same for both."""


@runtime_checkable
class Portable(Protocol):
    """A task whose exports a program without recurra can ask."""

    client: str
    """The module of `recurra.export.clients` that does."""


@runtime_checkable
class NotExported(Protocol):
    """A task whose model has no form in ONNX."""

    not_exported: str
    """Why, and what to do instead, as a sentence."""


@runtime_checkable
class Prepares(Protocol):
    """A task that changes examples before they are encoded, in training and afterwards."""

    def prepare(self, examples: Sequence[Example]) -> tuple[list[Example], list[str]]:
        """The examples as the task reads them, and what there is to say of it, a sentence each."""


@runtime_checkable
class Settles(Protocol):
    """A task with settings that are left to the training data."""

    def settled(self, examples: Sequence[Example]) -> Mapping[str, Any]:
        """Those settings, to be kept in the run, so that later files are read as those were; "notes" beside them are
        sentences about them."""


@runtime_checkable
class Adapts(Protocol):
    """A task that takes from the encoded training examples more than sizes."""

    def adapt(self, encoded: Sequence[Mapping[str, Any]]) -> None:
        """Take it, once the layers are made."""


@runtime_checkable
class ChecksExamples(Protocol):
    """A task that cannot learn from, or be judged by, every example that can be encoded."""

    def check_examples(self, encoded: Sequence[Mapping[str, Any]]) -> None:
        """Raise `DataError`, naming the place, for an example that it cannot; once the layers are made."""


@runtime_checkable
class Implies(Protocol):
    """A task that other sections of a recipe follow from."""

    implies: Mapping[str, Any]
    """Settings of theirs by dotted name, "batching.steps"; those that a recipe says itself stay as they are."""


@runtime_checkable
class Begins(Protocol):
    """A task whose layers begin at what plain statistics make of the encoded training examples."""

    def begin_from(self, encoded: Sequence[Mapping[str, Any]]) -> str:
        """Let them, before a training; gives a sentence about it, or nothing."""


@runtime_checkable
class BeginsWith(Protocol):
    """A task that lets its core begin at what plain statistics make of the encoded training examples."""

    def begin_with(self, embedder: nn.Module, core: nn.Module, encoded: Sequence[Mapping[str, Any]]) -> str:
        """As `Begins.begin_from`."""


@runtime_checkable
class Calibrates(Protocol):
    """A task with numbers that training does not learn, but validation examples say."""

    def calibrate(
        self, asked: Sequence[Mapping[str, Tensor]], examples: Sequence[Sequence[Example]], codecs: Codecs
    ) -> list[Mapping[str, Tensor]]:
        """Choose them by what `ask` said of batches of labelled examples; gives what it says of them now."""


@runtime_checkable
class CalibratesSearch(Protocol):
    """A task whose searches are judged by numbers of their own: what validation examples say by the search of the
    recipe, once training has ended."""

    def calibrates(self, options: Any) -> bool:
        """Whether a search with these options is."""

    def calibrate_search(
        self,
        asked: Iterable[tuple[Mapping[str, Tensor], Sequence[Example]]],
        codecs: Codecs,
        options: Any,
    ) -> None:
        """Choose them by what `ask` said of batches of labelled examples, as they come."""


@runtime_checkable
class Conforms(Protocol):
    """A task whose ranges are set by windows held out from training, when that has ended."""

    def conform(self, embedder: nn.Module, core: nn.Module, batches: Iterable[Batch]) -> None:
        """Set them by the validation's batches."""


@runtime_checkable
class Reads(Protocol):
    """A task whose questions are written otherwise than its training examples: with blanks, by a form and a title."""

    def question(self, example: Example, codecs: Codecs, report: Mapping[str, Any]) -> Example:
        """What is asked, as an example to be encoded; `report` says what training has seen. Raises `DataError` for
        what is none."""


@runtime_checkable
class Imagines(Protocol):
    """A task whose answers are drawn by chance, of what is given or of nothing."""

    def imagined(self, given: Sequence[Example | None], codecs: Codecs, options: Any) -> list[Example]:
        """What is asked, an example for each answer, which says by which seed it is drawn; None is nothing given.
        Raises `ConfigError` for options that do not go with what is given."""


@runtime_checkable
class DrawsInSteps(Asks, Protocol):
    """A task that draws its input again, step by step. `ask` says "kl" [B, steps], what each step tells of it in nats,
    and, where it goes over a picture by a window, where that lies at each step: "looked_at", "written_at" [B, steps,
    4], its middle, along and down, its side, and the σ of its filters, in pixels."""

    steps: int
    canvases: str
    """The name of what `ask` says the canvas shows after each step: [B, steps, H, W], 0 to 1."""


@runtime_checkable
class GuessesSymbols(Protocol):
    """A task that says of every symbol of its input how likely it is where it stands."""

    @property
    def side(self) -> str:
        """The name of what `ask` says of that: log-probabilities [B, T, V]."""


@runtime_checkable
class LosesByStep(Protocol):
    """A task whose loss is a sum over steps that can be had one by one."""

    def step_loss(self, embedder: nn.Module, core: nn.Module, batch: Batch, steps: Tensor) -> Tensor:
        """The loss of one target a sequence, that of its step `steps` [B], summed over the sequences."""


@runtime_checkable
class Follows(Protocol):
    """A task that streams: it answers at every step, of what was read so far."""

    def follow(self, embedder: nn.Module, y: Tensor, memory: Any = None) -> tuple[Mapping[str, Tensor], Any]:
        """What is known at a step whose core output is y [B, H], by name [B, ·], and what to remember of it."""

    def followed(
        self,
        symbol: str,
        number: int,
        before: Mapping[str, Tensor] | None,
        now: Mapping[str, Tensor],
        codecs: Codecs,
        top: int,
    ) -> dict[str, Any]:
        """The answer at a step, as JSON: of a `symbol`, its `number`, by what was known `before` it and `now`."""


def follows(model: Any) -> bool:
    """Whether a model can: its task does, it reads nothing that is known of a whole input only, and the core reads
    the steps that the input has."""
    if needs_end(model.codecs["input"]) or changes_time(model.embedder):
        return False
    return isinstance(model.task, Follows) and not of_whole(model.codecs)


def of_whole(codecs: Codecs) -> list[str]:
    """The fields that are made of all tokens of the input, and do not go along with its steps."""
    return [name for name, field in codecs.fields.items() if not field.of and not field.along and not field.learned]


@runtime_checkable
class ChecksOptions(Protocol):
    """A task some of whose options are not for all its settings."""

    def check_options(self, options: Any) -> None:
        """Raise `ConfigError` for an option that it cannot do anything with."""


@runtime_checkable
class ChecksPackages(Protocol):
    """A task that needs packages which are not installed with this one."""

    def check_packages(self) -> None:
        """Raise `ConfigError` where one is missing; asked before a training, not after."""


@runtime_checkable
class Pools(Protocol):
    """A task that makes one vector of all steps."""

    @property
    def pools(self) -> tuple[str, str]:
        """The setting that says how, and what it says; "" where it does not, as it is set."""


@runtime_checkable
class ReadsInSegments(Protocol):
    """A task that reads parts of its input by themselves, so that nothing goes through it in time."""

    segmented: bool


@runtime_checkable
class ReadsTrees(Protocol):
    """A task whose input is a whole tree, which cannot be cut: it goes from the leaves to the root."""

    def question(self, example: Example, codecs: Codecs, report: Mapping[str, Any]) -> Example:
        """As `Reads.question`."""

    def at_the_root(self, encoded: Mapping[str, Any]) -> dict[str, Any]:
        """An encoded example of which only the root's label counts."""

    def errors_by_node(self, embedder: nn.Module, core: nn.Module, batch: Batch) -> Tensor:
        """‖∂L/∂h‖ of every node [B, K] as its example numbers them, L the loss of the roots alone."""


@runtime_checkable
class KeepsApart(Protocol):
    """A task that predicts a step from both sides of it."""

    apart: bool
    """Whether the core must keep what it read forwards and backwards apart."""


@runtime_checkable
class AveragesReadings(Protocol):
    """A task that puts together what the core made of several readings of each sequence, `Sizes.readings` of them."""

    averages_readings: bool


@runtime_checkable
class Numbers(Protocol):
    """A task for which it matters how symbols are numbered."""

    by_frequency: bool
    """Whether that must be by falling frequency; known before `build`."""
