"""Markdown in HTML as slides and sheets have it: with tables, and formulas as MathML."""

from typing import Any

from markdown_it import MarkdownIt
from math_core import LatexToMathML
from mdit_py_plugins.dollarmath import dollarmath_plugin

formulas = LatexToMathML()


def as_mathml(formula: str, options: dict[str, Any]) -> str:
    """A formula as MathML, which a browser draws without MathJax from the web."""
    return formulas.convert_with_local_state(formula, displaystyle=options["display_mode"])


MARKDOWN = MarkdownIt().enable("table")
MARKDOWN.use(dollarmath_plugin, renderer=as_mathml)
