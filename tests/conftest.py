"""Settings that must stand before any kernel starts, and what several tests share."""

import functools
import os

os.environ["CAMUTILS_WEIGHTS"] = "embedded"
if "PYTEST_XDIST_WORKER" in os.environ:  # Kernels and other children inherit it too.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib.font_manager  # noqa: F401  Builds its cache here, not inside a notebook.
import pytest

from camutils import data_path, load_classifier, load_image


@pytest.fixture(scope="session")
def elephants():
    """The composite of the two elephants, 640x480, RGB."""
    return load_image(data_path("scenes", "elephants.jpg"))


@pytest.fixture(scope="session")
def classifier():
    """`classifier(name)`: the embedded network, or the real one with random weights; built once."""
    return functools.cache(
        lambda name: load_classifier(name, "embedded" if "lite0" in name else "random")
    )
