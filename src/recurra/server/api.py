"""The addresses of the server, from requests to questions and from answers to JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from recurra.server import bodies
from recurra.server.answering import GENERATING, check_input, check_inputs, check_options, check_sizes
from recurra.server.answers import Answers, Card, Cards, Fed, Health, SessionId, Trouble
from recurra.server.described import ANYWHERE, BODY, COMPUTED, described, refusals, streamed
from recurra.server.events import Streaming, gathered
from recurra.server.generating import LENGTH, Channel, Writing, has_parts
from recurra.server.guard import Guard
from recurra.server.handlers import HANDLERS
from recurra.server.inside import Inspection
from recurra.server.kinds import fit_maps, parts_of
from recurra.server.looking import look
from recurra.server.models import Models, Served
from recurra.server.pages import INDEX, page_files
from recurra.server.problems import OPENAPI, Problem, left, too_long
from recurra.server.routes import Route
from recurra.serving.poems import check_form

ABOUT = """Trained recurrent models. GET /api/models says what each is for, which options it takes and of which kinds
its answers are made. Every refusal is `{"error", "expected", "got", "next"}`."""


def make_app(
    models: Models, token: str | None = None, hosts: Collection[str] | None = None, version: str = "0"
) -> Guard:
    """The server of models as an ASGI application; for `token` and `hosts` see `Guard`, `version` is what it says of
    itself."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        models.start()
        yield
        await asyncio.to_thread(models.close)

    app = FastAPI(
        title="recurra serve",
        version=version,
        description=ABOUT,
        openapi_url="/api/openapi.json",
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.limits = models.limits
    app.include_router(_api(models, version))
    app.include_router(_pages())
    for error, handler in HANDLERS.items():
        app.add_exception_handler(error, handler)
    return Guard(app, token, hosts)


def _api(models: Models, version: str) -> APIRouter:
    api = APIRouter(prefix="/api", responses=refusals(*ANYWHERE), route_class=Route)

    @api.get(
        "/health",
        summary="Whether the server works, and how much there is to do",
        response_model=Health,
        responses={503: {"model": Health | Trouble, "description": "A model's thread does not work."}},
    )
    async def health() -> Response:
        states = [served.worker.state for served in models.by_name.values()]
        status = next((state for state in states if state != "ok"), "ok")
        return JSONResponse(
            {
                "status": status,
                "version": version,
                "models": {
                    name: {
                        "status": served.worker.state,
                        "waiting": served.worker.waiting,
                        "writing": served.worker.writing,
                        "sessions": len(served.sessions),
                        "computed": served.worker.computed,
                        "batches": served.worker.batches,
                    }
                    for name, served in models.by_name.items()
                },
            },
            200 if status == "ok" else 503,
        )

    @api.get("/models", summary="The card of every model, and the limits", **described(Cards))
    async def cards() -> Response:
        found = [served.card for served in models.by_name.values()]
        return JSONResponse({"models": found, "limits": asdict(models.limits)})

    @api.get("/models/{name}", summary="The card of a model", **described(Card, 404))
    async def one_card(name: str) -> Response:
        return JSONResponse(models.find(name).card)

    @api.post("/models/{name}/predict", summary="Answer inputs", **described(Answers, 404, *BODY, *COMPUTED))
    async def predict(name: str, body: bodies.Predict, request: Request) -> Response:
        served, said = models.find(name), body.options.said()
        check_options(said, served.run.does, models.limits)
        check_inputs(body.inputs, models.limits, served.run)
        if served.run.does == "translate":
            said["cells"] = models.limits.cells
        answers = await _unless_left(request, _answers(served, body.inputs, said))
        fit_maps(answers, models.limits.cells)
        return JSONResponse({"model": name, "answers": [{"parts": parts} for parts in answers]})

    @api.post(
        "/models/{name}/generate",
        summary="Generate a text symbol by symbol: events `symbol`, then `end` or `error`",
        **streamed(404, *BODY, *COMPUTED),
    )
    async def generate(name: str, body: bodies.Generate) -> Response:
        served = models.find(name)
        channel, writing = _writing(served, body.input, body.options.said())
        ended = served.begin_stream()
        try:
            served.worker.write(writing)
        except Problem:
            ended()
            raise
        return Streaming(channel, writing, models.limits.stream_seconds, ended)

    @api.post(
        "/models/{name}/inspect",
        summary="Gates, gradient flow and attention of an input",
        **described(Inspection, 404, *BODY, *COMPUTED),
    )
    async def inspect(name: str, body: bodies.Inspect, request: Request) -> Response:
        served = models.find(name)
        _check_parts(served)
        for given in (body.text, body.target or ""):
            check_input(given, models.limits, served.run)
        stop = served.worker.stop
        wanted = served.worker.call(lambda: look(served.run, body.text, body.target, models.limits, stop))
        return JSONResponse(await _unless_left(request, wanted))

    _add_sessions(api, models)
    return api


def _add_sessions(api: APIRouter, models: Models) -> None:
    opened = described(SessionId, 404, *COMPUTED)

    @api.post("/models/{name}/sessions", summary="Open a session", status_code=201, **opened)
    async def open_session(name: str, request: Request) -> Response:
        served = models.find(name)
        _check_parts(served)
        served.sessions.check_room()
        session = await _unless_left(request, served.worker.call(served.open_session))
        return JSONResponse({"id": served.sessions.add(session), "count": 0}, 201)

    @api.post(
        "/models/{name}/sessions/{id}/feed",
        summary="Read what comes next",
        **described(Fed, 404, 409, *BODY, *COMPUTED),
    )
    async def feed(name: str, id: str, body: bodies.Feed, request: Request) -> Response:
        served = models.find(name)
        check_sizes({"top": body.top}, models.limits)
        given: Any = body.input
        if all(isinstance(each, str) for each in given):
            check_input(given, models.limits)
        if len(given) > models.limits.written:
            raise too_long("what a session is fed", models.limits.written, len(given), "symbols at once")
        with served.sessions.fed(id) as session:
            count, answers = await _unless_left(request, served.fed(session, given, body.top))
        return JSONResponse({"count": count, "answers": answers})

    @api.post(
        "/models/{name}/sessions/{id}/fork", summary="Open another that has read the same", status_code=201, **opened
    )
    async def fork(name: str, id: str) -> Response:
        served = models.find(name)
        session = served.sessions.find(id)
        served.sessions.check_room()
        other = await served.worker.call(session.fork)
        return JSONResponse({"id": served.sessions.add(other), "count": other.count}, 201)  # nobody feeds it yet

    @api.delete("/models/{name}/sessions/{id}", summary="Close a session", status_code=204, **described(None, 404))
    async def close(name: str, id: str) -> Response:
        models.find(name).sessions.drop(id)
        return Response(status_code=204)


def _pages() -> APIRouter:
    pages, files = APIRouter(include_in_schema=False), page_files()

    @pages.get("/")
    async def index(request: Request) -> Response:
        return await named(INDEX, request)

    @pages.get("/ui/{name}")
    async def named(name: str, request: Request) -> Response:
        if name not in files:
            raise Problem(404, "there is no such file", got=name, next="The page is at /.")
        file = files[name]
        headers = {"Cache-Control": "no-cache", "ETag": file.mark}
        if request.headers.get("if-none-match") == file.mark:
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    return pages


async def _answers(served: Served, inputs: list[Any], said: dict[str, Any]) -> list[Any]:
    """The parts of each input's answer."""
    if served.run.does != "write":
        return await served.worker.ask(served.asking.key(said), inputs)
    found, most = [], served.limits.written
    if len(inputs) * said.get("length", LENGTH) > most:
        raise too_long("what is to be written", most, len(inputs) * said.get("length", LENGTH), "symbols in all")
    served.worker.check_room()
    loop, seconds = asyncio.get_running_loop(), served.limits.seconds
    deadline = loop.time() + seconds
    for given in inputs:
        channel, writing = _writing(served, given, said)
        served.worker.write_later(writing)
        text, symbols = await gathered(channel, writing, deadline - loop.time(), seconds)
        found.append(parts_of({"prompt": given, "text": text, "symbols": symbols}, served.run.model.task))
    return found


def _writing(served: Served, given: Any, said: dict[str, Any]) -> tuple[Channel, Writing]:
    """A text that is to be generated. Raises `Problem` for a model that generates none, and for options of
    others."""
    if not served.generates:
        raise Problem(
            422,
            f"this model {served.run.does}s, it generates nothing",
            expected="a model whose card says that it can generate",
            got=served.name,
            next=f"POST to /api/models/{served.name}/predict.",
        )
    for name in said:
        if name not in GENERATING:
            raise Problem(
                422,
                f"the option {name} is not for what is generated symbol by symbol",
                expected="options of " + ", ".join(GENERATING),
                got=name,
                next="Leave it out, or ask for a prediction.",
            )
    if "form" in said:
        check_options({"form": said["form"]}, served.run.does, served.limits)
    if said.get("form"):
        check_form(served.run.model.task)
    check_sizes(said, served.limits)
    if not isinstance(given, str):
        raise Problem(422, "a text is continued, not tokens", expected="a text", got=given, next="Join the tokens.")
    check_input(given, served.limits, served.run)
    if served.run.does == "translate" and not given.strip():
        raise Problem(422, "the input is empty", expected="a source", got=given, next=OPENAPI)
    channel = Channel()
    return channel, Writing(channel, given, said, served.defaults)


def _check_parts(served: Served) -> None:
    """Raise `Problem` for an export, which has no parts to look into or to hold sessions of."""
    if not has_parts(served.run.model):
        raise Problem(
            422,
            "this model is an export, which cannot be looked into and holds no sessions",
            expected="a run's own folder",
            got=served.name,
            next="Serve the run that it was exported from.",
        )


async def _unless_left(request: Request, wanted: Coroutine[Any, Any, Any]) -> Any:
    """What is wanted, unless the client leaves before: then it is dropped."""
    asked = asyncio.ensure_future(wanted)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((asked, leaving), return_when=asyncio.FIRST_COMPLETED)
        if asked.done():
            return asked.result()
        asked.cancel()
        await asyncio.wait((asked,))
        raise left()
    finally:
        for each in (asked, leaving):
            each.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
