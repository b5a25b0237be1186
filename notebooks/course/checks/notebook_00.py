"""Checks of notebook 00: start here."""

from typing import Any

from torch import Tensor

from camutils import Classifier, grad_cam, normalize_map

from .answers import NORMALISED, checker, compare_number, compare_tensor, read_tensor


@checker
def check_00_1(answer: Any) -> str:
    """Exercise 1: how many pixels of the input one cell covers."""
    mistakes = [
        (7, "That is the number of cells; how many of the 224 pixels does one of them get?"),
        (1024, "That is the area of one cell; its width was asked for."),
    ]
    return compare_number(answer, 32, mistakes, relative=0)


@checker
def check_00_2(answer: Any) -> str:
    """Exercise 2: the opacity that gives the photograph back."""
    mistakes = [
        (1, "Then the hottest place is pure colour; what is cold is still the photograph."),
        (0.8, "That is the default; it lays the colours over what is hot."),
    ]
    return compare_number(answer, 0, mistakes)


@checker
def check_00_3(answer: Any, classifier: Classifier, x: Tensor) -> str:
    """Exercise 3: the map of the white wolf, (h, w), for the picture x, (1, 3, H, W)."""
    answer = read_tensor(answer)
    model, layer = classifier.model, classifier.target_layer
    top = grad_cam(model, layer, x).maps[0, 0]
    wolf = grad_cam(model, layer, x, classes=270).maps[0, 0]
    mistakes = [
        (top, "That is the map of the first answer; `classes` chooses another one."),
        (normalize_map(wolf), NORMALISED),
    ]
    right = "Right. Draw it: for want of a wolf, the evidence lies on the bear."
    return compare_tensor(answer, wolf, mistakes, right=right)
