"""Raw numbers of symbols, as nanoGPT writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra.errors import DataError
from recurra.registry import construct

TEXT = "Zoë sleeps\nand so\non " * 20
SYMBOLS = sorted({*TEXT})


def write(folder: Path, symbols: Any, dtype: str = "<u2") -> Path:
    (folder / "symbols.json").write_text(json.dumps(symbols), encoding="utf-8")
    path = folder / "train.bin"
    np.array([SYMBOLS.index(symbol) for symbol in TEXT], dtype).tofile(path)
    return path


def read(path: Path, **settings: Any) -> str:
    (example,) = construct("reader", {"kind": "symbol-ids", **settings}).read(path)
    text: str = example["text"]
    return text


def test_the_text_comes_back(tmp_path: Path) -> None:
    assert read(write(tmp_path, SYMBOLS)) == TEXT
    assert read(write(tmp_path, {str(k): each for k, each in enumerate(SYMBOLS)})) == TEXT  # meta.pkl's itos
    assert read(write(tmp_path, SYMBOLS, "<u4"), size=4) == TEXT
    gpt2 = {"Zo": 0, "Ã": 1, "«": 2, "ĠsleepsĊ": 3, "<|endoftext|>": 4}
    (tmp_path / "vocab.json").write_text(json.dumps(gpt2), encoding="utf-8")
    np.array([0, 1, 2, 3, 4], "<u2").tofile(tmp_path / "b.bin")
    assert read(tmp_path / "b.bin", symbols=str(tmp_path / "vocab.json")) == "Zoë sleeps\n<|endoftext|>"


def test_pieces_are_the_whole(tmp_path: Path) -> None:
    path = write(tmp_path, SYMBOLS)
    reader = construct("reader", {"kind": "symbol-ids"})
    cuts = reader.pieces(path, 20)
    assert len(cuts) > 10
    texts = [each["text"] for cut in cuts for each in reader.read_piece(path, *cut)]
    assert "".join(texts) == TEXT
    assert all(text.endswith("\n") for text in texts[:-1])
    path = write(tmp_path, [symbol.replace("\n", " ") for symbol in SYMBOLS])
    assert construct("reader", {"kind": "symbol-ids"}).pieces(path, 20) is None  # no line ends


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, SYMBOLS[:-1])
    with pytest.raises(DataError, match=r"train.bin: number \d+ at place \d+, expected 0 to \d+, which symbols"):
        read(path)
    with pytest.raises(DataError, match=r"symbols.json: 2 symbols, expected numbers from 0 to 1, each once"):
        read(write(tmp_path, {"0": "a", "2": "b"}))
    with pytest.raises(DataError, match=r"symbols.json: no symbols by their number. It is a JSON list"):
        read(write(tmp_path, {"0": 1.5}))
    (tmp_path / "symbols.json").unlink()
    with pytest.raises(DataError, match=r"symbols.json: no such file, which says what the numbers in .*meta.pkl"):
        read(path)
    (tmp_path / "odd.bin").write_bytes(b"\0\0\0")
    with pytest.raises(DataError, match=r"odd.bin: 3 bytes, expected whole numbers of 2 bytes each"):
        read(tmp_path / "odd.bin")
