"""Notebook 04."""

import torch

from camutils import class_activation_map, normalize_map

from . import Exercise, random_numbers

OFF = torch.tensor([3.0, 40, 15, 16, 80, 1])  # Hits with the tolerance: a, c, f.
DIFFERENCES = random_numbers(57).sign() * (random_numbers(57, seed=1) > 0.8)
NEEDED = (1.96 * DIFFERENCES.std().item() / 0.05) ** 2
FEATURES, WEIGHT = random_numbers(4, 8, 7, 7).abs(), random_numbers(30, 8)
LOGITS = FEATURES.mean((2, 3)) @ WEIGHT.T
ORDER = LOGITS.argsort(dim=1, descending=True)


def cam(rank):
    return class_activation_map(FEATURES, WEIGHT, ORDER[:, [rank]])[:, 0]


TENTH = cam(9).relu()

EXERCISES = {
    "check_04_1": Exercise("acf", (OFF,), mistakes=["ac", "acdf", "ab", "xyz"]),
    "check_04_2": Exercise(
        NEEDED,
        (DIFFERENCES,),
        also=[NEEDED * 2**2 / 1.96**2, round(NEEDED)],
        mistakes=[NEEDED / 4, NEEDED / 1.96**2, NEEDED**0.5, NEEDED * 2, NEEDED * 0.7],
        tolerance=0.05,
    ),
    "check_04_3": Exercise(
        TENTH,
        (FEATURES, WEIGHT, LOGITS),
        also=[TENTH[:, None]],
        mistakes=[
            cam(9),
            normalize_map(TENTH),
            cam(0).relu(),
            cam(8).relu(),
            cam(10).relu(),
            cam(20).relu(),
            TENTH[0],
            TENTH * 2,
        ],
    ),
    "check_04_4": Exercise(
        ["top", "top", "bottom"],
        ([0, 0, 1],),
        mistakes=[["bottom", "bottom", "top"], ["top", "bottom", "bottom"], ["top", "top"]],
    ),
}
