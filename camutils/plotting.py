"""Overlays and figures, without pyplot."""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import matplotlib.figure
import numpy as np
from PIL import Image

from .cam import as_array, as_heatmap
from .images import to_rgb

PIXELS_PER_INCH = 200  # More would cost time and show no more, even enlarged.
OPACITIES = {"heat": lambda heat: heat**0.7, "even": np.ones_like}  # Of heat in [0, 1].


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
        opacity: `"heat"`: each pixel's opacity is alpha times its heat to the power 0.7;
            `"even"`: alpha everywhere.
        grey: lay the colours on a grey copy of the picture.

    Returns:
        An RGB picture of the same size.

    Raises:
        ValueError: a map that is not (h, w) in [0, 1], alpha out of range, an unknown colormap or
            opacity.
        TypeError: image is not a PIL picture.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha: got {alpha}, expected a number in [0, 1].")
    if opacity not in OPACITIES:
        raise ValueError(f"opacity: got {opacity!r}, expected one of {', '.join(OPACITIES)}.")
    picture = to_rgb(image)
    # In 256 levels, as the colormap has them: a large picture then takes little memory.
    cells = Image.fromarray((255 * as_heatmap(heatmap, 1)).round().astype(np.uint8))
    levels = np.asarray(cells.resize(picture.size, Image.Resampling.BILINEAR))
    heat = np.linspace(0, 1, 256)
    colours = matplotlib.colormaps.get_cmap(colormap)(heat, bytes=True)[:, :3]
    mask = (255 * alpha * OPACITIES[opacity](heat)).round().astype(np.uint8)[levels]
    ground = picture.convert("L").convert("RGB") if grey else picture
    return Image.composite(Image.fromarray(colours[levels]), ground, Image.fromarray(mask))


def show_cam(image: Image.Image, heatmap: Any, title: str | None = None, **options: Any) -> Figure:
    """The picture, the heat map cell by cell, and the overlay on the same scale, side by side.

    Args:
        image: as in `overlay`.
        heatmap: as in `overlay`.
        title: above the three, such as the class and the network's name.
        options: `alpha`, `colormap`, `opacity`, `grey` of `overlay`.

    Returns:
        A figure made without pyplot. Raises what `overlay` raises.
    """
    small = _shrunk(image, 10 / 3)  # As show_images will show it.
    laid, cells = overlay(small, heatmap, **options), as_heatmap(heatmap, 1)
    titles = ["picture", "heat map, {} x {} cells".format(*cells.shape), "overlay"]
    colormap = options.get("colormap", "inferno")
    figure = show_images([small, cells, laid], titles, suptitle=title, colormap=colormap)
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
        titles: one for each.
        columns: None for one row.
        suptitle: above them all.
        colormap: of the maps, any of matplotlib's.
        width: of the figure in inches.

    Returns:
        A figure made without pyplot.

    Raises:
        ValueError: no list of pictures and maps, a number of titles that is not theirs, or fewer
            than one column.
    """
    is_one = isinstance(pictures, Image.Image) or getattr(pictures, "shape", ())[2:] == (3,)
    if is_one or len(pictures) < 1:  # An array of RGB would be drawn as maps, one for each row.
        raise ValueError(f"pictures: got {pictures!r:.60}, expected a list of pictures or maps.")
    titles = [""] * len(pictures) if titles is None else titles
    columns = len(pictures) if columns is None else columns
    if isinstance(titles, str) or len(titles) != len(pictures):
        raise ValueError(f"titles: got {titles!r:.60}, expected {len(pictures)}, one per picture.")
    if columns < 1:
        raise ValueError(f"columns: got {columns}, expected at least 1.")
    cell = width / columns
    arrays = [as_array(_shrunk(p, cell) if isinstance(p, Image.Image) else p) for p in pictures]
    dimensions = [3 if isinstance(picture, Image.Image) else 2 for picture in pictures]
    if [array.ndim for array in arrays] != dimensions:
        raise ValueError(f"pictures: got {pictures!r:.60}, expected PIL pictures and maps (h, w).")
    leader = next((array for array in arrays if array.ndim == 3), arrays[0])
    shapes = [array.shape if array.ndim == 3 else leader.shape for array in arrays]
    # A row is as high as its tallest picture, but never higher than a cell is wide.
    ratios = [min(shape[0] / shape[1], 1) for shape in shapes]
    rows = [max(ratios[i : i + columns]) for i in range(0, len(ratios), columns)]
    lines = max(title.count("\n") + bool(title) for title in titles)
    height = cell * sum(rows) + 0.22 * lines * len(rows) + 0.35 * bool(suptitle)
    figure = Figure(figsize=(width, height), layout="constrained")
    bare = {"frame_on": False, "xticks": [], "yticks": []}
    grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=rows, subplot_kw=bare)
    for axes, array, shape, title in zip(grid.flat, arrays, shapes, titles, strict=False):
        # imshow's aspect is a pixel's height by its width.
        stretch = shape[0] / shape[1] * array.shape[1] / array.shape[0]
        axes.imshow(array, cmap=colormap, aspect=stretch)
        axes.set_title(title, fontsize=10)
    figure.suptitle(suptitle or "", fontsize=12)
    return figure


def _shrunk(image: Image.Image, inches: float) -> Image.Image:
    pixels = round(inches * PIXELS_PER_INCH)
    small = to_rgb(image)
    small.thumbnail((pixels, 8 * pixels), Image.Resampling.LANCZOS)
    return small
