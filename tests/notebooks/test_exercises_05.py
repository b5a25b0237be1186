"""The checks of notebook 05: right answers and common mistakes."""

import torch

from course.checks import check_05_1, check_05_2, check_05_3, check_05_4


def test_cells_of_the_dots(said):
    for answer, words in [
        ((5, 6, 0, 3), "Right"),
        (torch.tensor([5, 6, 0, 3]), "Right"),
        ((6, 7, 1, 4), "from 0"),
        ((0, 3, 5, 6), "rows come first"),
        ((5, 6, 0, 2), "rows fit"),
        ((4, 6, 0, 3), "columns fit"),
        ((0, 1, 5, 6), "Not those cells"),
        ((5, 6), "4 whole numbers"),
        ((5.5, 6, 0, 3), "4 whole numbers"),
    ]:
        assert words in said(check_05_1, answer)


def test_what_the_counts_support(said):
    for answer, words in [
        ("b", "Right"),
        (" B ", "Right"),
        ("a", "Not a"),
        ("c", "Not c"),
        ("d", "Not d"),
        ("e", "Expected one of these"),
        (2, "Expected one of these"),
    ]:
        assert words in said(check_05_3, answer)


def energy_share(maps, rows, columns):
    positive = maps.relu()
    return positive[:, rows, columns].sum((1, 2)) / positive.sum((1, 2))


def test_energy_share(said, rude):
    def signed(maps, rows, columns):
        return maps[:, rows, columns].sum((1, 2)) / maps.sum((1, 2))

    def means(maps, rows, columns):
        positive = maps.relu()
        return positive[:, rows, columns].mean((1, 2)) / positive.mean((1, 2))

    def inside(maps, rows, columns):
        return maps.relu()[:, rows, columns].sum((1, 2))

    def together(maps, rows, columns):
        positive = maps.relu()
        return (positive[:, rows, columns].sum() / positive.sum()).expand(len(maps))

    for answer, words in [
        (energy_share, "Right"),
        (rude(energy_share), "Right"),
        (signed, "set it to zero first"),
        (means, "divides means"),
        (inside, "energy inside"),
        (lambda *given: 1 - energy_share(*given), "outside the box"),
        (together, "one for each"),
        (lambda maps, rows, columns: maps, "Expected shape"),
        (0.9, "Expected a function"),
    ]:
        assert words in said(check_05_2, answer)


def test_maps_that_give_the_shortcut_away(said):
    for answer, words in [
        ("B", "Right"),
        ("a", "Not A"),
        ("C", "Not C"),
        ("ab", "Only one"),
        ("ac", "Neither"),
        ("bc", "Only one"),
        ("abc", "Only one"),
        (["B"], "Expected one of these"),
    ]:
        assert words in said(check_05_4, answer)
