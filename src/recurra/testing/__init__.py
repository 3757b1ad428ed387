"""The conformance checks: what every part must show, whether it is registered here or a user's own."""

from recurra.testing.cells import CELL_CHECKS, CONFIGURATIONS, check_cell

__all__ = ["CELL_CHECKS", "CONFIGURATIONS", "check_cell"]
