"""Notebook 03."""

import math

import numpy as np
import torch

from camutils import normalize_map

from . import Exercise

DIFFERENCE = torch.arange(12.0).view(3, 4) - 5
DIFFERENCE[1, 3] = -9  # The lowest; the highest is (2, 3).
BEFORE = torch.tensor([0.1, 0.2, 0.9, 0.8])
AFTER = torch.tensor([0.5, 0.3, 0.7, 0.9])
WAS_RIGHT = torch.tensor([False, False, True, True])
WARM = torch.tensor([[0.1, 0.9, 0.2], [0.3, 0.5, 0.8]])
COVERED = torch.tensor([[0.0, 0.9, 0.05], [0.0, 0.5, 0.0]])


def share_inside(heat, box, size, part=lambda share: share):
    """Along one side after the other, as the solution does, but with whole cells on request."""
    sides = []
    for low, high, pixels, cells in zip(box[:2], box[2:], size, heat.shape[::-1], strict=True):
        edges = np.clip(np.arange(cells + 1) * pixels / cells, low, high)
        sides.append(np.diff(edges) * cells / pixels)
    cells = np.vectorize(part)(sides[1][:, None] * sides[0])
    return (np.asarray(heat) * cells).sum() / np.asarray(heat).sum()


def summed(weights, maps):
    return torch.einsum("k,khw->hw", weights, maps)


def positive(activation):
    return (activation > 0).float().mean((1, 2))


def dense_map(activation, weight, c):
    return summed(weight[c] * positive(activation) / activation[0].numel(), activation).relu()


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
    "check_03_2": Exercise((1, 3), (DIFFERENCE,), mistakes=[(3, 1), (2, 3), (2, 4), (0, 0)]),
    "check_03_3": Exercise(
        0.25,
        (BEFORE, AFTER, WAS_RIGHT),
        mistakes=[-0.05, 0.1, -0.25, 0.4, 3],
        tolerance=0.02,  # Half of the second decimal.
    ),
    "check_03_4": Exercise(
        share_inside,
        mistakes=[
            lambda h, b, s: share_inside(h, b, s) * h.sum(),
            lambda h, b, s: share_inside(h, b, s, math.ceil),
            lambda h, b, s: share_inside(h, b, s, math.floor),
            lambda h, b, s: share_inside(h, (b[1], b[0], b[3], b[2]), s),
            lambda h, b, s: h,
            lambda h, b, s: h.sum() / 0,
            lambda h, b, s: 0.0,
        ],
    ),
    "check_03_5": Exercise(
        (1, 2), (WARM, COVERED), mistakes=[(2, 1), (2, 3), (4, 0), (0, 1), (1, 0)]
    ),
    "check_03_6": Exercise(
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
}
