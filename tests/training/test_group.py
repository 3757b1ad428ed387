"""Several processes train as one does: the same weights, the same bits when gone on with, an end when one dies."""

from __future__ import annotations

import json
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from recurra.data.batching.shares import share_of
from recurra.errors import ConfigError
from recurra.training.group import Alone, Together, joined
from recurra.training.ranks import VARIABLES, is_first, place

WORKER = Path(__file__).with_name("together.py")
_worker = runpy.run_path(str(WORKER))
batches, train = _worker["batches"], _worker["train"]
PLAIN = {"epochs": 5, "learning_rate": 0.05, "seed": 3}
JOBS: dict[str, dict[str, Any]] = {
    "streams": {**PLAIN, "kind": "streams"},  # 11 batches an epoch, the state carried
    "buckets": {**PLAIN, "kind": "buckets", "epochs": 10, "loss_per": "sequence", "optimiser": "sgd"},
    "accumulated": {**PLAIN, "kind": "buckets", "accumulate": 2, "average": 0.9, "clip_norm": 0.5},
    "dropped": {**PLAIN, "kind": "streams", "dropout": 0.3, "epochs": 4},
    "stopped": {**PLAIN, "kind": "streams", "dropout": 0.3, "epochs": 2},
    "stopped again": {**PLAIN, "kind": "streams", "dropout": 0.3, "epochs": 4, "resume": True},
    "halfway": {**PLAIN, "kind": "streams", "epochs": 2},
}


def together(count: int, folder: Path, jobs: dict[str, Any]) -> None:
    """Do the jobs in so many processes."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    env = {**os.environ, "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    words = [sys.executable, str(WORKER), str(folder), json.dumps(jobs)]
    started = [subprocess.Popen(words, env={**env, "RANK": str(rank)}) for rank in range(count)]
    assert [each.wait(120) for each in started] == [0] * count


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which two processes have done the jobs."""
    folder: Path = tmp_path_factory.mktemp("together")
    together(2, folder, JOBS)
    return folder


def found(folder: Path, name: str, rank: int = 0) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(folder / f"{name}-{rank}.pt")
    return loaded


@pytest.fixture(autouse=True)
def _as_before() -> Any:
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", ["streams", "buckets", "accumulated"])
def test_two_processes_learn_what_one_does(name: str, done: Path, tmp_path: Path) -> None:
    alone = train(tmp_path / name, JOBS[name], Alone())
    assert alone["step"] >= 15
    for rank in range(2):
        both = found(done, name, rank)
        assert both["step"] == alone["step"]
        for key, weights in alone["weights"].items():
            torch.testing.assert_close(both["weights"][key], weights, rtol=1e-12, atol=1e-12, msg=key)
    assert found(done, name)["history"] == pytest.approx(alone["history"], rel=1e-12)


def test_two_processes_go_on_bit_for_bit(done: Path) -> None:
    for rank in range(2):
        straight, again = found(done, "dropped", rank), found(done, "stopped again", rank)
        assert straight["step"] == again["step"] == 44
        assert all(torch.equal(again["weights"][key], one) for key, one in straight["weights"].items())
    assert found(done, "dropped")["weights"].keys() == found(done, "dropped", 1)["weights"].keys()


def test_each_process_drops_out_by_itself(done: Path, tmp_path: Path) -> None:
    alone = train(tmp_path / "dropped", JOBS["dropped"], Alone())
    assert not torch.allclose(alone["weights"]["head.weight"], found(done, "dropped")["weights"]["head.weight"])


@pytest.mark.parametrize("count", [1, 3])
def test_another_number_of_processes_goes_on(count: int, done: Path, tmp_path: Path) -> None:
    (tmp_path / "halfway").mkdir()
    for file in (done / "halfway").iterdir():
        (tmp_path / "halfway" / file.name).write_bytes(file.read_bytes())
    job = {**JOBS["halfway"], "epochs": 4, "resume": True}
    if count == 1:
        torch.save(train(tmp_path / "halfway", job, Alone()), tmp_path / "halfway-0.pt")
    else:
        together(count, tmp_path, {"halfway": job})
    straight = train(tmp_path / "straight", {**job, "resume": False}, Alone())
    for key, weights in straight["weights"].items():  # without dropout nothing but the order of sums is another
        torch.testing.assert_close(found(tmp_path, "halfway")["weights"][key], weights, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_shares_are_the_whole(size: int) -> None:
    whole = batches("buckets", 0)
    dealt = [whole.share(rank, size) for rank in range(size)]
    for k, rows in enumerate(whole.order):
        parts = [share_of(rows, rank, size) for rank in range(size)]
        assert sorted(row for own, counted in parts if counted for row in own) == sorted(rows)
        assert [each[k].counted for each in dealt] == [rank < len(rows) for rank in range(size)]
        assert [len(each[k].fields["input"]) for each in dealt] == [len(own) for own, _ in parts]


def test_streams_are_dealt_out_whole() -> None:
    whole = batches("streams", 0)
    dealt = [whole.share(rank, 4) for rank in range(4)]
    for k in range(len(whole)):
        parts = torch.cat([each[k].fields["target"] for each in dealt])
        assert torch.equal(parts, whole[k].fields["target"])
    with pytest.raises(ConfigError, match=r"batching.streams = 6 for 7 processes.*expected 7 or more"):
        whole.share(0, 7)


def test_shares_of_like_lengths() -> None:
    assert share_of([0, 1, 2, 3, 4], 1, 2) == ([1, 3], True)
    assert share_of([5], 1, 2) == ([5], False)


def test_a_batching_of_ones_own_that_cannot_be_divided_is_named() -> None:
    group = object.__new__(Together)
    group.rank, group.size = 0, 2
    with pytest.raises(ConfigError, match=r"a pass of the kind list cannot be divided among 2 processes"):
        group.share([])


def test_the_place_is_what_the_launcher_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert place() is None
    assert is_first()
    assert (joined().rank, joined().size) == (0, 1)
    for name, value in zip(VARIABLES, ("1", "4", "localhost", "29500"), strict=True):
        monkeypatch.setenv(name, value)
    here = place()
    assert here is not None
    assert (here.rank, here.size, here.local, here.restarts) == (1, 4, 1, 0)
    assert not is_first()
    monkeypatch.setenv("RANK", "4")
    with pytest.raises(ConfigError, match=r"RANK=4 of WORLD_SIZE=4, expected a rank from 0 to size − 1"):
        place()
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(ConfigError, match=r"RANK='first', expected a whole number"):
        place()
