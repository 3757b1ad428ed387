"""What is raised where a computation is given up. Needs no torch."""

from __future__ import annotations


class Stopped(Exception):
    """`stop()` said so, in the midst of a prediction: there is no answer, and nobody waits for one."""
