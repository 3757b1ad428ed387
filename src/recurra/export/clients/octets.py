"""Bytes."""

from __future__ import annotations

from recurra.export.clients.common import READERS


class Octets:
    @staticmethod
    def unknown(vocabulary: dict) -> int | None:
        return None

    @staticmethod
    def numbers_of(vocabulary: dict, text: str) -> list[int]:
        return list(text.encode("utf-8"))

    @staticmethod
    def text_of(vocabulary: dict, numbers: list[int]) -> str:
        return bytes(numbers).decode("utf-8", errors="replace")


READERS["byte"] = Octets
