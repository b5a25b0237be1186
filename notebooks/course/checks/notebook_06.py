"""Checks of notebook 06: your own model."""

from typing import Any

import numpy as np
from torch import Tensor

from .answers import check_function, checker, compare_cell, random_tensor, read_whole_numbers

MISTAKES = {"A": 7, "B": 1, "C": 8}


@checker
def check_06_1(answer: Any) -> str:
    """The rows of the table that explain the pictures A, B and C."""
    rows = read_whole_numbers(answer, "A", "B", "C")
    if any(not 1 <= row <= 12 for row in rows):
        return "The rows of the table have the numbers 1 to 12."
    right = list(MISTAKES.values())
    wrong = [
        name for name, row, expected in zip(MISTAKES, rows, right, strict=True) if row != expected
    ]
    if not wrong:
        return "Right: one scale, one layer and one size were wrong."
    if sorted(rows) == sorted(right):
        return "These are the three mistakes, but not in the order of the pictures."
    return f"Not yet: look again at {' and '.join(wrong)}."


@checker
def check_06_2(answer: Any, against: Tensor, mask: np.ndarray) -> str:
    """Row and column of the hottest cell of a map (h, w), and whether the mask reaches into it."""
    *cell, given = read_whole_numbers(answer, "row", "column", "1 or 0")
    rows, columns = against.shape
    row, column = divmod(int(against.argmax()), columns)
    top, bottom = (round(i * mask.shape[0] / rows) for i in (row, row + 1))
    left, right = (round(j * mask.shape[1] / columns) for j in (column, column + 1))
    on_object = bool(mask[top:bottom, left:right].any())
    if given not in (0, 1):
        return "The third number is 1 (the bird covers part of the cell) or 0 (it does not)."
    if given == on_object:
        found = "Right, the cell and what lies in it."
    else:
        found = "The cell is right. Look once more at what lies in it."
    otherwise = "Not that cell. Look at the map on the right: where is it brightest?"
    return compare_cell(cell, (row, column), right=found, otherwise=otherwise)


@checker
def check_06_3(as_grid: Any) -> str:
    """A function from tokens (N, T, C) to the grid (N, C, rows, columns) of the last of them."""

    def laid_out(patches: Tensor, rows: int, columns: int) -> Tensor:
        return patches.transpose(1, 2).unflatten(2, (rows, columns))

    def solution(tokens: Tensor, rows: int, columns: int) -> Tensor:
        return laid_out(tokens[:, -rows * columns :], rows, columns)

    mistakes = [
        (
            lambda tokens, rows, columns: tokens[:, -rows * columns :].reshape(
                len(tokens), -1, rows, columns
            ),
            "Channels and tokens are mixed up: transpose before you reshape.",
        ),
        (
            lambda tokens, rows, columns: laid_out(
                tokens[:, 1 : 1 + rows * columns], rows, columns
            ),
            "Only one token was left out at the front; there may be more.",
        ),
        (
            lambda tokens, rows, columns: laid_out(tokens[:, : rows * columns], rows, columns),
            "The tokens in front are still there.",
        ),
        (
            lambda tokens, rows, columns: solution(tokens, columns, rows).transpose(2, 3),
            "The patches run along the rows of the picture, not along its columns.",
        ),
    ]
    cases = [
        (random_tensor(1, 1 + 6, 4), 2, 3),
        (random_tensor(2, 5 + 12, 6), 3, 4),
        (random_tensor(2, 3 + 12, 6), 4, 3),
    ]
    right = "Right, with any number of tokens in front and on a grid that is not square."
    return check_function(as_grid, solution, cases, mistakes, right=right)
