"""Every registered codec passes its checks; a broken one does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from recurra import registry
from recurra.data.codecs.characters import Character
from recurra.data.codecs.numbers import Scaled, Vectors
from recurra.testing import CODEC_CHECKS, check_codec
from recurra.testing import codecs as room


@pytest.mark.parametrize("check", CODEC_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", registry.names("codec"))
def test_codecs(kind: str, check: Callable[[str], None]) -> None:
    check(kind)


class Shifted(Character):
    def encode(self, value: str) -> Any:
        return (super().encode(value) + 1) % len(self)


class Wide(Vectors):
    def encode(self, value: Any) -> Any:
        return super().encode(value).astype(np.float64)


class Forgetful(Scaled):
    def restore(self, record: Any, arrays: Any) -> Any:
        self.axes, self.mean, self.spread = record["axes"], np.zeros(record["size"]), np.ones(record["size"])
        return self


class Trusting(Vectors):
    def encode(self, value: Any) -> Any:
        return np.nan_to_num(np.asarray(value, float)).astype(np.float32).reshape(-1, self.size)


@pytest.mark.parametrize(
    ("kind", "broken", "message"),
    [
        ("character", Shifted, "comes back as"),
        ("vectors", Wide, "float64|is array"),
        ("scaled", Forgetful, "restored, it encodes"),
        ("vectors", Trusting, "is not refused|has the shape|could not convert"),
    ],
)
def test_what_a_broken_codec_is_told(kind: str, broken: type, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.find("codec", kind)
    monkeypatch.setitem(registry._parts, ("codec", kind), broken)
    with pytest.raises((AssertionError, ValueError), match=message):
        check_codec(kind)


def test_a_form_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Vectors, "forms", ("pictures",))
    with pytest.raises(AssertionError, match="vectors: no values of the form 'pictures' here; give it an attribute"):
        check_codec("vectors")
    monkeypatch.setattr(Vectors, "sample", room.VALUES["vectors"], raising=False)
    check_codec("vectors")
