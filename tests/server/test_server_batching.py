"""The queue of a model: what waits is computed together, one bad input fails alone, nobody waits otherwise."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from recurra.errors import DataError
from recurra.server.limits import Limits
from recurra.server.problems import Problem
from recurra.server.worker import Job, Worker


class Doubling:
    """Doubles numbers; refuses those below 0; waits at 0 until it is let go."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.free = threading.Event()

    def __call__(self, key: Any, inputs: Sequence[int]) -> list[int]:
        self.calls.append(list(inputs))
        if 0 in inputs:
            self.free.wait(20)
        if min(inputs) < 0:
            raise DataError(f"/where/it/lies: {min(inputs)}, expected 0 or more.")
        return [2 * number for number in inputs]


def worked(work: Any, advance: Any = None, **limits: Any) -> tuple[Any, Doubling]:
    """What `work(worker, doubling)` gives."""
    doubling = Doubling()
    worker = Worker(doubling, advance or (lambda texts: []), Limits(**limits), "numbers", "/where/it/lies")
    try:
        return asyncio.run(work(worker, doubling)), doubling
    finally:
        doubling.free.set()
        worker.close()


async def while_busy(worker: Worker, doubling: Doubling, *asked: Any) -> list[Any]:
    """What is asked while the worker is busy with a 0."""
    first = asyncio.ensure_future(worker.ask("double", [0]))
    while not doubling.calls:
        await asyncio.sleep(0.001)
    tasks = [asyncio.ensure_future(one) for one in asked]
    await asyncio.sleep(0.02)
    doubling.free.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert await first == [0]
    return list(found)


def test_what_waits_is_computed_together() -> None:
    async def work(worker: Worker, doubling: Doubling) -> Any:
        asked = [worker.ask("double", [1]), worker.ask("double", [2, 3]), worker.ask("other", [4])]
        return await while_busy(worker, doubling, *asked), worker.computed, worker.batches

    (found, computed, batches), doubling = worked(work)
    assert found == [[2], [4, 6], [8]]
    assert doubling.calls == [[0], [1, 2, 3], [4]] and (computed, batches) == (4, 3)


def test_one_bad_input_fails_alone() -> None:
    async def work(worker: Worker, doubling: Doubling) -> Any:
        return await while_busy(worker, doubling, *(worker.ask("double", [k]) for k in (1, 2, -3, 4, 5)))

    found, doubling = worked(work)
    assert [found[k] for k in (0, 1, 3, 4)] == [[2], [4], [8], [10]]
    assert isinstance(found[2], Problem) and found[2].status_code == 422
    assert str(found[2]) == "numbers: -3, expected 0 or more."
    assert len(doubling.calls) <= 2 + 6  # halves, not one by one


def test_a_batch_has_its_most() -> None:
    async def work(worker: Worker, doubling: Doubling) -> Any:
        return await while_busy(worker, doubling, *(worker.ask("double", [k] * 3) for k in (1, 2, 3)))

    found, doubling = worked(work, together=6)
    assert found == [[2] * 3, [4] * 3, [6] * 3]
    assert doubling.calls == [[0], [1] * 3 + [2] * 3, [3] * 3]


def test_whose_client_has_left_is_not_computed() -> None:
    async def work(worker: Worker, doubling: Doubling) -> Any:
        left = asyncio.ensure_future(worker.ask("double", [7]))

        async def leave() -> None:
            await asyncio.sleep(0.01)
            left.cancel()

        await while_busy(worker, doubling, worker.ask("double", [1]), leave())
        return left.cancelled()

    gone, doubling = worked(work)
    assert gone and doubling.calls[-1] == [1] and [7] not in doubling.calls


def test_an_idle_worker_begins_at_once() -> None:
    async def work(worker: Worker, doubling: Doubling) -> Any:
        await worker.ask("double", [1])
        begun = asyncio.get_running_loop().time()
        for k in range(50):
            await worker.ask("double", [k + 1])
        return (asyncio.get_running_loop().time() - begun) / 50

    seconds, _ = worked(work)
    assert seconds < 0.02


def test_calls_go_in_their_turn() -> None:
    async def work(worker: Worker, doubling: Doubling) -> Any:
        return await while_busy(worker, doubling, worker.call(lambda: "called"), worker.ask("double", [3]))

    found, _ = worked(work)
    assert found == ["called", [6]]


class Text:
    """Five rounds long."""

    def __init__(self) -> None:
        self.rounds, self.ended = 0, threading.Event()
        self.begun = self.full = False
        self.streamed, self.error, self.writing = True, None, self

    def end(self, error: BaseException | None) -> None:
        self.error = error
        self.ended.set()

    def send(self, refusal: BaseException | None = None) -> None: ...


def rounds(texts: Sequence[Text]) -> list[bool]:
    for text in texts:
        text.rounds += 1
    return [text.rounds == 5 for text in texts]


