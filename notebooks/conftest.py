"""Outputs are compared with the committed ones, which the embedded networks gave."""

import os

os.environ["CAMUTILS_WEIGHTS"] = "embedded"  # The kernels inherit it.
if "PYTEST_XDIST_WORKER" in os.environ:  # Or all kernels would take all cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
