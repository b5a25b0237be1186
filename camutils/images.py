"""Reading picture files of every kind as upright RGB, one by one or as a data set."""

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, ImageOps
from torchvision.datasets import ImageFolder

HEIC = (b"ftypheic", b"ftypheix", b"ftypmif1")
# Pillow knows these by their first bytes, but decodes them not at all, or (FITS) wrongly; so it
# does TIFFs of 12 bits and those whose colours lie in planes (right only in 8 bits).
NOT_DECODED = {"BUFR", "EPS", "FITS", "GRIB", "HDF5", "MPEG", "WMF"}
BITS, PHOTOMETRIC, PLANES = 258, 262, 284  # Tags of a TIFF.
MUCH_TEXT = "raise MAX_TEXT_CHUNK, MAX_TEXT_MEMORY of PIL.PngImagePlugin, or save it without text"
# A part of an error's message → the way out.
WAYS_OUT = {
    "'http": "if it is an address, download the picture first",
    "pillow_heif": "HEIC needs one more package: pip install pillow-heif",
    "MAX_TEXT": MUCH_TEXT,
    "Decompressed Data Too Large": MUCH_TEXT,  # In old versions of Pillow.
}


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

    Example:
        >>> photo = load_image(data_path("scenes", "polar_bear.webp"))
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
            raise ValueError("it is a folder or a device, not a regular file")
        # Opened here: given a name, Pillow memory-maps a TIFF, and rotating it then scrambles it.
        with open(path, "rb") as file, _read_header(file) as image:
            tags = getattr(image, "tag_v2", {})
            if image.format in NOT_DECODED or tags.get(BITS) == (12,) or tags.get(PLANES) == 2:
                raise ValueError(f"Pillow does not decode this kind of {image.format} reliably")
            # Pillow warns from 89,478,485 pixels on and refuses twice as many.
            if image.width * image.height > 89_000_000:
                raise ValueError("it has more than 89 megapixels")
            yield image
    except Exception as error:  # On broken files Pillow's decoders raise nearly everything.
        # Without Python's "[Errno 2]" and Pillow's " <_io.BufferedReader ...>".
        reason = getattr(error, "strerror", None) or str(error).partition(" <")[0] or repr(error)
        message = f"{str(path)!r} cannot be read: {reason}"
        for part, way_out in WAYS_OUT.items():
            if part in message:
                message += f" ({way_out})"
        raise ImageError(f"{message}.") from error


def _read_header(file: BinaryIO) -> Image.Image:
    """The picture in an open file, not yet decoded."""
    start = file.read(64)
    file.seek(0)
    if start[4:12] in HEIC and b"avif" not in start:  # AVIF Pillow reads itself.
        from pillow_heif import HeifImageFile  # Registering it would be permanent.

        return HeifImageFile(file)
    return Image.open(file)


def _to_srgb(image: Image.Image) -> Image.Image:
    rgb = to_rgb(image)
    # There may be no profile, or a broken one, or one that does not fit the picture.
    with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError):
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info.get("icc_profile", b"")))
        # A profile takes its own kind of picture only.
        kinds = {"GRAY": rgb.convert("L"), "CMYK": image}
        own = kinds.get(profile.profile.xcolor_space, rgb)
        srgb = ImageCms.createProfile("sRGB")
        rgb = ImageCms.profileToProfile(own, profile, srgb, outputMode="RGB")
    return rgb


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert to 8-bit RGB: transparency on white, 16-bit grey scaled.

    Args:
        image: a PIL picture; grey of 32 bits lies between 0 and 65535.

    Raises:
        TypeError: not a PIL picture.
        ValueError: grey values out of range, or floats.
    """
    if not isinstance(image, Image.Image):
        raise TypeError(f"image is a {type(image).__name__}; it must be a PIL picture.")
    if image.mode[0] in "FI":  # Floats, or integers of more than 8 bits.
        values = np.asarray(image)
        is_in_range = image.mode != "F" and 0 <= values.min() <= values.max() <= 65535
        if not is_in_range or "transparency" in image.info:
            raise ValueError(
                "image must hold integers from 0 to 65535 (floats do not say what is white) and no "
                "transparent shade. Save it with 8 bits."
            )
        if getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == 0:  # A TIFF where 0 is white.
            values = 65535 - values
        # 65535 is 255 x 257; rounded.
        image = Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def image_folder(
    root: str | os.PathLike, transform: Callable | None = None, *, skip_broken: bool = False
) -> ImageFolder:
    """A folder of class folders as a data set, with every file in them accounted for.

    Args:
        root: holds one folder per class, each with its pictures; hidden files do not count.
        transform: applied to each picture, such as a network's `preprocess`.
        skip_broken: leave out files that are not pictures (they are listed in `.skipped`) instead
            of raising. Every file is decoded once to find out. Files that can be read with some
            help, such as HEIC with pillow-heif, are not left out.

    Returns:
        torchvision's `ImageFolder`, reading through `load_image`; `.skipped` lists the files that
        were left out.

    Raises:
        ImageError: a file is not a picture (it is named), or a truncated one (raised when reached).
        ValueError: no such folder, no class folders, or a class without pictures.

    Example:
        >>> data = image_folder(data_path("photos"), classifier.preprocess)
    """
    folder = Path(root).expanduser()
    skipped = []

    def is_picture(name: str) -> bool:
        path = Path(name)
        if any(part[0] == "." for part in path.relative_to(folder).parts):
            return False
        try:
            with _opened(path) as image:
                if skip_broken:
                    to_rgb(image)  # Decoded; otherwise only the header is read.
        except ImageError as error:
            # What can be read with some help is not broken.
            if not skip_broken or any(way_out in str(error) for way_out in WAYS_OUT.values()):
                raise
            skipped.append(path)
            return False
        return True

    try:
        data = _ClassFolders(folder, transform, loader=load_image, is_valid_file=is_picture)
    except OSError as error:
        raise ValueError(f"root must hold class folders, each with pictures: {error}") from error
    data.skipped = skipped
    return data


class _ClassFolders(ImageFolder):
    def find_classes(self, directory: Path) -> tuple[list, dict]:
        """The class folders; hidden ones, such as `.ipynb_checkpoints`, are not."""
        classes, _ = super().find_classes(directory)
        classes = [name for name in classes if name[0] != "."]
        return classes, {name: i for i, name in enumerate(classes)}
