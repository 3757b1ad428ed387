"""The conformance suite over every registered cell: a new cell is tested by being registered."""

from __future__ import annotations

import pytest

from recurra.registry import find, names
from recurra.testing import CELL_CHECKS, CONFIGURATIONS
from recurra.testing.cells import Configuration, check_equal


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda c: c.name)
@pytest.mark.parametrize("name", names("cell"))
def test_every_backend_equals_the_reference(name: str, configuration: Configuration) -> None:
    check_equal(find("cell", name), configuration)


@pytest.mark.parametrize("check", CELL_CHECKS)
@pytest.mark.parametrize("name", names("cell"))
def test_cell(name: str, check: str) -> None:
    CELL_CHECKS[check](find("cell", name))
