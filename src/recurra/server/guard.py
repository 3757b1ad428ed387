"""What every request goes through before anything else: who may ask, and how long a body may take. Needs no torch.

Pure ASGI, since no setting of FastAPI or uvicorn does any of this: a dependency, such as FastAPI's own for a bearer
token, is asked behind the body, so that whoever has no token could let the server wait for one; that a page of another
origin sends nothing without asking first is no protection for addresses without a body; and no body is timed at all.
"""

from __future__ import annotations

import asyncio
import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
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
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """An ASGI application around another. `token`: what the API wants as a bearer token, before any body is received;
    None: nothing, but no page of another origin may ask."""

    def __init__(self, app: ASGIApp, token: str | None, body_seconds: float) -> None:
        self._app, self._seconds = app, body_seconds
        self._token = None if token is None else token.encode()

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
            self._check_origin(headers)
            self._check_token(scope["path"], headers)
        except Problem as problem:
            await answer(problem)(scope, receive, with_headers)
            return
        await self._app(scope, timed(receive, self._seconds), with_headers)

    def _check_origin(self, headers: Headers) -> None:
        """With a token a page elsewhere has nothing to ask with: browsers add cookies and passwords by themselves, but
        no bearer token. So the origin is not looked at, which a proxy with TLS in front of this server may not know."""
        origin, host = headers.get("origin", ""), headers.get("host", "")
        if self._token is None and origin and _netloc(origin) != host:
            raise Problem(
                403,
                "a page of another origin may not ask",
                expected=f"the origin of {cut(host)}",
                got=origin,
                next="Open the server's own page, or ask from a program.",
            )

    def _check_token(self, path: str, headers: Headers) -> None:
        """The page itself is open, so that it can ask for the token."""
        if self._token is None or not path.startswith("/api") or path in OPEN:
            return
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token):
            raise Problem(
                401,
                "this server wants a token" if not given else "this is not the server's token",
                expected="the header Authorization: Bearer and the token that the server was started with",
                got="no token" if not given else "another token",
                next="Ask whoever started the server.",
                headers={"WWW-Authenticate": "Bearer"},
            )


def timed(receive: Receive, seconds: float) -> Receive:
    """The same, which raises `Problem` where a body that somebody waits for is not whole in time."""
    deadline, whole = 0.0, False

    async def received() -> Message:
        nonlocal deadline, whole
        if whole:
            return await receive()
        deadline = deadline or asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise Problem(
                408,
                "the body did not come in time",
                expected=f"all of it within {seconds:g} seconds",
                next="Send it again.",
                headers={"Connection": "close"},
            ) from None
        whole = not message.get("more_body", False)
        return message

    return received


def answer(problem: Problem) -> JSONResponse:
    """A refusal as a response."""
    return JSONResponse(problem.body, problem.status_code, problem.headers)


def _netloc(origin: str) -> str | None:
    """The host and port of an origin; None for what is no address."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
