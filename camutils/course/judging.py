"""Pictures on which maps are judged: with the outline of the right answer, and where maps point."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse
from PIL import Image

from camutils.cam import as_array
from camutils.plotting import Figure, show_images


def show_outlined(
    pictures: Sequence[Image.Image],
    masks: Sequence[Any],
    titles: Sequence[str],
    *,
    columns: int,
    width: float = 10.0,
    colour: str = "cyan",
    peaks: Sequence[tuple[float, float]] = (),
    radius: float = 0,
    font_size: float = 8,
) -> Figure:
    """Pictures, each with the thin outline of its mask, and with a peak if peaks are given.

    Args:
        pictures: PIL pictures.
        masks: (h, w) bool each, tensor or array, that cover the whole picture in any resolution.
        titles: one for each.
        columns: pictures in a row.
        width: of the figure in inches.
        colour: of the outlines.
        peaks: (row, column) each, in pixels of the mask; marked by a cross.
        radius: of a circle around each peak, in pixels of the mask; an ellipse on a picture of
            another shape.
        font_size: of the titles, in points.

    Returns:
        A figure made without pyplot.

    Raises:
        ValueError: not one mask, one title and one peak (or none at all) for each picture.
    """
    counts = {len(pictures), len(masks), len(titles), len(peaks) or len(pictures)}
    if len(counts) > 1:
        raise ValueError(f"pictures: got {len(pictures)}, expected one mask, title, peak each.")
    figure = show_images(pictures, titles, columns=columns, width=width)
    for axes, mask in zip(figure.axes, masks, strict=False):
        axes.title.set_size(font_size)
        draw_outline(axes, as_array(mask), colour)
    for axes, mask, peak in zip(figure.axes, masks, peaks, strict=False):
        _draw_peak(axes, as_array(mask).shape, peak, radius)
    return figure


def draw_outline(axes: Axes, mask: np.ndarray, colour: str) -> None:
    """Draw the outline of a mask over the picture or map of `axes`, in whatever resolution."""
    left, right, bottom, top = axes.images[0].get_extent()
    if mask.any() and not mask.all():
        axes.contour(mask, [0.5], extent=(left, right, top, bottom), colors=colour, linewidths=0.8)


def _draw_peak(
    axes: Axes, shape: tuple[int, int], peak: tuple[float, float], radius: float
) -> None:
    left, right, bottom, top = axes.images[0].get_extent()
    down, across = (bottom - top) / shape[0], (right - left) / shape[1]
    at = (left + (peak[1] + 0.5) * across, top + (peak[0] + 0.5) * down)
    axes.plot(*at, "+", color="white", markersize=7, markeredgewidth=2.5)
    axes.plot(*at, "+", color="black", markersize=6, markeredgewidth=1)
    if radius:
        size = (2 * radius * across, 2 * radius * down)
        axes.add_patch(Ellipse(at, *size, fill=False, edgecolor="white", linewidth=1.2))
