"""What `jupyter nbconvert` does with our notebooks on their way to pages and slides."""

import re
from typing import Any

from latex2mathml.converter import convert
from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode


class PageLinks(Preprocessor):
    """Links from notebook to notebook become links from page to page, all in one folder."""

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict[str, Any], index: int
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Turn `](folder/other.ipynb#place)` into `](other.html#place)`."""
        if cell.cell_type == "markdown":
            cell.source = re.sub(
                r"\]\((?:[\w.-]+/)*([\w.-]+)\.ipynb(?=[#)])", r"](\1.html", cell.source
            )
        return cell, resources


class Formulas(Preprocessor):
    """TeX becomes MathML, which browsers draw by themselves: MathJax comes from the web."""

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict[str, Any], index: int
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Turn `$...$` and `$$...$$` into `<math>`, but for what stands in code."""
        if cell.cell_type == "markdown":
            pattern = r"(```.*?```|`[^`]+`)|\$\$(.+?)\$\$|\$([^$\s](?:[^$]*[^$\s])?)\$"
            cell.source = re.sub(pattern, _mathml, cell.source, flags=re.DOTALL)
        return cell, resources


def _mathml(found: re.Match) -> str:
    code, block, inline = found.groups()
    return code or convert(block or inline, display="block" if block else "inline")


class FigureSlides(Preprocessor):
    """Keep the cells tagged `slide`, each as a slide of its own (`--no-input` hides code)."""

    def preprocess(
        self, nb: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Mark the tagged cells as nbconvert's slides want it and drop the others."""
        kept = []
        for cell in nb.cells:
            if "slide" in cell.metadata.get("tags", []):
                cell.metadata["slideshow"] = {"slide_type": "slide"}
                kept.append(cell)
        nb.cells = kept
        return nb, resources


class StillOutputs(Preprocessor):
    """Widgets leave the pictures that stand in for them: what a committed notebook shows."""

    def preprocess(
        self, nb: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Drop the views of widgets from all outputs, and their stored state."""
        nb.metadata.pop("widgets", None)
        for cell in nb.cells:
            for output in cell.get("outputs", []):
                output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
        return nb, resources
