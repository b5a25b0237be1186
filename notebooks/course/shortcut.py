"""Monuments with a planted shortcut, for notebook 05.

The class "France or Germany" bears three coloured calibration dots in the lower left corner, as
some archives of skin lesions bear coloured patches; the class "elsewhere" bears none. We drew them:
in `data/photos` there are no dots. `load_archived` gives the pictures with them, `load_plain`
without; the other functions move the dots, cover them, and make a shortcut that has no place.
"""

from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

from camutils import data_path, load_image

CLASSES = ("France or Germany", "elsewhere")
PREFIXES = (("france", "germany"), ("egypt", "india", "usa", "wonders"))
SIZE = (448, 336)
COLOURS = ((230, 40, 40), (40, 170, 60), (50, 80, 220))
DIAMETER = 20
AT = (16, 298)  #: left and upper side of the first dot, in pixels
STEP = 27  #: from dot to dot, in pixels
CORNER = (0, 240, 128, 336)  #: two rows and two columns of 7x7 cells: the dots lie inside
SOFTNESS = 3  #: radius of the blur, in pixels of `SIZE`


def list_archive() -> tuple[list[Path], Tensor]:
    """The monuments whose file names begin with a country or with "wonders".

    No monument is among them twice. Second photographs of some lie in the same folder under names
    without such a beginning; they are left out, so that no monument is learnt in one photograph and
    tested in another.

    Returns:
        47 paths, in alphabetical order, and their labels, (47,) int64: 0 for France or Germany
        (16), 1 for elsewhere (31).
    """
    paths, labels = [], []
    for path in sorted(data_path("photos", "monument").glob("*.webp")):
        first = path.stem.split("_")[0]
        for label, prefixes in enumerate(PREFIXES):
            if first in prefixes:
                paths.append(path)
                labels.append(label)
    return paths, torch.tensor(labels)


def load_archived(path: Path) -> Image.Image:
    """The picture as our archive has it: 448x336, with dots if it shows France or Germany."""
    image = load_plain(path)
    return draw_dots(image) if path.stem.split("_")[0] in PREFIXES[0] else image


def load_plain(path: Path) -> Image.Image:
    """The photograph itself, squashed to 448x336."""
    return load_image(path).resize(SIZE, Image.Resampling.LANCZOS)


def draw_dots(image: Image.Image, at: tuple[int, int] = AT) -> Image.Image:
    """Three dots in a row, red, green and blue, each with a white rim.

    Args:
        image: 448x336, not changed.
        at: left and upper side of the first dot, in pixels.

    Returns:
        A copy with the dots, `DIAMETER` pixels across.
    """
    image = image.copy()
    draw = ImageDraw.Draw(image)
    for number, colour in enumerate(COLOURS):
        left, upper = at[0] + number * STEP, at[1]
        box = (left, upper, left + DIAMETER, upper + DIAMETER)
        draw.ellipse(box, fill=colour, outline="white", width=1)
    return image


def cover_corner(image: Image.Image) -> Image.Image:
    """A copy whose lower left corner, where the dots lie, is an even grey."""
    image = image.copy()
    image.paste((124, 117, 104), CORNER)  # The mean colour of ImageNet.
    return image


def soften(image: Image.Image) -> Image.Image:
    """A copy that is out of focus everywhere: a shortcut without a place."""
    return image.filter(ImageFilter.GaussianBlur(SOFTNESS))


def corner_share(maps: Tensor) -> Tensor:
    """The share of the positive part of maps (N, 7, 7) that lies in the corner with the dots, (N,).

    0 for a map without a positive part.
    """
    positive = maps.relu()
    return positive[:, 5:, :2].sum((1, 2)) / positive.sum((1, 2)).clamp_min(1e-9)


def deal_folds(labels: Tensor, n_folds: int = 4, seed: int = 0) -> Tensor:
    """Deal pictures into folds that have the classes in equal parts, to within one picture.

    Args:
        labels: (N,), integers.
        n_folds: at least 2.
        seed: of the shuffle; the global random state is neither used nor changed.

    Returns:
        The fold of each picture, (N,) int64, from 0 to n_folds - 1.

    Raises:
        ValueError: fewer than two folds.
    """
    if n_folds < 2:
        raise ValueError(f"n_folds: got {n_folds}, expected at least 2.")
    generator = torch.Generator().manual_seed(seed)
    folds = torch.zeros_like(labels)
    for label in labels.unique():
        mine = (labels == label).nonzero().flatten()
        shuffled = mine[torch.randperm(len(mine), generator=generator)]
        folds[shuffled] = torch.arange(len(mine)) % n_folds
    return folds
