"""What OpenAPI says of an address besides its body: its answer, its refusals, and that it wants the token."""

from __future__ import annotations

from typing import Any, get_args

from fastapi import Security
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPBearer

from recurra.server.answers import Event, Trouble
from recurra.server.events import EVENTS

REFUSALS = {
    400: "The body is no JSON.",
    401: "There is no token, or another one.",
    403: "A page of another origin asks.",
    404: "There is no such model or session.",
    408: "The request did not come in time.",
    409: "The session is being fed.",
    413: "The body is too long.",
    415: "The body is not sent as JSON.",
    421: "The server does not go by this name.",
    422: "Something in the body, or about the model, does not fit.",
    429: "There is too much of it already; Retry-After says when to come again.",
    500: "A fault of the server.",
    503: "There was no turn, or the server is busy or closing.",
    504: "The answer took too long.",
}
ANYWHERE = (403, 408, 421, 500, 503)
BODY = (400, 413, 415, 422)
COMPUTED = (422, 429, 504)
TOKEN = Security(
    HTTPBearer(scheme_name="token", description="Where the server was started with one.", auto_error=False)
)


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What is said of refusals by their status; any other is of the same form."""
    said: dict[int | str, dict[str, Any]] = {"default": {"model": Trouble, "description": "Any other refusal."}}
    return said | {status: {"model": Trouble, "description": REFUSALS[status]} for status in statuses}


def described(model: Any, *statuses: int) -> dict[str, Any]:
    """What an address answers, and by which statuses it refuses, besides those that come `ANYWHERE`."""
    return {"response_model": model, "responses": refusals(401, *statuses), "dependencies": [TOKEN]}


def streamed(*statuses: int) -> dict[str, Any]:
    """The same of an address that answers by events, whose data is an `Event`."""
    kinds = [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in get_args(Event)]
    schema = {"description": "The data of each event: of `symbol`, then of `end` or `error`.", "anyOf": kinds}
    said = described(Event, *statuses)
    found = {200: {"description": "Events as they come.", "content": {EVENTS: {"schema": schema}}}}
    return {**said, "response_class": StreamingResponse, "responses": {**said["responses"], **found}}
