"""Checks of notebook 03: Grad-CAM on DenseNet201."""

from typing import Any

import torch
from torch import Tensor

from camutils import normalize_map

from .answers import (
    NORMALISED,
    call,
    checker,
    compare_number,
    compare_tensor,
    random_tensor,
    read_number,
    read_numbers,
)


@checker
def check_03_1(answer: Any) -> str:
    """Exercise 1: the box around one cell in row 0, column 5, with its margin."""
    box = read_numbers(answer, "left", "upper", "right", "lower", whole=True)
    sentences = {
        (490, 0, 610, 55): (
            "Right: the upper edge is the picture's, the other three have moved outwards."
        ),
        (500, 0, 600, 50): "That is the cell itself; the margin is missing.",
        (490, -5, 610, 55): "Nearly: the box reaches beyond the picture.",
        (0, 245, 110, 305): (
            "Row and column are swapped: the row counts downwards, the column to the right."
        ),
        (430, 0, 670, 85): "The margin is a share of the box's sides, not of the picture's.",
    }
    otherwise = "Not that box. A cell is 100 pixels wide and 50 high; count from 0."
    return sentences.get(box, otherwise)


@checker
def check_03_2(answer: Any, difference: Tensor) -> str:
    """Exercise 2: the cell (row, column) where a signed map (h, w) speaks most for the rival."""
    cell = read_numbers(answer, "row", "column", whole=True)
    lowest, highest = _cell(difference.argmin(), difference), _cell(difference.argmax(), difference)
    sentences = {
        lowest: "Right: no other cell is as blue.",
        lowest[::-1]: "Row and column are swapped: the row counts downwards.",
        highest: "That is the cell that speaks most for the agama; the rival's are blue.",
        tuple(n + 1 for n in lowest): "Count from 0: the upper left cell is (0, 0).",
    }
    return sentences.get(cell, "Not that cell. Look for the darkest blue in the left map.")


@checker
def check_03_3(answer: Any, before: Tensor, after: Tensor, was_right: Tensor) -> str:
    """Exercise 3: the mean change of the photographs that were answered wrongly at first."""
    number, change = read_number(answer), after - before
    sentences = {
        change[~was_right].mean().item(): (
            "Right. But they were picked for having failed: see what the text says of that."
        ),
        change[was_right].mean().item(): "That is the mean change of those that were right.",
        change.mean().item(): "That is the mean change of all photographs.",
        -change[~was_right].mean().item(): "The size is right; take after minus before.",
        after[~was_right].mean().item(): "That is their mean probability after, not its change.",
    }
    otherwise = "Not that number. Which photographs were wrong? `~was_right` picks them."
    return compare_number(number, sentences, otherwise)


@checker
def check_03_4(share_inside: Any) -> str:
    """Exercise 4: `share_inside(heat (h, w), box, size)`, one number."""
    right = "Right, also where the box cuts through cells."
    heat = random_tensor(4, 5).abs()  # Each cell covers 100x100 of 500x400 pixels.

    def share_of(cells: Tensor) -> float:
        return (cells.sum() / heat.sum()).item()

    four_cells = share_of(heat[:2, :2])
    parts = torch.tensor([[1, 1 / 2], [1 / 4, 1 / 8]])  # What a box of 150x125 has of four cells.
    cut = share_of(heat[:2, :2] * parts)
    swapped = {
        share_of(heat[:, :4]): "x and y are swapped: the box is (left, upper, right, lower)."
    }
    uncut = {
        four_cells: "A cell that the box cuts counts in part, not as a whole.",
        share_of(heat[0, 0]): "A cell that the box cuts counts in part; you leave it out.",
    }
    for box, share, mistakes in [
        ((0, 0, 500, 400), 1.0, swapped),
        ((0, 0, 200, 200), four_cells, {}),
        ((0, 0, 150, 125), cut, uncut),
    ]:
        answer = read_number(call(share_inside, heat, box, (500, 400)))
        energy = "That is the energy inside; the share of the whole was asked for."
        sentences = {share: right, share * heat.sum().item(): energy, **mistakes}
        otherwise = f"Not right yet: the box {box} of a picture of 500x400 has another share."
        sentence = compare_number(answer, sentences, otherwise)
        if sentence != right:
            return sentence
    return right


@checker
def check_03_5(answer: Any, heat: Tensor, covered: Tensor) -> str:
    """Exercise 5: the hottest cell (row, column) of a map (h, w) without the animal in it.

    `covered`: (h, w), which share of each cell the animal covers; below a tenth is none.
    """
    cell = read_numbers(answer, "row", "column", whole=True)
    empty = covered < 0.1
    right = _cell(torch.where(empty, heat, -1).argmax(), heat)
    sentences = {
        right: "Right: as warm as it is, there is no kitten in it.",
        right[::-1]: "Row and column are swapped: the row counts downwards.",
        tuple(n + 1 for n in right): "Count from 0: the upper left cell is (0, 0).",
    }
    if cell in sentences:
        return sentences[cell]
    rows, columns = heat.shape
    if not (0 <= cell[0] < rows and 0 <= cell[1] < columns):
        return f"Expected a row below {rows} and a column below {columns}, counted from 0."
    if empty[int(cell[0]), int(cell[1])]:
        return "A cell without kitten, but a hotter one has none either."
    return "There is kitten in that cell."


@checker
def check_03_6(dense_map: Any) -> str:
    """Exercise 6: `dense_map(activation (C, h, w), weight (n_classes, C), c)`, a map (h, w)."""
    activation, weight, c = random_tensor(6, 4, 5), random_tensor(3, 6), 1
    answer = call(dense_map, activation, weight, c)
    after = activation.relu()
    cells = activation[0].numel()
    share = (activation > 0).float().mean((1, 2))
    signed = _weighted_sum(weight[c] * share / cells, activation)
    right = signed.relu()
    mistakes = [
        (signed, "Nearly: the final ReLU is missing."),
        (right * cells, "Nearly: the mean over the cells is missing in the weights."),
        (right * cells / 49, "Right for 7x7 cells; these maps have another size."),
        (
            _weighted_sum(weight[c] / cells, activation).relu(),
            "That is the article's map: no ReLU follows norm5.",
        ),
        (
            _weighted_sum(weight[c] / cells, after).relu(),
            "That is the map after the ReLU; at norm5 the activation is still signed.",
        ),
        (
            _weighted_sum(weight[c] * share / cells, after).relu(),
            "That is the spoilt map of section 8: the gradient from before the ReLU, the "
            "activation from after it.",
        ),
        (normalize_map(right), NORMALISED),
    ]
    return compare_tensor(answer, right, mistakes)


def _cell(index: Tensor, heat: Tensor) -> tuple[int, int]:
    return divmod(index.item(), heat.shape[1])


def _weighted_sum(weights: Tensor, maps: Tensor) -> Tensor:
    return torch.einsum("k,khw->hw", weights, maps)
