"""A server that goes on: one bad text ends alone, nothing that nobody waits for is computed, a thread's end is told."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recurra.asking.stopped import Stopped
from recurra.runs.writing import Prose, Writing
from recurra.server.texts import UNREAD, Text
from recurra.streaming.stream import Stream

from .conftest import make_run, read_events

GENERATE = "/api/models/writer/generate"


async def beside(client: Any, *options: dict[str, Any]) -> list[list[tuple[str, Any]]]:
    """The events of texts that are generated at the same time, by their options."""
    bodies = [{"input": "the ", "options": said} for said in options]
    answers = await asyncio.gather(*(client.post(GENERATE, json=body) for body in bodies))
    return [read_events(answer.text) for answer in answers]


def test_the_smallest_temperature_ends_nobodys_text(api: Any, small_runs: dict[str, Any]) -> None:
    cold, warm = {"length": 9, "temperature": 1e-320}, {"length": 9, "seed": 2}
    found = api.during(lambda client: beside(client, cold, warm))
    expected = [
        small_runs["writer"].predict("the ", length=9, **said)[0]["text"] for said in ({"temperature": 0}, {"seed": 2})
    ]
    assert [each[-1] for each in found] == [("end", {"text": text, "symbols": 9}) for text in expected]


@pytest.mark.parametrize("broken", ["choose", "step"])
def test_a_bad_text_ends_alone(api: Any, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    choose, number = Writing._choose, Prose.__init__

    def chosen(self: Any, log_p: Any) -> int:
        if self.seed == 7 and len(self.written) == 2:
            raise RuntimeError("broken")
        return choose(self, log_p)

    def prose(self: Any, model: Any, prompt: str, session: Any) -> None:
        number(self, model, prompt, session)
        if broken == "step":  # what it reads is no symbol, so that no step of all can be made
            self.unread = [999]

    if broken == "choose":
        monkeypatch.setattr(Writing, "_choose", chosen)
        good, bad = api.during(lambda client: beside(client, {"length": 9}, {"length": 9, "seed": 7}))
        assert [name for name, _ in bad] == ["symbol", "symbol", "error"]
    else:

        async def both(client: Any) -> Any:
            first = asyncio.ensure_future(beside(client, {"length": 200}))
            await asyncio.sleep(0.05)
            monkeypatch.setattr(Prose, "__init__", prose)
            return (await beside(client, {"length": 9}))[0], (await first)[0]

        bad, good = api.during(both)
        assert [name for name, _ in bad] == ["error"]
    assert good[-1][0] == "end" and api.ask("health")["status"] == "ok"


def test_a_text_whose_end_fails_is_an_error(api: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    def broken(self: Any, written: Any) -> str:
        raise RuntimeError("secret")

    with monkeypatch.context() as patch:
        patch.setattr(Prose, "whole", broken)
        found = api.events("writer", "the ", length=3)
    assert [name for name, _ in found] == ["symbol"] * 3 + ["error"]
    assert found[-1][1]["error"] == "the model failed on this input" and "secret" in caplog.text
    assert api.events("writer", "the ", length=3)[-1][0] == "end" and api.ask("health")["status"] == "ok"


def test_nothing_ends_a_models_thread(serve: Any, small_runs: dict[str, Any], caplog: Any) -> None:
    api = serve(small_runs["writer"], small_runs["pos"])
    worker = api.models.by_name["writer"].worker
    advance = worker._advance

    def fatal(texts: Any) -> Any:
        raise SystemExit

    worker._advance = fatal
    said = api.refused(500, "models/writer/predict", {"inputs": ["the"]})
    assert said["error"] == "the model failed on this input" and "SystemExit" in caplog.text
    worker._advance = advance
    assert api.parts("writer", "the", length=3) and api.parts("pos", "the")
    assert api.ask("health")["status"] == "ok"


@pytest.mark.parametrize(("name", "given"), [("pairs", "the fox"), ("tagger", "the fox"), ("fill", "the ___")])
def test_a_prediction_can_be_stopped(small_runs: dict[str, Any], name: str, given: str) -> None:
    run, asked = small_runs[name], []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 3

    assert run.predict(given, stop=lambda: False) == run.predict(given)
    with pytest.raises(Stopped):
        run.predict(given, stop=lambda: True)
    if name == "pairs":  # within the search
        with pytest.raises(Stopped):
            run.predict(given, stop=stop)
        assert len(asked) == 4


def test_what_nobody_waits_for_is_not_computed_on(serve: Any, small_runs: dict[str, Any]) -> None:
    api = serve(small_runs["pairs"], seconds=0.3)
    served = api.models.by_name["pairs"]
    step, steps = type(served.run.model.task).step, []

    def slow(self: Any, *given: Any) -> Any:
        steps.append(1)
        time.sleep(0.1)
        return step(self, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(served.run.model.task), "step", slow)
        said = api.refused(504, "models/pairs/predict", {"inputs": ["the quick fox " * 9], "options": {"beam": 1}})
        assert said["error"] == "the answer took too long"
        assert api.during(lambda client: served.worker.call(lambda: len(steps), 20)) < 10
    with pytest.MonkeyPatch.context() as patch:  # and what is looked at
        patch.setattr("recurra.diagnostics.brief.alignment", lambda *_: time.sleep(0.5))
        patch.setattr("recurra.diagnostics.brief.self_attention", lambda *_: steps.clear())
        api.refused(504, "models/pairs/inspect", {"text": "the fox"})
        assert api.during(lambda client: served.worker.call(lambda: len(steps), 20))


@pytest.mark.parametrize(("name", "tokens"), [("pairs", 2001), ("tagger", 4001), ("fill", 4001)])
def test_empty_tokens_are_an_input_that_is_too_long(api: Any, name: str, tokens: int) -> None:
    assert api.refused(422, f"models/{name}/predict", {"inputs": [[""] * tokens]})["error"] == "an input is too long"
    many = {"inputs": [[""] * 1999] * 60}
    assert api.refused(422, f"models/{name}/predict", many)["expected"] == "100,000 characters in all at most"


def test_a_server_closes_while_it_computes(serve: Any, small_runs: dict[str, Any]) -> None:
    api = serve(small_runs["pos"], small_runs["writer"])
    free, begun = threading.Event(), threading.Event()

    async def work(client: Any) -> Any:
        workers = [served.worker for served in api.models.by_name.values()]
        stuck = [asyncio.ensure_future(worker.call(lambda: begun.set() or free.wait(30))) for worker in workers]
        await asyncio.to_thread(begun.wait, 20)
        late = asyncio.ensure_future(client.post("/api/models/pos/predict", json={"inputs": ["the"]}))
        await asyncio.sleep(0.05)
        clock = time.monotonic()
        api.models.refuse_all()
        answer = await late
        assert time.monotonic() - clock < 1.5
        refused = await asyncio.gather(*stuck, return_exceptions=True)
        api.models.close()
        return time.monotonic() - clock, answer, refused, await client.get("/api/health")

    seconds, answer, refused, health = api.during(work)
    free.set()
    assert 1.5 < seconds < 8
    assert answer.status_code == 503 and answer.headers["retry-after"] == "10"
    assert [str(error) for error in refused] == ["the server is closing"] * 2
    assert health.status_code == 503 and health.json()["status"] == "closing"
    for path, body in (("generate", {"input": "a"}), ("predict", {"inputs": ["a"]})):
        assert api.refused(503, f"models/writer/{path}", body)["error"] == "the server is closing"


def test_predictions_of_a_writer_wait_for_each_other(serve: Any, small_runs: dict[str, Any]) -> None:
    api = serve(small_runs["writer"], streams=2, waiting=20)
    expected = small_runs["writer"].predict("the ", length=20)[0]["text"]
    body = {"inputs": ["the "], "options": {"length": 20}}
    many = [("/api/models/writer/predict", body)] * 16
    answers = api.during(lambda client: asyncio.gather(*(client.post(path, json=said) for path, said in many)))
    assert [answer.status_code for answer in answers] == [200] * 16
    assert {answer.json()["answers"][0]["parts"][0]["text"] for answer in answers} == {expected}


def test_so_many_predictions_wait_and_for_so_long(serve: Any, small_runs: dict[str, Any]) -> None:
    api = serve(small_runs["writer"], streams=1, waiting=2, seconds=0.4)
    worker, free = api.models.by_name["writer"].worker, threading.Event()
    advance: Callable[[Any], Any] = worker._advance
    worker._advance = lambda texts: free.wait(20) and advance(texts)
    body = {"inputs": ["the "], "options": {"length": 3}}

    async def crowd(client: Any) -> Any:
        first = asyncio.ensure_future(client.post("/api/models/writer/predict", json=body))
        await asyncio.sleep(0.1)
        others = [asyncio.ensure_future(client.post("/api/models/writer/predict", json=body)) for _ in range(2)]
        await asyncio.sleep(0.05)
        full = await client.post("/api/models/writer/predict", json=body)
        return full, await first, await asyncio.gather(*others)

    full, first, others = api.during(crowd)
    assert full.status_code == 429 and full.json()["error"] == "there are too many requests waiting for this model"
    assert first.status_code == 504 and [answer.status_code for answer in others] == [503, 503]
    assert others[0].json()["expected"] == "a turn within 0.4 seconds"
    free.set()
    assert api.parts("writer", "the ", length=3)  # those whose clients have left make room


def test_weights_are_packed_once(serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed, begin = [], Stream.__init__

    def counted(self: Any, *given: Any) -> None:
        packed.append(1)
        begin(self, *given)

    monkeypatch.setattr(Stream, "__init__", counted)
    api = serve(make_run("writer", tmp_path))
    for _ in range(3):
        api.parts("writer", "the ", length=3)
    assert len(packed) == 1


def test_a_reader_far_behind_is_waited_for(serve: Any, small_runs: dict[str, Any]) -> None:
    api = serve(small_runs["writer"])
    worker = api.models.by_name["writer"].worker

    async def read(client: Any) -> Any:
        text = Text(Writing("the ", {"length": UNREAD + 99}), streamed=True)
        worker.write(text)
        async with asyncio.timeout(20):
            while not text.full:
                await asyncio.sleep(0.01)
        await worker.call(lambda: None)
        await asyncio.sleep(0.1)
        behind = len(text.writing.written)
        return behind, [name async for name, _ in text.events(asyncio.get_running_loop().time() + 20)]

    behind, names = api.during(read)
    assert UNREAD <= behind < UNREAD + 50 and names == ["symbol"] * (UNREAD + 99) + ["end"]


def test_a_stream_whose_client_does_not_read_is_counted_until_it_leaves(serve: Any, small_runs: dict[str, Any]) -> None:
    api = serve(small_runs["writer"], streams=1)
    head = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": GENERATE, "raw_path": b"", "query_string": b"", "headers": head}

    async def unread(client: Any) -> Any:
        leaves = asyncio.Event()
        messages = [{"type": "http.request", "body": b'{"input": "a"}', "more_body": False}]

        async def receive() -> Any:
            if messages:
                return messages.pop()
            await leaves.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                await asyncio.Event().wait()

        stream = asyncio.ensure_future(api.app(scope, receive, send))
        await asyncio.sleep(0.15)
        meanwhile = await client.post(GENERATE, json={"input": "a"})
        leaves.set()
        await asyncio.wait_for(stream, 10)
        return meanwhile, await client.post(GENERATE, json={"input": "a", "options": {"length": 2}})

    meanwhile, afterwards = api.during(unread)
    assert meanwhile.status_code == 429 and afterwards.text.count("event: symbol") == 2
