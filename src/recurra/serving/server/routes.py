"""An address of the API: its body becomes what its function's hint says, and nothing else is worked out for a request.

FastAPI describes the addresses; its own way from a request to a function takes longer than all that we do for one.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from recurra.serving.server.problems import OPENAPI, Problem, of_validation


class Route(APIRoute):
    """Its function may take the names in the address, `request`, and a `body`, and gives a `Response`."""

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
                keywords["body"] = read(kind, await request.body(), request.headers.get("content-type", ""))
            found: Response = await endpoint(**keywords)
            return found

        return answered


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
