"""Notebook 04."""

import torch
from torch.nn import functional

from . import Exercise

OFF = torch.tensor([3.0, 40, 15, 16, 80, 1])  # Hits with the tolerance: a, c, f.
MASKS = torch.zeros(3, 64, 64, dtype=torch.bool)
MASKS[:, 24:40, 24:40] = True
SCORE = torch.tensor(0.3)


def blob(width):
    line = torch.arange(15.0) - 7
    return torch.exp(-(line[:, None] ** 2 + line**2) / (2 * width**2))


def cells_of(maps):
    return functional.interpolate(maps[:, None], (14, 14), mode="bilinear").flatten(1)


def marked(values, n, largest=False):
    chosen = values.topk(n, largest=largest).indices
    return torch.zeros_like(values).scatter(1, chosen, 1).view(-1, 14, 14)


def coldest(maps, n=20):
    return marked(cells_of(maps), n)


EXERCISES = {
    "check_04_1": Exercise("acf", (OFF,), mistakes=["ac", "acdf", "ab", "xyz"]),
    "check_04_2": Exercise(
        blob(1).numpy(),
        (MASKS, SCORE),
        also=[blob(1), 7 * blob(2), MASKS[0].float()],
        mistakes=[blob(6), torch.zeros(7, 7), blob(1) - 1, blob(1)[None]],
    ),
    "check_04_3": Exercise(
        coldest,
        mistakes=[
            lambda maps, n: marked(cells_of(maps), n, largest=True),
            lambda maps, n: 1 - coldest(maps, n),
            lambda maps, n: marked(cells_of(maps).abs(), n),
            lambda maps, n: 0 * coldest(maps, n),
            lambda maps, n: coldest(maps, n).flatten(1),
            lambda maps, n: coldest(maps.flip(1), n),
        ],
    ),
    "recall_04": Exercise("bca", mistakes=["aca", "bba", "bcc", "abb"]),
}
