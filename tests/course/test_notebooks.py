"""The notebooks beyond what nbval compares: the real architectures, and the pages made of them."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter, SlidesExporter

from camutils.export import FigureSlides, Formulas, PageLinks, StillOutputs

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]


def outputs(path):
    """All outputs of a committed notebook."""
    return [o for cell in nbformat.read(path, 4).cells for o in cell.get("outputs", [])]


def pictures(path):
    """How many of its outputs are pictures."""
    return sum("image/png" in o.get("data", {}) for o in outputs(path))


@pytest.mark.parametrize("name", ["02_gradcam_vgg19_elephants", "03_gradcam_densenet201_iguanas"])
def test_runs_on_the_real_architecture(name, monkeypatch):
    monkeypatch.setenv("CAMUTILS_WEIGHTS", "random")
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", 4)
    tags_before = [cell.metadata.get("tags", []) for cell in notebook.cells]
    NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(FOLDER)}},
    ).execute()
    printed = "".join(o.get("text", "") for cell in notebook.cells for o in cell.get("outputs", []))
    network = name.split("_")[2]
    assert f"{network} with random weights" in printed
    assert "answers in its place" not in printed
    assert tags_before == [cell.metadata.get("tags", []) for cell in notebook.cells]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_page_shows_every_figure_and_links_to_pages(path):
    exporter = HTMLExporter(preprocessors=[PageLinks, Formulas])
    page, _ = exporter.from_filename(str(path))
    assert page.count('src="data:image/png') == pictures(path) > 0
    pages = {p.stem for p in [*NOTEBOOKS, *FOLDER.glob("solutions/*.ipynb")]}
    for link in re.findall(r'href="([^"#:]+\.(?:ipynb|html))', page):
        assert link.removesuffix(".html") in pages


def markdown(path):
    """All text of a committed notebook, without code."""
    cells = [c.source for c in nbformat.read(path, 4).cells if c.cell_type == "markdown"]
    return re.sub("```.*?```|`[^`]+`", "", "\n\n".join(cells), flags=re.DOTALL)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_page_needs_no_web_for_its_formulas(path):
    page, _ = HTMLExporter(preprocessors=[Formulas]).from_filename(str(path))
    text = markdown(path)
    blocks = text.count("$$") // 2
    assert page.count('display="block"') == blocks
    assert page.count("<math ") == blocks + (text.count("$") - 4 * blocks) // 2
    assert page.count("<math ") == page.count("</math>")


def test_formulas_leave_code_and_money_alone():
    texts = {
        "`$a$` costs $5": "`$a$` costs $5",
        "```\n$a$\n```": "```\n$a$\n```",
        "$5 or 6 $": "$5 or 6 $",
    }
    cells = [nbformat.v4.new_markdown_cell(text) for text in texts]
    cells.append(nbformat.v4.new_code_cell("x = '$a$'"))
    notebook, _ = Formulas().preprocess(nbformat.v4.new_notebook(cells=cells), {})
    assert [cell.source for cell in notebook.cells] == [*texts.values(), "x = '$a$'"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_slides_are_the_tagged_cells(path):
    tagged = [c for c in nbformat.read(path, 4).cells if "slide" in c.metadata.get("tags", [])]
    shown = sum("image/png" in o.get("data", {}) for c in tagged for o in c.get("outputs", []))
    exporter = SlidesExporter(preprocessors=[FigureSlides, Formulas], exclude_input=True)
    slides, _ = exporter.from_filename(str(path))
    assert slides.count('src="data:image/png') == shown > 0
    assert '<div class="jp-CodeMirrorEditor' not in slides


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_neighbours_are_linked(path):
    text = path.read_text("utf-8")
    position = NOTEBOOKS.index(path)
    for neighbour in NOTEBOOKS[max(0, position - 1) : position + 2]:
        assert neighbour == path or f"]({neighbour.name})" in text


def test_widgets_leave_their_still_pictures():
    view = "application/vnd.jupyter.widget-view+json"
    output = nbformat.v4.new_output("display_data", {view: {"model_id": "a"}, "image/png": "x"})
    cell = nbformat.v4.new_code_cell("panel", outputs=[output])
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": {}})
    still, _ = StillOutputs().preprocess(notebook, {})
    assert still.cells[0].outputs[0].data == {"image/png": "x"}
    assert "widgets" not in still.metadata
