"""The address a server listens at. Needs no torch, and none of what serves."""

from __future__ import annotations

import importlib.util
import ipaddress
import socket
from collections.abc import Collection

from recurra.errors import ConfigError

PACKAGES = ("fastapi", "sse_starlette", "uvicorn")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
SHORTEST = 16
"""Characters of a token at least."""


def check_installed() -> None:
    """Raise `ConfigError` where a package that serving needs is missing."""
    for package in PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise ConfigError(f"the package {package} is missing, which serving needs: pip install 'recurra[serve]'")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_address(host: str, port: int, token: str | None) -> None:
    """Raise `ConfigError` for an address that others can reach without a token, and for what is none."""
    if not 0 <= port <= 65535:
        raise ConfigError(f"--port {port}, expected 0 (any that is free) to 65535.")
    if token is None and not is_loopback(host):
        raise ConfigError(
            f"--host {host} can be reached from other machines, so a token is needed that they must show. Say one, "
            f"--token with {SHORTEST} characters or more (or the environment variable RECURRA_TOKEN), or serve on "
            "127.0.0.1."
        )
    if token is not None and (len(token) < SHORTEST or not token.isascii() or not token.isprintable() or " " in token):
        raise ConfigError(
            f"a token of {len(token)} characters, expected {SHORTEST} or more of ASCII and no space. For instance: "
            "python -c 'import secrets; print(secrets.token_urlsafe())'"
        )


def hosts_of(host: str) -> Collection[str] | None:
    """The names a server of this address goes by; None: any, because a token is asked for."""
    return {*LOOPBACK, host.strip("[]").lower()} if is_loopback(host) else None


def bind(host: str, port: int) -> socket.socket:
    """A socket of this address that does not listen yet. Raises `ConfigError` where there can be none."""
    bare = host.strip("[]")
    try:
        family, kind, proto, _, address = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ConfigError(f"--host {host} is no address of this machine ({error.strerror}). Try 127.0.0.1.") from error
    bound = socket.socket(family, kind, proto)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise ConfigError(
            f"{bare}:{port} cannot be listened at ({error.strerror}). Name another, --port, or --port 0 for any that "
            "is free."
        ) from error
    return bound


def address_of(bound: socket.socket, host: str) -> str:
    """The address to be opened in a browser."""
    bare = host.strip("[]")
    return f"http://{f'[{bare}]' if ':' in bare else bare}:{bound.getsockname()[1]}/"
