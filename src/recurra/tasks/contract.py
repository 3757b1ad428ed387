"""What a task is. Everything that a file in this room has to say is here; nothing outside it names a task.

A task is a class registered with `@part("task", NAME)`, a torch module with the attributes and methods of `Task`. What
it can do besides is a protocol of its own below, which the task has or has not: `isinstance(task, Follows)`.

    files ─reader→ examples ─codecs→ batch ─embedder, core→ y ─task→ loss            in training
                                                             └─ask→ tensors ─answers→ parts

`ask` gives tensors by name, which are also the outputs of an ONNX file; `answers` makes parts of them without a module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self, runtime_checkable

from torch import Tensor, nn

from recurra.answers import Answer
from recurra.decoding.hypothesis import Hypothesis
from recurra.tasks.scores import Scores
from recurra.types import Batch, Example, Field, Output, Sizes

Codecs = Mapping[str, Any]
"""By field, what turned its values into numbers, and turns numbers back."""

INPUT = Field(("tokens", "text", "series", "vectors"), {"kind": "tokens"})
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
    it come the flags of `recurra predict`, the JSON body of a request, and the keywords of `Run.predict`."""

    def build(self, sizes: Sizes) -> Self:
        """Make the layers above a core of `sizes.core` units; gives itself."""

    def __call__(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss of a batch, summed over its targets, and the core's last state; in the class it is `forward`."""


@runtime_checkable
class Asks(Protocol):
    """A task that says something of a batch as a whole."""

    def ask(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Mapping[str, Tensor]:
        """What answers are made of, by name, [B, …]: also the outputs of an ONNX file, and what is averaged where
        several models answer together. Fields that are `learned` are not looked at."""


@runtime_checkable
class Answers(Asks, Protocol):
    """A task whose answers are made of what it is asked, and scored."""

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
class Prepares(Protocol):
    """A task that changes examples before they are encoded, in training and afterwards."""

    def prepare(self, examples: Sequence[Example]) -> tuple[list[Example], list[str]]:
        """The examples as the task reads them, and what there is to say of it, a sentence each."""


@runtime_checkable
class Settles(Protocol):
    """A task with settings that are left to the training data."""

    def settled(self, examples: Sequence[Example]) -> Mapping[str, Any]:
        """Those settings, to be kept in the run, so that later files are read as those were."""


@runtime_checkable
class Adapts(Protocol):
    """A task that takes from the encoded training examples more than sizes."""

    def adapt(self, encoded: Sequence[Mapping[str, Any]]) -> None:
        """Take it, once the layers are made."""


@runtime_checkable
class Reads(Protocol):
    """A task whose questions are written otherwise than its training examples: with blanks, by a form and a title."""

    def question(self, example: Example, codecs: Codecs, report: Mapping[str, Any]) -> Example:
        """What is asked, as an example to be encoded; `report` says what training has seen. Raises `DataError` for
        what is none."""


@runtime_checkable
class ScoredByLoss(Protocol):
    """A task that is scored by how likely the truth was: no answers are needed."""

    def measure(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss of a batch, with all the `details` that `metrics` are made of: sums over its targets by name."""

    def metrics(self, loss: float, targets: int, details: Mapping[str, float]) -> Scores:
        """Metrics of losses, and of `details`, summed over `targets`; those whose details are missing are left out."""


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


@runtime_checkable
class Continues(Protocol):
    """A task that writes on: what it predicts at a step is what it reads at the next."""

    def step(self, embedder: nn.Module, core: nn.Module, state: Any, token: Tensor) -> tuple[Tensor, Any]:
        """Read one step of each sequence; give the emission's parameters of the next, [B, ·], and the new state. Those
        of symbols are log-probabilities [B, V]."""


@dataclass(frozen=True)
class Written:
    """One sequence of symbols that was written for an input."""

    text: str
    hypothesis: Hypothesis
    unknown: int = 0
    """Its symbols that have no name and could not be copied from the input."""
    alignment: tuple[int, ...] | None = None
    """For each of its symbols the place in the input it looks at most; None where nobody asked, or cannot be told."""
    aligned: Sequence[tuple[str, Sequence[str]]] = ()
    """Its words with the words of the input they come from."""
    attention: Tensor | None = None
    """How much each of its symbols looks at each of the input, the end marks last."""
    beyond_cells: bool = False
    """Whether that was wanted, and would have been more than is computed."""


@runtime_checkable
class Starts(Protocol):
    """A task that writes a sequence of its own for what it has read."""

    end: int
    """The number of the mark that begins and ends what is written; known after `build`."""

    def start(self, embedder: nn.Module, core: nn.Module, batch: Batch) -> Any:
        """The state in which nothing has been written yet."""

    def step(self, embedder: nn.Module, core: nn.Module, state: Any, token: Tensor) -> tuple[Tensor, Any]:
        """Read one symbol of each target; give log-probabilities of the next and the new state."""

    def written(self, example: Example, found: Sequence[Written], codecs: Codecs, options: Any) -> Answer:
        """The answer to an example of what a search found for it, the best first; of nothing for an empty input."""

    def score(
        self, gold: Sequence[Example], predicted: Sequence[Mapping[str, Any]], codecs: Codecs | None = None
    ) -> Scores:
        """As in `Answers`."""


@runtime_checkable
class Aligns(Protocol):
    """A task that can say which step of the input each step of what it writes comes from."""

    aligns: bool
    """Whether it can as it is set."""

    def alignment(self, embedder: nn.Module, core: nn.Module, batch: Batch) -> Tensor:
        """How much each step of the target looks at each of the input, [B, U, T]."""


@runtime_checkable
class Constrains(Protocol):
    """A task that can rule out symbols while it writes, where its options ask for that (`form`)."""

    def constrain(self, step: Any, state: Any, examples: Sequence[Example], codecs: Codecs) -> tuple[Any, Any]:
        """The step and the state of a search that takes no symbol that is ruled out."""


@runtime_checkable
class ChecksOptions(Protocol):
    """A task some of whose options are not for all its settings."""

    def check_options(self, options: Any) -> None:
        """Raise `ConfigError` for an option that it cannot do anything with."""


@runtime_checkable
class KeepsApart(Protocol):
    """A task that predicts a step from both sides of it."""

    apart: bool
    """Whether the core must keep what it read forwards and backwards apart."""


@runtime_checkable
class Numbers(Protocol):
    """A task for which it matters how symbols are numbered."""

    by_frequency: bool
    """Whether that must be by falling frequency; known before `build`."""
