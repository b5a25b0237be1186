"""Figures of notebook 03 whose drawing teaches nothing."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from PIL import Image, ImageDraw

from camutils import Figure

Box = tuple[int, int, int, int]
COLOURS = ("white", "cyan", "orange")
LATER = "#D55E00"


def with_boxes(image: Image.Image, *boxes: Box) -> Image.Image:
    """A copy of the picture with a frame for each (left, upper, right, lower), at most three.

    They are white, cyan and orange, a hundredth of the picture's longer side thick.
    """
    drawn, width = image.convert("RGB"), max(2, round(max(image.size) / 100))
    for box, colour in zip(boxes, COLOURS, strict=False):
        ImageDraw.Draw(drawn).rectangle(box, outline=colour, width=width)
    return drawn


def in_true_size(pictures: Sequence[Image.Image], gap: int = 12) -> Image.Image:
    """Pictures side by side on white, pixel for pixel, so that their sizes can be compared."""
    width = sum(picture.width for picture in pictures) + gap * (len(pictures) - 1)
    height = max(picture.height for picture in pictures)
    sheet, left = Image.new("RGB", (width, height), "white"), 0
    for picture in pictures:
        sheet.paste(picture, (left, height - picture.height))
        left += picture.width + gap
    return sheet


def draw_curves(
    x: Sequence[float], curves: Mapping[str, Sequence[float]], x_label: str, label: str
) -> Figure:
    """Curves with a point at each of the same x values, of the probability of one class."""
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    for (name, y), style in zip(curves.items(), ("o-", "s--", "^:"), strict=False):
        axes.plot(x, y, style, label=name)
    axes.set(xlabel=x_label, ylabel=f"probability of {label}", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def draw_changes(names: Sequence[str], before: Sequence[float], after: Sequence[float]) -> Figure:
    """A row for each name with its value before (grey) and after (orange), by their difference."""
    before, after = np.asarray(before), np.asarray(after)
    order = np.argsort(after - before, kind="stable")
    figure = Figure(figsize=(7, 0.2 * len(names) + 0.8), layout="constrained")
    axes, rows = figure.subplots(), np.arange(len(names))
    axes.hlines(rows, before[order], after[order], color="#BBBBBB", linewidth=2)
    axes.plot(before[order], rows, "o", color="#777777", label="full frame")
    axes.plot(after[order], rows, "o", color=LATER, label="crop")
    axes.set_yticks(rows, [names[i] for i in order], fontsize=9)
    axes.set(xlabel="probability of the right class", xlim=(-0.02, 1.02))
    axes.legend(loc="lower right", fontsize=9)
    return figure


def draw_grid(axes: Axes, rows: int, columns: int) -> None:
    """White lines between the cells of a map that is laid over a picture."""
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    style = {"colors": "white", "linewidth": 0.5}
    axes.hlines(np.linspace(bottom, top, rows + 1), left, right, **style)
    axes.vlines(np.linspace(left, right, columns + 1), bottom, top, **style)
