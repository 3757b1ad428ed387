"""Trials and files by Ray, on a cluster of two nodes in processes of this machine's."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recurra import cli
from recurra.jobs.job import Job
from recurra.jobs.on_ray import OnRay
from recurra.training.lock import NAME

RUNS = Path(__file__).parents[1] / "fixtures" / "runs"
PROSE = Path(__file__).parents[1] / "fixtures" / "prose.txt"
SMALL = ["embedder.size=4", "core.hidden_size=4", "training.schedule=constant", "training.device=cpu"]
SETTINGS = [word for setting in SMALL for word in ("--set", setting)]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where a cluster of two nodes is, a processor each."""
    ray = pytest.importorskip("ray", reason="ray is not installed")
    from ray.cluster_utils import Cluster

    node: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 << 20}
    former = signal.getsignal(signal.SIGTERM)
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    cluster.add_node(**node)
    signal.signal(signal.SIGTERM, former)  # each node begun here has set one that ends this process
    yield cluster.address
    ray.shutdown()
    cluster.shutdown()


def test_a_sweep(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    rows = (f"{'good' if k % 2 else 'bad'} place {k},{'yes' if k % 2 else 'no'}\n" for k in range(40))
    Path("my.csv").write_text("text,label\n" + "".join(rows), encoding="utf-8")
    words = ["sweep", "classifier", "my.csv", "--grid", "training.learning_rate=0.01,-0.01", *SETTINGS]
    assert cli.call(words) == 2  # what is wrong is said before there is a cluster
    capsys.readouterr()
    words[4] = "core.num_layers=1,2000"
    on = ["--on", "ray", "--address", address]
    assert cli.call([*words, "--set", "training.epochs=1", *on]) == 0
    said = capsys.readouterr()
    assert "Ray: 2 nodes, 2 processors." in said.err and "2 at a time on Ray, 1 thread each" in said.err
    found = [json.loads(path.read_text()) for path in sorted(Path("sweep", "results").iterdir())]
    assert found[0]["score"] is not None and (found[1]["score"], found[1]["settings"]) == (
        None,
        {"core.num_layers": 2000},
    )
    assert "core.num_layers = 2000, expected 1,000 at most." in found[1]["failed"]


def test_files(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for k in range(3):
        Path("in", f"{k}.txt").write_text("".join(f"flights from Rome to {k} {n}\n" for n in range(k + 2)))
    words = ["predict", str(RUNS / "tagger"), "in"]
    assert cli.call([*words, "--out", "here"]) == 0
    assert cli.call([*words, "--out", "ray", "--on", "ray", "--address", address]) == 0
    assert "3 files answered" in capsys.readouterr().out.splitlines()[-1]
    here, there = ({each.name: each.read_bytes() for each in Path(out).glob("*.jsonl")} for out in ("here", "ray"))
    assert len(here) == 3 and here == there


def test_asked_to_end_a_training_saves(address: str, tmp_path: Path) -> None:
    run, interrupt, mark = tmp_path / "run", SimpleNamespace(requested=False), tmp_path / "mark"
    mark.write_text("")
    train = ("train", "char-lm", str(PROSE), "--out", str(run), "--threads", "1", *SETTINGS)
    jobs = [Job(0, (*train, "--set", "training.log_every=5"), tmp_path / "0.txt")]
    jobs.append(Job(1, ("recipes", "show", "nosuch"), tmp_path / "1.txt"))

    def ask() -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until and not interrupt.requested:
            log = run / "metrics.jsonl"
            interrupt.requested = log.is_file() and log.read_bytes().count(b"\n") > 1
            time.sleep(0.05)

    asking = threading.Thread(target=ask)
    asking.start()
    with OnRay(mark, address, None, 1, interrupt, lambda sentence: None) as where:  # type: ignore[arg-type]
        ended = {each.key: each for each in where(jobs)}
    asking.join()
    assert ended[0].code > 128 and ended[1].code == 2 and "unknown recipe 'nosuch'" in ended[1].said
    assert (run / "resume.safetensors").is_file() and not (run / NAME).exists()
    with OnRay(
        tmp_path / "elsewhere", address, None, 1, SimpleNamespace(requested=False), lambda sentence: None
    ) as where:  # type: ignore[arg-type]
        (lost,) = where(jobs[1:])
    assert lost.code == 1 and "does not see" in lost.said and "on a file system that they share" in lost.said


def test_no_cluster_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    monkeypatch.chdir(tmp_path)
    Path("my.txt").write_text("a b\n" * 50)
    words = ["sweep", "char-lm", "my.txt", "--grid", "core.hidden_size=4", "--on", "ray", "--address", "127.0.0.1:1"]
    assert cli.call(words) == 2
    assert "there is no Ray cluster at 127.0.0.1:1" in capsys.readouterr().err


def test_without_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)
    Path("my.txt").write_text("a b\n" * 50)
    said = "--on ray needs the package ray, which is not installed: pip install 'recurra[ray]'."
    assert cli.call(["sweep", "char-lm", "my.txt", "--grid", "core.hidden_size=4", "--on", "ray"]) == 2
    assert said in capsys.readouterr().err
    assert cli.call(["predict", str(RUNS / "tagger"), "my.txt", "--out", "answers", "--on", "ray"]) == 2
    assert said in capsys.readouterr().err
