"""Whatever is raised while a request is answered, as the JSON object of a `Problem`. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from recurra.errors import RecurraError
from recurra.server.problems import OPENAPI, Problem, of_model, of_recurra


async def _on_problem(request: Request, error: Any) -> Response:
    return JSONResponse(error.as_json(), error.status, error.headers)


async def _on_recurra(request: Request, error: Any) -> Response:
    return await _on_problem(request, of_recurra(error))


async def _on_http(request: Request, error: Any) -> Response:
    said = {404: "there is nothing at this address", 405: "this address is not asked in this way"}
    found = Problem(
        error.status_code,
        said.get(error.status_code, str(error.detail)),
        got=f"{request.method} {request.url.path}",
        next=OPENAPI,
        headers=error.headers,
    )
    return await _on_problem(request, found)


async def _on_fault(request: Request, error: Any) -> Response:
    return await _on_problem(request, of_model())


HANDLERS: dict[type[Exception], Callable[[Request, Any], Any]] = {
    Problem: _on_problem,
    RecurraError: _on_recurra,
    HTTPException: _on_http,
    Exception: _on_fault,
}
"""By what is raised."""
