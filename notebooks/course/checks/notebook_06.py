"""Checks of notebook 06: your own model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .answers import (
    check_function,
    checker,
    compare_cell,
    quiz,
    random_tensor,
    read_whole_numbers,
    reflect,
)

MISTAKES = {"A": 7, "B": 1, "C": 8}


@checker
def recall_06(answer: Any) -> str:
    """What notebooks 02 to 05 said of gradients, DenseNet and scales, as three letters."""
    gradient = {
        "a": "Not a: PyTorch fills `.grad` of leaves only.",
        "b": "Not b: there lie the gradients of the weights.",
        "c": "Right: a hook or `torch.autograd.grad` catches it.",
    }
    densenet = {
        "a": "Right: `norm5` holds all of them.",
        "b": "Not b: its dotted name is all it takes today.",
        "c": "Not c: both are 7x7.",
    }
    scales = {
        "a": "Not a: the hottest cell of each map has the same colour, whatever its value.",
        "b": "Right: scaling keeps the order of the cells within a map.",
        "c": "Not c: a map says where. How likely depends on the logits of all classes.",
    }
    return quiz(answer, gradient, densenet, scales)


@checker
def check_06_1(answer: Any, against: Tensor, mask: np.ndarray) -> str:
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
def check_06_2(as_grid: Any) -> str:
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


@checker
def check_06_3(gradient_at: Any) -> str:
    """The gradient (1, C, h, w) of a class's logit at a layer, also around in-place ReLUs."""

    def at_leaf(copied: bool) -> Callable[..., Tensor]:
        def gradient(model: nn.Module, layer: str, x: Tensor, c: int) -> Tensor:
            kept = []

            def keep(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
                kept.append(output.detach().clone().requires_grad_() if copied else output)
                return kept[0].clone() if copied else output

            with model.get_submodule(layer).register_forward_hook(keep):
                logit = model(x)[0, c]
            return torch.autograd.grad(logit, kept[0])[0]

        return gradient

    overwritten = (
        "That is the gradient after the in-place ReLU that follows the layer: it has overwritten "
        "what your hook kept. Let the network go on with a copy."
    )
    cases = [
        (_small_network(0), "0", random_tensor(1, 3, 6, 8), 2),
        (_small_network(0), "2", random_tensor(1, 3, 6, 8, seed=1), 1),
        (_small_network(1), "3", random_tensor(1, 3, 6, 8, seed=2), 0),
    ]
    mistakes = [(at_leaf(copied=False), overwritten)]
    right = "Right, before, at and after an in-place ReLU."
    return check_function(gradient_at, at_leaf(copied=True), cases, mistakes, right=right)


@checker
def check_06_4(scale: Any) -> str:
    """Maps (K, h, w) of one picture on one scale from 0 to 1; a flat map stays zero."""

    def solution(maps: Tensor) -> Tensor:
        return maps / maps.max().clamp(min=1e-30)

    def own_scales(maps: Tensor) -> Tensor:
        return maps / maps.amax((1, 2), keepdim=True).clamp(min=1e-30)

    def from_the_lowest(maps: Tensor) -> Tensor:
        return (maps - maps.min()) / (maps.max() - maps.min()).clamp(min=1e-30)

    maps = random_tensor(3, 4, 5).relu()
    high = 2 + random_tensor(2, 3, 3, seed=1).abs()  # Without a cell that is zero.
    cases = [(maps * torch.tensor([5, 1, 0])[:, None, None],), (high,), (torch.zeros(2, 3, 4),)]
    mistakes = [
        (own_scales, "Each map still has a scale of its own: their highest cells are all 1."),
        (from_the_lowest, "Zero does not stay zero: subtract nothing."),
    ]
    return check_function(scale, solution, cases, mistakes)


@checker
def check_06_5(heat_map: Any) -> str:
    """Grad-CAM (h, w) by hand, of the two parts of a network that comes in train mode."""

    def in_eval_mode(
        front: nn.Module, back: nn.Module, x: Tensor, c: int, trains: str = ""
    ) -> Tensor:
        front.train("front" in trains)
        back.train("back" in trains)
        leaf = front(x).detach().requires_grad_()
        gradient = torch.autograd.grad(back(leaf)[0, c], leaf)[0]
        return (gradient.mean((2, 3), keepdim=True) * leaf).sum(1).relu()[0].detach()

    def only_back(front: nn.Module, back: nn.Module, x: Tensor, c: int) -> Tensor:
        return in_eval_mode(front, back, x, c, trains="front")

    cases = [
        (*_two_parts(0), random_tensor(1, 3, 5, 7, seed=3), 0),
        (*_two_parts(1), random_tensor(1, 3, 5, 7, seed=4), 2),
        (*_two_parts(2), random_tensor(1, 3, 5, 7, seed=5), 1),
    ]
    mistakes = [(only_back, "`front` is still in train mode: that is where the batch norm is.")]
    return check_function(heat_map, in_eval_mode, cases, mistakes)


@checker
def check_06_6(answer: Any) -> str:
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
def reflect_06(answer: Any) -> str:
    """What a map says of the reader's own network, as a sentence."""
    return reflect(
        answer,
        "Does it say where the evidence lies, and not why the network is right?",
        "Does it name the class, and the layer if that was a choice?",
        "Does it name a check or an experiment that could come out the other way?",
    )


def _filled(model: nn.Module, seed: int) -> nn.Module:
    for parameter in model.parameters():
        parameter.data = random_tensor(*parameter.shape, seed=seed)
    return model


def _small_network(seed: int) -> nn.Sequential:
    """(N, 3, 6, 8) → (N, 3), with an in-place ReLU after each convolution."""
    layers = [
        *(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True)),
        *(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(inplace=True)),
        *(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 3 * 4, 3)),
    ]
    return _filled(nn.Sequential(*layers), seed).eval()


def _two_parts(seed: int) -> tuple[nn.Module, nn.Module]:
    """A network up to its target layer and from there on, in train mode, as after training."""
    front = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
    front[1].running_mean = random_tensor(4, seed=seed)
    front[1].running_var = 3 + random_tensor(4, seed=seed).abs()
    back = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    return _filled(front, seed), _filled(back, seed)
