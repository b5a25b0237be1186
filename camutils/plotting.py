"""Heat maps on pictures, and figures of them that need no pyplot."""

import io
import logging
import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import cv2
import matplotlib
import matplotlib.figure
import numpy as np
from PIL import Image

from .checks import check, check_type
from .images import as_array, as_heatmap, to_rgb

# On a new machine matplotlib announces its font cache on stderr, in the middle of a notebook.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)


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
    image: Image.Image, heatmap: Any, alpha: float = 0.4, colormap: str = "viridis"
) -> Image.Image:
    """Lay a heat map over a picture: (1 - alpha) * image + alpha * colour.

    Args:
        image: a PIL picture; it is taken as RGB and not changed.
        heatmap: (h, w), tensor or array, in [0, 1]; interpolated to the picture's size.
        alpha: opacity of the colours, in [0, 1].
        colormap: any of matplotlib's; the default is perceptually even, "jet" is the sources'.

    Returns:
        An RGB picture of the same size.

    Raises:
        ValueError: a map that is not (h, w) in [0, 1], alpha off range, an unknown colour map.
        TypeError: image is no PIL picture, or heatmap no numbers.
    """
    check_type("image", image, Image.Image, "a PIL picture")
    check(min(image.size) > 0, "image", f"size {image.size}", "at least one pixel")
    number = isinstance(alpha, Real) and not isinstance(alpha, bool)
    check(number and 0 <= alpha <= 1, "alpha", repr(alpha), "a number in [0, 1]")
    known = isinstance(colormap, str) and colormap in matplotlib.colormaps
    check(known, "colormap", repr(colormap), "one of matplotlib's, as viridis or jet")
    fine = cv2.resize(as_heatmap(heatmap, 1), image.size, interpolation=cv2.INTER_LINEAR)
    colour = matplotlib.colormaps[colormap](fine, bytes=True)[..., :3]
    picture = np.asarray(to_rgb(image))
    return Image.fromarray(
        cv2.addWeighted(picture, float(1 - alpha), np.ascontiguousarray(colour), float(alpha), 0)
    )


def show_cam(
    image: Image.Image,
    heatmap: Any,
    title: str | None = None,
    *,
    alpha: float = 0.4,
    colormap: str = "viridis",
) -> Figure:
    """The picture, the heat map as it is (one square a cell), and the overlay, side by side.

    Args:
        image: as in `overlay`.
        heatmap: as in `overlay`.
        alpha: as in `overlay`.
        colormap: as in `overlay`.
        title: above the three, as the class and the network's name.

    Returns:
        A figure made without pyplot. Raises what `overlay` raises.
    """
    laid = overlay(image, heatmap, alpha, colormap)
    cells = as_heatmap(heatmap, 1)
    titles = ["picture", "heat map, {} x {} cells".format(*cells.shape), "overlay"]
    return show_images([image, cells, laid], titles, suptitle=title, colormap=colormap)


def show_images(
    pictures: Sequence[Any],
    titles: Sequence[str] | None = None,
    *,
    columns: int | None = None,
    suptitle: str | None = None,
    colormap: str = "viridis",
    width: float = 10.0,
) -> Figure:
    """Pictures and maps in a grid, all drawn in the proportions of the first picture.

    Args:
        pictures: PIL pictures, or (h, w) tensors or arrays, which are drawn as matrices with
            `colormap`, each by its own minimum and maximum.
        titles: one for each.
        columns: None for one row.
        suptitle: above them all.
        colormap: of the maps, any of matplotlib's.
        width: of the figure in inches.

    Returns:
        A figure made without pyplot.

    Raises:
        ValueError: no pictures, not as many titles as pictures, or a width that is none.
    """
    check(len(pictures), "pictures", "none", "at least one")
    titles = titles if titles is not None else [""] * len(pictures)
    check(len(titles) == len(pictures), "titles", len(titles), f"{len(pictures)}, one a picture")
    positive = isinstance(width, Real) and 0 < width < math.inf
    check(positive, "width", repr(width), "inches, a number above 0")
    columns = columns or len(pictures)
    rows = -(-len(pictures) // columns)
    arrays = [as_array(to_rgb(p) if isinstance(p, Image.Image) else p) for p in pictures]
    height, wide = next((a for a in arrays if a.ndim == 3), arrays[0]).shape[:2]
    lines = max(title.count("\n") + bool(title) for title in titles)
    cell = width / columns
    figure = Figure(
        # A strip far higher than wide is shown smaller: its full height would fill the memory.
        figsize=(
            width,
            rows * (cell * min(height / wide, 8) + 0.22 * lines) + 0.35 * bool(suptitle),
        ),
        layout="constrained",
    )
    for i, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.set_axis_off()
        if i < len(arrays):
            shape = arrays[i].shape
            axes.imshow(arrays[i], cmap=colormap, aspect=shape[1] * height / wide / shape[0])
            axes.set_title(titles[i], fontsize=10)
    figure.suptitle(suptitle or "", fontsize=12)
    return figure
