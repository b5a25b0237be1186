"""Outputs are compared with the committed ones, which the embedded networks gave."""

import os

from course.kernels import KEEP_MEMORY

os.environ["CAMUTILS_WEIGHTS"] = "embedded"  # The kernels inherit it.
os.environ.update(KEEP_MEMORY)
if "PYTEST_XDIST_WORKER" in os.environ:  # Or all kernels would take all cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
