"""Notebook 03."""

import numpy as np
import torch
from PIL import Image

from camutils import normalize_map

from . import Exercise

BEFORE = np.array([0.1, 0.2, 0.9, 0.8])
AFTER = np.array([0.5, 0.3, 0.7, 0.9])
WAS_RIGHT = np.array([False, False, True, True])
# Stripes of 2 to 9 pixels: shrunk, the finest fade; enlarged again, they stay faint.
STRIPES = [
    Image.fromarray(np.uint8(255 * (np.indices((608, 608))[1] // period % 2)))
    for period in range(1, 10)
]


def count_strong(images, width, height):
    """Stands for `count_lizards`: how many pictures have strong stripes; larger ones need more."""
    return sum(bool(np.asarray(image).std() > 40 + width / 4) for image in images)


def summed(weights, maps):
    return torch.einsum("k,khw->hw", weights, maps)


def positive(activation):
    return (activation > 0).float().mean((1, 2))


def dense_map(activation, weight, c):
    return summed(weight[c] * positive(activation) / activation[0].numel(), activation).relu()


SHRUNK = [stripes.resize((153, 153)) for stripes in STRIPES]
ENLARGED = count_strong([small.resize((224, 224)) for small in SHRUNK], 224, 224)
SMALL = count_strong(SHRUNK, 153, 153)
assert 0 < ENLARGED < SMALL - 1

EXERCISES = {
    "check_03_1": Exercise(
        (490, 0, 610, 55),
        mistakes=[
            (0, 245, 110, 305),
            (500, 0, 600, 50),
            (490, -5, 610, 55),
            (430, 0, 670, 85),
            (0, 0, 1, 1),
        ],
    ),
    "check_03_2": Exercise(ENLARGED, (count_strong, STRIPES), mistakes=[SMALL, 100]),
    "check_03_4": Exercise(
        0.25,
        (BEFORE, AFTER, WAS_RIGHT),
        mistakes=[-0.05, 0.1, -0.25, 0.4, 3],
        tolerance=0.02,  # Half of the second decimal.
    ),
    "check_03_5": Exercise(0.3797, mistakes=[0.6203, 0.3518, 0.612, 1.0791, 2], tolerance=0.013),
    "check_03_6": Exercise("acd", mistakes=["b", "e", "ad", "cd", "ac"]),
    "check_03_7": Exercise(
        dense_map,
        mistakes=[
            lambda a, w, c: summed(w[c] / a[0].numel(), a).relu(),
            lambda a, w, c: summed(w[c] / a[0].numel(), a.relu()).relu(),
            lambda a, w, c: dense_map(a, w, c) * a[0].numel(),
            lambda a, w, c: dense_map(a, w, c) * a[0].numel() / 49,
            lambda a, w, c: normalize_map(dense_map(a, w, c)),
            lambda a, w, c: summed(w[c] * positive(a) / a[0].numel(), a),
            lambda a, w, c: summed(w[c] * positive(a) / a[0].numel(), a.relu()).relu(),
            lambda a, w, c: a,
            lambda a, w, c: 3 * dense_map(a, w, c),
        ],
    ),
    "recall_03": Exercise("bab", mistakes=["aab", "cab", "bbb", "bcb", "baa", "bac"]),
}
