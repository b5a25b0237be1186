"""Outputs are compared with the committed ones, which the embedded networks gave."""

import os

os.environ["CAMUTILS_WEIGHTS"] = "embedded"  # The kernels inherit it.
