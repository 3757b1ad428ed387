"""The plain records that travel between the rooms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

IGNORED = -100
"""A target that counts for nothing: where a batch is padded, and a label that training has never seen. The value that
torch's own losses ignore."""
Example = Mapping[str, Any]
"""One sequence as its reader found it: field name → value, e.g. `{"text": "…"}`. No tensors."""


@dataclass(frozen=True)
class Gaps:
    """What comes beside a core's input x [B, T, D] of series with gaps, in units of the usual step: the time since the
    step before, `dt` [B, T]; where each value of x is one that was measured, whether it was `seen`, 1 or 0, and the
    time `since` it was last, [B, T, D]."""

    dt: Tensor
    seen: Tensor | None = None
    since: Tensor | None = None

    def each(self, change: Callable[[Tensor], Tensor]) -> Gaps:
        """The gaps of a change of all tensors."""
        seen, since = (None if one is None else change(one) for one in (self.seen, self.since))
        return Gaps(change(self.dt), seen, since)

    def taken(self, names: Sequence[str]) -> dict[str, Tensor]:
        """Those of these names that there are."""
        found = {name: getattr(self, name) for name in names}
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True)
class Lengths:
    """The structure of a batch of plain sequences: `values` [B] counts the valid time steps; None: all are full."""

    values: Tensor | None = None
    gaps: Gaps | None = None
    """Of the core's input, where it has any; an embedder says it."""


@dataclass(frozen=True)
class Tree:
    """The structure of a batch of trees: their N nodes as rows, those of one height together, leaves first.

    A node's height is 0 without children, else one more than its highest child's: so all nodes of a height can be
    computed at once when those below are. `recurra.data.trees` makes it.
    """

    sizes: Tensor
    """[heights] Nodes of each height."""
    row: Tensor
    """[B, K] Row of each node, by its tree and its number in it, where the words come first; N behind the last."""
    root: Tensor
    """[B] Row of each tree's root, N of a tree without nodes."""
    word: Tensor
    """[M] Rows of the nodes that have an input, rising; all without children have one."""
    step: Tensor
    """[M] Where the input of each lies, as b·T + t."""
    child: Tensor
    """[E] Row of each node that is a child, by its parent's row, and by its place among its siblings."""
    parent: Tensor
    """[E] Row of its parent."""

    @cached_property
    def nodes(self) -> int:
        """Nodes N of all trees."""
        return int(self.sizes.sum())


@dataclass(frozen=True)
class Batch:
    """Padded tensors by field name ([B, T, …]), their structure, and whether carried state starts anew here."""

    fields: Mapping[str, Tensor]
    structure: Lengths = Lengths()
    """The lengths of the input, and of every field that is as long as it."""
    first: bool = True
    rate: float = 1.0
    """Factor of the learning rate in the step that this batch is for."""
    lengths: Mapping[str, Tensor] = field(default_factory=dict)
    """Lengths [B] of each other field that is padded, by its name: of a target with its own number of steps."""
    counted: bool = True
    """Whether it is learned from. Not, where other processes have all of a small batch: this one keeps step with them,
    with a sequence of theirs."""


@dataclass(frozen=True)
class Field:
    """One field of a task's batches: which part of an example it comes from, and what makes an array of it.

    `Field(("tags",), {"kind": "labels"}, along=True, learned=True)` is the tags of a tagger.
    """

    of: tuple[str, ...]
    """Names of an example's fields; the first that the example has is taken. Empty: the tokens of the input."""
    codec: Mapping[str, Any]
    """Settings of the codec where the recipe names none: `{"kind": "word", …}`."""
    along: bool = False
    """As long as the input, step by step; raises `DataError` where an example's is not."""
    following: str | None = None
    """The name of a further field of batches that are cut from long sequences: its value one step later."""
    length: int | None = None
    """So many steps are read of it, whatever the input has; raises `DataError` where it has fewer."""
    by_task: bool = False
    """Read by the task itself, whatever steps the core has."""
    learned: bool = False
    """A target: in every example of the training data, missing where the model is asked."""
    ended: bool = False
    """An end mark follows the last step, numbered after the codec's symbols."""
    record: str | None = None
    """The name that its codec is saved under, where that is not the field's own. Fields of one name share a codec."""
    optional: bool = False
    """Taken where the examples have it; where no training example has, batches are without it."""
    aligned: bool = False
    """So short that it fits the core's steps: n symbols, a step each and one between two that are alike."""
    several: str | None = None
    """An example's field with several values in the place of one, each of them right: all are learned from, the first
    is encoded."""


