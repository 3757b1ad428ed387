"""Where jobs are to be done, as somebody says it: checked before torch is loaded."""

from __future__ import annotations

from recurra.errors import ConfigError

PLACES = ("here", "ray")


def check_workers(workers: int | None) -> None:
    """Raise `ConfigError` for no process."""
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers {workers}, expected a whole number from 1.")


def check_place(on: str, address: str | None) -> None:
    """Raise `ConfigError` for a place that is unknown, for an address of none, and where Ray is not installed."""
    if on not in PLACES:
        raise ConfigError(f"--on {on}, expected {' or '.join(PLACES)}.")
    if address is not None and on != "ray":
        raise ConfigError("--address is where a Ray cluster is. Add --on ray.")
    if on == "ray":
        from recurra.jobs.on_ray import check_installed

        check_installed()
