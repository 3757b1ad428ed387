"""An address of the API: its body becomes what its function's hint says, and nothing else is worked out for a request.

FastAPI describes the addresses; its own way from a request to a function takes longer than all that we do for one.
"""

from __future__ import annotations

import asyncio
import json
import typing
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from recurra.server.limits import Limits
from recurra.server.problems import OPENAPI, Problem, left, of_validation


class Route(APIRoute):
    """Its function may take the names in the address, `request`, and a `body`, and gives a `Response`.

    A body is waited for only where the function takes one; how much and how long stands in the application's
    `state.limits`.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What a request is given to."""
        endpoint: Any = self.endpoint
        hints = typing.get_type_hints(endpoint)
        kind, asks = hints.get("body"), "request" in hints

        async def answered(request: Request) -> Response:
            keywords: dict[str, Any] = dict(request.path_params)
            if asks:
                keywords["request"] = request
            if kind is not None:
                keywords["body"] = read(
                    kind, await received(request, request.app.state.limits), request.headers.get("content-type", "")
                )
            found: Response = await endpoint(**keywords)
            return found

        return answered


async def received(request: Request, limits: Limits) -> bytes:
    """All of a request's body. Raises `Problem` for one that is too long, as soon as that is known, and for one that
    does not come in time."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limits.body:
        raise _too_long(limits, int(announced))
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            while True:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise left()
                body += message.get("body", b"")
                if len(body) > limits.body:
                    raise _too_long(limits, f"{len(body):,} bytes so far")
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise Problem(
            408,
            "the body did not come in time",
            expected=f"all of it within {limits.body_seconds:g} seconds",
            next="Send it again.",
            headers={"Connection": "close"},
        ) from None


def _too_long(limits: Limits, got: Any) -> Problem:
    return Problem(
        413,
        "the body is too long",
        expected=f"{limits.body:,} bytes at most",
        got=got,
        next="Send less, or part it into several requests.",
        headers={"Connection": "close"},
    )


def read(kind: type[BaseModel], body: bytes, content_type: str) -> BaseModel:
    """What a body says. Raises `Problem` for one that is not sent as JSON, is none, or lacks what is expected."""
    media = content_type.partition(";")[0].strip().lower()
    if media != "application/json":
        raise Problem(
            415,
            "the body is not sent as JSON",
            expected="the header Content-Type: application/json",
            got=content_type or "no such header",
            next=OPENAPI,
        )
    try:
        said = json.loads(body.decode("utf-8"))  # of bytes the encoding would be guessed
    except (ValueError, RecursionError) as error:  # what is no JSON, no UTF-8, or nested too deep
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise Problem(400, f"the body is no JSON{where}", expected="one JSON object in UTF-8", next=OPENAPI) from error
    try:
        return kind.model_validate(said)
    except ValidationError as error:
        raise of_validation(error.errors()) from error
