"""Credits, licences and sizes of `data/`; environment.yml; the committed notebooks."""

import base64
import csv
import hashlib
import io
import json
import re
import statistics
import subprocess
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from camutils import data_path

ROOT = Path(__file__).parent.parent
DATA = data_path()
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))
NOTEBOOKS = [path for path in NOTEBOOKS if ".ipynb_checkpoints" not in path.parts]
LICENCES = {
    "Public domain",
    "CC0-1.0",
    "CC-BY-2.0",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-SA-2.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "MIT",
    "verbatim copies permitted",  # The text of the GPL itself.
}

with open(DATA / "ATTRIBUTION.csv", encoding="utf-8", newline="") as table:
    ROWS = list(csv.DictReader(table))


def test_every_file_has_its_row_and_every_row_its_file():
    files = {path.relative_to(DATA).as_posix() for path in DATA.rglob("*") if path.is_file()}
    files = {f for f in files if not f.startswith("originals/") and ".ipynb_checkpoints" not in f}
    names = [row["file"] for row in ROWS]
    assert len(names) == len(set(names))
    assert set(names) == files - {"ATTRIBUTION.csv", ".DS_Store"}


def test_every_row_names_title_author_licence_source_and_the_right_content():
    wrong = []
    for row in ROWS:
        assert all(row.values()), row
        assert None not in row, row
        assert row["licence"] in LICENCES, row
        digest = hashlib.sha256((DATA / row["file"]).read_bytes()).hexdigest()
        if digest != row["sha256"]:
            wrong.append(row["file"])
    assert wrong == []


@pytest.mark.parametrize("folder", ["photos", "unseen"])
def test_the_photographs_are_small(folder):
    files = [path for path in (DATA / folder).rglob("*") if path.is_file()]
    assert files
    assert sum(path.stat().st_size for path in files) <= 8_000_000
    for path in files:
        with Image.open(path) as image:
            assert max(image.size) <= 512, path


def test_no_photograph_is_in_training_and_unseen_or_there_twice():
    digests = [row["sha256"] for row in ROWS if row["file"].startswith(("photos/", "unseen/"))]
    assert len(digests) == len(set(digests))


def test_the_environment_is_in_step_with_the_project():
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    (bound,) = re.findall(r'^requires-python = "(.+)"$', project, re.MULTILINE)
    (name,) = re.findall(r'^name = "(.+)"$', project, re.MULTILINE)
    written = (ROOT / "environment.yml").read_text("utf-8").split()
    assert written == (f"name: {name} dependencies: - python{bound} - pip - pip: - -e .".split())


def test_what_is_ignored_is_not_committed():
    answer = subprocess.run(
        ["git", "ls-files", "-ci", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if answer.returncode:
        pytest.skip("this is no git checkout")
    assert answer.stdout == ""


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def lines(cell):
    return len([line for line in cell.source.splitlines() if line.strip()])


@pytest.fixture(params=NOTEBOOKS, ids=[str(p.relative_to(ROOT)) for p in NOTEBOOKS])
def notebook(request):
    nbformat.validate(json.loads(request.param.read_text("utf-8")))
    return nbformat.read(request.param, 4)


def test_a_notebook_was_executed_from_top_to_bottom(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook) if cell.source.strip()]
    assert counts == list(range(1, len(counts) + 1))


def test_a_notebook_has_no_stderr_and_no_error_but_the_announced(notebook):
    for cell in code_cells(notebook):
        kinds = [output.output_type for output in cell.outputs]
        assert "stderr" not in [output.get("name") for output in cell.outputs], cell.source
        announced = "raises-exception" in cell.metadata.get("tags", [])
        assert ("error" in kinds) == announced, cell.source


def test_a_notebook_carries_no_metadata_but_tags(notebook):
    kernel = notebook.metadata.kernelspec
    assert kernel.name == "python3"
    assert set(notebook.metadata) == {"kernelspec"}
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"}, cell.source
        for output in cell.get("outputs", []):
            assert not output.get("metadata"), cell.source
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids))


def test_a_notebook_holds_nothing_of_the_machine_that_ran_it(notebook):
    for cell in notebook.cells:
        texts = [cell.source] if cell.cell_type == "code" else []
        for output in cell.get("outputs", []):
            texts += [output.get("text", ""), output.get("evalue", "")]
            texts += output.get("traceback", [])
            texts += [v for k, v in output.get("data", {}).items() if k.startswith("text/")]
        for text in texts:
            text = re.sub(r"https?://\S+", "", re.sub(r"\x1b\[[\d;]*m", "", text))
            found = re.search(
                r"(?<![\w.~])/(?:home|root|work|tmp|usr|opt|Users|var)/|\b[A-Z]:\\|0x[0-9a-f]{6,}",
                text,
            )
            assert not found, text


def test_figure_cells_hold_a_picture_that_is_not_blank(notebook):
    for cell in code_cells(notebook):
        if not re.search(r"\bshow_figure\(", cell.source):
            continue
        pictures = [
            output.data["image/png"]
            for output in cell.outputs
            if "image/png" in output.get("data", {})
        ]
        assert pictures, cell.source
        for picture in pictures:
            with Image.open(io.BytesIO(base64.b64decode(picture))) as png:
                pixels = np.asarray(png.convert("L"))
            assert min(pixels.shape) >= 100, cell.source
            assert pixels.std() > 5, cell.source


def test_code_cells_are_short(notebook, request):
    counts = [lines(cell) for cell in code_cells(notebook)]
    assert max(counts) <= 25
    if "solutions" not in request.node.callspec.id:
        assert statistics.median(counts) <= 8


def test_there_are_notebooks():
    assert len(NOTEBOOKS) >= 1
