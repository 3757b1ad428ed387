"""The server's answers beside those of the runs themselves."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recurra.runs.writing import TOP


def test_health_and_cards(api: Any) -> None:
    health = api.ask("health")
    assert health["status"] == "ok" and set(health["models"]) == set(api.models.by_name)
    found = api.ask("models")
    assert found["limits"]["inputs"] == 64
    cards = {card["name"]: card for card in found["models"]}
    writer = cards["writer"]
    assert (writer["task"], writer["continues"], writer["core"]["cell"]) == ("generate", True, "lstm")
    assert writer["scores"] == [
        {"part": "valid", "name": "model", "metrics": {"loss": 1.5}},
        {"part": "valid", "name": "nothing", "metrics": {"loss": 2.5}},
    ]
    assert writer["example"] == "the quick brown fox jumps over the lazy"
    assert writer["can"] == ["predict", "generate", "sessions", "inspect"]
    assert cards["slots"]["can"] == ["predict", "inspect"] and cards["slots"]["scores"] == []
    assert (
        "attention" in cards["pairs"]["options"]["predict"] and "attention" not in cards["blind"]["options"]["predict"]
    )
    assert "form" not in cards["pairs"]["options"]["predict"] and "beam" not in cards["pairs"]["options"]["generate"]
    beam = cards["pairs"]["options"]["predict"]["beam"]
    assert (beam["default"], beam["most"], beam["type"]) == (5, 20, "int")
    assert beam["help"].startswith("Hypotheses kept")
    assert api.ask("models/pairs") == cards["pairs"]


def test_openapi_describes_every_address(api: Any) -> None:
    found = api.ask("openapi.json")
    assert set(found["paths"]) == {
        "/api/health",
        "/api/models",
        "/api/models/{name}",
        "/api/models/{name}/predict",
        "/api/models/{name}/generate",
        "/api/models/{name}/inspect",
        "/api/models/{name}/sessions",
        "/api/models/{name}/sessions/{id}",
        "/api/models/{name}/sessions/{id}/feed",
        "/api/models/{name}/sessions/{id}/fork",
    }
    assert found["components"]["schemas"]["Predict"]["additionalProperties"] is False


@pytest.mark.parametrize("name", ["tagger", "slots", "pos", "classifier", "labels"])
def test_labels_are_those_of_predict(api: Any, small_runs: dict[str, Any], name: str) -> None:
    texts = ["the quick fox", "the lazy dog jumps over the fox"]
    expected = small_runs[name].predict(*texts, top=TOP)
    for answer, parts in zip(expected, api.parts(name, *texts), strict=True):
        kinds = {part["kind"]: part for part in parts}
        if "label" in answer or "labels" in answer:
            bars = kinds["label"]["bars"]
            assert [bar["p"] for bar in bars] == sorted((bar["p"] for bar in bars), reverse=True)
            assert [bar["label"] for bar in bars] == [one["label"] for one in answer["likeliest"]]
            several = name == "labels"
            assert kinds["label"]["several"] is several
            if several:
                assert kinds["label"]["labels"] == answer["labels"]
                assert set(answer["labels"]) == {bar["label"] for bar in bars if bar["p"] > 0.5}
            else:
                assert kinds["label"]["label"] == answer["label"] == bars[0]["label"]
                assert sum(bar["p"] for bar in bars) == pytest.approx(1)
        if "tags" in answer:
            spans = kinds["spans"]
            assert spans["tokens"] == answer["tokens"] and spans["spaced"] is True
            if name == "pos":
                assert [(s["label"], s["begin"], s["end"]) for s in spans["spans"]] == [
                    (tag, k, k + 1) for k, tag in enumerate(answer["tags"])
                ]
            for span in spans["spans"]:
                assert span["p"] == pytest.approx(min(answer["p"][span["begin"] : span["end"]]))
                assert 0 < span["p"] <= 1


def test_blanks_are_those_of_predict(api: Any, small_runs: dict[str, Any]) -> None:
    texts = ["the ___ fox", "___ lazy dog"]
    expected = small_runs["fill"].predict(*texts, top=3)
    for text, answer, (part,) in zip(texts, expected, api.parts("fill", *texts, top=3), strict=True):
        assert part["tokens"] == answer["tokens"] == text.split()
        (blank,), (own,) = part["blanks"], answer["blanks"]
        assert blank["place"] == own["place"]
        found = {side["name"]: side["choices"] for side in blank["sides"]}
        for side in ("both", "left"):
            assert [one["symbol"] for one in found[side]] == [one["symbol"] for one in own[side]]
            assert [one["p"] for one in found[side]] == pytest.approx([one["p"] for one in own[side]])


def test_targets_and_their_map(api: Any, small_runs: dict[str, Any]) -> None:
    (part,), (other,) = api.parts("pairs", "the quick fox", "the dog", attention=True, beam=2, n_best=2)
    (answer, _) = small_runs["pairs"].predict("the quick fox", "the dog", beam=2, n_best=2)
    assert part["target"] == answer["target"] and len(part["hypotheses"]) == 2
    drawn = part["map"]
    assert drawn["columns"] == ["the", "quick", "fox", "∎"] and drawn["rows"][-1] == "∎"
    assert len(drawn["weights"]) == len(drawn["rows"])
    assert all(len(row) == 4 and sum(row) == pytest.approx(1, abs=1e-3) for row in drawn["weights"])
    assert other["map"]["columns"] == ["the", "dog", "∎"]
    assert api.parts("pairs", "the fox")[0][0]["map"] is None
    said = api.refused(422, "models/blind/predict", {"inputs": ["the fox"], "options": {"attention": True}})
    assert said["error"] == "options.attention is unknown"


@pytest.mark.parametrize("options", [{"temperature": 0.8, "seed": 3}, {"temperature": 0}, {"top_p": 0.7, "top_k": 9}])
def test_generated_text_is_that_of_predict(api: Any, small_runs: dict[str, Any], options: dict[str, Any]) -> None:
    expected = small_runs["writer"].predict("the qu", length=40, **options)[0]["text"]
    events = api.events("writer", "the qu", length=40, top=3, **options)
    assert [name for name, _ in events] == ["symbol"] * 40 + ["end"]
    assert events[-1][1] == {"text": expected, "symbols": 40}
    assert "".join(data["text"] for name, data in events if name == "symbol") == expected
    first = events[0][1]
    assert len(first["alternatives"]) == 3 and first["alternatives"][0]["p"] >= first["p"]
    ((part,),) = api.parts("writer", "the qu", length=40, **options)
    assert part["text"] == expected and part["prompt"] == "the qu" and len(part["symbols"]) == 40


def test_texts_generated_beside_each_other_are_those_of_each_alone(api: Any, small_runs: dict[str, Any]) -> None:
    prompts = ["the ", "", "a fox " * 60, "dog"]

    async def together(client: Any) -> list[str]:
        bodies = [{"inputs": [p], "options": {"length": 12 + k, "seed": k}} for k, p in enumerate(prompts)]
        answers = await asyncio.gather(*(client.post("/api/models/writer/predict", json=body) for body in bodies))
        return [answer.json()["answers"][0]["parts"][0]["text"] for answer in answers]

    expected = [small_runs["writer"].predict(p, length=12 + k, seed=k)[0]["text"] for k, p in enumerate(prompts)]
    assert api.during(together) == expected


def test_a_generated_target_is_the_one_drawn(api: Any, small_runs: dict[str, Any]) -> None:
    for options in ({"temperature": 0.9, "seed": 5}, {"temperature": 0.9, "seed": 6}):
        (answer,) = small_runs["pairs"].predict("the quick fox", **options)
        events = api.events("pairs", "the quick fox", **options)
        assert events[-1][1]["text"] == answer["target"]
        assert ("∎" in [data["symbol"] for name, data in events[:-1] if name]) == answer["ended"]
    greedy = api.events("pairs", "the quick fox")
    assert greedy[-1][1]["text"] == small_runs["pairs"].predict("the quick fox", beam=1)[0]["target"]


def test_nothing_is_generated_where_nothing_is_wanted(api: Any) -> None:
    assert api.events("writer", "the", length=0) == [("end", {"text": "", "symbols": 0})]


def test_a_session_answers_as_a_runs_own(api: Any, small_runs: dict[str, Any]) -> None:
    own = small_runs["writer"].session()

    async def talk(client: Any) -> Any:
        base = "/api/models/writer/sessions"
        name = (await client.post(base)).json()["id"]
        first = (await client.post(f"{base}/{name}/feed", json={"input": "the q", "top": 2})).json()
        other = (await client.post(f"{base}/{name}/fork")).json()
        one = (await client.post(f"{base}/{name}/feed", json={"input": [5], "top": 2})).json()
        two = (await client.post(f"{base}/{other['id']}/feed", json={"input": "u", "top": 2})).json()
        gone = [(await client.delete(f"{base}/{name}")).status_code for _ in range(2)]
        return first, other, one, two, gone

    first, other, one, two, gone = api.during(talk)
    expected = own.feed("the q", top=2)
    assert first == {"count": 5, "answers": json.loads(json.dumps(expected))} and other["count"] == 5
    assert one["count"] == two["count"] == 6 and gone == [204, 404]
    assert two["answers"][0]["log_p"] == pytest.approx(own.feed("u", top=2)[0]["log_p"], rel=1e-5)


def test_a_session_is_fed_by_one_at_a_time(serve: Any, small_runs: dict[str, Any]) -> None:
    api, base = serve(small_runs["writer"], seconds=0.5), "/api/models/writer/sessions"
    worker, free = api.models.by_name["writer"].worker, threading.Event()

    async def talk(client: Any) -> Any:
        name = (await client.post(base)).json()["id"]

        def feed(given: Any) -> Any:
            return asyncio.ensure_future(client.post(f"{base}/{name}/feed", json={"input": given}))

        async def both(seconds: float) -> Any:
            held = asyncio.ensure_future(worker.call(lambda: free.wait(20), 20))
            first = feed("the q")
            await asyncio.sleep(0.05)
            second = await feed("u")
            asyncio.get_running_loop().call_later(seconds, free.set)
            found = await first, second
            await held
            free.clear()
            return found

        first, second = await both(0.05)
        session = api.models.by_name["writer"].sessions.find(name)
        slow = type(session).feed

        def slowly(given: Any, top: int, dt: Any) -> Any:
            answers = slow(session, given, top)
            free.wait(20)
            return answers

        session.feed = slowly
        late = await feed("uick")
        del session.feed
        free.set()
        return first, second, late, await feed(""), await feed([5])

    first, second, late, empty, last = api.during(talk)
    assert first.status_code == 200 and first.json()["count"] == 5
    assert second.status_code == 409 and second.json()["error"] == "this session is being fed"
    assert second.json()["next"] == "Wait for the answer to the other, or fork the session."
    assert late.status_code == 504 and late.json()["next"].startswith("The symbols may have been read all the same")
    assert empty.json() == {"count": 9, "answers": []} and last.json()["count"] == 10


def test_sessions_fed_together_share_a_step(api: Any, small_runs: dict[str, Any]) -> None:
    async def talk(client: Any) -> Any:
        base = "/api/models/tagger/sessions"
        names = [(await client.post(base)).json()["id"] for _ in range(3)]
        asked = [client.post(f"{base}/{n}/feed", json={"input": ["fox"]}) for n in names]
        answers = [*await asyncio.gather(*asked), await client.post(f"{base}/{names[0]}/feed", json={"input": ["fox"]})]
        assert [answer.json()["count"] for answer in answers] == [1, 1, 1, 2]
        return [answer.json()["answers"][0] for answer in answers]

    first, second = small_runs["tagger"].session().feed(["fox", "fox"])
    found = api.during(talk)
    for answer, expected in zip(found, (first, first, first, second), strict=True):
        assert answer == {**expected, "p": pytest.approx(expected["p"], rel=1e-5)}


def test_looking_inside(api: Any) -> None:
    found = api.ask("models/writer/inspect", {"text": "the quick fox"})
    assert found["tokens"] == list("the quick fox")
    flow, gates = found["gradient_flow"]["flows"][0], found["gates"]["gates"]
    assert flow["state"] == "h" and len(flow["mean"]) > 5 and flow["verdict"]
    assert {gate["name"] for gate in gates} >= {"i", "f", "o"} and all(len(g["over_text"]) == 13 for g in gates)
    assert len(found["units"]) == 6 and len(found["next_symbols"]) == 12
    assert set(found["left_out"]) == {"alignment", "self_attention"} and found["alignment"] is None
    pair = api.ask("models/pairs/inspect", {"text": "the quick fox", "target": "der fuchs"})
    assert pair["alignment"]["rows"] == ["der", "fuchs", "∎"] and not pair["alignment"]["own_answer"]
    assert api.ask("models/pairs/inspect", {"text": "the fox"})["alignment"]["own_answer"]
    assert api.ask("models/fill/inspect", {"text": "the ___ fox"})["tokens"] == ["the", "___", "fox"]
    assert "next_symbols" in api.ask("models/slots/inspect", {"text": "the fox jumps"})["left_out"]


def test_the_page_and_its_files(api: Any) -> None:
    page = api.send("GET", "/")
    assert page.status_code == 200 and 'src="/ui/main.js"' in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert page.headers["x-content-type-options"] == "nosniff"
    script = api.send("GET", "/ui/main.js")
    assert script.headers["content-type"].startswith("text/javascript")
    again = api.send("GET", "/ui/main.js", headers={"If-None-Match": script.headers["etag"]})
    assert again.status_code == 304 and not again.content
    for path in ("/ui/../server/api.py", "/ui/%2e%2e%2fserver%2fapi.py", "/ui/api.py", "/ui/__init__.py", "/docs"):
        assert api.send("GET", path).status_code == 404


def test_an_export_writes_but_has_nothing_inside(serve: Any, small_runs: dict[str, Any]) -> None:
    own = small_runs["writer"]

    class Exported:
        """What an export has of a model: its steps, its task and its vocabulary."""

        core, task = None, own.model.task
        codecs, parameter_count, step = own.model.codecs, 1, own.model.step

    api = serve(replace(own, model=Exported()))
    assert api.models.by_name["writer"].card["can"] == ["predict", "generate"]

    async def together(client: Any) -> list[str]:
        bodies = [{"inputs": ["the q"], "options": {"length": 15, "seed": k}} for k in range(3)]
        answers = await asyncio.gather(*(client.post("/api/models/writer/predict", json=body) for body in bodies))
        return [answer.json()["answers"][0]["parts"][0]["text"] for answer in answers]

    assert api.during(together) == [own.predict("the q", length=15, seed=k)[0]["text"] for k in range(3)]
    for path, body in (("inspect", {"text": "the"}), ("sessions", {})):
        said = api.refused(422, f"models/writer/{path}", body)
        assert said["error"] == "this model is an export, which cannot be looked into and holds no sessions"


def test_sessions_hear_samples(serve: Any, run_that_hears: Any, api: Any) -> None:
    served, samples = serve(run_that_hears), (np.random.default_rng(0).normal(size=900) * 3000).astype(np.int16)
    session = run_that_hears.session()
    expected = [*session.feed(samples), *session.end()]
    name = served.send("POST", "/api/models/hears/sessions").json()["id"]
    found = []
    for k in range(0, 900, 250):
        raw = base64.b64encode(samples[k : k + 250].astype("<i2").tobytes()).decode()
        said = served.ask(f"models/hears/sessions/{name}/feed", {"input": raw, "rate": 8_000, "ended": k == 750})
        found += said["answers"]
    assert said["count"] == len(found) == len(expected) > 5
    for answer, truth in zip(found, expected, strict=True):
        assert answer == {**truth, "p": pytest.approx(truth["p"], abs=1e-5)}
    other = served.send("POST", "/api/models/hears/sessions").json()["id"]
    for body in ({"input": "no base64"}, {"input": [0.5, 3.0]}, {"input": "AAA=", "dt": 1}):
        assert "hears recordings" in served.refused(422, f"models/hears/sessions/{other}/feed", body)["error"]
    own = api.send("POST", "/api/models/writer/sessions").json()["id"]
    said = api.refused(422, f"models/writer/sessions/{own}/feed", {"input": "a", "rate": 8_000})
    assert said["error"] == "this model hears no recordings"


def test_sessions_of_numbers_with_gaps(serve: Any, run_with_gaps: Any) -> None:
    api, steps, dt = serve(run_with_gaps), [[1.5, None], [None, 2], [3, 4]], [1, 2.5, 0.5]
    expected = run_with_gaps.session().feed(steps, dt=dt)
    base = "models/gaps/sessions"

    def opened() -> str:
        return f"{base}/{api.send('POST', f'/api/{base}').json()['id']}/feed"

    whole = api.ask(opened(), {"input": steps, "dt": dt})
    one = opened()
    single = [api.ask(one, {"input": [step], "dt": [apart]}) for step, apart in zip(steps, dt, strict=True)]
    lines = api.ask(opened(), {"input": "1.5 ?\n? 2 dt=2.5\n3 4 dt=0.5"})
    assert [each["count"] for each in single] == [1, 2, 3] and whole["count"] == 3
    for answers in (whole["answers"], [each["answers"][0] for each in single], lines["answers"]):
        for answer, truth in zip(answers, expected, strict=True):
            assert answer == {"read": truth["read"], "output": pytest.approx(truth["output"], rel=1e-4)}
    for body, error in (({"input": [[1, 2]], "dt": 0}, "dt = 0"), ({"input": [[1, 2], [3]]}, "as many each step")):
        assert error in api.refused(422, one, body)["error"]
