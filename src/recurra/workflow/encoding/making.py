"""A corpus that is being made: its folder, what is known of it by now, and the steps that all corpora are made by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from recurra import config as configuration
from recurra import registry, storage
from recurra.config import Config, Data
from recurra.data.codecs import file as codec_file
from recurra.data.codecs.contract import Counts
from recurra.data.corpus import kept
from recurra.data.corpus.index import CODECS, INDEX, PARTS, Index, digest, write_index
from recurra.data.corpus.writing import Writer
from recurra.data.fields import Codecs
from recurra.data.files import counted
from recurra.errors import ConfigError, DataError
from recurra.model import make_codecs, make_parts
from recurra.progress import steps
from recurra.types import Example
from recurra.workflow.encoding.pool import Function, Job, Pool

HELD = 5_000_000
"""Characters of a part that is scored, cut off a long text, at most: it is held in memory."""
KEPT = 5_000_000
"""Characters of the training text that are kept as they were read, for baselines to learn from."""
HELD_EXAMPLES, KEPT_EXAMPLES = 50_000, 50_000
"""The same where there are many examples."""
SECTIONS = ("reader", "vocabulary", "input", "target", "task")
"""What the arrays of a corpus depend on, beside the data."""


_UNVALIDATED = "there are no validation examples. Name a file with --valid, or set data.valid_fraction above 0."
_NONE = "there are no training examples in what was read. Name another file, or another reader."


class Making:
    """What a corpus is made of, step by step."""

    def __init__(self, folder: Path, work: Path, config: Config, plugins: Sequence[str], pool: Pool) -> None:
        self.folder, self.work, self.pool = folder, work, pool
        self.config = config
        self.job = Job(config, tuple(plugins))
        self.long = bool(registry.find("batching", config["batching"]["kind"]).in_pieces)
        self.split = ""
        self.notes: list[str] = []
        self.kept = self.whole = 0
        self.settled: dict[str, Any] = {}
        self.found: dict[str, Any] | None = None
        self._parts: dict[str, list[Example]] = {}

    def reader(self) -> Any:
        """What reads the files."""
        return registry.construct("reader", self.config["reader"])

    def check(self, data: Data) -> None:
        """Refuse what cannot become a corpus, before anything is read."""
        if not data.valid and not data.set and not data.valid_fraction:
            raise ConfigError(_UNVALIDATED)
        if any(getattr(codec, "named_vectors", None) is not None for codec in self.codecs().saved.values()):
            raise ConfigError(
                "vocabulary.vectors are taken up when a vocabulary learns, which is not kept with a corpus. Leave "
                "them away, or train from the files: recurra train …"
            )

    def settle(self, config: Config) -> None:
        """Go on with a config in which something is settled by the data."""
        self.config = config
        self.job = replace(self.job, config=config)

    def drop(self, path: Path) -> None:
        """Leave those training examples out that a file tells."""
        self.job = replace(self.job, dropped=str(path))

    def task(self) -> Any:
        """What prepares the examples."""
        return make_parts(self.config)[2]

    def codecs(self) -> Codecs:
        """The codecs, which have learned nothing yet."""
        embedder, _, task = make_parts(self.config)
        return make_codecs(self.config, embedder, task)

    def keep(self, parts: Mapping[str, list[Example]]) -> None:
        """Write the examples that are kept as they were read. Raises `DataError` where none is left to train on,
        `ConfigError` where there is none to validate on."""
        if not parts["train"]:
            raise DataError(_NONE)
        if not parts["valid"]:
            raise ConfigError(_UNVALIDATED)
        self._parts = {part: [*parts[part]] for part in PARTS}
        for part in PARTS:
            kept.write(self.folder / kept.name_of(part), parts[part])

    def learn(self, counts: Mapping[str, Counter[str]], prepared: Sequence[Example] | None = None) -> None:
        """Let the codecs learn from counts, and the others from what is kept."""
        codecs, learned_from = self.codecs(), self._parts["train"] if prepared is None else prepared
        for name, codec in codecs.saved.items():
            if self.kept < self.whole and not isinstance(codec, Counts):
                unit = counted(self.kept, "character" if self.long else "training example")
                self.notes.append(f"The codec of {name} has learned from the {unit} that the corpus keeps.")
        codecs.fit(learned_from, counts)
        known = self.folder / CODECS
        codec_file.save(codecs.saved, known)
        (first,) = codecs.encode_all([*learned_from[:1]])
        self.job = replace(self.job, codecs=str(known), fields=tuple(name for name in codecs.fields if name in first))
        self._fitted = codecs

    def write(self, function: Function[Any, Any], tasks: Sequence[Any], unit: str, size: Callable[[Any], int]) -> None:
        """Encode what is trained on, each task a shard."""
        stored = self.job.stored(self._fitted)
        writer = Writer(self.folder, stored, self.long)
        rest = tasks[len(writer.shards) :]
        results = zip(rest, self.pool.map(self.job, function, rest), strict=True)
        for _, shard in steps(results, "encoding", unit, sum(map(size, rest)), lambda each: size(each[0])):
            writer.append(shard)
        writer.close()
        self._finish(writer, stored)

    def _finish(self, writer: Writer, stored: Mapping[str, Any]) -> None:
        """Write the index."""
        found: Counter[str] = Counter()
        for shard in writer.shards:
            found.update(shard["sizes"])
        if not sum(shard["examples"] for shard in writer.shards):
            raise DataError(_NONE)
        names = [*map(kept.name_of, PARTS), CODECS, codec_file.arrays_path(Path(CODECS)).name]
        names = [name for name in names if (self.folder / name).is_file()]
        write_index(
            Index(
                folder=self.folder,
                sections={name: self.config[name] for name in SECTIONS if name in self.config},
                long=self.long,
                fields=stored,
                codecs={name: self._fitted[name].record()["kind"] for name in stored},
                split=self.split,
                notes=self.notes,
                sizes=self._counted(found),
                kept=self.kept,
                whole=self.whole,
                files={name: digest(storage.read(self.folder / name)) for name in names},
                settled=self.settled,
                reader=self.found,
                shards=[{key: shard[key] for key in ("examples", "rows", "sums")} for shard in writer.shards],
            )
        )

    def _counted(self, found: Counter[str]) -> dict[str, Any]:
        """How much there is, as `recurra.runs.scoring.sizes` says it."""
        symbols = found.pop("input symbols", 0)
        share = found.pop("unknown", 0) / symbols if symbols else 0.0
        if self.long:
            return {"symbols": found["steps"], "unknown_share": share}
        examples = found.pop("examples")
        tokens: Any = dict(found) if len(found) > 1 else next(iter(found.values()))
        return {"examples": examples, "tokens": tokens, "unknown_share": share}


def clear(folder: Path, work: Path, names: Sequence[str]) -> None:
    """Delete what was needed while a corpus was made."""
    for path in (*work.iterdir(), *(folder / name for name in names)):
        storage.remove(path)
    work.rmdir()


def check_free(folder: Path, begun: str) -> None:
    """Raise `ConfigError` for a folder that holds something else than a corpus that was begun."""
    if (folder / INDEX).is_file():
        raise ConfigError(
            f"{folder} is a corpus already. Train from it: recurra train … --set data.corpus={folder}; or name another "
            "folder with --out."
        )
    if folder.is_dir() and not (folder / begun).is_file() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty. Name a new folder with --out.")


def sections_of(config: Config) -> Config:
    """What of a config the corpus depends on."""
    found = {name: config[name] for name in (*SECTIONS, "data", "embedder") if name in config}
    found["batching"] = {"kind": config["batching"]["kind"]}
    return dict(configuration.flat(found))
