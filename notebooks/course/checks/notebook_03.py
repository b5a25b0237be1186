"""Checks of notebook 03: Grad-CAM on DenseNet201."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from camutils import normalize_map

from .answers import (
    NORMALISED,
    check_function,
    checker,
    compare_letters,
    compare_number,
    compare_whole_numbers,
    quiz,
    random_tensor,
    reflect,
)


@checker
def recall_03(answer: Any) -> str:
    """Recall: Grad-CAM's weights, the special case, what a cell sees."""
    weights = {
        "a": "Not its own mean: that says how active the channel is, not what it does for a class.",
        "b": "Right: one number for each channel, where CAM has a weight of its linear layer.",
        "c": "Not the largest: one cell would decide for the whole channel.",
    }
    special_case = {
        "a": "Right: the gradient is the weight divided by the number of cells, in every cell.",
        "b": "Not the bias: it has no place, and no map contains it.",
        "c": "Not so: this is the case in which Grad-CAM is exactly CAM's positive part, scaled.",
    }
    view = {
        "a": "Not only the tile: a late cell is computed from far more of the picture.",
        "b": "Right: it can see far beyond its tile, but what lies near counts most.",
        "c": "Not alike: then a map could not be laid over the picture at all.",
    }
    return quiz(answer, weights, special_case, view)


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
def check_03_2(
    answer: Any,
    count_lizards: Callable[[list[Image.Image], int, int], int],
    windows: Sequence[Image.Image],
) -> str:
    """Exercise 2: in how many windows a lizard comes first when they are shrunk and enlarged."""
    shrunk = [window.resize((153, 153)) for window in windows]
    enlarged = [window.resize((224, 224)) for window in shrunk]
    expected = count_lizards(enlarged, 224, 224)
    return compare_number(
        answer,
        expected,
        [(count_lizards(shrunk, 153, 153), "That is the count of the small windows themselves.")],
        right=(
            f"Right: {expected} of {len(windows)}. These windows hold no more detail than the "
            "small ones; the animal only takes up more pixels."
        ),
        otherwise="Not that count. Shrink to 153x153, enlarge to 224x224, then `count_lizards`.",
        relative=0,
    )


@checker
def reflect_03(answer: Any) -> str:
    """Exercise 3: what the crop did to the lizard, in a sentence."""
    return reflect(
        answer,
        "Does it name all three things that a crop does?",
        "Does it say what each of them did without the others?",
        "Does it claim something of this lizard and this network only, or of all pictures?",
        "Would it survive another window, and another size?",
        least=8,
    )


@checker
def check_03_4(answer: Any, before: np.ndarray, after: np.ndarray, was_right: np.ndarray) -> str:
    """Exercise 4: the mean change of the photographs whose first answer was wrong."""
    change = np.asarray(after) - np.asarray(before)
    was_right = np.asarray(was_right, bool)
    expected = change[~was_right].mean()
    mistakes = [
        (change[was_right].mean(), "That is the mean change of those that were right."),
        (change.mean(), "That is the mean change of all photographs."),
        (-expected, "The size is right; take after minus before."),
        (
            np.asarray(after)[~was_right].mean(),
            "That is their mean probability after, not its change.",
        ),
    ]
    return compare_number(
        answer,
        expected,
        mistakes,
        right="Right. But they were picked for having failed: the solutions say what that does.",
        otherwise="Not that number. Which photographs were wrong? `~was_right` picks them.",
        absolute=0.005,  # Two decimals are enough.
    )


@checker
def check_03_5(answer: Any) -> str:
    """Exercise 5: the largest probability that the cropped cat's first class can have had."""
    powers = torch.tensor([6.8055286, 6.7294292, 6.4594917]).exp()  # As printed.
    shares = (powers / powers.sum()).tolist()
    mistakes = [
        (1 - shares[0], "That is what the other two have."),
        (shares[1], "That is the bound of the second class."),
        (powers[0].item() / powers[1:].sum().item(), "The first power belongs to the sum, too."),
        ((powers[0] / powers[1]).item(), "Those are the odds against the second class."),
    ]
    return compare_number(
        answer,
        shares[0],
        mistakes,
        right="Right: with the other 997 classes in the sum it can only be less.",
        otherwise="Not that number. The largest power stands above, all three below.",
        absolute=0.005,  # Two decimals are enough.
    )


@checker
def check_03_6(answer: Any) -> str:
    """Exercise 6: what the numbers of the cat and of the cropped cat carry."""
    wrong = {
        "b": "Not b: at most 0.38 after the crop, but before it anything from 0.07 to 0.93, since "
        "no other class has more than the third. It may have been higher or lower.",
        "e": "Not e: the crop also enlarged the cat, and it is one picture.",
    }
    missing = {
        "a": "One is missing. Look at the labels: what kind of animal is each first answer?",
        "c": "One is missing. Which odds are below 1.5 : 1?",
        "d": "One is missing. Compare the odds of first and second in both lists.",
    }
    right = (
        "Right. A cat comes first, but hardly: the two pictures' lists say nothing of how sure "
        "the network was, and nothing of the reason."
    )
    return compare_letters(answer, wrong, missing, right)


@checker
def check_03_7(dense_map: Any) -> str:
    """Exercise 7: `dense_map(activation (C, h, w), weight (n_classes, C), c)`, a map (h, w)."""

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
            "That is the map of the trap: the gradient from before the ReLU, the activation from "
            "after it.",
        ),
        (lambda *case: normalize_map(solution(*case)), NORMALISED),
    ]
    cases = [
        (random_tensor(6, 4, 5), random_tensor(3, 6), 1),
        (random_tensor(6, 4, 5, seed=1), random_tensor(3, 6, seed=1), 0),
        (random_tensor(4, 3, 6), random_tensor(5, 4), 3),
    ]
    return check_function(dense_map, solution, cases, mistakes)


def _weighted_sum(weights: Tensor, maps: Tensor) -> Tensor:
    return torch.einsum("k,khw->hw", weights, maps)
