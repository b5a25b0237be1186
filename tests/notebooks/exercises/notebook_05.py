"""Notebook 05."""

from . import Exercise


def energy_share(maps, rows, columns):
    positive = maps.relu()
    return positive[:, rows, columns].sum((1, 2)) / positive.sum((1, 2))


def signed(maps, rows, columns):
    return maps[:, rows, columns].sum((1, 2)) / maps.sum((1, 2))


def unsigned(maps, rows, columns):
    return maps.abs()[:, rows, columns].sum((1, 2)) / maps.abs().sum((1, 2))


def of_means(maps, rows, columns):
    positive = maps.relu()
    return positive[:, rows, columns].mean((1, 2)) / positive.mean((1, 2))


def together(maps, rows, columns):
    positive = maps.relu()
    return (positive[:, rows, columns].sum() / positive.sum()).expand(len(maps))


EXERCISES = {
    "check_05_1": Exercise(
        (320, 0, 448, 96),
        mistakes=[
            (5, 0, 6, 1),
            (320, 0, 384, 48),
            (0, 320, 96, 448),
            (240, 0, 336, 128),
            (320, 0, 447, 95),
            (0, 0, 128, 96),
            (320, 0, 448, 192),
        ],
    ),
    "check_05_2": Exercise(
        energy_share,
        mistakes=[
            unsigned,
            signed,
            of_means,
            together,
            lambda maps, rows, columns: maps.relu()[:, rows, columns].sum((1, 2)),
            lambda *given: 1 - energy_share(*given),
            lambda maps, rows, columns: maps,
            lambda *given: 2 * energy_share(*given),
        ],
    ),
    "check_05_3": Exercise("b", mistakes=["a", "c", "d", "e", "bc"]),
    "check_05_4": Exercise("C", ([1, 2, 0],), mistakes=["a", "b", "ab"]),
    "recall_05": Exercise("ccb", mistakes=["acb", "bcb", "cab", "cbb", "cca", "ccc"]),
}
