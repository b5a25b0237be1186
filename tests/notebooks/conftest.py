"""What several tests of the notebooks share."""

import nbformat
import pytest

from course.kernels import run_notebook


@pytest.fixture
def run_shorter(tmp_path):
    """`run_shorter(path, changes)`: a notebook on the real architecture, untrained.

    Each text of `changes` stands in one place of the notebook and is replaced there, so that a
    large network has less to do.
    """

    def run_shorter(path, changes):
        notebook = nbformat.read(path, as_version=4)
        for old, new in changes.items():
            (cell,) = (cell for cell in notebook.cells if old in cell.source)
            cell.source = cell.source.replace(old, new)
        nbformat.write(notebook, tmp_path / path.name)
        return run_notebook(tmp_path / path.name, "random")

    return run_shorter
