"""recurra serve"""

from __future__ import annotations

import contextlib
import json as json_format
import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra import __version__, workflow
from recurra.cli.options import Device, Json, Plugins, Threads
from recurra.errors import ConfigError
from recurra.export import export_folder
from recurra.limits import check_threads
from recurra.server.address import address_of, bind, check_address, check_installed, hosts_of
from recurra.server.limits import Limits
from recurra.workflow.plan import check_run

TOKEN = "RECURRA_TOKEN"


def serve(
    *runs: Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: Annotated[str | None, Parameter(show_default=False)] = None,
    device: Device = "cpu",
    threads: Threads = 1,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Serve runs: a page to try them, and a JSON API. Ctrl-C ends it, a second one at once.

    Parameters
    ----------
    runs
        The folders that `recurra train` made.
    host
        The address to listen at; one that other machines can reach wants a token.
    port
        0 takes any that is free.
    token
        What the API wants as a bearer token; the environment variable RECURRA_TOKEN if not said.
    """
    if not runs:
        raise ConfigError("no run is named. Name one or more: recurra serve run")
    for run in runs:
        if export_folder(run) is None:
            check_run(run)
    token = token if token is not None else os.environ.get(TOKEN) or None
    check_address(host, port, token)
    check_threads("--threads", threads)
    check_installed()
    with bind(host, port) as bound:
        opened = [workflow.load(run, plugin or (), device) for run in runs]
        from recurra.server.api import make_app
        from recurra.server.listening import listen
        from recurra.server.models import Models

        models = Models(opened, Limits(), threads)
        bound.listen()
        address = address_of(bound, host)
        said = {"address": address, "models": list(models.by_name)}
        print(json_format.dumps(said) if json else f"serving {', '.join(models.by_name)} at {address}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            app = make_app(models, token, hosts_of(host) if token is None else None, __version__)
            listen(app, bound, models.limits, models.refuse_all)
        if not json:
            print("closed")
