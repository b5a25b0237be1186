"""Sphinx makes a site of the notebooks: `sphinx-build notebooks build`.

It executes every notebook; `-D nb_execution_mode=off` shows the committed outputs.
"""

import logging
import os
import re
import sys
from pathlib import Path

from docutils import nodes
from jupyter_client import KernelManager
from math_core import LatexToMathML
from myst_nb.core.render import MimeData, NbElementRenderer
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxTranslator

sys.path.append(str(Path(__file__).with_name("pages")))  # Scripts, not a package.

from explorer import write_explorer

os.environ.setdefault("CAMUTILS_WEIGHTS", "embedded")  # The kernels inherit it.
# Without encryption every kernel writes a warning; older versions know neither.
if "transport_encryption" in KernelManager.class_trait_names():
    KernelManager.transport_encryption.default_value = "auto"

project = html_title = "Class activation maps"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

nb_execution_mode = "force"
nb_execution_timeout = 300
# A widget's output holds a still picture too, and that is what works on a page.
nb_mime_priority_overrides = [
    ("html", "application/vnd.jupyter.widget-view+json", None)
]
nb_ipywidgets_js = {}  # By default two scripts from the web.
myst_enable_extensions = ["dollarmath"]
myst_dmath_double_inline = True  # `$$...$$` needs no empty lines around it.
myst_update_mathjax = False

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
add_module_names = False
toc_object_entries_show_parents = "hide"
default_role = "py:obj"  # Our docstrings write `names` as Markdown does.

html_theme = "sphinx_book_theme"
html_theme_options = {
    "back_to_top_button": False,
    "footer_content_items": [],
    "navbar_persistent": [],
    "use_download_button": False,
}
html_context = {"default_mode": "auto"}  # Light or dark as the reader's system is.
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_show_search_summary = False  # It needs a server.
html_copy_source = html_use_index = html_domain_indices = False

formulas = LatexToMathML()
render_image = NbElementRenderer.render_image


class Links(SphinxTransform):
    """Settle two kinds of links that MyST does not know."""

    default_priority = 870  # Before MyST looks for the places that links lead to.

    def apply(self, **kwargs: object) -> None:
        """Let links find `<a id="..."></a>`; of links elsewhere leave the text."""
        places = self.env.metadata[self.env.docname].setdefault("myst_slugs", {})
        for html in self.document.findall(nodes.raw):
            if anchor := re.match(r'<a id="([^"]+)"', html.astext()):
                places[anchor[1]] = (None, anchor[1], "")
        self.document.myst_slugs = places
        folder = Path(self.env.doc2path(self.env.docname)).parent
        for link in list(self.document.findall(pending_xref)):
            target = link["reftarget"]
            is_page = link["refdomain"] == "doc"
            is_elsewhere = is_page and target not in self.env.found_docs
            if link["reftype"] == "myst" and (
                is_elsewhere or (folder / target).is_dir()
            ):
                link.replace_self(link.children)


def render_image_with_alt(
    self: NbElementRenderer, data: MimeData
) -> list[nodes.Element]:
    """Give a picture the `alt` of its output's metadata, which MyST-NB 1.4 drops."""
    (image,) = render_image(self, data)
    image["alt"] = data.output_metadata.get(data.mime_type, {}).get("alt", "")
    return [image]


def leave_out_widgets(self: NbElementRenderer, metadata: dict) -> None:
    """Write no state of widgets into a page where none can work."""


def write_mathml(self: SphinxTranslator, node: nodes.math | nodes.math_block) -> None:
    """Write a formula as MathML, which a browser draws without MathJax from the web."""
    block = isinstance(node, nodes.math_block)
    formula = formulas.convert_with_local_state(node.astext(), displaystyle=block)
    if block:  # The theme lets the keyboard reach boxes of this class that scroll.
        formula = f'<span class="pst-scrollable-table-container">{formula}</span>'
    self.body.append(formula)
    raise nodes.SkipNode


def keep_copies_in_build(app: Sphinx) -> None:
    """Let MyST-NB write its copies of notebooks where Sphinx writes its own."""
    copies = str(Path(app.doctreedir) / "notebooks")
    app.env.mystnb_config = app.env.mystnb_config.copy(output_folder=copies)


def add_explorer(app: Sphinx, error: Exception | None) -> None:
    """Write the page of `pages/explorer.py` beside those of the notebooks."""
    if error is None and app.builder.format == "html":
        write_explorer(Path(app.outdir) / "explorer.html")


def link_explorer(
    app: Sphinx, name: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Put that page first in the navigation: toctrees take only Sphinx's own pages."""
    make = context["generate_toctree_html"]
    target = context["pathto"]("explorer.html", 1)
    link = f'<li class="toctree-l1"><a href="{target}">The logit taken apart</a></li>'
    own = f'<ul class="nav bd-sidenav bd-sidenav__home-link">{link}</ul>'
    context["generate_toctree_html"] = lambda *a, **kw: f"{own}{make(*a, **kw)}"


def fail_with_a_notebook(app: Sphinx, error: Exception | None) -> None:
    """Let the command fail if a notebook did; all pages are written nevertheless."""
    runs = [
        data.get("exec_data") for data in getattr(app.env, "nb_metadata", {}).values()
    ]
    if not all(run["succeeded"] for run in runs if run):
        app.statuscode = 1


def quieten() -> None:
    """Leave out lists of all settings, and of a notebook's two lines the first."""
    for name in ("myst_nb.sphinx_ext", "myst_parser.sphinx_ext.main"):
        logging.getLogger(f"sphinx.{name}").setLevel(logging.WARNING)
    for handler in logging.getLogger("sphinx").handlers:
        handler.addFilter(
            lambda record: "Executing notebook using" not in record.getMessage()
        )


def setup(app: Sphinx) -> None:
    """Do what no setting does."""
    app.add_transform(Links)
    app.add_html_math_renderer("mathml", (write_mathml, None), (write_mathml, None))
    app.connect("builder-inited", keep_copies_in_build)
    app.connect("build-finished", fail_with_a_notebook)
    app.connect("build-finished", add_explorer)
    app.connect("html-page-context", link_explorer, priority=900)  # After the theme's.
    NbElementRenderer.render_image = render_image_with_alt
    NbElementRenderer.render_nb_finalise = leave_out_widgets
    quieten()
