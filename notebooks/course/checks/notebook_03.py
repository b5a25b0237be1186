"""Checks of notebook 03: Grad-CAM on DenseNet201."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from camutils import normalize_map

from .answers import (
    NORMALISED,
    check_function,
    checker,
    compare_cell,
    compare_number,
    compare_whole_numbers,
    random_tensor,
    read_number,
    read_whole_numbers,
)

Box = tuple[int, int, int, int]
Size = tuple[int, int]


@checker
def check_03_1(answer: Any) -> str:
    """Exercise 1: the box around one cell in row 0, column 5, with its margin."""
    mistakes = [
        ((500, 0, 600, 50), "That is the cell itself; the margin is missing."),
        ((490, -5, 610, 55), "Nearly: the box reaches beyond the picture."),
        (
            (0, 245, 110, 305),
            "Row and column are swapped: the row counts downwards, the column to the right.",
        ),
        (
            (430, 0, 670, 85),
            "The margin is a share of the box's sides, not of the picture's.",
        ),
    ]
    return compare_whole_numbers(
        answer,
        ("left", "upper", "right", "lower"),
        (490, 0, 610, 55),
        mistakes,
        right="Right: the upper edge is the picture's, the other three have moved outwards.",
        otherwise="Not that box. A cell is 100 pixels wide and 50 high; count from 0.",
    )


@checker
def check_03_2(answer: Any, difference: Tensor) -> str:
    """Exercise 2: the cell (row, column) where a signed map (h, w) speaks most for the rival."""
    highest = _cell(difference.argmax(), difference)
    mistakes = [(highest, "That is the cell that speaks most for the agama; the rival's are blue.")]
    return compare_cell(
        answer,
        _cell(difference.argmin(), difference),
        mistakes,
        right="Right: no other cell is as blue.",
        otherwise="Not that cell. Look for the darkest blue in the left map.",
    )


@checker
def check_03_3(answer: Any, before: Tensor, after: Tensor, was_right: Tensor) -> str:
    """Exercise 3: the mean change of the photographs that were answered wrongly at first."""
    number = read_number(answer)
    change = after - before
    expected = change[~was_right].mean().item()
    mistakes = [
        (change[was_right].mean().item(), "That is the mean change of those that were right."),
        (change.mean().item(), "That is the mean change of all photographs."),
        (-expected, "The size is right; take after minus before."),
        (after[~was_right].mean().item(), "That is their mean probability after, not its change."),
    ]
    return compare_number(
        number,
        expected,
        mistakes,
        right="Right. But they were picked for having failed: see what the text says of that.",
        otherwise="Not that number. Which photographs were wrong? `~was_right` picks them.",
        absolute=0.005,  # Two decimals are printed.
    )


@checker
def check_03_4(share_inside: Any) -> str:
    """Exercise 4: `share_inside(heat (h, w), box, size)`, one number."""

    def solution(heat: Tensor, box: Box, size: Size) -> Tensor:
        return _energy_inside(heat, box, size) / heat.sum()

    def swapped(heat: Tensor, box: Box, size: Size) -> Tensor:
        left, upper, right, lower = box
        return solution(heat, (upper, left, lower, right), size)

    heat, other = random_tensor(4, 5).abs(), random_tensor(7, 7).abs()
    cases = [
        (heat, (0, 0, 500, 400), (500, 400)),
        (heat, (100, 200, 300, 300), (500, 400)),  # Whole cells, which are 100 by 100 pixels.
        (heat, (30, 110, 260, 275), (500, 400)),
        (heat, (30, 110, 260, 275), (300, 600)),
        (other, (250, 40, 420, 500), (640, 520)),
    ]
    mistakes = [
        (swapped, "x and y are swapped: the box is (left, upper, right, lower)."),
        (_energy_inside, "That is the energy inside; the share of the whole was asked for."),
        (
            lambda *case: _energy_inside(*case, of_a_cell=math.ceil) / case[0].sum(),
            "A cell that the box cuts counts in part, not as a whole.",
        ),
        (
            lambda *case: _energy_inside(*case, of_a_cell=math.floor) / case[0].sum(),
            "A cell that the box cuts counts in part; you leave it out.",
        ),
    ]
    right = "Right, also where the box cuts through cells."
    return check_function(share_inside, solution, cases, mistakes, right=right)


@checker
def check_03_5(answer: Any, heat: Tensor, covered: Tensor) -> str:
    """Exercise 5: the hottest cell (row, column) of a map (h, w) without the animal in it.

    `covered`: (h, w), which share of each cell the animal covers; below a tenth is none.
    """
    row, column = read_whole_numbers(answer, "row", "column")
    empty = covered < 0.1
    rows, columns = heat.shape
    if not (0 <= row < rows and 0 <= column < columns):
        otherwise = f"Expected a row below {rows} and a column below {columns}, counted from 0."
    elif empty[row, column]:
        otherwise = "A cell without kitten, but a hotter one has none either."
    else:
        otherwise = "There is kitten in that cell."
    return compare_cell(
        answer,
        _cell(torch.where(empty, heat, -1).argmax(), heat),
        right="Right: as warm as it is, there is no kitten in it.",
        otherwise=otherwise,
    )


@checker
def check_03_6(dense_map: Any) -> str:
    """Exercise 6: `dense_map(activation (C, h, w), weight (n_classes, C), c)`, a map (h, w)."""

    def signed(activation: Tensor, weight: Tensor, c: int) -> Tensor:
        positive = (activation > 0).float().mean((1, 2))
        return _weighted_sum(weight[c] * positive / activation[0].numel(), activation)

    def solution(activation: Tensor, weight: Tensor, c: int) -> Tensor:
        return signed(activation, weight, c).relu()

    def without_the_relu(activation: Tensor, weight: Tensor, c: int) -> Tensor:
        return _weighted_sum(weight[c] / activation[0].numel(), activation).relu()

    def spoilt(activation: Tensor, weight: Tensor, c: int) -> Tensor:
        positive = (activation > 0).float().mean((1, 2))
        return _weighted_sum(weight[c] * positive / activation[0].numel(), activation.relu()).relu()

    mistakes = [
        (signed, "Nearly: the final ReLU is missing."),
        (
            lambda *case: solution(*case) * case[0][0].numel(),
            "Nearly: the mean over the cells is missing in the weights.",
        ),
        (
            lambda *case: solution(*case) * case[0][0].numel() / 49,
            "That holds for 7x7 cells; these maps have another size.",
        ),
        (without_the_relu, "That is the article's map: no ReLU follows norm5."),
        (
            lambda activation, *rest: without_the_relu(activation.relu(), *rest),
            "That is the map after the ReLU; at norm5 the activation is still signed.",
        ),
        (
            spoilt,
            "That is the spoilt map of section 8: the gradient from before the ReLU, the "
            "activation from after it.",
        ),
        (lambda *case: normalize_map(solution(*case)), NORMALISED),
    ]
    cases = [
        (random_tensor(6, 4, 5), random_tensor(3, 6), 1),
        (random_tensor(6, 4, 5, seed=1), random_tensor(3, 6, seed=1), 0),
        (random_tensor(4, 3, 6), random_tensor(5, 4), 3),
    ]
    return check_function(dense_map, solution, cases, mistakes)


def _cell(index: Tensor, heat: Tensor) -> tuple[int, int]:
    return divmod(index.item(), heat.shape[1])


def _weighted_sum(weights: Tensor, maps: Tensor) -> Tensor:
    return torch.einsum("k,khw->hw", weights, maps)


def _energy_inside(
    heat: Tensor, box: Box, size: Size, of_a_cell: Callable[[float], float] = float
) -> Tensor:
    """The sum of a map inside a box; `of_a_cell` rounds the share of a cell that lies in it."""
    rows, columns = heat.shape
    left, upper, right, lower = box
    width, height = size[0] / columns, size[1] / rows
    total = torch.zeros(())
    for row in range(rows):
        for column in range(columns):
            across = min(right, (column + 1) * width) - max(left, column * width)
            down = min(lower, (row + 1) * height) - max(upper, row * height)
            share = max(across, 0) * max(down, 0) / (width * height)
            total += heat[row, column] * of_a_cell(share)
    return total
