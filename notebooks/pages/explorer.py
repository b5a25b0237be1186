"""The page on which a logit is taken apart by hand: `python notebooks/pages/explorer.py [FILE]`.

`build/explorer.html` is one file without a network connection, a kernel or a server: pictures, the
evidence of every cell for every class, and the script of `explorer_template.html` that adds them
up. The site's build writes it beside its pages.
"""

import argparse
import base64
import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import matplotlib
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from camutils import Classifier, data_path, load_classifier, load_image
from camutils.data import whole_file
from course.credits import credits_html
from course.evidence import cell_evidence

TEMPLATE = Path(__file__).with_name("explorer_template.html")
NETWORK = "efficientnet_lite0"
LONG_SIDE = 640  # pixels
BLOCK = 3  # cells
LEAST_OF_A_CELL = 0.5  # So much of a cell has to lie on the animal for the cell to be its.
CHANGES = "made smaller, heat map and cells laid over"


class Picture(NamedTuple):
    """A picture of the page."""

    file: str  #: below `data`
    title: str
    alt: str
    masks: tuple[tuple[str, str], ...] = ()  #: what is covered, and the file of its mask


def _photograph(file: str, title: str, alt: str, animal: str) -> Picture:
    mask = f"masks/{file.rpartition('.')[0]}.png"
    return Picture(file, title, alt, ((animal, mask),))


def _composite(name: str, title: str, alt: str, **animals: str) -> Picture:
    masks = [(words, f"scenes/{name}_{key}_mask.png") for key, words in animals.items()]
    return Picture(f"scenes/{name}.jpg", title, alt, tuple(masks))


PICTURES = (
    _photograph(
        "scenes/polar_bear.webp",
        "Polar bear",
        "A polar bear walks to the right over stones and snow; bare bushes behind it.",
        "the bear",
    ),
    _photograph(
        "photos/animal/jaguar.webp",
        "Jaguars",
        "Two spotted jaguars sit on a rock and play, one with a paw on the other.",
        "the jaguars",
    ),
    Picture(
        "unseen/hammer5.webp",
        "Hammer",
        "A claw hammer with a red handle on a white ground, its head at the upper left.",
    ),
    _composite(
        "elephants",
        "Two elephants",
        "A large elephant and, to its right, a small one stand in tall grass.",
        elephant="the elephants",
    ),
    _composite(
        "dragon_and_macaw",
        "Komodo dragon and macaw",
        "A Komodo dragon lies on bare rock; a scarlet macaw stands before it on the right.",
        scarlet_macaw="the macaw",
    ),
    _photograph(
        "unseen/dog.webp",
        "German shepherd",
        "A German shepherd stands on grass, its head at the upper right.",
        "the dog",
    ),
    _photograph(
        "photos/animal/lemur.webp",
        "Ring-tailed lemurs",
        "A ring-tailed lemur looks out from a log; a second one behind it turns away.",
        "the lemurs",
    ),
    _photograph(
        "scenes/dragon.webp",
        "Komodo dragon",
        "A Komodo dragon lies on bare rock, its head at the right.",
        "the dragon",
    ),
    _photograph(
        "photos/animal/kingfisher.webp",
        "Kingfisher",
        "A blue and orange kingfisher sits on a twig before a plain ground.",
        "the kingfisher",
    ),
    _photograph(
        "photos/animal/koala.webp",
        "Koala",
        "A koala sits in the fork of a tree, its head at the upper left.",
        "the koala",
    ),
    _photograph(
        "scenes/lizard.webp",
        "Garden lizard",
        "A scaly brown lizard on a twig among green leaves.",
        "the lizard",
    ),
    Picture(
        "photos/monument/statue_of_liberty.webp",
        "Statue of Liberty",
        "The Statue of Liberty before a deep blue sky; the top of its pedestal at the bottom.",
    ),
)


def write_explorer(path: Path) -> None:
    """Write the page; written twice, the files are equal."""
    page = explorer_page()
    with whole_file(path) as temporary:
        temporary.write_text(page, "utf-8", newline="\n")


