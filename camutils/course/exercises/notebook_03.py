"""Checks of notebook 03: Grad-CAM on DenseNet201."""

from typing import Any

import torch
from torch import Tensor

from camutils import normalize_map

from .answers import (
    NORMALISED,
    RIGHT,
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
    """Exercise 1: the channels of DenseNet121's `norm5`."""
    sentences = {
        512 + 16 * 32: RIGHT,
        512: "With these the block begins; its layers add to them.",
        512 + 32: "Each of the 16 layers adds 32.",
        1920: "That is DenseNet201.",
    }
    return compare_number(read_number(answer), sentences)


@checker
def check_03_2(answer: Any) -> str:
    """Exercise 2: the box around one cell in row 0, column 5, with its margin."""
    box = read_numbers(answer, "left", "upper", "right", "lower", whole=True)
    sentences = {
        (480, 0, 620, 60): (
            "Right: the upper edge is the picture's, the other three have moved outwards."
        ),
        (500, 0, 600, 50): "That is the cell itself; the margin is missing.",
        (480, -10, 620, 60): "Nearly: the box reaches beyond the picture.",
        (0, 240, 120, 310): (
            "Row and column are swapped: the row counts downwards, the column to the right."
        ),
        (360, 0, 740, 120): "The margin is a share of the box's sides, not of the picture's.",
    }
    otherwise = "Not that box. A cell is 100 pixels wide and 50 high; count from 0."
    return sentences.get(box, otherwise)


@checker
def check_03_3(dense_map: Any) -> str:
    """Exercise 3: `dense_map(activation (C, h, w), weight (n_classes, C), c)`, a map (h, w)."""
    activation, weight, c = random_tensor(6, 4, 5), random_tensor(3, 6), 1
    answer = call(dense_map, activation, weight, c)
    behind = activation.relu()
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
            _weighted_sum(weight[c] / cells, behind).relu(),
            "That is the map behind the ReLU; at norm5 the activation is still signed.",
        ),
        (
            _weighted_sum(weight[c] * share / cells, behind).relu(),
            "That is the spoilt map of section 3: the gradient from before the ReLU, the "
            "activation from behind it.",
        ),
        (normalize_map(right), NORMALISED),
    ]
    return compare_tensor(answer, right, mistakes)


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


def _weighted_sum(weights: Tensor, maps: Tensor) -> Tensor:
    return torch.einsum("k,khw->hw", weights, maps)
