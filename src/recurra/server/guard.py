"""What every request goes through before anything else: whom it is for, and who may ask. Needs no torch.

No body is waited for here: an address that takes one reads it, see `routes`, so that whoever may not ask, and whoever
asks for what takes none, is answered by the head alone.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from recurra.server.problems import Problem, cut

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

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
RAW = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


class Guard:
    """An ASGI application around another.

    `hosts`: names by which a request may call the server, so that no foreign name can be pointed at it (DNS
    rebinding); None: any. `token`: what the API wants as a bearer token; None: nothing.
    """

    def __init__(self, app: App, token: str | None, hosts: Collection[str] | None) -> None:
        self._app, self._hosts = app, hosts
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *RAW]
            await send(message)

        headers = dict(scope["headers"])
        try:
            self._check_name(headers)
            self._check_token(scope["path"], headers)
        except Problem as problem:
            await refuse(problem, guarded)
            return
        await self._app(scope, receive, guarded)

    def _check_name(self, headers: dict[bytes, bytes]) -> None:
        """Refuse a request under a foreign name, and one that a page of another origin sent.

        With a token a page elsewhere has nothing to ask with: browsers add cookies and passwords by themselves, but no
        bearer token. So the origin is not looked at, which a proxy with TLS in front of this server may not know.
        """
        host = headers.get(b"host", b"").decode("latin-1")
        if self._hosts is not None and bare_name(host) not in self._hosts:
            raise Problem(
                421,
                "this server does not go by this name",
                expected=f"the host {' or '.join(sorted(self._hosts))}",
                got=host,
                next="Open the address that `recurra serve` printed.",
            )
        origin = headers.get(b"origin", b"").decode("latin-1")
        if self._token is None and origin and _netloc(origin) != host:
            raise Problem(
                403,
                "a page of another origin may not ask",
                expected=f"the origin of {cut(host)}",
                got=origin,
                next="Open the server's own page, or ask from a program.",
            )

    def _check_token(self, path: str, headers: dict[bytes, bytes]) -> None:
        """Refuse a request to the API without the token; the page itself is open, so that it can ask for it."""
        if self._token is None or not path.startswith("/api") or path in OPEN:
            return
        kind, _, given = headers.get(b"authorization", b"").partition(b" ")
        if kind.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self._token):
            raise Problem(
                401,
                "this server wants a token" if not given else "this is not the server's token",
                expected="the header Authorization: Bearer and the token that the server was started with",
                got="no token" if not given else "another token",
                next="Ask whoever started the server.",
                headers={"WWW-Authenticate": "Bearer"},
            )


def _netloc(origin: str) -> str | None:
    """The host and port of an origin; None for what is no address."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def bare_name(host: str) -> str:
    """The name in a Host header, without its port: `[::1]:8000` is `::1`."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


async def refuse(problem: Problem, send: Send) -> None:
    """Answer by what is wrong."""
    body = json.dumps(problem.as_json(), ensure_ascii=False).encode()
    own = {"Content-Type": "application/json", "Content-Length": str(len(body)), **problem.headers}
    headers = [(name.lower().encode(), value.encode()) for name, value in own.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
