"""Picture files to checked RGB pictures, and the box that a heat map proposes to crop."""

import math
import os
import sys
import warnings
from collections.abc import Callable
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from torchvision.datasets import ImageFolder

from .checks import check, check_type

MAX_PIXELS = 89_000_000  # Below Pillow's own limit, so that ours is the message that is read.


class ImageError(ValueError):
    """A picture file that cannot be used; the message names the file and what is wrong."""


def load_image(path: str | os.PathLike) -> Image.Image:
    """Open a picture as upright 8-bit RGB, whatever its format.

    EXIF rotation is applied, transparency laid on white, 16-bit grey scaled to 8 bits; grey,
    palette and CMYK pictures are converted. Of an animation the first picture is taken.

    Args:
        path: a picture file that Pillow can read, at most 89 megapixels.

    Returns:
        A decoded picture of mode RGB.

    Raises:
        ImageError: missing, a folder, not a picture, truncated, or too large (found out before it
            is decoded).
        TypeError: `path` is not a path.
    """
    check_type("path", path, str | os.PathLike, "a file name or a Path")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks, as on damaged EXIF data.
            # Not by name: Pillow would map a TIFF into memory, which EXIF rotation then scrambles.
            with open(path, "rb") as file, Image.open(file) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise ValueError(f"{image.width}x{image.height} is over {MAX_PIXELS:,} pixels")
                image.load()
                return to_rgb(ImageOps.exif_transpose(image))
    except Exception as error:  # Pillow's decoders raise nearly everything on broken files.
        raise ImageError(
            f"path: {os.fspath(path)!r} could not be read: {_why(path, error)}; expected a whole "
            f"picture file (JPEG, PNG, WebP, ...) of at most {MAX_PIXELS // 10**6} megapixels."
        ) from error


