"""Small runs of every kind, with random weights, behind a server in this process."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from recurra.data.tokens import Labels, Tokens
from recurra.data.vocabulary import Character
from recurra.model import Model
from recurra.serving.run import RUNS, learns_from
from recurra.serving.server.limits import Limits
from recurra.serving.server.models import Models

TEXT = "the quick brown fox jumps over the lazy dog\n"
WORDS = TEXT.split()
NAMES = ["good", "bad", "odd"]
BOTH = {"kind": "both-ways", "cell": "lstm", "hidden_size": 6}
LSTM = {"kind": "recurrent", "cell": "lstm", "hidden_size": 6}
TASKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "writer": ({"kind": "generate"}, LSTM),
    "tagger": ({"kind": "tag", "scheme": "bio"}, LSTM),
    "slots": ({"kind": "tag", "scheme": "bio", "decoder": "crf", "intent": True}, {**LSTM, "bidirectional": True}),
    "pos": ({"kind": "tag", "scheme": "none"}, LSTM),
    "classifier": ({"kind": "classify"}, LSTM),
    "labels": ({"kind": "classify", "multi_label": True}, LSTM),
    "fill": ({"kind": "fill"}, BOTH),
    "pairs": ({"kind": "transduce", "decoder": {"kind": "recurrent", "hidden_size": 6}}, LSTM),
    "blind": ({"kind": "transduce", "decoder": {"kind": "recurrent", "hidden_size": 6, "context": "initial"}}, LSTM),
}
REPORT = {
    "split": "made for the tests",
    "seed": 0,
    "minutes": {"training": 0.5},
    "commands": ["recurra train"],
    "sample": {"text": TEXT},
    "scores": {
        "valid": {"model": {"loss": 1.5}, "baseline": [{"name": "nothing", "size": 1, "unit": "rows", "loss": 2.5}]}
    },
}


def _vocabularies(name: str) -> dict[str, Any]:
    if name == "writer":
        return {"input": Character().fit([TEXT])}
    found: dict[str, Any] = {"input": Tokens().fit([WORDS])}
    if name in ("tagger", "slots"):
        found["tags"] = Labels().fit([["O", "B-x", "I-x", "B-y"]])
    if name == "pos":
        found["tags"] = Labels().fit([["NOUN", "VERB"]])
    if name in ("classifier", "labels", "slots"):
        found["label"] = Labels().fit([NAMES])
    if name in ("pairs", "blind"):
        found["target"] = Tokens().fit([["der", "schnelle", "fuchs", "springt"]])
    return found


def make_run(name: str, folder: Path) -> Any:
    """A run of one of `TASKS`; of the writer there is a report."""
    task, core = TASKS[name]
    torch.manual_seed(len(name))
    config: dict[str, Any] = {
        "description": f"A small {name}.",
        "embedder": {"kind": "symbols", "size": 5},
        "core": core,
        "task": task,
        "batching": {"kind": "buckets", "size": 8},
    }
    model = Model.from_config(config, _vocabularies(name)).eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(3)  # what is likely is then told from what is not
    path = folder / name
    path.mkdir(parents=True, exist_ok=True)
    if name == "writer":
        (path / "report.json").write_text(json.dumps(REPORT), encoding="utf-8")
    return RUNS[learns_from(model.task)](path, config, model, torch.device("cpu"))


class Api:
    """A server in this process, and requests to it."""

    def __init__(self, runs: Sequence[Any], limits: Limits | None = None, token: str | None = None) -> None:
        pytest.importorskip("fastapi", reason="the extra serve is not installed")
        from recurra.serving.server.api import make_app

        self.models = Models(runs, limits)
        self.app = make_app(self.models, token, ("127.0.0.1", "localhost"))
        self.models.start()

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
def small_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """By name, runs that are not to be changed."""
    folder = tmp_path_factory.mktemp("served")
    return {name: make_run(name, folder) for name in TASKS}


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
    from recurra.serving.server.api import make_app
    from recurra.serving.server.connections import make_server
    from recurra.serving.server.listening import address_of, bind

    with bind("127.0.0.1", 0) as bound:
        server = make_server(make_app(models, token, ["127.0.0.1"]), models.limits.connections, models.leave)
        bound.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        yield address_of(bound, "127.0.0.1")
        server.should_exit = True
        thread.join(20)


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
