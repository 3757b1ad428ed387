"""A model: embedder, core and task, built from a config and the codecs of the fields."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from recurra import registry
from recurra.data.codecs.contract import line_end_of
from recurra.data.fields import Codecs
from recurra.engine import Record
from recurra.errors import CheckpointError, ConfigError
from recurra.nn.memory_limit import MemoryLimit
from recurra.nn.watch import Watched
from recurra.tasks.contract import AveragesReadings, KeepsApart, Numbers
from recurra.types import Batch, Mixes, NeedsFields, Output, Sizes, changes_time, readings_of


class Model(nn.Module):
    """What is trained, saved and asked. It keeps no state between two calls: state is an argument and a result.

    `config` holds the sections it was built from, and whatever else the recipe says.
    """

    def __init__(
        self,
        embedder: nn.Module,
        core: nn.Module,
        task: nn.Module,
        codecs: Codecs,
        config: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.embedder: Any = embedder
        self.core = core
        self.task: Any = task
        self.codecs = codecs
        self.config = copy.deepcopy(dict(config))
        self.name = "model"
        """What messages call it."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any], codecs: Codecs | Mapping[str, Any]) -> Self:
        """Build the parts that the sections embedder, core and task name, with fresh weights.

        `codecs`: those of the fields of embedder and task, or, of a run, fitted ones by the name they are saved under.

        Raises ConfigError for a missing section, an unknown part or key, for parts that do not go together, and for
        more weights than this machine has memory for; CheckpointError where a codec is missing.
        """
        embedder, core, task = make_parts(config)
        if not isinstance(codecs, Codecs):
            codecs = make_codecs(config, embedder, task, codecs)
        sizes = sizes_of(codecs)
        _check_numbering(task, codecs["input"])
        with MemoryLimit("embedder", config["embedder"]):
            embedder = embedder.build(sizes)
        sizes = replace(sizes, embedding=embedder.output_size, apart=getattr(embedder, "apart", False))
        sizes = replace(sizes, stride=getattr(embedder, "segment", 1), readings=readings_of(embedder))
        with MemoryLimit("core", config["core"]):
            core = core.build(sizes)
        sizes = replace(sizes, core=core.output_size, feeds_back=getattr(core, "feeds_back", False))
        with MemoryLimit("task", config["task"]):
            task = task.build(sizes)
        return cls(embedder, core, task, codecs, config)

    @property
    def parameter_count(self) -> int:
        return sum(weights.numel() for weights in self.parameters())

    def loss(self, batch: Batch, state: Any = None, record: list[Record] | None = None) -> Output:
        """The loss of a batch, summed over its targets, going on from `state` (None: from the beginning).

        `record`: a list that gets one `Record` per layer and direction of the core, filled on backward. Raises
        ConfigError for one where the core has no recurrent layers.
        """
        core = self.core if record is None else Watched(self.core, record=record)
        output: Output = self.task(self.embedder, core, batch, state)
        return output

    def measure(self, batch: Batch, state: Any = None) -> Output:
        """The loss of a batch with all that the metrics of a task that is scored by its loss are made of."""
        output: Output = self.task.measure(self.embedder, self.core, batch, state)
        return output

    @torch.no_grad()
    def step(self, state: Any, token: int | Tensor) -> tuple[Tensor, Any]:
        """Read one symbol of each sequence; give the log-probabilities [B, V] of the next, and the new state.

        `token` is a symbol's number, or [B] of them. Dropout is off only after `eval()`.
        """
        device = next(self.parameters()).device
        token = torch.as_tensor(token, dtype=torch.int64, device=device).reshape(-1)
        log_p, state = self.task.step(self.embedder, self.core, state, token)
        return log_p, state