def test_texts_are_written_between_the_questions() -> None:
    async def work(worker: Worker, doubling: Doubling) -> Any:
        texts = [Text(), Text()]
        for text in texts:
            worker.write(text)
        assert await worker.ask("double", [1]) == [2]
        for text in texts:
            await asyncio.to_thread(text.ended.wait, 20)
        return [(text.rounds, text.error) for text in texts], worker.writing

    found, _ = worked(work, rounds)
    assert found == ([(5, None)] * 2, 0)


def test_a_text_whose_client_has_left_is_dropped() -> None:
    async def work(worker: Worker, doubling: Doubling) -> Any:
        text = Text()
        worker.write(text)
        worker.drop(text)
        await worker.ask("double", [1])
        await worker.ask("double", [1])
        return text.rounds, worker.writing

    assert worked(work, rounds)[0] == (0, 0)


def test_a_closing_worker_answers_whoever_waits() -> None:
    async def work(worker: Worker, doubling: Doubling) -> Any:
        async def close() -> None:
            worker.refuse_all()

        found = await while_busy(worker, doubling, worker.ask("double", [1]), close())
        with pytest.raises(Problem, match="the server is closing"):
            await worker.ask("double", [1])
        return found[0]

    found, _ = worked(work)
    assert isinstance(found, Problem) and found.status_code == 503


def test_requests_in_flight_are_one_call_of_the_model(
    serve: Any, small_runs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = serve(small_runs["fill"])
    served = api.models.by_name["fill"]
    seen: list[Any] = []
    free, begun = threading.Event(), threading.Event()
    predict = type(served.run).predict

    def watched(self: Any, *inputs: Any, **options: Any) -> Any:
        seen.append(inputs)
        if len(seen) == 1:
            begun.set()
            free.wait(20)
        return predict(self, *inputs, **options)

    monkeypatch.setattr(type(served.run), "predict", watched)
    texts = ["___ fox", "the ___ dog", "no blank", "the ___"]

    async def flight(client: Any) -> Any:
        asked = []
        for k, text in enumerate(texts):
            body = {"inputs": [text]}
            asked.append(asyncio.ensure_future(client.post("/api/models/fill/predict", json=body)))
            if not k:
                await asyncio.to_thread(begun.wait, 20)
        while served.worker.waiting < 3:
            await asyncio.sleep(0.001)
        free.set()
        return await asyncio.gather(*asked)

    answers = api.during(flight)
    assert seen[:2] == [("___ fox",), ("the ___ dog", "no blank", "the ___")]
    assert [answer.status_code for answer in answers] == [200, 200, 422, 200]
    assert answers[2].json()["error"].startswith("no blank in 'no blank'")
    assert answers[1].json()["answers"][0]["parts"][0]["tokens"] == ["the", "___", "dog"]


def test_a_request_whose_client_leaves_is_dropped(serve: Any, small_runs: dict[str, Any]) -> None:
    api = serve(small_runs["classifier"])
    worker = api.models.by_name["classifier"].worker
    body = b'{"inputs": ["the fox"]}'
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/models/classifier/predict",
        "raw_path": b"",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")],
    }

    async def leave() -> Any:
        free = threading.Event()
        held = asyncio.ensure_future(worker.call(lambda: free.wait(20)))
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])
        sent = []

        async def receive() -> Any:
            for message in messages:
                return message
            while not worker.waiting:
                await asyncio.sleep(0.001)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await asyncio.wait_for(api.app(scope, receive, send), 10)
        free.set()
        await held
        await worker.call(lambda: None)
        return sent[0]["status"]

    assert asyncio.run(leave()) == 499
    assert worker.computed == 2  # the two calls, not the request


def test_texts_go_on_between_many_calls() -> None:
    async def work(worker: Worker, doubling: Doubling) -> Any:
        text, seen = Text(), []
        calls = [worker.call(lambda: seen.append(text.rounds)) for _ in range(6)]
        first = asyncio.ensure_future(worker.ask("double", [0]))
        while not doubling.calls:
            await asyncio.sleep(0.001)
        tasks = [asyncio.ensure_future(call) for call in calls]
        await asyncio.sleep(0.02)
        worker.write(text)
        doubling.free.set()
        await asyncio.gather(first, *tasks)
        return seen

    seen, _ = worked(work, rounds)
    assert seen[-1] >= 4, seen  # a round behind each


def test_whose_client_has_left_takes_nobodys_room() -> None:
    async def work(worker: Worker, doubling: Doubling) -> Any:
        async def leaving() -> Any:
            for _ in range(5):
                left = asyncio.ensure_future(worker.ask("double", [7]))
                await asyncio.sleep(0)
                left.cancel()
            return await worker.ask("double", [1])

        return await while_busy(worker, doubling, leaving())

    found, doubling = worked(work, waiting=2)
    assert found == [[2]] and doubling.calls == [[0], [1]]


def test_an_empty_token_counts() -> None:
    async def work(worker: Worker, doubling: Doubling) -> Any:
        return [Job("key", given).size for given in (["ab", ""], [["ab", "", ""]], [("session", 3)])]

    assert worked(work)[0] == [2, 4, 1]
