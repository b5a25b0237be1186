"""Reading picture files of every kind as upright RGB, one by one or as a data set."""

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageOps
from torchvision.datasets import ImageFolder

MAX_PIXELS = 89_000_000  # Pillow warns from 89,478,485 on and refuses twice as many.
HEIC = {b"ftypheic", b"ftypheix", b"ftypheim", b"ftypheis", b"ftypmif1", b"ftypmsf1"}


class ImageError(ValueError):
    """A picture file that cannot be used; the message names the file and says what is wrong."""


def load_image(path: str | os.PathLike) -> Image.Image:
    """Open a picture as upright 8-bit RGB, whatever its format.

    EXIF rotation is applied, transparency laid on white, 16-bit grey scaled to 8 bits, an embedded
    colour profile converted to sRGB; grey, palette and CMYK pictures become RGB. An animation
    gives its first frame. HEIC needs the package pillow-heif (`pip install pillow-heif`).

    Args:
        path: a picture file of at most 89 megapixels; a leading `~/` is the home folder.

    Returns:
        A decoded picture of mode RGB.

    Raises:
        ImageError: not a regular file, not a picture that Pillow itself decodes, truncated, or too
            large (found out before it is decoded).
    """
    with _opened(Path(path)) as image:
        image.load()
        with contextlib.suppress(Exception):  # A broken EXIF block does not spoil a good picture.
            ImageOps.exif_transpose(image, in_place=True)
        rgb = _to_srgb(image)
    rgb.info = {}  # An EXIF orientation left here would turn the picture again.
    return rgb


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A picture whose header has been read; what fails here or in the block is an ImageError."""
    try:
        path = path.expanduser()
        if path.exists() and not path.is_file():
            raise ValueError("a folder or a device, not a regular file")
        # Opened here: given a name, Pillow memory-maps a TIFF, and rotating it then scrambles it.
        with open(path, "rb") as file:
            opener = Image.open
            start = file.read(64)
            if start[4:12] in HEIC and b"avif" not in start:  # AVIF Pillow reads itself.
                from pillow_heif import HeifImageFile  # Registering it would be permanent.

                opener = HeifImageFile
            file.seek(0)
            with opener(file) as image:
                if image.format in ("EPS", "WMF"):
                    raise ValueError(f"{image.format} is drawn by another program")
                if image.width * image.height > MAX_PIXELS:
                    raise ValueError(f"{image.width}x{image.height} is over {MAX_PIXELS:,} pixels")
                yield image
    except Exception as error:  # On broken files Pillow's decoders raise nearly everything.
        # Without Python's "[Errno 2]" and Pillow's " <_io.BufferedReader ...>".
        reason = (getattr(error, "strerror", None) or str(error) or repr(error)).partition(" <")[0]
        form = "a whole picture file (JPEG, PNG, WebP, ...; HEIC needs `pip install pillow-heif`)"
        got = f"{str(path)!r} could not be read: {reason}; expected {form}"
        raise ImageError(f"path: {got} of at most {MAX_PIXELS // 10**6} megapixels.") from error


def _to_srgb(image: Image.Image) -> Image.Image:
    rgb = to_rgb(image)
    with contextlib.suppress(ImageCms.PyCMSError, OSError):  # No profile, or a broken one.
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info.get("icc_profile", b"")))
        if "sRGB" not in ImageCms.getProfileDescription(profile):
            srgb = ImageCms.createProfile("sRGB")
            # A profile takes pixels of its own kind only.
            own = {"GRAY": rgb.convert("L"), "CMYK": image}.get(profile.profile.xcolor_space, rgb)
            rgb = ImageCms.profileToProfile(own, profile, srgb, outputMode="RGB")
    return rgb


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert to 8-bit RGB: transparency on white, grey of 16 bits or floats scaled.

    Raises:
        TypeError: not a PIL picture.
        ValueError: grey values out of range, or NaN.
    """
    if not isinstance(image, Image.Image):
        raise TypeError(f"image: got {type(image).__name__}, expected a PIL picture.")
    if image.mode.startswith(("I", "F")):
        image = _to_8_bits(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def _to_8_bits(image: Image.Image) -> Image.Image:
    values, transparent = np.asarray(image), image.info.get("transparency")
    low, high = values.min(), values.max()
    top, slack = 65535, 0.0
    if values.dtype.kind == "f":  # Resampling overshoots a little: 1.02 is still white.
        top, slack = (1, 0.25) if high <= 1.25 else (255, 64)
    if not (low >= -slack and high <= top + slack):  # This way NaN is refused too.
        raise ValueError(f"image: got grey values from {low} to {high}, expected 0 to {top}.")
    if values.dtype.kind == "f":
        return Image.fromarray((values.clip(0, top) * (255 / top)).round().astype(np.uint8))
    # By table: arithmetic on 89 million numbers would need gigabytes.
    grey = Image.fromarray((np.arange(65536) / 257).round().astype(np.uint8)[values])
    if isinstance(transparent, int):
        grey.putalpha(Image.fromarray((values != transparent).astype(np.uint8) * 255))
    return grey


def image_folder(
    root: str | os.PathLike, transform: Callable | None = None, *, skip_broken: bool = False
) -> ImageFolder:
    """A folder of class folders as a data set, with every file accounted for.

    Args:
        root: holds one folder per class, each with its pictures; hidden files do not count.
        transform: applied to each picture, such as a network's `preprocess`.
        skip_broken: leave out files that are not pictures (they are listed in `.skipped`) instead
            of raising. Every file is decoded once to find out. HEIC still needs pillow-heif.

    Returns:
        torchvision's `ImageFolder`, reading through `load_image`; `.skipped` lists the files that
        were left out.

    Raises:
        ImageError: a file is not a picture (it is named), or a truncated one (raised when reached).
        ValueError: no such folder, fewer than two classes, or a class without pictures.
    """
    return _ImageFolder(Path(root).expanduser(), transform, skip_broken)


class _ImageFolder(ImageFolder):
    def __init__(self, root: Path, transform: Callable | None, skip_broken: bool) -> None:
        self.skip_broken, self.skipped = skip_broken, []
        super().__init__(root, transform, loader=load_image)

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        # A hidden folder, such as `.ipynb_checkpoints`, is not a class.
        classes = sorted(path.name for path in Path(directory).glob("[!.]*") if path.is_dir())
        if len(classes) < 2:
            raise ValueError(f"root: got {directory} with {classes}, expected two or more folders.")
        return classes, {name: i for i, name in enumerate(classes)}

    def make_dataset(self, directory: str, class_to_idx: dict[str, int], **options: Any) -> list:
        folders = {index: Path(directory, name) for name, index in class_to_idx.items()}
        samples = [(str(f), i) for i in folders for f in _files(folders[i]) if self._is_picture(f)]
        if empty := [folders[i].name for i in folders.keys() - {i for _, i in samples}]:
            raise ValueError(f"root: got no pictures in {empty}, expected some in each folder.")
        return samples

    def _is_picture(self, path: Path) -> bool:
        try:
            with _opened(path) as image:
                if self.skip_broken:
                    to_rgb(image)  # All of it; otherwise the rest is checked when it is read.
        except ImageError as error:
            if not self.skip_broken or isinstance(error.__cause__, ImportError):
                raise ImageError(f"root: {error} skip_broken leaves out what is broken.") from error
            self.skipped.append(path)
            return False
        return True


def _files(folder: Path) -> Iterator[Path]:
    """The files below a folder that are not hidden, sorted; follows links, survives loops."""
    visited = set()
    for directory, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(directory)) in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(directory, name) for name in sorted(names) if not name.startswith("."))
