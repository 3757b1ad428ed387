"""Every registered reader passes its checks, with the sample that it brings; so does a plugin's that reads bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from recurra import registry
from recurra.data.sample import Sample
from recurra.testing import check_reader
from recurra.testing.readers import READER_CHECKS, sample_of

BINARY = """
import io
import numpy as np
from pathlib import Path
from recurra.data.files import read_bytes
from recurra.data.sample import Sample
from recurra.errors import DataError
from recurra.registry import part


def packed(**arrays):
    held = io.BytesIO()
    np.savez(held, **arrays)
    return held.getvalue()


@part("reader", "npz-of-a-test")
class NpzReader:
    fields = {"series": "vectors", "label": "label"}
    sample = Sample({"a.npz": packed(x=np.ones((3, 2)), y="u"), "b.npz": packed(x=np.zeros((1, 2)), y="d")}, 2)

    def read(self, *paths):
        for path in map(Path, paths):
            try:
                found = np.load(io.BytesIO(read_bytes(path)), allow_pickle=False)
                yield {"series": found["x"], "label": str(found["y"]), "place": str(path)}
            except DataError:
                raise
            except Exception as error:  # numpy and zipfile have many
                raise DataError(f"{path}: no .npz of x and y.") from error

    def sniff(self, path):
        return "arrays" if Path(path).is_file() and Path(path).read_bytes()[:2] == b"PK" else None
"""


@pytest.mark.parametrize("check", READER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", registry.names("reader"))
def test_readers(kind: str, check: Callable[[str, Sample, Path], None], tmp_path: Path) -> None:
    check(kind, sample_of(kind), tmp_path)


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten afterwards."""
    for held in ("_parts", "_origins", "_plugins"):
        monkeypatch.setattr(registry, held, dict(getattr(registry, held)))


@pytest.mark.usefixtures("apart")
def test_a_reader_of_bytes(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BINARY, encoding="utf-8")
    registry.load_plugin(tmp_path / "mine.py")
    check_reader("npz-of-a-test", tmp_path)


@pytest.mark.usefixtures("apart")
def test_a_reader_without_a_sample_is_told(tmp_path: Path) -> None:
    text = "from recurra.registry import part\n\n\n@part('reader', 'bare-of-a-test')\nclass Bare:\n    pass\n"
    (tmp_path / "bare.py").write_text(text, encoding="utf-8")
    registry.load_plugin(tmp_path / "bare.py")
    with pytest.raises(AssertionError, match="bare-of-a-test: no attribute `sample`, a small sound file"):
        check_reader("bare-of-a-test", tmp_path)
