"""Bytes."""

from __future__ import annotations


def numbers_of(vocabulary: dict, text: str) -> list[int]:
    return list(text.encode("utf-8"))


def text_of(vocabulary: dict, numbers: list[int]) -> str:
    return bytes(numbers).decode("utf-8", errors="replace")
