"""What every request goes through before anything else: who may ask, and how long a body may take. Needs no torch.

Pure ASGI, since no setting of FastAPI or uvicorn does any of this: a dependency, such as FastAPI's own for a bearer
token, is asked behind the body, so whoever has no token could let the server wait for one; addresses without a body
could be asked by any page; and no body is timed at all.
"""

from __future__ import annotations

import asyncio
import hmac

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recurra.server.problems import Problem, cut

OPEN = ("/api/health",)
"""Addresses of the API that need no token."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(self), geolocation=()",
}


class Guard:
    """An ASGI application around another. `token`: what the API wants as a bearer token, before any body is received;
    None: nothing, but no page of another origin may ask."""

    def __init__(self, app: ASGIApp, token: str | None, body_seconds: float) -> None:
        self._app, self._seconds, self._token = app, body_seconds, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        headers = Headers(scope=scope)
        try:
            if self._token is None:
                check_origin(headers.get("origin"), headers.get("host", ""))
            elif scope["path"].startswith("/api") and scope["path"] not in OPEN:  # the page asks for the token itself
                check_token(headers.get("authorization", ""), self._token)
        except Problem as problem:
            await problem.response()(scope, receive, with_headers)
        else:
            await self._app(scope, timed(receive, self._seconds), with_headers)


def check_origin(origin: str | None, host: str) -> None:
    """Raise `Problem` for a page of another origin. With a token there is no need: browsers add cookies and passwords
    by themselves, but no bearer token; and a proxy with TLS before this server may call it by another name."""
    if origin is not None and origin.partition("://")[2] != host:
        raise Problem(
            403,
            "a page of another origin may not ask",
            expected=f"the origin of {cut(host)}",
            got=origin,
            next="Open the server's own page, or ask from a program.",
        )


def check_token(authorization: str, token: str) -> None:
    """Raise `Problem` for no bearer token, and for another."""
    kind, _, given = authorization.partition(" ")
    if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise Problem(
            401,
            "this is not the server's token" if given else "this server wants a token",
            expected="the header Authorization: Bearer and the token that the server was started with",
            got="another token" if given else "no token",
            next="Ask whoever started the server.",
            headers={"WWW-Authenticate": "Bearer"},
        )


def timed(receive: Receive, seconds: float) -> Receive:
    """The same, which raises `Problem` where a body that somebody waits for is not whole in time."""
    deadline, whole = 0.0, False

    async def received() -> Message:
        nonlocal deadline, whole
        deadline = deadline or asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(None if whole else deadline):
                message = await receive()
        except TimeoutError:
            expected, headers = f"all of it within {seconds:g} seconds", {"Connection": "close"}
            error = "the body did not come in time"
            raise Problem(408, error, expected=expected, next="Send it again.", headers=headers) from None
        whole = not message.get("more_body", False)
        return message

    return received
