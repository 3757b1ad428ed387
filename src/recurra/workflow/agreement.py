"""Whether parts of a recipe go together that never see each other: asked before any data are read."""

from __future__ import annotations

from typing import Any

from recurra import config as configuration
from recurra import registry
from recurra.baselines.row import suits
from recurra.config import Config
from recurra.data.codecs.contract import Splits, forms_of
from recurra.data.fields import readers_of
from recurra.data.mandarin import load_pypinyin
from recurra.errors import ConfigError
from recurra.model import make_codecs
from recurra.tasks.contract import ChecksOptions, ChecksPackages, Implies, Pools
from recurra.tasks.options import make_options
from recurra.tasks.writing import Continues, Starts

GIVES = {
    "pairs": "pairs of source and target",
    "sentences": "sentences one by one",
    "labels": "labelled examples",
    "numbers": "sequences of numbers",
    "sounds": "recordings",
    "images": "pictures",
    "captions": "pictures with captions",
}
"""What the reader "auto" may be asked for."""
LABELLED = ("numbers", "sounds", "images", "captions")
"""Of these, examples with labels, transcripts or captions, whose input is no text."""


def check_agreement(config: Config, embedder: Any, core: Any, task: Any, baseline: bool = True) -> None:
    """Raise `ConfigError` for a codec, batching, reader, embedder or baseline that is for tasks of another kind, for
    sections that a task has no use of, for a pooling that the core cannot serve, and for packages that are missing;
    those of the baseline only where one is to be fitted."""
    if hasattr(embedder, "describe"):
        load_pypinyin()
    if isinstance(task, ChecksPackages):
        task.check_packages()
    _check_sections(config, task)
    _check_batching(config, embedder, task)
    _check_codecs(config, embedder, task)
    _check_reader(config, task)
    if isinstance(task, Pools):
        _check_pooling(core, *task.pools)
    if config.get("vocabulary", {}).get("vectors") is not None and not hasattr(embedder, "adopt"):
        raise ConfigError(
            f"vocabulary.vectors is for an embedder that can start from them, embedder.kind = "
            f"{config['embedder']['kind']!r} cannot. Set embedder.kind = 'words'."
        )
    named = config["baseline"]["kind"]
    if named not in task.baselines and named in registry.ours("baseline"):
        raise ConfigError(f"baseline.kind = {named!r}, this task is scored beside {', '.join(task.baselines)}.")
    if baseline:
        registry.construct("baseline", config["baseline"])  # which says what it lacks
    _check_tokens(config, embedder, task)


def with_implied(config: Config, task: Any) -> Config:
    """The config with what follows from the task's settings in other sections, where it says nothing itself."""
    if not isinstance(task, Implies):
        return config
    settings = {}
    for name, value in task.implies.items():
        section, _, key = name.partition(".")
        table = config.get(section, {})
        known = registry.defaults(section, table["kind"]) if "kind" in table else {key: None}
        if key not in table and key in known:
            settings[name] = value
    return configuration.with_settings(config, settings)


def gives(task: Any) -> str:
    """What a reader that finds out the format of files must give for a task, a key of `GIVES`."""
    if "source" in task.fields["input"].of:
        return "pairs"
    learned = any(field.learned for field in task.fields.values())
    return "labels" if learned or isinstance(task, Continues) else "sentences"


def _check_sections(config: Config, task: Any) -> None:
    name = config["task"]["kind"]
    searches = hasattr(task.Options, "quick")  # what a validation takes in the place of a search
    for section in ("target", "search"):
        if section in config and not searches:
            raise ConfigError(
                f"[{section}] is for tasks that write a target for a source, the task {name!r} does not. Leave the "
                "section away."
            )
    options = make_options(task, config.get("search", {}), {})
    if isinstance(task, ChecksOptions):
        task.check_options(options)
    if "vocabulary" in config and "input" in config:
        raise ConfigError("[vocabulary] and [input] both say how the input is encoded. Leave one of them away.")


def _check_batching(config: Config, embedder: Any, task: Any) -> None:
    """What is learned from one long sequence is read in pieces, other tasks' sequences one by one."""
    name, kind = config["task"]["kind"], config["batching"]["kind"]
    wanted = isinstance(task, Continues) and not isinstance(task, Starts)
    if wanted and not hasattr(make_codecs(config, embedder, task)["input"], "symbols"):
        return  # a series, or many short ones
    along = all(field.along for field in task.fields.values() if field.learned)
    if wanted != registry.find("batching", kind).in_pieces and not (along and not wanted and kind != "streams"):
        fitting = [each for each in registry.names("batching") if registry.find("batching", each).in_pieces == wanted]
        raise ConfigError(
            f"batching.kind = {kind!r} is for {'sequences that come one by one' if wanted else 'one long sequence'}, "
            f"but the task {name!r} reads {'one long sequence' if wanted else 'sequences one by one'}. Set "
            f"batching.kind = {' or '.join(map(repr, fitting))}."
        )
    if wanted and getattr(embedder, "fields", {}):
        raise ConfigError(
            f"embedder.spelling is for the words of sentences that come one by one, but the task {name!r} reads one "
            "long text. Set embedder.spelling = none."
        )


