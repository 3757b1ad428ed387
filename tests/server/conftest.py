"""Small runs of every kind, behind a server in this process."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from recurra.data.codecs.characters import Character
from recurra.data.codecs.log_mel import LogMel
from recurra.data.codecs.numbers import Scaled, Vectors
from recurra.data.sound import Sound
from recurra.model import Model
from recurra.runs.run import Run
from recurra.server.limits import Limits
from recurra.server.models import Models

from ..streaming.conftest import TASKS, make_run, small_runs

__all__ = ["TASKS", "Api", "Open", "listening", "make_run", "read_events", "small_runs"]


class Api:
    """A server in this process, and requests to it."""

    def __init__(self, runs: Sequence[Any], limits: Limits | None = None, token: str | None = None) -> None:
        pytest.importorskip("fastapi", reason="the extra serve is not installed")
        from recurra.server.api import make_app

        self.models = Models(runs, limits)
        self.app = make_app(self.models, token, ("127.0.0.1", "localhost"))

    def close(self) -> None:
        self.models.close()

    def client(self) -> Any:
        httpx = pytest.importorskip("httpx", reason="httpx is not installed")
        return httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url="http://127.0.0.1:8000")

    def during(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        """What several requests in one event loop come to."""

        async def done() -> Any:
            async with self.client() as client:
                return await work(client)

        return asyncio.run(done())

    def send(self, method: str, path: str, body: Any = None, **keywords: Any) -> Any:
        """One request's answer."""
        if body is not None:
            keywords["json"] = body
        return self.during(lambda client: client.request(method, path, **keywords))

    def ask(self, path: str, body: Any = None) -> Any:
        """The JSON of a request that is answered."""
        answer = self.send("GET" if body is None else "POST", f"/api/{path}", body)
        assert answer.is_success, answer.text
        return answer.json()

    def refused(self, status: int, path: str, body: Any = None, **keywords: Any) -> dict[str, Any]:
        """What is said of a request that is refused."""
        answer = self.send("GET" if body is None else "POST", f"/api/{path}", body, **keywords)
        assert answer.status_code == status, answer.text
        said = answer.json()
        assert set(said) == {"error", "expected", "got", "next"}
        return dict(said)

    def parts(self, name: str, *inputs: Any, **options: Any) -> list[Any]:
        """The parts of each input's answer."""
        found = self.ask(f"models/{name}/predict", {"inputs": list(inputs), "options": options})
        return [answer["parts"] for answer in found["answers"]]

    def events(self, name: str, given: str, **options: Any) -> list[tuple[str, Any]]:
        """What is sent of a text that is generated."""
        answer = self.send("POST", f"/api/models/{name}/generate", {"input": given, "options": options})
        assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
        return read_events(answer.text)


def read_events(text: str) -> list[tuple[str, Any]]:
    """Server-sent events as names and data."""
    found = []
    for event in filter(None, text.split("\n\n")):
        name, data = event.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


@pytest.fixture(scope="session")
def api(small_runs: dict[str, Any]) -> Iterator[Api]:
    """All of them, served."""
    served = Api(list(small_runs.values()))
    yield served
    served.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Api]]:
    """Servers with limits of their own, closed behind the test."""
    opened: list[Api] = []

    def make(*runs: Any, token: str | None = None, **limits: Any) -> Api:
        opened.append(Api(runs, Limits(**limits), token))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def listening(models: Any, token: str | None = None) -> Iterator[str]:
    """The address of a server in a thread."""
    from recurra.server.address import address_of, bind
    from recurra.server.api import make_app
    from recurra.server.listening import Server

    with bind("127.0.0.1", 0) as bound:
        server = Server(make_app(models, token, ["127.0.0.1"]), bound, models.limits, models.refuse_all)
        bound.listen()
        server.start()
        yield address_of(bound, "127.0.0.1")
        server.close()


@pytest.fixture(scope="module")
def address(small_runs: dict[str, Any]) -> Iterator[str]:
    """All small runs, one that writes slowly among them."""
    models = Models([*small_runs.values(), small_runs["writer"]], Limits())
    slow = models.by_name["writer-2"].worker
    advance = slow._advance

    def slowly(texts: Any) -> Any:
        time.sleep(0.02)
        return advance(texts)

    slow._advance = slowly
    yield from listening(models)


@pytest.fixture(scope="module")  # while it runs, its thread has an event loop
def browser() -> Iterator[Any]:
    """Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if chromium is None:
        pytest.skip("there is no chromium")
    playwright.expect.set_options(timeout=30_000)  # the first answer may wait for a compiler, five seconds are too few
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


Open = Callable[..., Any]


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Open]:
    """Opens the page at a model; whatever the browser complains of fails the test."""
    complaints: list[str] = []
    pages = []

    def open_page(model: str = "", at: str = address, **settings: Any) -> Any:
        page = browser.new_page(**settings)
        pages.append(page)
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.goto(f"{at}#{model}")
        return page

    yield open_page
    for page in pages:
        page.close()
    assert [said for said in complaints if "the server responded with a status of 4" not in said] == []


@pytest.fixture
def run_with_gaps(tmp_path: Path) -> Any:
    """A run that simulates by two inputs, trained on series with gaps; random weights."""
    torch.manual_seed(0)
    values = torch.randn(20, 2).numpy()
    codecs: dict[str, Any] = {"input": Scaled().fit([values]), "target": Scaled().fit([values[:, :1]])}
    codecs |= {name: Vectors().fit([values]) for name in ("seen", "since")} | {"dt": Vectors().fit([values[:, 0]])}
    config: dict[str, Any] = {
        "embedder": {"kind": "numbers"},
        "core": {"kind": "recurrent", "cell": "gru-d", "hidden_size": 6},
        "task": {"kind": "simulate"},
        "batching": {"kind": "buckets"},
    }
    model = Model.from_config(config, codecs).eval()
    return Run(tmp_path / "gaps", config, model, torch.device("cpu"))


@pytest.fixture
def run_that_hears(tmp_path: Path) -> Any:
    """A run that writes down recordings of 8,000 Hz as they come; random weights."""
    torch.manual_seed(0)
    sound = Sound((torch.randn(4_000) * 0.1).numpy(), 8_000)
    codecs: dict[str, Any] = {"input": LogMel(mels=12).fit([sound]), "target": Character().fit(["abcd"])}
    config: dict[str, Any] = {
        "embedder": {"kind": "numbers"},
        "core": {"kind": "recurrent", "cell": "gru", "hidden_size": 6},
        "task": {"kind": "transcribe"},
    }
    model = Model.from_config(config, codecs).eval()
    return Run(tmp_path / "hears", config | {"batching": {"kind": "buckets"}}, model, torch.device("cpu"))
