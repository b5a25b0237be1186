"""The committed notebooks beyond what nbval and the hook look at: real architectures, figures."""

import base64
import io
import json
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9]*.ipynb"))
ALL = [*NOTEBOOKS, *sorted(FOLDER.glob("solutions/*.ipynb"))]


def named(paths):
    return pytest.mark.parametrize("path", paths, ids=[path.stem for path in paths])


def test_notebook_02_runs_on_vgg19(run_shorter):  # Notebook 03 on DenseNet201: test_densenet.py.
    """On six of the photographs; on all it would take minutes."""
    name = "02_gradcam_vgg19_elephants.ipynb"
    notebook = run_shorter(
        FOLDER / name, {"animals = photographs()": "animals = photographs()[:6]"}
    )
    # In the cell that asks for the network: others may print the same of a network of their own.
    (asked,) = [cell for cell in notebook.cells if 'load_classifier("vgg19", st' in cell.source]
    printed = "".join(output.get("text", "") for output in asked.outputs)
    assert "vgg19 with random weights" in printed


@named(ALL)
def test_is_a_notebook_that_fails_only_where_it_says_so(path):
    nbformat.validate(json.loads(path.read_text("utf-8")))
    for cell in nbformat.read(path, 4).cells:
        kinds = [output.output_type for output in cell.get("outputs", [])]
        assert ("error" in kinds) == ("raises-exception" in cell.metadata.get("tags", []))


@named(NOTEBOOKS)
def test_every_figure_is_a_picture_with_an_alternative_text(path):
    found = 0
    for cell in nbformat.read(path, 4).cells:
        for output in cell.get("outputs", []):
            for kind, content in output.get("data", {}).items():
                if kind.startswith("image/"):
                    found += 1
                    assert len(output.metadata[kind]["alt"]) > 20, cell.id
                    picture = Image.open(io.BytesIO(base64.b64decode(content)))
                    assert np.asarray(picture.convert("L")).std() > 5, cell.id  # Not blank.
    assert found


@named(NOTEBOOKS)
def test_neighbours_are_linked(path):
    text = path.read_text("utf-8")
    position = NOTEBOOKS.index(path)
    for neighbour in NOTEBOOKS[max(0, position - 1) : position + 2]:
        assert neighbour == path or f"]({neighbour.name})" in text
