"""What a task can do that writes: the contract's optional halves for it, protocols like those in `contract`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from recurra.answers import Answer
from recurra.data.codecs.contract import Splits, Writes
from recurra.data.fields import Codecs
from recurra.decoding.hypothesis import Hypothesis
from recurra.tasks.scores import Scores
from recurra.types import Batch, Example, changes_time, regions_of


@runtime_checkable
class Continues(Protocol):
    """A task that writes on: what it predicts at a step is what it reads at the next."""

    def step(self, embedder: nn.Module, core: nn.Module, state: Any, token: Tensor) -> tuple[Tensor, Any]:
        """Read one step of each sequence; give the emission's parameters of the next, [B, ·], and the new state. Those
        of symbols are log-probabilities [B, V]."""


@runtime_checkable
class ShowsNumbers(Protocol):
    """A task that writes on in numbers, and says what an answer has of them."""

    def continuation(self, given: Any, drawn: Any, codecs: Codecs) -> tuple[Any, ...]:
        """The parts of the answer, of values of the input's codec."""


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
    regions: tuple[int, int] | None = None
    """Where the input is a picture that is read region by region: how many rows and columns of them there are."""
    beyond_cells: bool = False
    """Whether that was wanted, and would have been more than is computed."""


@runtime_checkable
class Starts(Protocol):
    """A task that writes a sequence of its own for what it has read.

    Once built it has `end`, the number of the mark that begins and ends what is written.
    """

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


def aligns(model: Any) -> bool:
    """Whether a model can: its task does, and the core reads the steps that the input has, which are symbols; or
    regions of a picture."""
    if not (isinstance(model.task, Aligns) and model.task.aligns):
        return False
    of_symbols = hasattr(model.codecs["input"], "symbols") and not changes_time(model.embedder)
    return of_symbols or regions_of(model.embedder, model.codecs["input"]) is not None


@runtime_checkable
class Copies(Protocol):
    """A task whose unknown symbol, when it is written, may stand for a symbol of the input: the one it looks at."""

    copies: bool
    """Whether it does as it is set: a name goes from one language to the other as it is, a letter is no sound."""

    def look(self, embedder: nn.Module, core: nn.Module, state: Any, token: Tensor) -> tuple[dict[str, Tensor], Any]:
        """As `step`, by name: "log_probabilities", and "attention" [B, T] to the steps of the input."""


def copies(model: Any) -> bool:
    """Whether a model's unknown symbols are copied from its input, which has whole words or characters; those of other
    models are never written."""
    whole = isinstance(model.codecs["input"], Splits | Writes)
    return whole and aligns(model) and isinstance(model.task, Copies) and model.task.copies


@runtime_checkable
class Constrains(Protocol):
    """A task that can rule out symbols while it writes, where its options ask for that (`form`)."""

    def constrain(self, step: Any, state: Any, examples: Sequence[Example], codecs: Codecs) -> tuple[Any, Any]:
        """The step and the state of a search that takes no symbol that is ruled out."""