def explorer_page() -> str:
    """The page as one HTML text with everything it needs."""
    classifier = load_classifier(NETWORK, "embedded")
    levels = matplotlib.colormaps["inferno"](np.arange(256), bytes=True)[:, :3]
    data = {
        "names": class_names(classifier.categories),
        "bias": _packed(classifier.model.classifier[-1].bias),
        "inferno": levels.tobytes().hex(),
        "cover": [round(255 * mean) for mean in classifier.preprocess.transforms[-1].mean],
        "pictures": [_entry(classifier, picture) for picture in PICTURES],
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    files = [data_path(*picture.file.split("/")) for picture in PICTURES]
    page = TEMPLATE.read_text("utf-8")
    return page.replace("{{credits}}", credits_html(files, CHANGES)).replace("{{data}}", text)


def class_names(categories: list[str]) -> list[str]:
    """Names to choose from: with spaces, and with the index where two classes share one."""
    names = [category.replace("_", " ") for category in categories]
    times = Counter(names)
    return [f"{name} ({i})" if times[name] > 1 else name for i, name in enumerate(names)]


def cell_sets(picture: Picture, heat: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Sets of cells to cover: a name, and bool (h, w).

    Args:
        picture: one of `PICTURES`; each of its masks gives a set.
        heat: (h, w), the CAM whose hottest and coldest block are taken.
    """
    # The sum of the block whose upper left cell it is; blocks that reach over the edge are cut off.
    sums = cv2.boxFilter(heat, -1, (BLOCK, BLOCK), anchor=(0, 0), normalize=False)
    sums = sums[: 1 - BLOCK, : 1 - BLOCK]
    for name, place in (("the hottest 3×3 block", sums.argmax()), ("the coldest", sums.argmin())):
        row, column = np.unravel_index(place, sums.shape)
        cells = np.zeros(heat.shape, bool)
        cells[row : row + BLOCK, column : column + BLOCK] = True
        yield name, cells
    for name, file in picture.masks:
        with Image.open(data_path(*file.split("/"))) as mask:
            share = np.array(mask.convert("L").resize(heat.shape[::-1], Image.Resampling.BOX))
        yield name, share >= 255 * LEAST_OF_A_CELL


def _entry(classifier: Classifier, picture: Picture) -> dict[str, Any]:
    """All that the page holds of one picture."""
    path = data_path(*picture.file.split("/"))
    image = load_image(path)
    x = classifier.preprocess(image)
    evidence = cell_evidence(classifier, x)
    bias = classifier.model.classifier[-1].bias
    answer = (evidence.mean((1, 2)) + bias).argmax()
    sets = []
    for name, cells in cell_sets(picture, evidence[answer].numpy()):
        inside = torch.from_numpy(cells)
        # What is ImageNet's mean colour is 0 once it is normalised.
        pixels = inside.repeat_interleave(x.shape[1] // len(cells), 0)
        pixels = pixels.repeat_interleave(x.shape[2] // cells.shape[1], 1)
        covered = cell_evidence(classifier, x.masked_fill(pixels, 0)) / cells.size
        parts = [(covered * part).sum((1, 2)) for part in (inside, ~inside)]
        numbers = np.flatnonzero(cells).tolist()
        sets.append({"name": name, "cells": numbers, "parts": list(map(_packed, parts))})
    shown = image.copy()
    shown.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    shown.save(buffer, "JPEG", quality=80, optimize=True)
    return {
        "key": path.stem,
        "title": picture.title,
        "alt": picture.alt,
        "size": shown.size,
        "jpeg": base64.b64encode(buffer.getvalue()).decode(),
        "cam": _packed(evidence),
        "sets": sets,
    }


def _packed(values: Tensor) -> str:
    """Float16, little-endian, in base64."""
    return base64.b64encode(values.detach().numpy().astype("<f2").tobytes()).decode()


def main(arguments: list[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=Path("build", "explorer.html"))
    path = parser.parse_args(arguments).file
    write_explorer(path)
    print(f"Open {path} in a browser ({path.stat().st_size / 1e6:.1f} MB).")


if __name__ == "__main__":
    main()