def _why(path: str | os.PathLike, error: Exception) -> str | Exception:
    name = str(path)
    if os.path.isdir(path):
        return "it is a folder"
    if any(character in name for character in "\t\n\r\a\b\f\v"):
        return f'the name holds a tab or a line break, was r"..." meant? ({error})'
    if isinstance(error, FileNotFoundError):
        where = "" if os.path.isabs(path) else f" in the current folder {os.getcwd()}"
        return f"there is no such file{where}"
    if name.lower().endswith((".heic", ".heif")):
        return "HEIC pictures are not supported, save it as JPEG"
    return error


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB, with what is transparent on white and 16-bit or floating grey scaled."""
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, dtype=np.float64)
        top = 65535 if image.mode.startswith("I") else 1 if values.max() <= 1 else 255
        if not (values.min() >= 0 and values.max() <= top):  # Also refuses NaN.
            raise ValueError(f"image: got grey values beyond 0 to {top} in mode {image.mode}")
        image = Image.fromarray((values * (255 / top)).round().astype(np.uint8))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def image_folder(
    root: str | os.PathLike,
    transform: Callable[[Image.Image], Any] | None = None,
    *,
    skip_broken: bool = False,
) -> ImageFolder:
    """A folder of class folders as a data set, with every file accounted for.

    Args:
        root: holds one folder per class, each with its pictures; hidden files do not count.
        transform: applied to each picture, as a network's `preprocess`.
        skip_broken: leave out files that are no pictures (they are listed in `.skipped`) instead
            of raising. Every file is decoded once to find out.

    Returns:
        torchvision's `ImageFolder`, reading through `load_image`; `.skipped` lists what was left
        out.

    Raises:
        ImageError: a file is no picture (it is named), or a truncated one (raised when reached).
        ValueError: no such folder, no pictures, or fewer than two classes.
    """
    root, skipped = Path(root), []
    check(root.is_dir(), "root", f"{root}, which is no folder", "a folder of class folders")

    def is_picture(path: str) -> bool:
        if any(part.startswith(".") for part in Path(path).relative_to(root).parts):
            return False
        try:
            if skip_broken:
                load_image(path)
            else:
                Image.open(path).close()  # The header only: the rest is checked when it is read.
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            if not skip_broken:
                raise ImageError(
                    f"root: {path} is not a picture; take it out, or pass skip_broken=True."
                ) from error
            skipped.append(Path(path))
            return False
        return True

    try:
        dataset = _ImageFolder(root, transform, loader=load_image, is_valid_file=is_picture)
    except FileNotFoundError as error:
        raise ValueError(f"root: a class folder in {root} holds no picture ({error}).") from error
    dataset.skipped = skipped
    return dataset


class _ImageFolder(ImageFolder):
    """One for whom hidden folders, as `.ipynb_checkpoints`, are no classes."""

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        folders = (path for path in Path(directory).iterdir() if path.is_dir())
        classes = sorted(path.name for path in folders if not path.name.startswith("."))
        got = f"{len(classes)} class folders {classes} in {directory}"
        check(len(classes) > 1, "root", got, "at least two")
        return classes, {name: i for i, name in enumerate(classes)}


def as_heatmap(heatmap: Any, most: float) -> np.ndarray:
    """A map (h, w), tensor or array, from 0 to `most`, as float64, or TypeError or ValueError."""
    try:
        cells = as_array(heatmap).astype(np.float64, casting="same_kind")
    except (TypeError, ValueError) as error:
        kind = type(heatmap).__name__
        raise TypeError(f"heatmap: got {kind}, expected a tensor or array (h, w).") from error
    check(cells.ndim == 2 and cells.size, "heatmap", f"shape {cells.shape}", "(h, w)")
    low, high = cells.min(), cells.max()
    fits = low >= -1e-6 and high <= most + 1e-6  # NaN neither is nor fits.
    form = f"values from 0 to {most:g}; normalize_map scales them"
    check(fits, "heatmap", f"values from {low:.3g} to {high:.3g}", form)
    return cells.clip(0, most)


def as_array(values: Any) -> np.ndarray:
    """What NumPy takes, and tensors of any precision, with or without a gradient."""
    return np.asarray(values.detach().cpu().double() if hasattr(values, "detach") else values)


def crop_box(
    heatmap: Any, size: tuple[int, int], threshold: float = 0.5, margin: float = 0.1
) -> tuple[int, int, int, int]:
    """The smallest box around the upper part of a heat map, grown by a margin.

    Args:
        heatmap: (h, w) tensor or array, not negative; its cells tile the picture.
        size: width and height of the picture in pixels, as `image.size`.
        threshold: a cell is in the upper part from this share of the maximum on, in (0, 1].
        margin: what is added on each side, as a share of the box's width and height.

    Returns:
        (left, upper, right, lower) in pixels, as `image.crop` takes it; never beyond the picture.
        A flat map singles out nothing and gives the whole picture.

    Raises:
        ValueError: a map that is not (h, w), negative or not finite; another argument off range.
        TypeError: a heatmap of no numbers.
    """
    cells = as_heatmap(heatmap, sys.float_info.max)
    pair = isinstance(size, tuple | list) and len(size) == 2
    whole = pair and all(isinstance(side, Integral) and side >= 1 for side in size)
    check(whole, "size", repr(size), "(width, height), whole numbers of at least 1")
    number = isinstance(threshold, Real) and 0 < threshold <= 1
    check(number, "threshold", repr(threshold), "a share in (0, 1]")
    number = isinstance(margin, Real) and 0 <= margin < math.inf
    check(number, "margin", repr(margin), "a share of at least 0")
    width, height = size
    if cells.max() == cells.min():
        return 0, 0, width, height
    rows, columns = np.nonzero(cells >= threshold * cells.max())

    def span(first: int, last: int, count: int, pixels: int) -> tuple[int, int]:
        low, high = int(first) * pixels / count, (int(last) + 1) * pixels / count
        grow = margin * (high - low)
        return math.floor(max(0, low - grow)), math.ceil(min(pixels, high + grow))

    left, right = span(columns.min(), columns.max(), cells.shape[1], width)
    upper, lower = span(rows.min(), rows.max(), cells.shape[0], height)
    return left, upper, right, lower
