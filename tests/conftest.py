"""One thread for every test: the tensors are small, and so it is in the processes that tests start.

Compiled code is kept beside pytest's own cache, so that a second run need not compile, and the user's is left alone.
How fast inputs are drawn depends on what else the machine does, so no test fails for it.
"""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import HealthCheck, settings

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("RECURRA_CACHE", str(Path(__file__).parents[1] / ".pytest_cache" / "compiled"))
settings.register_profile("recurra", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("recurra")
