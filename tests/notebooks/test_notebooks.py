"""The committed notebooks beyond what nbval compares: real architectures, size, form, figures."""

import base64
import io
import json
import re
import statistics
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9]*.ipynb"))
ALL = [*NOTEBOOKS, *sorted(FOLDER.glob("solutions/*.ipynb"))]


def named(paths):
    return pytest.mark.parametrize("path", paths, ids=[path.stem for path in paths])


def figures(path):
    """(cell, mime type, bytes, alternative text) of all pictures of a committed notebook."""
    for cell in nbformat.read(path, 4).cells:
        for output in cell.get("outputs", []):
            for kind, content in output.get("data", {}).items():
                if kind.startswith("image/"):
                    alt = output.metadata.get(kind, {}).get("alt", "")
                    yield cell, kind, base64.b64decode(content), alt


@pytest.mark.parametrize("name", ["02_gradcam_vgg19_elephants", "03_gradcam_densenet201_iguanas"])
def test_runs_on_the_real_architecture(name, monkeypatch):
    monkeypatch.setenv("CAMUTILS_WEIGHTS", "random")
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", 4)
    NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(FOLDER)}},
    ).execute()
    printed = "".join(o.get("text", "") for cell in notebook.cells for o in cell.get("outputs", []))
    network = name.split("_")[2]
    assert "answers instead" not in printed
    # Of the cell that asks for the network: others may print the same of a network of their own.
    (asked,) = [
        cell for cell in notebook.cells if f'load_classifier("{network}", st' in cell.source
    ]
    printed = "".join(output.get("text", "") for output in asked.outputs)
    assert f"{network} with random weights" in printed


@named(ALL)
def test_is_light(path):
    assert path.stat().st_size <= 1.2e6


@named(ALL)
def test_is_one_clean_run(path):
    nbformat.validate(json.loads(path.read_text("utf-8")))
    notebook = nbformat.read(path, 4)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    cells = [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert set(cell.metadata) <= {"tags"}
        kinds = [output.output_type for output in cell.outputs]
        assert ("error" in kinds) == ("raises-exception" in cell.metadata.get("tags", []))
        for output in cell.outputs:
            assert output.get("name") != "stderr"
            assert "application/vnd.jupyter.widget-view+json" not in output.get("data", {})


@named(ALL)
def test_holds_nothing_of_the_machine_that_ran_it(path):
    for cell in nbformat.read(path, 4).cells:
        texts = [cell.source] if cell.cell_type == "code" else []
        for output in cell.get("outputs", []):
            texts += [output.get("text", ""), output.get("evalue", "")]
            texts += output.get("traceback", [])
            texts += [v for k, v in output.get("data", {}).items() if k.startswith("text/")]
        for text in texts:
            text = re.sub(r"https?://\S+", "", re.sub(r"\x1b\[[\d;]*m", "", text))
            folders = r"(?<![\w.~])/(?:home|root|work|tmp|usr|opt|Users|var)/"
            assert not re.search(folders + r"|\b[A-Z]:\\|0x[0-9a-f]{6,}", text), text


@named(NOTEBOOKS)
def test_every_figure_is_a_picture_with_an_alternative_text(path):
    found = list(figures(path))
    assert found
    for cell, kind, content, alt in found:
        assert len(alt) > 20, cell.id
        assert not re.search(r"\.(webp|jpe?g|png)\b|\d\.\d\d", alt), cell.id
        pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        assert pixels.std() > 5, cell.id  # Not blank.
        # Photographs as JPEG; cells and lines, which have few colours, as PNG.
        colours = len(np.unique(pixels.reshape(-1, 3)[::7], axis=0))
        assert (kind == "image/jpeg") == (colours > 1500), (cell.id, colours)


@named(NOTEBOOKS)
def test_neighbours_are_linked(path):
    text = path.read_text("utf-8")
    position = NOTEBOOKS.index(path)
    for neighbour in NOTEBOOKS[max(0, position - 1) : position + 2]:
        assert neighbour == path or f"]({neighbour.name})" in text


@named(ALL)
def test_code_is_short_and_imports_come_first(path):
    code = [c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
    lines = [len([line for line in source.splitlines() if line.strip()]) for source in code]
    assert max(lines) <= 25
    if path in NOTEBOOKS:
        assert statistics.median(lines) <= 8
    for source in code[1:]:
        assert not re.search(r"^(import|from) ", source, re.MULTILINE), source
