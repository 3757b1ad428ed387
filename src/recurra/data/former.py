"""The fields of today's tasks, until each task says its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recurra.data.fields import Codecs
from recurra.errors import ConfigError
from recurra.types import Field

LABELS = {
    "tags": Field(("tags",), {"kind": "tags"}, along=True, learned=True),
    "label": Field(("label",), {"kind": "label"}, learned=True),
    "labels": Field(("labels",), {"kind": "label-set"}, learned=True, record="label"),
}
CHARACTERS = Field((), {"kind": "spelling"}, along=True)
SEGMENTS = Field(("segments",), {"kind": "integers"}, along=True)


def label_codecs(known: Mapping[str, Any]) -> Codecs:
    """Of sentences and all labels that `known` codecs name, by the names they are saved under."""
    _check(known["input"], "vocabulary", "tokens", "examples with labels", "tokens")
    fields = {"input": Field(("tokens", "text"), {"kind": "tokens"}), "segments": SEGMENTS}
    fields |= {"characters": CHARACTERS} if "characters" in known else {}
    fields |= {name: field for name, field in LABELS.items() if (field.record or name) in known}
    return Codecs(fields, known=known)


def new_label_codecs(vocabulary: Mapping[str, Any], characters: bool, learned: Sequence[str]) -> Codecs:
    """The same to be fitted, for some of the fields "tags", "label", "labels"."""
    fields = {"input": Field(("tokens", "text"), vocabulary)}
    fields |= {"characters": CHARACTERS} if characters else {}
    made = Codecs({**fields, **{name: LABELS[name] for name in learned}, "segments": SEGMENTS})
    _check(made["input"], "vocabulary", "tokens", "examples with labels", "tokens")
    return made


def pair_codecs(known: Mapping[str, Any]) -> Codecs:
    """Of sources and targets; both may have one codec."""
    return _checked_pairs(Codecs(_pairs(joint=False), known=known))


def new_pair_codecs(
    vocabulary: Mapping[str, Any], target: Mapping[str, Any] | None = None, joint: bool = False
) -> Codecs:
    """The same to be fitted; `target`: the settings of the target's codec, None: the source's; `joint`: one for both.

    Raises `ConfigError` for two different settings of a joint codec.
    """
    if joint and target is not None and dict(target) != dict(vocabulary):
        raise ConfigError(
            "[target] and [vocabulary] differ, but task.tied = 'all' has one vocabulary for both sides. Leave "
            "[target] away, or set task.tied to 'output' or 'none'."
        )
    return _checked_pairs(Codecs(_pairs(joint), {"input": vocabulary, "target": target or vocabulary}))


def by_field(codecs: Codecs) -> dict[str, Any]:
    """The codecs that are saved, and a joint one under the names of both its fields."""
    return {**codecs.saved, **{name: codecs[name] for name in ("target",) if name in codecs}}


def _pairs(joint: bool) -> dict[str, Field]:
    return {
        "input": Field(("source", "tokens", "text"), {"kind": "tokens"}, ended=True),
        "target": Field(
            ("target",),
            {"kind": "tokens"},
            learned=True,
            ended=True,
            record="input" if joint else None,
            several="targets",
        ),
        "segments": SEGMENTS,
    }


def _checked_pairs(codecs: Codecs) -> Codecs:
    for field, section in (("input", "vocabulary"), ("target", "target")):
        _check(codecs[field], section, "tokens", "pairs of texts", "tokens or subwords")
    return codecs


def _check(codec: Any, section: str, form: str, what: str, expected: str) -> None:
    if form not in codec.forms or (expected == "tokens" and not hasattr(codec, "tokens")):
        raise ConfigError(
            f"{section}.kind = {codec.record()['kind']!r} is not for {what}, expected {expected}. Write "
            'kind = "tokens"; split = "characters" takes each character for one.'
        )
