"""Checks of notebook 06: your own model."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .answers import (
    AnswerError,
    call,
    checker,
    compare_tensor,
    random_tensor,
    read_numbers,
)

MISTAKES = {"A": 7, "B": 1, "C": 8}


@checker
def check_06_1(answer: Any) -> str:
    """The rows of the table that explain the pictures A, B and C."""
    rows = read_numbers(answer, "A", "B", "C", whole=True)
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
    given = read_numbers(answer, "row", "column", "1 or 0", whole=True)
    rows, columns = against.shape
    row, column = divmod(int(against.argmax()), columns)
    top, bottom = (round(i * mask.shape[0] / rows) for i in (row, row + 1))
    left, right = (round(j * mask.shape[1] / columns) for j in (column, column + 1))
    on_object = float(mask[top:bottom, left:right].any())
    place = given[:2]
    if given[2] not in (0, 1):
        return "The third number is 1 (the bird covers part of the cell) or 0 (it does not)."
    if place == (row, column):
        if given[2] == on_object:
            return "Right, the cell and what lies in it."
        return "The cell is right. Look once more at what lies in it."
    if place == (column, row):
        return "Row and column are swapped: the row comes first."
    if place == (row + 1, column + 1):
        return "Count from 0, not from 1."
    return "Not that cell. Look at the map on the right: where is it brightest?"


@checker
def check_06_3(answer: Any) -> str:
    """A function from tokens (N, T, C) to the grid (N, C, rows, columns) of the last of them."""
    sentence = ""
    for n, front, rows, columns, channels in ((1, 1, 2, 3, 4), (2, 5, 3, 4, 6)):
        tokens = random_tensor(n, front + rows * columns, channels)
        try:
            grid = call(answer, tokens, rows, columns)
        except AnswerError as error:
            if front == 1:
                raise
            text = "With one token in front it works; with five: "
            raise AnswerError(text + str(error)) from None
        sentence = _compare_grid(grid, tokens, rows, columns)
        if not sentence.startswith("Right"):
            return sentence
    return sentence


def _compare_grid(grid: Any, tokens: Tensor, rows: int, columns: int) -> str:
    n, _, channels = tokens.shape
    cells, size = rows * columns, (n, channels, rows, columns)
    last = tokens[:, -cells:]
    one_off = tokens[:, 1 : 1 + cells]
    mistakes = [
        (last.reshape(size), "Channels and tokens are mixed up: transpose before you reshape."),
        (_as_map(one_off, size), "Only one token was left out at the front; there may be more."),
        (_as_map(tokens[:, :cells], size), "The tokens in front are still there."),
        (
            last.transpose(1, 2).reshape(n, channels, columns, rows).transpose(2, 3),
            "The patches run along the rows of the picture, not along its columns.",
        ),
    ]
    right = "Right, with any number of tokens in front and on a grid that is not square."
    return compare_tensor(grid, _as_map(last, size), mistakes, right)


def _as_map(patches: Tensor, size: tuple[int, ...]) -> Tensor:
    return torch.einsum("ntc->nct", patches).reshape(size)
