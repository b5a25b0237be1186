"""Thumbnails of the site's front page, cut at build time out of what is committed anyway."""

import base64
import io
import re
from pathlib import Path

import nbformat
import numpy as np
from PIL import Image, ImageOps

from camutils import data_path, load_image

NOTEBOOKS = Path(__file__).parents[1]
SIZE = (480, 320)  # Twice what a card shows, for fine screens.
WALL = (3, 2)
LEAST = 100  # pixels: smaller runs of ink are titles and ticks


def thumbnail(name: str) -> str:
    """A thumbnail as a `data:` address.

    Args:
        name: `02-elephants/3`, the third panel of that figure in notebook 02; or a folder below
            `data` that ends with a slash, for a wall of some of its photographs.

    Raises:
        ValueError: the notebook shows no such panel, or the folder holds too few photographs.
    """
    picture = _wall(name) if name.endswith("/") else _panel(*name.split("/"))
    file = io.BytesIO()
    ImageOps.fit(picture, SIZE).save(file, "jpeg", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def notebook_of(name: str) -> Path | None:
    """The notebook that shows the figure of a thumbnail."""
    return next(NOTEBOOKS.glob(f"{name[:2]}_*.ipynb"), None)


def _panel(figure: str, number: str) -> Image.Image:
    """A panel of a figure, counted from the left and then from the top."""
    path = notebook_of(figure)
    picture = _figure(path, figure) if path else None
    if picture is None:
        raise ValueError(f"No notebook shows a figure {figure}.")
    ink = np.asarray(picture.convert("L")) < 250
    boxes = []
    for upper, lower in _runs(ink.mean(1) > 0.25):
        for left, right in _runs(ink[upper:lower].mean(0) > 0.5):
            boxes.append((left, upper, right, lower))
    if int(number) > len(boxes):
        raise ValueError(f"Figure {figure} has {len(boxes)} panels with pictures, not {number}.")
    return picture.crop(boxes[int(number) - 1])


def _figure(path: Path, name: str) -> Image.Image | None:
    """The picture that stands above a figure's caption."""
    picture = None
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            for kind in ("image/jpeg", "image/png"):
                picture = data.get(kind, picture)
            if picture and re.match(rf"\*\*Figure {name}\.\*\*", data.get("text/markdown", "")):
                return Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    return None


def _runs(wanted: np.ndarray) -> list[tuple[int, int]]:
    """Where runs of True begin and end that are long enough for a panel."""
    changes = np.flatnonzero(np.diff(wanted.astype(int), prepend=0, append=0))
    return [(int(a), int(b)) for a, b in changes.reshape(-1, 2) if b - a >= LEAST]


def _wall(folder: str) -> Image.Image:
    """Some photographs of a folder, edge to edge, taken at even distances in its order."""
    columns, rows = WALL
    paths = sorted(data_path(*folder.split("/")).glob("*.webp"))
    if len(paths) < columns * rows:
        raise ValueError(f"data/{folder} has {len(paths)} photographs, not {columns * rows}.")
    size = (SIZE[0] // columns, SIZE[1] // rows)
    wall = Image.new("RGB", SIZE)
    for i in range(columns * rows):
        photograph = load_image(paths[i * len(paths) // (columns * rows)])
        place = (size[0] * (i % columns), size[1] * (i // columns))
        wall.paste(ImageOps.fit(photograph, size), place)
    return wall
