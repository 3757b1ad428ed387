"""One thread for every test: the tensors are small, and so it is in the processes that tests start."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"
