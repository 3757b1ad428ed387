"""A part of much work, by its number: the same on every machine, so that nobody needs to hand it out."""

from __future__ import annotations

from recurra.errors import ConfigError

MOST = 10_000
"""Shards that there may be."""


def parse_shard(shard: str | None) -> tuple[int, int]:
    """`"2/8"` as (2, 8); (1, 1) where none is named. Raises `ConfigError` for what is none."""
    if shard is None:
        return 1, 1
    number, slash, of = shard.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of) <= MOST):
        raise ConfigError(f"--shard {shard}, expected NUMBER/OF, counted from 1: 1/8 to 8/8 for eight shards.")
    return int(number), int(of)


def within(shard: tuple[int, int], parts: int) -> list[str]:
    """A shard as so many shards of all the work."""
    number, of = shard
    return [f"{number + of * k}/{of * parts}" for k in range(parts)]
