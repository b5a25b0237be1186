"""Masks of the animals in the photographs: boxes and strokes by hand, grown by GrabCut.

All that is drawn by hand stands in `data/masks/strokes.json`. GrabCut (Rother, Kolmogorov and
Blake 2004) parts a photograph into animal and background by colour: what lies outside the boxes or
under a background stroke is background, what lies under a foreground stroke is animal, and the
rest is decided by two mixtures of Gaussians and a minimal cut along edges.

`python data/masks/prepare.py` grows all masks anew, `python data/masks/prepare.py alpaca bee` those
two (the checksums in `data/ATTRIBUTION.csv` want changing afterwards); with `--check FOLDER` it
writes contact sheets of the stored masks into the folder instead.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from camutils import data_path, load_image
from camutils.data import whole_file
from course.drawing import keep_region, show_outlined, with_boxes
from course.photographs import mask_path, photograph_mask, photographs, read_drawings

LONG_SIDE = 700  # GrabCut runs at this size, whatever the photograph's.
ITERATIONS = 6
SEED = 0
# Smaller parts and holes, as shares of the mask, are noise unless a stroke marks them.
SMALLEST_PART = 0.02
SMALLEST_HOLE = 0.003


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


def contact_sheets(folder: Path, per_page: int = 6) -> None:
    """Write `masks_01.png`, ... into a folder: every photograph, dark outside its mask."""
    folder.mkdir(parents=True, exist_ok=True)
    found = photographs()
    for page, start in enumerate(range(0, len(found), per_page), start=1):
        shown = found[start : start + per_page]
        masks = [photograph_mask(one.path) for one in shown]
        pictures = [
            with_boxes(keep_region(load_image(one.path), mask), *one.boxes)
            for one, mask in zip(shown, masks, strict=True)
        ]
        titles = [f"{one.path.stem}: {one.animal}, {one.label or 'no class'}" for one in shown]
        figure = show_outlined(pictures, masks, titles, columns=2, width=16, colour="magenta")
        figure.savefig(folder / f"masks_{page:02}.png")


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