GAPS: Mapping[str, Field] = {
    name: Field((name,), {"kind": "vectors"}, along=True, following=following, by_task=True, optional=True)
    for name, following in (("dt", None), ("seen", "target_seen"), ("since", None))
}
"""What a reader of series says of gaps beside the values: dt [T], seen and since [T, W], as of `Gaps`."""


@runtime_checkable
class NeedsFields(Protocol):
    """A part that reads more of a batch than its input: an embedder that looks at how words are spelled."""

    fields: Mapping[str, Field]
    """The further fields, by name; known before `build`."""


@runtime_checkable
class ChangesTime(Protocol):
    """An embedder whose x has other steps than its input: frames stacked, columns of a picture."""

    changes_time: bool
    """Whether it has, as it is set; known before `build`."""


@runtime_checkable
class ReadsRegions(Protocol):
    """An embedder that gives the core regions of a picture as its steps, row by row from the top left."""

    region_pixels: int
    """How high and wide a region is, as it is set; known before `build`."""


def regions_of(embedder: Any, codec: Any) -> tuple[int, int] | None:
    """How many regions, (rows, columns), an embedder makes of what a codec encodes; None of one that makes none."""
    if not isinstance(embedder, ReadsRegions):
        return None
    return codec.side // embedder.region_pixels, codec.side // embedder.region_pixels


def changes_time(embedder: Any) -> bool:
    """Whether the core reads other steps than those of the input."""
    return isinstance(embedder, ChangesTime) and embedder.changes_time


@runtime_checkable
class ReadsSeveralWays(Protocol):
    """An embedder that gives each sequence to the core more than once, each time read in another way: both strands."""

    readings: int
    """How often, R: x is [R · B, T, D], all of a batch read in one way, then all in the next; known before `build`."""


def readings_of(embedder: Any) -> int:
    """How often the core reads each sequence."""
    return embedder.readings if isinstance(embedder, ReadsSeveralWays) else 1


@dataclass(frozen=True)
class Mixtures:
    """Symbols that stand for one of K pure ones or for several, and what each is bound to on the other strand."""

    shares: tuple[tuple[float, ...], ...]
    """[V, K]: how much of each pure symbol is in each symbol, together 1; the first K symbols are the pure ones."""
    partners: tuple[int, ...]
    """[V]: the number of the symbol that binds to each."""


@runtime_checkable
class Mixes(Protocol):
    """A codec of symbols some of which are uncertain: they may be any of several."""

    mixtures: Mixtures


@dataclass(frozen=True)
class Sizes:
    """What only the data know; handed to `build` of embedder, core and task, in this order."""

    vocabulary: int = 0
    """Number of symbols V; 0 where the input is vectors."""
    unknown: int | None = None
    """Number of the symbol that stands for those without one; None where there is none."""
    line_end: int | None = None
    """Number of the symbol that ends a line; None where there is none."""
    mixtures: Mixtures | None = None
    """What the input's symbols stand for, where its codec says that."""
    width: int = 0
    """Numbers in a step of an input of vectors; 0 where it is symbols."""
    rows: int = 0
    """Steps of an input that has always as many: the rows of a picture; 0 where it may have any."""
    embedding: int = 0
    """Width D of the embedder's output; set once the embedder is built."""
    stride: int = 1
    """Steps of the input that are one of the core's; set once the embedder is built."""
    apart: bool = False
    """Whether each variable of an input of vectors is a sequence of its own; set once the embedder is built."""
    readings: int = 1
    """How often the core reads each sequence, as `ReadsSeveralWays` says; set once the embedder is built."""
    core: int = 0
    """Width H of the core's output; set once the core is built."""
    feeds_back: bool = False
    """Whether what the core says is the target itself, which it reads at later steps; set once the core is built."""
    fields: Mapping[str, int] = field(default_factory=dict)
    """Number of symbols of the other fields, or numbers in a step of them: "characters", "tags", "label", "target"."""


@dataclass(frozen=True)
class Output:
    """What a task's forward gives: the loss summed over targets (natural logarithm), how many targets there were,
    how many sequences, and the core's final state."""

    loss: Tensor
    targets: int
    sequences: int
    state: Any = None
    details: Mapping[str, Tensor] = field(default_factory=dict)
    penalty: Tensor | None = None
    """What training minimises besides, summed over targets as the loss is, which is without it."""


@dataclass(frozen=True)
class Shared:
    """The part of a decoder's state that all hypotheses of a source have alike, such as the source's memory: a nest of
    tensors with the batch on axis −2. A search copies it only where sources leave the batch, not at every step."""

    value: Any
