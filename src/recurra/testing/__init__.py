"""The conformance checks, public: what every part must show, run for everything registered and for a user's own parts."""

from recurra.testing.cells import CELL_CHECKS, CONFIGURATIONS, check_cell

__all__ = ["CELL_CHECKS", "CONFIGURATIONS", "check_cell"]
