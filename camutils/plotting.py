"""Overlays and figures, without pyplot.

Notebook 02 lays a map over a picture by hand.
"""

import io
from collections.abc import Sequence
from textwrap import fill
from typing import Any

import matplotlib
import matplotlib.figure
import numpy as np
from PIL import Image

from .cam import as_array, as_heatmap
from .images import to_rgb


class Figure(matplotlib.figure.Figure):
    """A matplotlib figure that a notebook shows as a picture without pyplot.

    A pyplot figure is shown when its cell ends and once more if it is the cell's last value; this
    one is shown only as a value.
    """

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", bbox_inches="tight")
        return buffer.getvalue()


def overlay(
    image: Image.Image,
    heatmap: Any,
    alpha: float = 0.8,
    colormap: str = "inferno",
    opacity: str = "heat",
    grey: bool = False,
) -> Image.Image:
    """Lay a heat map over a picture: hot regions are highlighted, cold ones stay as they are.

    Args:
        image: a PIL picture; it is taken as RGB and not changed.
        heatmap: (h, w), tensor or array, in [0, 1]; interpolated to the picture's size.
        alpha: opacity of the colours where the heat is 1, in [0, 1].
        colormap: any of matplotlib's; the default is perceptually even, the sources used "jet".
        opacity: `"heat"`: each pixel's opacity is alpha times 3 h^2 - 2 h^3 of its heat h, which
            leaves cold white white; `"even"`: alpha everywhere.
        grey: lay the colours on a grey copy of the picture.

    Returns:
        An RGB picture of the same size.

    Raises:
        ValueError: a map that is not (h, w) in [0, 1], alpha out of range, an unknown colormap or
            opacity.
        TypeError: image is not a PIL picture.

    Example:
        >>> overlay(photo, normalize_map(result.maps[0, 0])).save("overlay.png")
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}; it must be in [0, 1].")
    if opacity not in ("heat", "even"):
        raise ValueError(f"opacity is {opacity!r}; it must be 'heat' or 'even'.")
    picture = to_rgb(image)
    if grey:
        picture = picture.convert("L").convert("RGB")
    # In 256 levels, as the colormap has them: a large picture then takes little memory.
    cells = Image.fromarray((255 * as_heatmap(heatmap, 1)).round().astype(np.uint8))
    levels = cells.resize(picture.size, Image.Resampling.BILINEAR)
    heat = np.linspace(0, 1, 256)
    shares = heat**2 * (3 - 2 * heat) if opacity == "heat" else np.ones(256)
    mask = levels.point(255 * alpha * shares)
    colours = matplotlib.colormaps.get_cmap(colormap)(heat, bytes=True)[:, :3]
    levels.putpalette(colours.tobytes())
    return Image.composite(levels.convert("RGB"), picture, mask)


def show_cam(image: Image.Image, heatmap: Any, title: str | None = None, **options: Any) -> Figure:
    """The picture, the heat map cell by cell, and the overlay on the same scale, side by side.

    Args:
        image: as in `overlay`.
        heatmap: as in `overlay`.
        title: above the three, such as the class and the network's name.
        options: `alpha`, `colormap`, `opacity`, `grey` of `overlay`.

    Returns:
        A figure made without pyplot.

    Raises:
        ValueError, TypeError: as `overlay` does.

    Example:
        >>> show_cam(photo, heat, "ice bear").savefig("figure.png", bbox_inches="tight")
    """
    overlaid = overlay(image, heatmap, **options)
    cells = as_heatmap(heatmap, 1)
    titles = ["picture", "heat map, {} x {} cells".format(*cells.shape), "overlay"]
    figure = show_images(
        [image, cells, overlaid],
        titles,
        suptitle=title,
        colormap=options.get("colormap", "inferno"),
    )
    figure.axes[1].images[0].set_clim(0, 1)  # The scale of the overlay.
    return figure


def show_images(
    pictures: Sequence[Any],
    titles: Sequence[str] | None = None,
    *,
    columns: int | None = None,
    suptitle: str | None = None,
    colormap: str = "inferno",
    width: float = 10.0,
) -> Figure:
    """A grid of photographs, and of maps stretched to the first photograph's proportions.

    Args:
        pictures: PIL pictures, or (h, w) tensors or arrays, which are drawn cell by cell, each
            scaled to its own range.
        titles: one for each; one that is longer than its panel is broken into lines.
        columns: None for one row.
        suptitle: above them all.
        colormap: of the maps, any of matplotlib's.
        width: of the figure in inches.

    Returns:
        A figure made without pyplot.

    Raises:
        ValueError: a number of titles that is not that of the pictures.

    Example:
        >>> show_images([photo, heat], ["picture", "heat map"])
    """
    arrays = [_as_shown(picture) for picture in pictures]
    titles = titles or [""] * len(arrays)
    if len(titles) != len(arrays):
        raise ValueError(f"titles must be {len(arrays)}, one for each picture.")
    photographs = [array for array in arrays if array.ndim == 3]
    ratio_of_maps = _ratio((photographs or arrays)[0])
    ratios = [_ratio(array) if array.ndim == 3 else ratio_of_maps for array in arrays]
    columns = columns or len(arrays)
    letters = round(12 * width / columns)  # That fit into a panel, at 10 points.
    titles = [fill(title, letters, replace_whitespace=False) for title in titles]
    # A row is as high as its tallest picture, but never higher than a cell is wide.
    rows = [min(1, max(ratios[i : i + columns])) for i in range(0, len(arrays), columns)]
    lines_of_title = 1 + max(title.count("\n") for title in titles)
    height = width / columns * sum(rows) + 0.22 * lines_of_title * len(rows)
    if suptitle:
        height += 0.35
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(suptitle or "", fontsize=12)
    bare = {"frame_on": False, "xticks": [], "yticks": []}
    grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=rows, subplot_kw=bare)
    for axes, array, ratio, title in zip(grid.flat, arrays, ratios, titles, strict=False):
        # imshow's aspect is a pixel's height by its width.
        axes.imshow(array, cmap=colormap, aspect=ratio / _ratio(array))
        axes.set_title(title, fontsize=10)
    return figure


def _as_shown(picture: Any) -> np.ndarray:
    """A photograph (h, w, 3), not much larger than it is shown, or a map (h, w)."""
    if isinstance(picture, Image.Image):
        picture = to_rgb(picture)
        picture.thumbnail((1000, 1000))  # More pixels would cost time and show no more.
    return as_array(picture)


def _ratio(array: np.ndarray) -> float:
    return array.shape[0] / array.shape[1]
