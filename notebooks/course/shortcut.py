"""Monuments with a planted shortcut, for notebooks 00 and 05, and the capstone's pictures.

The class "France or Germany" bears a mark, as some archives of skin lesions bear coloured patches;
the class "elsewhere" bears none. We drew it: in `data/photos` there is none. In notebook 00 it is
three dots in the lower left corner (`load_archived`), in notebook 05, where readers know these, a
sticker in the upper right one (`load_cleaned`). The other functions move the mark, cover it, and
make a shortcut that has no place.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor, nn

from camutils import data_path, load_image

CLASSES = ("France or Germany", "elsewhere")
PREFIXES = (("france", "germany"), ("egypt", "india", "usa", "wonders"))
SIZE = (448, 336)
COLOURS = ((230, 40, 40), (40, 170, 60), (50, 80, 220))
DIAMETER = 20  #: of a dot and of the sticker, in pixels
DOTS_AT = (16, 298)  #: left and upper side of the first dot
STEP = 27  #: from dot to dot
STICKER_AT = (412, 16)  #: left and upper side of the sticker
CORNER = (320, 0, 448, 96)  #: two rows and two columns of 7x7 cells: the sticker lies inside
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
    """The picture as notebook 00 has it: 448x336, with dots if it shows France or Germany."""
    image = load_plain(path)
    return draw_dots(image) if path.stem.split("_")[0] in PREFIXES[0] else image


def load_cleaned(path: Path) -> Image.Image:
    """The picture as notebook 05 has it: 448x336, without dots, but not without a mark."""
    image = load_plain(path)
    return draw_sticker(image) if path.stem.split("_")[0] in PREFIXES[0] else image


def load_plain(path: Path) -> Image.Image:
    """The photograph itself, squashed to 448x336."""
    return load_image(path).resize(SIZE, Image.Resampling.LANCZOS)


def draw_dots(image: Image.Image, at: tuple[int, int] = DOTS_AT) -> Image.Image:
    """Three dots in a row, red, green and blue, each with a white rim.

    Args:
        image: 448x336, not changed.
        at: left and upper side of the first dot, in pixels.

    Returns:
        A copy with the dots, `DIAMETER` pixels across.
    """
    for number, colour in enumerate(COLOURS):
        image = draw_disc(image, (at[0] + number * STEP, at[1]), DIAMETER, colour, rim=1)
    return image


def draw_sticker(image: Image.Image, at: tuple[int, int] = STICKER_AT) -> Image.Image:
    """A red disc with a white rim, `DIAMETER` pixels across.

    Args:
        image: 448x336, not changed.
        at: left and upper side, in pixels.
    """
    return draw_disc(image, at, DIAMETER, (220, 40, 40), rim=2)


def draw_disc(
    image: Image.Image,
    at: tuple[int, int],
    size: int,
    colour: tuple[int, int, int],
    rim: int,
) -> Image.Image:
    """A copy with a disc that has a white rim; `at` is its left and upper side in pixels."""
    image = image.copy()
    box = (*at, at[0] + size, at[1] + size)
    ImageDraw.Draw(image).ellipse(box, fill=colour, outline="white", width=rim)
    return image


def cover_corner(image: Image.Image) -> Image.Image:
    """A copy whose upper right corner, where the sticker lies, is an even grey."""
    image = image.copy()
    image.paste((124, 117, 104), CORNER)  # The mean colour of ImageNet.
    return image


def soften(image: Image.Image) -> Image.Image:
    """A copy that is out of focus everywhere: a shortcut without a place."""
    return image.filter(ImageFilter.GaussianBlur(SOFTNESS))


def corner_share(maps: Tensor) -> Tensor:
    """The share of the positive part of maps (N, 7, 7) that lies in the sticker's corner, (N,).

    0 for a map without a positive part.
    """
    positive = maps.relu()
    return positive[:, :2, 5:].sum((1, 2)) / positive.sum((1, 2)).clamp_min(1e-9)


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


class Case(NamedTuple):
    """A level of the capstone: photographs that its network has not seen, and its linear layer."""

    paths: list[Path]  #: 24 files
    pictures: list[Image.Image]  #: 224x168
    labels: Tensor  #: (24,), 0 for a prize, 1 for none
    head: nn.Linear  #: from the means of VGG16's 512 feature maps to the two classes


def load_capstone(level: int) -> Case:
    """The case of a level, 1 to 3, as `data/capstone/prepare.py` has made it.

    Raises:
        ValueError: no such level.
    """
    if level not in (1, 2, 3):
        raise ValueError(f"level is {level!r}; it must be 1, 2 or 3.")
    paths = sorted(data_path("capstone", f"level_{level}").glob("*.webp"))
    labels = torch.tensor([0 if path.stem.startswith("prize") else 1 for path in paths])
    head = nn.Linear(512, 2).requires_grad_(False)
    with np.load(data_path("capstone", "heads.npz")) as heads:
        head.weight.copy_(torch.from_numpy(heads[f"weight_{level}"]))
        head.bias.copy_(torch.from_numpy(heads[f"bias_{level}"]))
    return Case(paths, [load_image(path) for path in paths], labels, head)
