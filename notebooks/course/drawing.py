"""What figures are drawn with: outlines, boxes, peaks, cells, charts.

Their drawing teaches nothing, so that the notebooks call it from here.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse
from PIL import Image, ImageDraw

from camutils import (
    Classifier,
    Figure,
    crop_box,
    grad_cam,
    load_image,
    normalize_map,
    overlay,
    show_images,
)

from .figures import add_colour_bar

Box = tuple[int, int, int, int]
Interval = tuple[float, float, float]
COLOURS = ("white", "cyan", "orange")
LATER = "#D55E00"
CLEAR = "#0072B2"
UNCLEAR = "#888888"


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
        draw_outline(axes, mask, colour)
    for axes, mask, peak in zip(figure.axes, masks, peaks, strict=False):
        draw_peak(axes, np.shape(mask), peak, radius)
    return figure


def draw_outline(axes: Axes, mask: Any, colour: str) -> None:
    """Draw the outline of a mask, (h, w) bool in any resolution, over the picture of `axes`."""
    mask = np.asarray(mask)
    if mask.any() and not mask.all():
        extent = axes.images[0].get_extent()
        axes.contour(mask, [0.5], origin="upper", extent=extent, colors=colour, linewidths=0.8)


def draw_peak(
    axes: Axes, shape: tuple[int, int], peak: tuple[float, float], radius: float = 0
) -> None:
    """Draw a cross over the picture of `axes`, and a circle around it if a radius is given.

    Args:
        axes: as `show_images` makes them.
        shape: (h, w) of the grid in whose cells `peak` and `radius` are given.
        peak: (row, column), counted from 0; the cross lies in the middle of that cell.
        radius: in cells; an ellipse where the cells are not square.
    """
    left, right, bottom, top = axes.images[0].get_extent()
    down, across = (bottom - top) / shape[0], (right - left) / shape[1]
    at = (left + (peak[1] + 0.5) * across, top + (peak[0] + 0.5) * down)
    axes.plot(*at, "+", color="white", markersize=7, markeredgewidth=2.5)
    axes.plot(*at, "+", color="black", markersize=6, markeredgewidth=1)
    if radius:
        size = (2 * radius * across, 2 * radius * down)
        axes.add_patch(Ellipse(at, *size, fill=False, edgecolor="white", linewidth=1.2))


def with_boxes(image: Image.Image, *boxes: Box, colours: Sequence[str] = COLOURS) -> Image.Image:
    """A copy of the picture with a frame for each (left, upper, right, lower).

    Frames take their colours in turn, a hundredth of the picture's longer side thick. They lie on
    the outermost pixels of what `crop` would cut out. At the picture's edge a white one would not
    be told from the page.
    """
    drawn = image.convert("RGB")
    width = max(2, round(max(image.size) / 100))
    for (left, upper, right, lower), colour in zip(boxes, cycle(colours), strict=False):
        outermost = (left, upper, right - 1, lower - 1)
        ImageDraw.Draw(drawn).rectangle(outermost, outline=colour, width=width)
    return drawn


def number_cells(axes: Axes, rows: int, columns: int) -> None:
    """Number the rows and columns of a map that is drawn cell by cell, from 0 at the top left."""
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    across, down = (right - left) / columns, (bottom - top) / rows
    axes.set_xticks(left + (np.arange(columns) + 0.5) * across, range(columns), fontsize=8)
    axes.set_yticks(top + (np.arange(rows) + 0.5) * down, range(rows), fontsize=8)
    axes.tick_params(length=0)


def write_values(axes: Axes, cells: Any, highest: float) -> None:
    """Write a map's values into its cells, with one decimal, readable on every colour.

    Args:
        axes: of a map drawn cell by cell, as `show_images` makes them.
        cells: (h, w), the map, tensor or array.
        highest: what is drawn in the brightest colour.
    """
    cells = np.asarray(cells)
    left, right, bottom, top = axes.images[0].get_extent()
    down, across = (bottom - top) / cells.shape[0], (right - left) / cells.shape[1]
    for row, values in enumerate(cells.tolist()):
        for column, value in enumerate(values):
            at = (left + (column + 0.5) * across, top + (row + 0.5) * down)
            colour = "white" if value < 0.6 * highest else "black"
            axes.text(*at, f"{value:.1f}", ha="center", va="center", color=colour, fontsize=9)


def show_cells(
    panels: Mapping[str, Any],
    unit: str = "",
    *,
    masks: Sequence[Any] = (),
    signed: bool = False,
    columns: int | None = None,
    width: float = 10.0,
) -> Figure:
    """Pictures, and maps cell by cell with numbered rows and columns, to be read and compared.

    Args:
        panels: by their titles: PIL pictures, and maps (h, w), tensors or arrays.
        unit: what the values of all maps are. They then share a scale, which is drawn beside them;
            without a unit each map has its own.
        masks: (h, w) bool each, in any resolution; their outlines are drawn on the maps, the first
            one's in black if `signed`, else in white, the second one's in green or cyan.
        signed: zero is grey, below it is blue and above it red; otherwise maps begin at zero.
        columns: panels in a row; None for one row.
        width: of the figure in inches.

    Returns:
        A figure made without pyplot.
    """
    colormap = "coolwarm" if signed else "inferno"
    pictures = list(panels.values())
    figure = show_images(pictures, list(panels), columns=columns, colormap=colormap, width=width)
    colours = ("black", "green") if signed else ("white", "cyan")
    highest = 0.0
    for axes, panel in zip(figure.axes, pictures, strict=False):
        if not isinstance(panel, Image.Image):
            number_cells(axes, *panel.shape)
            for mask, colour in zip(masks, colours, strict=False):
                draw_outline(axes, mask, colour)
            highest = max(highest, float(abs(panel).max()))
    if unit:
        add_colour_bar(figure, (-highest if signed else 0, highest or 1), unit)
    return figure


def show_mistakes(classifier: Classifier, path: Path, label: str) -> Figure:
    """Three attempts at a map of one class, with one mistake each, for exercise 1.

    Args:
        classifier: the embedded network that ends in global average pooling.
        path: the photograph.
        label: the class, as in `classifier.categories`.

    Returns:
        A figure made without pyplot.
    """
    photo = load_image(path)
    c = classifier.categories.index(label)
    x = classifier.preprocess(photo)[None]
    good = normalize_map(classifier.grad_cam(photo, c).maps[0, 0])
    early = normalize_map(grad_cam(classifier.model, "features.5", x, c).maps[0, 0])
    height, width = photo.size  # The mistake of the third picture.
    box = crop_box(good, (width, height), margin=0)
    attempts = [overlay(photo, heat, grey=True) for heat in (1 - good, early, good)]
    attempts[2] = with_boxes(attempts[2], box)
    return show_images(attempts, ["A", "B", "C"])


def keep_region(photo: Image.Image, region: Any) -> Image.Image:
    """The photograph where the region (h, w) is 1, and a quarter as bright where it is 0."""
    levels = np.uint8(64 + 191 * np.asarray(region, float))
    mask = Image.fromarray(levels).resize(photo.size)
    return Image.composite(photo, Image.new("RGB", photo.size), mask)


def draw_intervals(
    panels: Mapping[str, Mapping[str, Interval]], x_label: str, *, width: float = 10.0
) -> Figure:
    """A forest plot: for each difference a dot, its interval, and a line at zero.

    Args:
        panels: by its title, for each panel the same rows: by its label, (mean, low, high).
        x_label: what is subtracted from what.
        width: of the figure in inches.

    Returns:
        A figure made without pyplot. Dots are full and blue where the interval is clear of zero,
        hollow and grey where it is not. The means are written beside them.

    Raises:
        ValueError: panels that do not have the same rows.
    """
    labels = list(next(iter(panels.values())))
    if any(list(rows) != labels for rows in panels.values()):
        raise ValueError("panels have different rows; give every panel the same, in one order.")
    figure = Figure(figsize=(width, 0.36 * len(labels) + 1.0), layout="constrained")
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, rows) in zip(grid, panels.items(), strict=True):
        axes.axvline(0, color="#BBBBBB", linewidth=1.5, zorder=0)
        for row, (mean, low, high) in enumerate(rows.values()):
            is_clear = round(low, 3) > 0 or round(high, 3) < 0
            colour = CLEAR if is_clear else UNCLEAR
            axes.plot((low, high), (row, row), color=colour, linewidth=2)
            axes.plot(mean, row, "o", color=colour, markerfacecolor=colour if is_clear else "white")
            text = f"{mean:+.2f}".replace("-0.00", "+0.00")
            axes.annotate(text, (mean, row - 0.2), ha="center", va="bottom", fontsize=8)
        axes.set_title(title, fontsize=10)
        axes.grid(axis="x", alpha=0.3)
        axes.margins(x=0.12)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    grid[0].set_yticks(range(len(labels)), labels)
    grid[0].set_ylim(len(labels) - 0.4, -0.8)
    figure.supxlabel(x_label, fontsize=10)
    return figure


def draw_matrix(
    values: Any, numbers: Any, names: Sequence[str], labels: tuple[str, str, str]
) -> Figure:
    """A square matrix: a colour and a number in each cell, none on the diagonal.

    Args:
        values: (n, n), from 0 to 1, the colours.
        numbers: (n, n), whole; what is written in the cells.
        names: of the n rows and columns.
        labels: of the rows, of the columns, of the colours.

    Returns:
        A figure made without pyplot.
    """
    values = np.array(values, float)
    np.fill_diagonal(values, np.nan)
    n = len(names)
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(values, cmap="inferno", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(~np.eye(n, dtype=bool)), strict=True):
        colour = "black" if values[row, column] > 0.6 else "white"
        text = str(int(numbers[row][column]))
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(n), names, rotation=45, ha="right")
    axes.set_yticks(range(n), names)
    axes.set(ylabel=labels[0], xlabel=labels[1])
    axes.spines[:].set_visible(False)
    figure.colorbar(image, label=labels[2], shrink=0.8, aspect=30)
    return figure


def draw_strips(rows: Mapping[str, Any], x_label: str, limits: tuple[float, float]) -> Figure:
    """A row of dots for each collection of values, with a line at their mean.

    Args:
        rows: by their labels: values, of any shape.
        x_label: what the values are.
        limits: of the axis.

    Returns:
        A figure made without pyplot. Dots are moved up and down a little so that they can be told
        apart, by the same amounts every time.
    """
    figure = Figure(figsize=(9, 0.5 * len(rows) + 0.9), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color="#BBBBBB", linewidth=1.5, zorder=0)
    for row, values in enumerate(rows.values()):
        values = np.asarray(values, float).ravel()
        off = np.random.default_rng(row).uniform(-0.28, 0.28, len(values))
        axes.plot(values, row + off, ".", color=CLEAR, markersize=4, alpha=0.4)
        mean = values.mean()
        axes.plot((mean, mean), (row - 0.38, row + 0.38), color=LATER, linewidth=3)
        text = f"{mean:+.2f}".replace("-0.00", "+0.00")
        axes.annotate(
            text, (limits[1], row), xytext=(4, 0), textcoords="offset points", va="center"
        )
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set(xlabel=x_label, xlim=limits, ylim=(len(rows) - 0.5, -0.5))
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure


def show_around_peaks(
    pictures: Sequence[Image.Image],
    masks: Sequence[Any],
    titles: Sequence[str],
    peaks: Sequence[tuple[int, int]],
    *,
    radius: int,
    side: int = 112,
    columns: int = 4,
) -> Figure:
    """Cut out around the peaks of maps and enlarged: outline, cross and circle.

    Args:
        pictures: as large in pixels as their masks.
        masks: (h, w) bool each.
        titles: one for each.
        peaks: (row, column) each, in pixels.
        radius: of the circles, in pixels.
        side: of the square that is cut out, in pixels; it never reaches beyond the picture.
        columns: pictures in a row.

    Returns:
        A figure made without pyplot.
    """
    cuts, regions, places = [], [], []
    for picture, mask, (row, column) in zip(pictures, masks, peaks, strict=True):
        upper = min(max(row - side // 2, 0), picture.height - side)
        left = min(max(column - side // 2, 0), picture.width - side)
        cuts.append(picture.crop((left, upper, left + side, upper + side)))
        regions.append(mask[upper : upper + side, left : left + side])
        places.append((row - upper, column - left))
    return show_outlined(cuts, regions, titles, columns=columns, peaks=places, radius=radius)
