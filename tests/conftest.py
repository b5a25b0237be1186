"""Settings that must stand before any kernel starts, and what several tests share."""

import functools
import os

os.environ["CAMUTILS_WEIGHTS"] = "embedded"
if "PYTEST_XDIST_WORKER" in os.environ:  # Kernels and other children inherit it too.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from camutils import data_path, load_classifier, load_image


def pytest_addoption(parser):
    """Offer the tests that need an internet connection."""
    parser.addoption(
        "--pretrained",
        action="store_true",
        help="fetch VGG19, DenseNet201 and the elephants (625 MB), and measure what was published",
    )


def pytest_report_header(config):
    """Say in the first lines that this run proves nothing about the notebooks, if it does not."""
    if not any(config.getoption(name, False) for name in ("nbval", "nbval_lax")):
        return "notebooks: not executed; the README's test command executes them (--nbval)"
    return None


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
