"""A served run under load: latencies beside the bare predict call, at 1, 8 and 32 clients, and memory as it goes on.

pip install -c constraints.txt '.[serve]'
python benchmarks/serving.py RUN --out benchmarks/results/serving.json

The server is a process of its own (`recurra serve RUN`), asked over loopback by connections that stay open. With one
client, bare calls of `predict` in this process and served requests take turns; what is asked, and the threads, are the
same on both sides.
"""

from __future__ import annotations

import argparse
import dataclasses
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch

import recurra
from recurra.bench.interleaved import machine
from recurra.runs.writing import TOP

CLIENTS = (1, 8, 32)
EACH = 10
"""Requests of a side in one turn."""
PAGE = os.sysconf("SC_PAGE_SIZE")


class Client:
    """One connection that asks a model again and again."""

    def __init__(self, address: str, name: str, options: dict[str, Any]) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=120)
        self._path, self._options = f"/api/models/{name}/predict", options
        self.seconds: list[float] = []
        self.errors: list[str] = []

    def ask(self, text: str) -> None:
        body = json.dumps({"inputs": [text], "options": self._options}).encode()
        begun = time.perf_counter()
        self._connection.request("POST", self._path, body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        content = answer.read()
        self.seconds.append(time.perf_counter() - begun)
        if answer.status != 200:
            self.errors.append(f"{answer.status} {content.decode()}")

    def get(self, path: str) -> Any:
        self._connection.request("GET", path)
        return json.load(self._connection.getresponse())


@contextmanager
def serving(run: Path, threads: int) -> Iterator[tuple[str, int]]:
    """Address and process number of a server of the run."""
    words = [sys.executable, "-m", "recurra", "serve", str(run), "--port", "0", "--threads", str(threads)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said.startswith("serving "), said
        try:
            yield said.split()[-1], process.pid
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def resident(process: int) -> int:
    """Bytes of a process in memory."""
    return int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]) * PAGE


def percentiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "p50_ms": round(statistics.median(ordered) * 1e3, 3),
        "p95_ms": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))] * 1e3, 3),
    }


def beside_bare(
    opened: Any, client: Client, texts: list[str], options: dict[str, Any], requests: int
) -> dict[str, Any]:
    """Bare calls and served requests in turns, so many of each."""
    bare: list[float] = []
    for k in range(0, requests, EACH):
        some = [texts[(k + j) % len(texts)] for j in range(EACH)]
        for text in some:
            begun = time.perf_counter()
            opened.predict(text, **options)
            bare.append(time.perf_counter() - begun)
        for text in some:
            client.ask(text)
    sides = {"bare": percentiles(bare), "served": percentiles(client.seconds)}
    added = sides["served"]["p50_ms"] - sides["bare"]["p50_ms"]
    return {**sides, "requests": requests, "p50_added_ms": round(added, 3), "errors": len(client.errors)}


def together(address: str, name: str, texts: list[str], options: dict[str, Any], count: int, requests: int) -> Any:
    """Clients at once, each asking as soon as it is answered."""
    clients = [Client(address, name, options) for _ in range(count)]
    before = clients[0].get("/api/health")["models"][name]

    def work(k: int) -> None:
        for j in range(requests // count):
            clients[k].ask(texts[(k + j * count) % len(texts)])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(count)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    after = clients[0].get("/api/health")["models"][name]
    done = [one for client in clients for one in client.seconds]
    errors = [error for client in clients for error in client.errors]
    for error in errors[:3]:
        print(f"  {error}")
    return {
        "clients": count,
        "requests": len(done),
        "errors": len(errors),
        **percentiles(done),
        "per_second": round(len(done) / seconds, 1),
        "requests_a_batch": round(
            (after["computed"] - before["computed"]) / max(1, after["batches"] - before["batches"]), 2
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--requests", type=int, default=10_000, help="over which memory is watched")
    parser.add_argument("--each", type=int, default=1_000, help="requests for each number of clients")
    parser.add_argument("--options", type=json.loads, default={}, help='of the request, as JSON: {"length": 20}')
    parser.add_argument("--text", action="append", help="an input; those of the run's report if not said")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    opened: Any = recurra.load(arguments.run, device="cpu")
    options = dict(arguments.options)
    if "top" in {field.name for field in dataclasses.fields(opened.options())}:
        options = {"top": TOP} | options  # as the page asks
    found: dict[str, Any] = {
        "machine": machine(),
        "command": f"python {' '.join(sys.argv)}",
        "threads": arguments.threads,
        "task": opened.config["task"]["kind"],
        "parameters": opened.model.parameter_count,
        "options": options,
    }
    with serving(arguments.run, arguments.threads) as (address, process):
        name = next(iter(Client(address, "", {}).get("/api/health")["models"]))
        card = Client(address, "", {}).get(f"/api/models/{name}")
        texts = arguments.text or [card["example"]]
        found["inputs"] = texts
        warm = Client(address, name, options)
        for k in range(50):
            warm.ask(texts[k % len(texts)])
            opened.predict(texts[k % len(texts)], **options)
        one = found["one_client"] = beside_bare(opened, Client(address, name, options), texts, options, arguments.each)
        print(f"one client: bare {one['bare']}, served {one['served']}, added {one['p50_added_ms']} ms")
        found["clients"] = []
        for count in CLIENTS:
            row = together(address, name, texts, options, count, arguments.each)
            found["clients"].append(row)
            print(f"{count:3d} clients: {row}")
        memory = found["memory"] = [{"requests": 0, "resident_bytes": resident(process)}]
        step = max(1, arguments.requests // 10)
        for _ in range(10):
            row = together(address, name, texts, options, 8, step)
            memory.append({"requests": memory[-1]["requests"] + row["requests"], "resident_bytes": resident(process)})
            print(f"  {memory[-1]['requests']:7,} requests  {memory[-1]['resident_bytes'] / 2**20:8.2f} MiB")
            found["clients"][0]["errors"] += row["errors"]
        found["health"] = Client(address, "", {}).get("/api/health")
    if arguments.out:
        Path(arguments.out).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
