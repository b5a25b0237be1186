"""Sphinx makes a site of the notebooks: `sphinx-build notebooks build`.

It executes them, two at a time; `-D nb_execution_mode=off` shows the committed outputs.
"""

import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib import metadata
from pathlib import Path

import nbformat
import yaml
from docutils import nodes
from math_core import LatexToMathML
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxTranslator
from sphinx.util.logging import getLogger

from camutils.data import data_path
from course.kernels import AT_A_TIME, SHARE_OF_THE_CORES, run_notebook

sys.path.append(str(Path(__file__).with_name("pages")))  # Scripts, not a package.

from explorer import write_explorer
from rebuild import tidy
from site_pages import (
    describe_page,
    join_captions,
    leave_out_open_exercises,
    link_explorer,
    list_sections,
    put_in_thumbnails,
)

about = yaml.safe_load((data_path().parent / "CITATION.cff").read_text("utf-8"))

project = html_title = "Class activation maps"
release = metadata.version("camutils")
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]

nb_execution_mode = "force"
nb_code_prompt_show = "Show the output"
nb_code_prompt_hide = "Hide the output"
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_dmath_double_inline = True  # `$$...$$` needs no empty lines around it.
myst_heading_anchors = 3  # Links may lead to sections: `02_....ipynb#6--in-one-line`.

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
add_module_names = False
toc_object_entries_show_parents = "hide"
default_role = "py:obj"  # Our docstrings write `names` as Markdown does.

copybutton_selector = ":not(.output) > .highlight > pre"

html_theme = "sphinx_book_theme"
html_theme_options = {
    "back_to_top_button": False,
    "footer_content_items": ["footer-line.html"],
    "navbar_persistent": [],
    "use_download_button": False,
}
html_context = {
    "default_mode": "auto",  # Light or dark as the reader's system is.
    "authors": about["authors"],
}
templates_path = ["_templates"]
html_sidebars = {
    "**": ["navbar-logo.html", "search-button-field.html", "sbt-sidebar-nav.html"]
}
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_show_search_summary = False  # It needs a server.
html_copy_source = html_use_index = html_domain_indices = False

FAILURES = (CellExecutionError, CellTimeoutError, DeadKernelError)
logger = getLogger(__name__)
formulas = LatexToMathML()
executed: dict[str, NotebookNode] = {}  # By the names of their pages.
alternatives: dict[str, list[str]] = {}  # Those of a page's figures, in their order.
failed: list[str] = []


def take_over_execution(app: Sphinx, config: Config) -> None:
    """Execute the notebooks here: MyST-NB would run one after the other."""
    config.executes_notebooks = config.nb_execution_mode != "off"
    config.nb_execution_mode = "off"


def execute(path: Path) -> tuple[NotebookNode, float]:
    """A notebook with new outputs, and how many seconds they took."""
    start = time.monotonic()
    notebook = run_notebook(path, None, SHARE_OF_THE_CORES)
    return notebook, time.monotonic() - start


def execute_notebooks(app: Sphinx, env: BuildEnvironment, pages: list[str]) -> None:
    """Execute those that are about to be read, with a line for each that is done."""
    if not app.config.executes_notebooks:
        return
    paths = {page: env.doc2path(page) for page in pages}
    with ThreadPoolExecutor(AT_A_TIME) as pool:  # Kernels are processes of their own.
        runs = {
            pool.submit(execute, path): page
            for page, path in paths.items()
            if path.suffix == ".ipynb"
        }
        for run in as_completed(runs):
            page = runs[run]
            try:
                executed[page], seconds = run.result()
            except FAILURES as error:
                failed.append(page)
                executed[page] = nbformat.read(paths[page], as_version=4)
                for cell in executed[page].cells:
                    if "outputs" in cell:
                        cell.outputs = []  # They would hide that it failed.
                logger.error("%s failed: %s", page, error)
            else:
                logger.info("%s executed in %.0f s", page, seconds)


def show_notebook(app: Sphinx, page: str, content: list[str]) -> None:
    """Give MyST-NB the executed notebook, and keep its pictures' alternative texts."""
    if app.env.doc2path(page).suffix != ".ipynb":
        return
    notebook = tidy(executed.get(page) or nbformat.reads(content[0], as_version=4))
    alternatives[page] = [
        output.metadata[kind]["alt"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        for kind in output.get("data", {})
        if "alt" in output.metadata.get(kind, {})
    ]
    leave_out_open_exercises(notebook)
    content[0] = nbformat.writes(notebook)
    if page in failed:
        app.env.note_reread()  # The next build tries again.


def show_alternative_texts(app: Sphinx, doctree: nodes.document) -> None:
    """Give each picture its text: MyST-NB gives all those of a cell the same."""
    images = [image for image in doctree.findall(nodes.image) if "alt" not in image]
    for image, alt in zip(images, alternatives.get(app.env.docname, []), strict=True):
        image["alt"] = alt


def keep_copies_in_build(app: Sphinx) -> None:
    """Let MyST-NB write its copies into the build: no setting names their place."""
    copies = str(Path(app.doctreedir) / "notebooks")
    app.env.mystnb_config = app.env.mystnb_config.copy(output_folder=copies)


def write_mathml(self: SphinxTranslator, node: nodes.math | nodes.math_block) -> None:
    """Write a formula as MathML, which a browser draws without MathJax from the web."""
    block = isinstance(node, nodes.math_block)
    formula = formulas.convert_with_local_state(node.astext(), displaystyle=block)
    if block:  # The theme lets the keyboard reach boxes of this class that scroll.
        formula = f'<span class="pst-scrollable-table-container">{formula}</span>'
    self.body.append(formula)
    raise nodes.SkipNode


def finish(app: Sphinx, error: Exception | None) -> None:
    """Write `explorer.html` beside the pages; fail if a notebook did."""
    if error is None and app.builder.format == "html":
        write_explorer(Path(app.outdir) / "explorer.html")
    if failed:
        app.statuscode = 1


def setup(app: Sphinx) -> None:
    """Do what no setting does."""
    app.add_config_value("executes_notebooks", True, "env", bool)
    app.connect("config-inited", take_over_execution)
    app.connect("builder-inited", keep_copies_in_build)
    app.connect("env-before-read-docs", execute_notebooks)
    app.connect("source-read", show_notebook)
    app.connect("source-read", put_in_thumbnails)
    app.connect("doctree-read", show_alternative_texts)
    app.connect("doctree-read", join_captions)
    app.connect("doctree-read", list_sections)
    app.connect("doctree-read", link_explorer)
    app.connect("html-page-context", describe_page)
    app.connect("build-finished", finish)
    app.add_html_math_renderer("mathml", (write_mathml, None), (write_mathml, None))
    for name in ("myst_nb.sphinx_ext", "myst_parser.sphinx_ext.main"):
        # Not the list of all their settings.
        logging.getLogger(f"sphinx.{name}").setLevel(logging.WARNING)
