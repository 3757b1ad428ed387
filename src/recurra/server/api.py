"""The addresses of the server."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Collection, Coroutine
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.middleware import Middleware
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import FileResponse, Response
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.exceptions import HTTPException

from recurra.errors import RecurraError
from recurra.server import replies, requests
from recurra.server.guard import Guard
from recurra.server.models import Models, Served
from recurra.server.problems import OPENAPI, Problem, of_model, of_recurra, of_validation, too_slow
from recurra.server.texts import Text

ABOUT = """Trained recurrent models. GET /api/models says what each is for, which options it takes and of which kinds
its answers are made. Every refusal is `{"error", "expected", "got", "next"}`."""
UI = Path(__file__).parent / "ui"
EVENTS = "text/event-stream"
PING = 10
"""Seconds of silence after which a comment is sent, so that nobody between takes the connection for dead."""
LEFT = 499
"""The status of a request whose client has left; nobody reads it."""
WORDS = {
    400: "the body is no JSON",
    404: "there is nothing at this address",
    405: "this address is not asked in this way",
    413: "the body is too long",
}
"""What is said where FastAPI or Starlette refuses by a status alone."""
TOKEN = HTTPBearer(scheme_name="token", description="Where the server was started with one.", auto_error=False)
"""For OpenAPI: `Guard` has asked for it before."""


def make_app(
    models: Models, token: str | None = None, hosts: Collection[str] | None = None, version: str = "0"
) -> FastAPI:
    """The server of models as an ASGI application.

    `token`: see `Guard`; `hosts`: names by which a request may call the server, so that no foreign name can be pointed
    at it (DNS rebinding), None: any; `version` is what it says of itself.
    """
    handlers: dict[Any, Any] = {
        HTTPException: _on_http,
        RequestValidationError: _on_validation,
        RecurraError: lambda _, error: of_recurra(error).response(),
        Exception: lambda *_: of_model().response(),
    }
    names = ["*"] if hosts is None else [f"[{host}]" if ":" in host else host for host in hosts]

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        models.refuse_all()
        await asyncio.to_thread(models.close)

    app = FastAPI(
        title="recurra serve",
        version=version,
        description=ABOUT,
        openapi_url="/api/openapi.json",
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        max_body_size=models.most_bytes,
        middleware=[
            Middleware(Guard, token=token, body_seconds=models.limits.body_seconds),
            Middleware(TrustedHostMiddleware, allowed_hosts=names, www_redirect=False),
        ],
        exception_handlers=handlers,
        responses={"default": {"model": replies.Refusal, "description": "A refusal."}},
    )
    app.state.models = models
    app.include_router(open_api)
    app.include_router(api)
    app.mount("/ui", StaticFiles(directory=UI))
    app.add_api_route("/", _page, include_in_schema=False)
    return app


async def _models(request: Request) -> Models:
    found: Models = request.app.state.models
    return found


AllModels = Annotated[Models, Depends(_models)]


async def _model(name: str, models: AllModels) -> Served:
    return models.find(name)


Model = Annotated[Served, Depends(_model)]
open_api = APIRouter(prefix="/api")
api = APIRouter(prefix="/api/models", dependencies=[Security(TOKEN)])


@open_api.get("/health", response_model=replies.Health, responses={503: {"model": replies.Health}})
async def health(models: AllModels, request: Request, response: Response) -> Any:
    """Whether the server works, and how much there is to do."""
    work = {
        name: {
            "status": "closing" if served.worker.closing else "ok",
            "waiting": served.worker.waiting,
            "writing": served.worker.writing,
            "sessions": len(served.sessions),
            "computed": served.worker.computed,
            "batches": served.worker.batches,
        }
        for name, served in models.by_name.items()
    }
    status = next((each["status"] for each in work.values() if each["status"] != "ok"), "ok")
    response.status_code = 200 if status == "ok" else 503
    return {"status": status, "version": request.app.version, "models": work}


@api.get("", response_model=replies.Cards)
async def cards(models: AllModels) -> Any:
    """The card of every model, and the limits."""
    return {"models": [served.card for served in models.by_name.values()], "limits": models.limits}


@api.get("/{name}", response_model=replies.Card)
async def one_card(model: Model) -> Any:
    """The card of a model."""
    return model.card


@api.post("/{name}/predict", response_model=replies.Answers)
async def predict(body: requests.Predict, model: Model, request: Request) -> Any:
    """Answer inputs."""
    found = await _unless_left(request, model.predict(body.inputs, body.options))
    return {"model": model.name, "answers": found}


async def _text(body: requests.Generate, model: Model) -> AsyncIterator[Text]:
    """A text, until its response is over, in whatever way."""
    text = model.text(body.input, body.options, streamed=True)
    try:
        yield text
    finally:
        model.worker.drop(text)


@api.post("/{name}/generate", response_class=EventSourceResponse, responses={200: {"content": {EVENTS: {}}}})
async def generate(text: Annotated[Text, Depends(_text)], models: AllModels) -> Any:
    """Generate a text symbol by symbol: events `symbol` (`symbol`, `text`, `p`, `alternatives`), then `end` (the whole
    `text` and how many `symbols`) or `error` (a refusal)."""
    return EventSourceResponse(_events(text, models.limits.stream_seconds), ping=PING, sep="\n")


async def _events(text: Text, seconds: float) -> AsyncIterator[ServerSentEvent]:
    async for name, data in text.events(asyncio.get_running_loop().time() + seconds):
        if name == "error":
            data = (too_slow(seconds, True) if data is None else data).body
        yield ServerSentEvent(json.dumps(data, ensure_ascii=False), event=name, sep="\n")


@api.post("/{name}/inspect", response_model=replies.Inspection)
async def inspect(body: requests.Inspect, model: Model, request: Request) -> Any:
    """Gates, gradient flow and attention of an input."""
    return await _unless_left(request, model.inspect(body.text, body.target))


@api.post("/{name}/sessions", status_code=201, response_model=replies.SessionId)
async def open_session(model: Model, request: Request) -> Any:
    """Open a session."""
    session = await _unless_left(request, model.open_session())
    return {"id": model.sessions.add(session), "count": 0}


@api.post("/{name}/sessions/{id}/feed", response_model=replies.Fed)
async def feed(id: str, body: requests.Feed, model: Model, request: Request) -> Any:
    """Read what comes next."""
    with model.sessions.fed(id) as session:
        return await _unless_left(request, model.feed(session, body))


@api.post("/{name}/sessions/{id}/fork", status_code=201, response_model=replies.SessionId)
async def fork(id: str, model: Model) -> Any:
    """Open another that has read the same."""
    session = model.sessions.find(id)
    model.sessions.check_room()
    other = await model.worker.call(session.fork)
    return {"id": model.sessions.add(other), "count": other.count}  # nobody feeds it yet


@api.delete("/{name}/sessions/{id}", status_code=204)
async def close(id: str, model: Model) -> None:
    """Close a session."""
    model.sessions.drop(id)


async def _page() -> FileResponse:
    return FileResponse(UI / "index.html")


async def _unless_left(request: Request, wanted: Coroutine[Any, Any, Any]) -> Any:
    """What is wanted, unless the client leaves before: then it is dropped."""
    asked = asyncio.ensure_future(wanted)

    async def drop() -> None:
        with contextlib.suppress(HTTPException):  # of a body that nobody waits for
            while (await request.receive())["type"] != "http.disconnect":
                pass
            asked.cancel()

    leaving = asyncio.ensure_future(drop())
    try:
        return await asked
    except asyncio.CancelledError:
        if not leaving.done():
            raise
        raise Problem(LEFT, "the client has left") from None
    finally:
        leaving.cancel()


async def _on_http(request: Request, error: Any) -> Response:
    """What is refused, by us or by a status alone, in words."""
    if not isinstance(error, Problem):
        status, got, expected = error.status_code, f"{request.method} {request.url.path}", None
        if status == 413:
            expected = f"{request.app.state.models.most_bytes:,} bytes at most"
        words = WORDS.get(status, error.detail)
        error = Problem(status, words, expected=expected, got=got, next=OPENAPI, headers=error.headers)
    return error.response()


async def _on_validation(request: Request, error: Any) -> Response:
    """What a body lacks, or that it is not sent as JSON."""
    media = request.headers.get("content-type", "")
    if media.partition(";")[0].strip().lower() == "application/json":
        return of_validation(error.errors()).response()
    expected, got = "the header Content-Type: application/json", media or "no such header"
    return Problem(415, "the body is not sent as JSON", expected=expected, got=got, next=OPENAPI).response()
