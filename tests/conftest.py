"""Settings that must stand before any kernel starts, and what several tests share."""

import os

os.environ["CAMUTILS_WEIGHTS"] = "embedded"

import matplotlib.font_manager  # noqa: F401  Builds its cache here, not inside a notebook.
import pytest

from camutils import data_path, load_image


@pytest.fixture(scope="session")
def elephants():
    """The composite of the two elephants, 640x480, RGB."""
    return load_image(data_path("scenes", "elephants.jpg"))
