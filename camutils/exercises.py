"""Check cells of the exercises: they say in words what is right or wrong, and never the solution.

An answer that is not there yet (`...` or None) prints "not yet" and raises nothing.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .cam import grad_cam, normalize_map
from .models import Classifier


def _missing(answer: Any) -> bool:
    if answer is None or answer is ...:
        print("Not yet: put your answer into the cell above and run both again.")
        return True
    return False


def _compare(answer: Any, expected: Tensor, wrong: Sequence[tuple[Tensor, str]]) -> None:
    """Say whether a map is the expected one, or which of the typical wrong ones it is."""
    if _missing(answer):
        return
    if not isinstance(answer, Tensor):
        print(f"Expected a tensor, got {type(answer).__name__}.")
        return
    answer = answer.detach().float()
    if answer.shape != expected.shape:
        print(f"Expected shape {tuple(expected.shape)}, got {tuple(answer.shape)}.")
    elif _close(answer, expected):
        print("Right.")
    else:
        words = (text for other, text in wrong if _close(answer, other))
        print(next(words, "Not yet right: the shape is, the values are not."))


def _close(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other.float(), rtol=1e-3, atol=1e-4 * float(other.abs().max()))


def _gradient(classifier: Classifier, x: Tensor) -> tuple[Tensor, Tensor]:
    """The target layer's activation and the gradient of the top logit, each (1, C, h, w)."""
    kept: list[Tensor] = []
    layer = classifier.model.get_submodule(classifier.target_layer)
    handle = layer.register_forward_hook(lambda module, args, output: kept.append(output))
    try:
        with torch.enable_grad():
            top = classifier.model(x).amax()
            (gradient,) = torch.autograd.grad(top, kept[0])
    finally:
        handle.remove()
    return kept[0].detach(), gradient


# --- 00 ---

# --- 01 ---

# --- 02 ---


def check_02_1(answer: Any) -> None:
    """Notebook 02, exercise 1: the cell of a 14x14 map that covers a pixel."""
    if _missing(answer):
        return
    try:
        row, column = (int(value) for value in answer)
    except (TypeError, ValueError):
        print("Expected two whole numbers, (row, column).")
        return
    cell = (300 * 14 // 480, 100 * 14 // 640)
    if (row, column) == cell:
        print("Right: that is the cell.")
    elif (column, row) == cell:
        print("The numbers are right, their order is not: rows go with y and come first.")
    else:
        print("Not that cell. How many pixels is one cell wide, and how many high? Count from 0.")


def check_02_2(answer: Any, classifier: Classifier, x: Tensor) -> None:
    """Notebook 02, exercise 2: the map of the second-best class."""
    logits = grad_cam(classifier.model, classifier.target_layer, x).logits
    first, second = logits[0].topk(2).indices.tolist()
    maps = grad_cam(classifier.model, classifier.target_layer, x, [first, second]).maps[0]
    _compare(answer, maps[1], [
        (maps[0], "That is the map of the best class; the second-best was asked for."),
        (normalize_map(maps[1]), "The right map, but normalised; it was asked for as it is."),
    ])  # fmt: skip


def check_02_3(answer: Any, classifier: Classifier, x: Tensor) -> None:
    """Notebook 02, exercise 3: the counterfactual map of the top class."""
    activation, gradient = _gradient(classifier, x)
    signed = (gradient.mean((2, 3), keepdim=True) * activation).sum(1)[0]
    _compare(answer, (-signed).relu(), [
        (signed.relu(), "That is Grad-CAM itself: the gradient has not been negated."),
        (-signed, "The sign is right; the ReLU is missing."),
        (signed, "Neither the sign nor the ReLU is there yet: this is the plain weighted sum."),
        ((-gradient * activation).sum(1)[0].relu(), "Pool the gradient over its cells first."),
    ])  # fmt: skip


def check_02_4(answer: Any, classifier: Classifier, x: Tensor) -> None:
    """Notebook 02, exercise 4: Grad-CAM++."""
    activation, gradient = _gradient(classifier, x)
    below = 2 * gradient**2 + gradient**3 * activation.sum((2, 3), keepdim=True)
    share = torch.where(below == 0, 0, gradient**2 / torch.where(below == 0, 1, below))
    weights = (share * gradient.relu()).sum((2, 3), keepdim=True)
    unclipped = (share * gradient).sum((2, 3), keepdim=True)
    plain = gradient.mean((2, 3), keepdim=True)
    signed = (weights * activation).sum(1)[0]
    _compare(answer, signed.relu(), [
        ((plain * activation).sum(1)[0].relu(), "That is Grad-CAM, without the new weights."),
        ((unclipped * activation).sum(1)[0].relu(), "The gradient needs a ReLU inside the sum."),
    ])  # fmt: skip


# --- 03 ---

# --- 04 ---
