"""Notebook 06."""

import numpy as np
import torch

from . import Exercise

AGAINST = torch.zeros(7, 7)
AGAINST[2, 3] = 0.09
EMPTY = np.zeros((288, 512), bool)
TOUCHED = EMPTY.copy()
TOUCHED[100, 230] = True  # In row 2 and column 3.


def laid_out(patches, rows, columns):
    return patches.transpose(1, 2).unflatten(2, (rows, columns))


def as_grid(tokens, rows, columns):
    return laid_out(tokens[:, -rows * columns :], rows, columns)


EXERCISES = {
    "check_06_1": Exercise((7, 1, 8), mistakes=[(1, 7, 8), (7, 1, 3), (7, 2, 3), (7, 1, 13)]),
    "check_06_2": Exercise(
        (2, 3, 1),
        (AGAINST, TOUCHED),
        mistakes=[(2, 3, 0), (3, 2, 1), (3, 4, 1), (0, 0, 1), (2, 3, 2)],
    ),
    "check_06_3": Exercise(
        as_grid,
        mistakes=[
            lambda t, h, w: t[:, -h * w :].reshape(len(t), -1, h, w),
            lambda t, h, w: as_grid(t, w, h).transpose(2, 3),
            lambda t, h, w: laid_out(t[:, 1 : 1 + h * w], h, w),
            lambda t, h, w: laid_out(t[:, : h * w], h, w),
            lambda t, h, w: laid_out(t[:, 1:], h, w),
            lambda t, h, w: t,
        ],
    ),
}