def _check_codecs(config: Config, embedder: Any, task: Any) -> None:
    """Refuse a codec that cannot encode what the reader gives."""
    fields, name = task.fields, config["task"]["kind"]
    record = fields["target"].record if "target" in fields else None
    if record == "input" and "target" in config and config["target"] != config["vocabulary"]:
        raise ConfigError(
            "[target] and [vocabulary] differ, but task.tied = 'all' has one vocabulary for both sides. Leave [target] "
            "away, or set task.tied to 'output' or 'none'."
        )
    codecs = make_codecs(config, embedder, task)
    codec = codecs["input"]
    section = "input" if "input" in config else "vocabulary"
    kind = codec.record()["kind"]
    if isinstance(codec, Splits) and isinstance(task, Continues) and not isinstance(task, Starts):
        raise ConfigError(
            f"{section}.kind = {kind!r} is for sentences that come one by one, but the task {name!r} reads one long "
            f"text. Set {section}.kind = {' or '.join(map(repr, _kinds_for_texts()))}."
        )
    reader = config["reader"]["kind"]
    given = registry.construct("reader", config["reader"]).fields
    for side, part in (("input", section), ("target", "target")):
        if side not in fields:
            continue
        codec, forms = codecs[side], {given[of] for of in fields[side].of if of in given}
        if forms and not forms & {*codec.forms}:
            fitting = [other for other in registry.names("codec") if forms & {*forms_of(other)}]
            raise ConfigError(
                f"{part}.kind = {codec.record()['kind']!r} encodes {' or '.join(codec.forms)}, but reader.kind = "
                f"{reader!r} gives {' or '.join(sorted(forms))}. Set {part}.kind = "
                f"{' or '.join(map(repr, fitting))}."
            )


def _kinds_for_texts() -> list[str]:
    """Codecs of one long text."""
    return [
        name
        for name in registry.names("codec")
        if forms_of(name) == ("text",) and getattr(registry.find("codec", name), "comes_back", True)
    ]


def _check_tokens(config: Config, embedder: Any, task: Any) -> None:
    """Refuse a codec that does not split a text into tokens where the baseline learns from them."""
    section, baseline = "input" if "input" in config else "vocabulary", config["baseline"]["kind"]
    codec = make_codecs(config, embedder, task)["input"]
    if not suits(baseline, codec):
        what, given = ("tokens", "numbers") if not hasattr(codec, "symbols") else ("numbers", "symbols")
        made = registry.find("baseline", baseline)
        if hasattr(codec, "symbols") and getattr(made, "of_words", False):
            what, given = "words", "bases"
        elif hasattr(codec, "symbols") and getattr(made, "of_bases", False):
            what, given = "bases", "other symbols"
        fitting = [each for each in task.baselines if suits(each, codec)]
        move = f"Set baseline.kind = {' or '.join(map(repr, fitting))}." if fitting else "Train with --no-baseline."
        raise ConfigError(f"baseline.kind = {baseline!r} learns from {what}, but the input is {given}. {move}")
    if "text" not in codec.forms or isinstance(codec, Splits):
        return
    if getattr(registry.find("baseline", baseline), "of_tokens", False):
        raise ConfigError(
            f"{section}.kind = {codec.record()['kind']!r} has symbols that are no tokens, but baseline.kind = "
            f"{baseline!r} learns from tokens. Set {section}.kind = 'tokens'; split = \"characters\" takes each "
            "character for one."
        )


def _check_reader(config: Config, task: Any) -> None:
    """Refuse a reader that does not give what a task reads and learns."""
    reader, name, wanted = config["reader"], config["task"]["kind"], gives(task)
    found = registry.construct("reader", reader).fields
    if reader["kind"] == "auto":
        asked = reader.get("gives", "labels")
        reads = wanted == "labels" or bool({*task.fields["input"].of} & {*found})
        fits = asked == wanted or (asked in LABELLED and reads)
        if not fits and (isinstance(task, Starts) or not isinstance(task, Continues)):
            raise ConfigError(
                f"reader.gives = {asked!r}, but the task {name!r} learns from {GIVES[wanted]}. Set reader.gives = "
                f"{wanted!r}, or name the format: --set reader.kind={_example_of(wanted)}"
            )
    learned = [field for field in task.fields.values() if field.learned]
    missing = [field.of[0] for field in learned if not {*field.of, field.several} & {*found}]
    if missing:
        raise ConfigError(
            f"reader.kind = {reader['kind']!r} gives {' and '.join(found)}, but the task {name!r} learns "
            f"{' and '.join(field.of[0] for field in learned)}. Name a format with {missing[0]}: "
            f"{', '.join(readers_of(missing[0]))}."
        )
    one_by_one = reader["kind"] == "auto" or (reader["kind"] != "text" and "source" not in found)
    what = "sentences one by one" if wanted == "sentences" else "input"
    if not {*task.fields["input"].of} & {*found} or (wanted == "sentences" and not one_by_one):
        raise ConfigError(
            f"reader.kind = {reader['kind']!r} gives no {what}, but the task {name!r} reads "
            f"{' or '.join(task.fields['input'].of)}. For a sentence in each line: --set reader.kind=lines"
        )


def _example_of(wanted: str) -> str:
    return {"pairs": "parallel, pairs or dictionary", "sentences": "lines"}.get(wanted, "columns, table or …")


def _check_pooling(core: Any, setting: str, pooling: str) -> None:
    """Refuse the last state as that of the whole sequence where a core's last state has not seen it, and states of the
    middle where they have not."""
    if pooling == "middle" and core.causal:
        raise ConfigError(
            f"task.{setting} = 'middle' takes states of the middle, but this core reads from one side: they have not "
            "seen what comes later. Set core.bidirectional = true where it has that, or pool by 'last'."
        )
    if pooling in ("last", "all") and not core.causal and not core.halves:
        raise ConfigError(
            f"task.{setting} = {pooling!r} wants the last state of each direction, but this core looks ahead without "
            "keeping its directions apart. Pool by 'max', 'mean' or 'attention', or set core.merge = 'concat' or "
            "core.causal = true where it has one of them."
        )
