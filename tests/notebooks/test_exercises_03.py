"""The checks of notebook 03: right answers and common mistakes."""

import math

import numpy as np
import pytest
import torch

from camutils import crop_box, normalize_map
from course.checks import (
    check_03_1,
    check_03_2,
    check_03_3,
    check_03_4,
    check_03_5,
    check_03_6,
)


def summed(weights, maps):
    return torch.einsum("k,khw->hw", weights, maps)


def dense_map(activation, weight, c):
    share = (activation > 0).float().mean((1, 2))
    return summed(weight[c] * share / activation[0].numel(), activation).relu()


def share_inside(heat, box, size, part=lambda part: part):
    rows, columns = heat.shape
    total = 0.0
    for i in range(rows):
        for j in range(columns):
            wide = min(box[2], (j + 1) * size[0] / columns) - max(box[0], j * size[0] / columns)
            high = min(box[3], (i + 1) * size[1] / rows) - max(box[1], i * size[1] / rows)
            share = max(0, wide) * columns / size[0] * max(0, high) * rows / size[1]
            total += heat[i, j] * part(share)
    return total / heat.sum()


HEAT = torch.zeros(7, 7)
HEAT[0, 5] = 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (crop_box(HEAT, (700, 350), margin=0.1), "Right"),
        (crop_box(HEAT.T, (700, 350), margin=0.1), "swapped"),
        ((500, 0, 600, 50), "margin is missing"),
        ((490, -5, 610, 55), "beyond"),
        ((430, 0, 670, 85), "picture's"),
        ((0, 0, 1, 1), "Not that box"),
        ((0, 0, 1), "(left, upper, right, lower)"),
    ],
)
def test_box_of_one_cell(answer, words, said):
    assert words in said(check_03_1, answer)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (dense_map, "Right."),
        (lambda a, w, c: summed(w[c] / a[0].numel(), a).relu(), "article"),
        (lambda a, w, c: summed(w[c] / a[0].numel(), a.relu()).relu(), "after the ReLU"),
        (lambda a, w, c: dense_map(a, w, c) * a[0].numel(), "mean over the cells"),
        (lambda a, w, c: dense_map(a, w, c) * a[0].numel() / 49, "another size"),
        (lambda a, w, c: normalize_map(dense_map(a, w, c)), "normalised"),
        (lambda a, w, c: summed(w[c] * (a > 0).float().mean((1, 2)) / 20, a), "ReLU is missing"),
        (
            lambda a, w, c: summed(w[c] * (a > 0).float().mean((1, 2)) / 20, a.relu()).relu(),
            "spoilt",
        ),
        (lambda a, w, c: a, "Expected shape"),
        (lambda a, w, c: dense_map(a, w, 0), "values are not"),
        (lambda a, w: a, "TypeError"),
    ],
)
def test_map_without_a_gradient(answer, words, said):
    assert words in said(check_03_6, answer)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (share_inside, "Right"),
        (lambda h, b, s: share_inside(np.asarray(h), b, s), "Right"),
        (lambda h, b, s: share_inside(h, b, s) * h.sum(), "share of the whole"),
        (lambda h, b, s: share_inside(h, b, s, math.ceil), "not as a whole"),
        (lambda h, b, s: share_inside(h, b, s, math.floor), "leave it out"),
        (lambda h, b, s: share_inside(h, (b[1], b[0], b[3], b[2]), s), "swapped"),
        (lambda h, b, s: 0.0, "another share"),
        (lambda h, b, s: h, "Expected one number"),
        (lambda h, b, s: h.sum() / 0, "Expected a finite number, got inf."),
    ],
)
def test_share_inside_a_box(answer, words, said):
    assert words in said(check_03_4, answer)


DIFFERENCE = torch.arange(12.0).view(3, 4) - 5
DIFFERENCE[1, 3] = -9  # The lowest; the highest is (2, 3).


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((1, 3), "Right"),
        ([1, 3], "Right"),
        (torch.tensor([1, 3]), "Right"),
        ((3, 1), "swapped"),
        ((2, 3), "for the agama"),
        ((2, 4), "Count from 0"),
        ((0, 0), "darkest blue"),
        (7, "2 whole numbers"),
        ((1.5, 3), "2 whole numbers"),
    ],
)
def test_cell_of_the_rival(answer, words, said):
    assert words in said(check_03_2, answer, DIFFERENCE)


BEFORE, AFTER = torch.tensor([0.1, 0.2, 0.9, 0.8]), torch.tensor([0.5, 0.3, 0.7, 0.9])
WAS_RIGHT = torch.tensor([False, False, True, True])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((AFTER - BEFORE)[:2].mean(), "Right."),
        (0.25, "Right."),
        (-0.05, "those that were right"),
        (0.1, "all photographs"),
        (-0.25, "after minus before"),
        (0.4, "not its change"),
        (3, "Not that number"),
        ("much", "Expected one number"),
        (math.nan, "finite"),
    ],
)
def test_change_of_those_that_were_wrong(answer, words, said):
    assert words in said(check_03_3, answer, BEFORE, AFTER, WAS_RIGHT)


WARM = torch.tensor([[0.1, 0.9, 0.2], [0.3, 0.5, 0.8]])
COVERED = torch.tensor([[0.0, 0.9, 0.05], [0.0, 0.5, 0.0]])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((1, 2), "Right"),
        ((2, 1), "swapped"),
        ((4, 0), "Expected a row below 2"),
        ((-1, 0), "Expected a row below 2"),
        ((0, 1), "There is kitten"),
        ((1, 0), "a hotter one"),
        ("carpet", "2 whole numbers"),
    ],
)
def test_hottest_cell_without_kitten(answer, words, said):
    assert words in said(check_03_5, answer, WARM, COVERED)


def test_functions_may_spoil_their_arguments(said, rude):
    assert said(check_03_6, rude(dense_map)) == "Right."
    assert said(check_03_4, rude(share_inside)).startswith("Right")
