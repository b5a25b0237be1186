"""Figures drawn for slides: in a kernel that calls `take_over`, `show_figure` draws for a slide.

Each figure is as large as a slide of 1280x720 pixels has room for. Its photographs are shown a
second time, each alone, for questions that are asked before the figure is seen.
"""

import base64
import io
import math
import textwrap
from typing import Any

import matplotlib
import numpy as np
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from course import figures

INCH = 144  # Pixels of the slide: a label of 8 points is 16 pixels high.
SHARPNESS = 2  # Pixels of the picture for one of the slide.
BELOW, BESIDE = (1184, 500), (760, 610)  # The room below the words of a slide, and beside them.
SMALLEST = 8  # Points of a label.
CROWD = 12  # More photographs than these are set out anew.


def fit(figure: Figure) -> None:
    """Size a figure for a slide and set its layout; changed in place.

    Raises:
        ValueError: a label is too small to be read.
    """
    width, height = figure.get_size_inches()
    panels = [axes for axes in figure.axes if axes.images]
    is_crowd = len(panels) > CROWD
    room = BELOW if width / height > 1.5 or is_crowd else BESIDE
    if not panels:  # A chart of few rows keeps them together.
        room = room[0], min(room[1], 1.4 * height * INCH)
    figure.set_size_inches(room[0] / INCH, room[1] / INCH)
    # Maps and photographs move together; in a crowd, the answers below them need the room between.
    figure.set_layout_engine("compressed" if panels and not is_crowd else "constrained")
    if is_crowd:
        _set_out(figure, panels, room)
    figure.draw_without_rendering()
    for axes in [] if is_crowd else figure.axes:
        _wrap(axes.title, axes)
        _wrap(axes.xaxis.label, axes)
        if axes.images:
            _thin_out(axes.xaxis, axes.get_window_extent().width)
            _thin_out(axes.yaxis, axes.get_window_extent().height)
    sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text().strip()]
    if sizes and min(sizes) < SMALLEST:
        raise ValueError(f"A label has {min(sizes)} points: too small for a slide.")


def _set_out(figure: Figure, panels: list[Axes], room: tuple[float, float]) -> None:
    """As many photographs in a row as makes them largest; their letters lie on them."""
    height, width = np.median([axes.images[0].get_array().shape[:2] for axes in panels], axis=0)
    below = 40 * any(axes.get_xlabel() for axes in panels)

    def size(columns: int) -> float:
        rows = -(-len(panels) // columns)
        return min(room[0] / columns, (room[1] / rows - below) * width / height)

    columns = max(range(1, len(panels) + 1), key=size)
    grid = figure.add_gridspec(-(-len(panels) // columns), columns)
    for axes in set(figure.axes) - set(panels):
        axes.remove()
    for axes, place in zip(panels, grid, strict=False):
        axes.set_subplotspec(place)
        title = axes.get_title()
        axes.set_title("")
        axes.xaxis.label.set_size(9)
        if len(title) == 1:
            style = {"facecolor": "white", "edgecolor": "none", "pad": 2}
            axes.text(0.02, 0.97, title, va="top", transform=axes.transAxes, bbox=style)


def _thin_out(axis: Axis, room: float) -> None:
    """Leave out numbers of rows or columns that would touch."""
    labels = axis.get_ticklabels()
    if labels:
        size = labels[0].get_fontsize()
        every = math.ceil(len(labels) * 1.5 * size / 72 * axis.figure.dpi / room)
        texts = [label.get_text() for label in labels]
        axis.set_ticks(axis.get_ticklocs()[::every], texts[::every], fontsize=size)


def _wrap(text: Text, axes: Axes) -> None:
    """Break a text that is wider than its panel."""
    width, room = text.get_window_extent().width, axes.get_window_extent().width
    if width > room:
        longest = max(map(len, text.get_text().splitlines()))
        lines = textwrap.wrap(text.get_text(), int(longest * room / width), break_long_words=False)
        text.set_text("\n".join(lines))


def show_photographs(figure: Figure) -> None:
    """Show each photograph of a figure by itself, numbered from 1."""
    arrays = [image.get_array() for axes in figure.axes for image in axes.images]
    for number, array in enumerate([one for one in arrays if one.ndim == 3], 1):
        buffer = io.BytesIO()
        Image.fromarray(np.asarray(array)).save(buffer, "JPEG", quality=85)
        content = base64.b64encode(buffer.getvalue()).decode()
        display({"image/jpeg": content}, raw=True, metadata={"photograph": number})


def take_over() -> None:
    """Let `course.figures.show_figure` draw for slides; called before a notebook imports it."""
    matplotlib.rcParams["savefig.dpi"] = SHARPNESS * INCH
    show_as_in_the_notebook = figures.show_figure

    def show_figure(figure: Figure, *arguments: Any, **values: Any) -> None:
        fit(figure)
        show_as_in_the_notebook(figure, *arguments, **values)
        if len(figure.axes) <= CROWD:
            show_photographs(figure)

    figures.show_figure = show_figure