def make_codecs(config: Mapping[str, Any], embedder: Any, task: Any, known: Mapping[str, Any] | None = None) -> Codecs:
    """The codecs of the fields that an embedder and a task read, as the sections of a config say, or their own.

    `known`: those of a run, by the name they are saved under. Raises CheckpointError where one is missing.
    """
    fields = {**task.fields, **(embedder.fields if isinstance(embedder, NeedsFields) else {})}
    settings: dict[str, Any] = {}
    for section, name in (("vocabulary", "input"), ("input", "input"), ("target", "target")):
        if section in config and name in fields:
            settings[name] = config[section]
    if "target" in fields and "target" not in settings and fields["target"].codec == fields["input"].codec:
        settings |= {"target": settings["input"]} if "input" in settings else {}
    if "target" in settings:
        settings |= {name: settings["target"] for name, field in fields.items() if field.record == "target"}
    codecs = Codecs(fields, settings, known)
    missing = [] if known is None else sorted(codecs.saved.keys() - known.keys())
    if missing:
        raise CheckpointError(
            f"there is no vocabulary of the {missing[0]}, only of {', '.join(map(repr, known or ())) or 'nothing'}. "
            "Copy the run again or train anew."
        )
    return codecs


def sizes_of(codecs: Codecs) -> Sizes:
    """What codecs know of sizes. The end mark of an input is one of its symbols, that of a target is the task's own."""
    codec, field = codecs["input"], codecs.fields["input"]
    symbols = hasattr(codec, "symbols")
    return Sizes(
        vocabulary=codec.size + field.ended if symbols else 0,
        unknown=codec.unknown if symbols else None,
        line_end=line_end_of(codec),
        mixtures=codec.mixtures if isinstance(codec, Mixes) else None,
        width=0 if symbols else codec.size,
        rows=0 if symbols else codec.shape[0] or 0,
        fields={name: codecs[name].size for name in codecs if name != "input"},
    )


def make_parts(config: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Embedder, core and task of a config, before they are built: no data are needed, and no weights are made.

    Raises ConfigError for a missing section, an unknown part or key, for a core that sees what its task predicts, for
    an embedder that changes time under a task of every step, and for one that reads a sequence in several ways under a
    task that does not put them together.
    """
    for section in ("embedder", "core", "task"):
        if section not in config:
            raise ConfigError(f"[{section}] is missing: a model has embedder, core and task. Add it to the recipe.")
    embedder, core, task = (registry.construct(section, config[section]) for section in ("embedder", "core", "task"))
    if task.causal and not core.causal:
        keywords = inspect.signature(type(core)).parameters
        raise ConfigError(
            f"the task {config['task']['kind']!r} predicts what comes next, but this core also reads from the end. "
            f"Set {'core.causal = true' if 'causal' in keywords else 'core.bidirectional = false'}."
        )
    if isinstance(task, KeepsApart) and task.apart and not getattr(core, "apart", False):
        raise ConfigError(
            f"the task {config['task']['kind']!r} predicts a symbol from both sides of it, but this core does not keep "
            "what it read forwards and backwards apart: it would see the symbol itself. Set core.kind = 'both-ways'."
        )
    by_step = (
        task.causal
        or (isinstance(task, KeepsApart) and task.apart)
        or any(f.along and not f.by_task for f in task.fields.values())
    )
    if by_step and changes_time(embedder):
        raise ConfigError(
            f"the embedder {config['embedder']['kind']!r} gives other steps than the input has, but the task "
            f"{config['task']['kind']!r} reads or predicts something at each. Set another "
            "embedder.kind, or another task."
        )
    if readings_of(embedder) > 1 and not isinstance(task, AveragesReadings):
        raise ConfigError(
            f"the embedder {config['embedder']['kind']!r} reads each sequence in {readings_of(embedder)} ways as it is "
            f"set, but the task {config['task']['kind']!r} does not put them together. Set embedder.strands = 'one' "
            "where it has that, or another embedder.kind."
        )
    if "vocabulary" in config:
        _check_numbering(task, registry.find("codec", config["vocabulary"]["kind"]))
    return embedder, core, task


def _check_numbering(task: Any, vocabulary: Any) -> None:
    """Refuse a vocabulary that is not numbered by frequency where the task wants it so."""
    if isinstance(task, Numbers) and task.by_frequency and not getattr(vocabulary, "by_frequency", False):
        name = vocabulary.__name__ if isinstance(vocabulary, type) else type(vocabulary).__name__
        raise ConfigError(
            f"an adaptive softmax wants symbols numbered by falling frequency, those of the vocabulary {name} are not. "
            'Set vocabulary.kind = "word", or task.softmax = "full".'
        )
