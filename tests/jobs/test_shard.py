"""Shards are all the work together, and a shard is its parts."""

from __future__ import annotations

import pytest

from recurra.errors import ConfigError
from recurra.jobs.shard import parse_shard, within

WORK = [*range(101)]


def of(shard: str) -> list[int]:
    number, count = parse_shard(shard)
    return WORK[number - 1 :: count]


@pytest.mark.parametrize("count", [1, 2, 7])
def test_all_of_the_work_once(count: int) -> None:
    shards = [of(f"{k}/{count}") for k in range(1, count + 1)]
    assert sorted(each for shard in shards for each in shard) == WORK
    for k in range(1, count + 1):
        parts = within((k, count), 3)
        assert sorted(each for part in parts for each in of(part)) == of(f"{k}/{count}")


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "1/", "/2", "a/b", "1/2/3", "-1/2", "1/100000"])
def test_what_is_no_shard(shard: str) -> None:
    with pytest.raises(ConfigError, match=f"--shard {shard}, expected NUMBER/OF, counted from 1"):
        parse_shard(shard)


def test_no_shard_is_all() -> None:
    assert parse_shard(None) == (1, 1)
