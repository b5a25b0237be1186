"""Checks of notebook 01: CAM on VGG16."""

import functools
from typing import Any

import torch
from torch import Tensor, nn

from camutils import class_activation_map, data_path, load_classifier, load_image, normalize_map

from ..evidence import cell_evidence
from .answers import (
    AnswerError,
    check_function,
    checker,
    compare_letters,
    compare_whole_numbers,
    random_tensor,
    read_number,
    read_tensor,
)


@checker
def check_01_1(answer: Any) -> str:
    """Exercise 1: height and width of the map and parameters of the head for 320x320 pixels."""
    side, weights = 320 // 2**5, 512 * 4
    mistakes = [
        ((7, 7, weights + 4), "The map is not 7x7 any more: that belongs to pictures of 224x224."),
        (
            (side, side, weights),
            "The map is right. The head has some more parameters: not only weights.",
        ),
    ]
    return compare_whole_numbers(
        answer,
        ("height", "width", "parameters"),
        (side, side, weights + 4),
        mistakes,
        right="Right: the map grows, and the head stays as it was.",
        otherwise="Not yet. What is left of 320 after all the pools? Does the head ever see the "
        "map's size?",
    )


@checker
def check_01_2(my_cam: Any) -> str:
    """Exercise 2: `my_cam(features (C, h, w), weight (n_classes, C), c)`, a CAM (h, w)."""

    def solution(features: Tensor, weight: Tensor, c: int) -> Tensor:
        return class_activation_map(features[None], weight, c)[0, 0]

    def of_another_class(features: Tensor, weight: Tensor, c: int) -> Tensor:
        return solution(features, weight, (c + 1) % len(weight))

    cases = [
        (random_tensor(5, 3, 4), random_tensor(6, 5), 2),
        (random_tensor(5, 3, 4, seed=1), random_tensor(6, 5, seed=1), 0),
        (random_tensor(4, 2, 6), random_tensor(3, 4), 1),
    ]
    mistakes = [
        (
            lambda *case: solution(*case).relu(),
            "Nearly: the negative cells are gone, but a CAM keeps its sign.",
        ),
        (
            lambda *case: solution(*case) / case[0][0].numel(),
            "Nearly: that is divided by the number of cells; a CAM is not.",
        ),
        (
            lambda *case: normalize_map(solution(*case)),
            "Nearly: that is scaled to [0, 1], which belongs to showing it.",
        ),
        (
            lambda features, weight, c: features.sum(0),
            "That is the plain sum of the maps: where do the weights come in?",
        ),
        (
            lambda features, weight, c: features.mean(0),
            "That is the plain mean of the maps: where do the weights come in?",
        ),
        (of_another_class, "That is another class's map."),
    ]
    return check_function(my_cam, solution, cases, mistakes)


@checker
def check_01_3(fall_of_the_logit: Any) -> str:
    """Exercise 3: `fall_of_the_logit(cam (h, w), row, column)`, one number."""

    def solution(cam: Tensor, row: int, column: int) -> Tensor:
        return cam[row, column] / cam.numel()

    cases = [
        (random_tensor(4, 6), 1, 4),
        (random_tensor(4, 6, seed=1), 3, 0),
        (random_tensor(5, 7), 3, 4),
    ]
    mistakes = [
        (
            lambda cam, row, column: cam[row, column],
            "That is the cell itself. The logit is not the sum of the cells.",
        ),
        (
            lambda *case: -solution(*case),
            "The size is right, the sign is not: is a fall positive or negative?",
        ),
        (
            lambda cam, row, column: cam[row, column] / 49,
            "That holds for 7x7 cells; the map may have another size, as it has here.",
        ),
    ]
    right = "Right: and this holds for every cell, so the map accounts for the whole logit."
    return check_function(fall_of_the_logit, solution, cases, mistakes, right=right)


@checker
def check_01_4(answer: Any) -> str:
    """Exercise 4: how many of the hottest cells leave the polar bear's probability below 1/2."""
    cells = read_number(answer)
    shares, bias, ice_bear = _polar_bear()
    order = shares[ice_bear].argsort(descending=True)
    left = [shares[:, order[n:]].sum(1) + bias for n in range(len(order) + 1)]
    probabilities = [logits.softmax(0)[ice_bear].item() for logits in left]
    first = next(n for n, p in enumerate(probabilities) if p < 0.5)
    positive = shares[ice_bear].clamp(min=0)[order]
    half = int((positive.cumsum(0) < positive.sum() / 2).sum()) + 1
    if cells not in range(len(order) + 1):
        return f"Expected a whole number of cells, from 0 to {len(order)}."
    if cells == first:
        return (
            "Right. Fewer than one would think: what counts is the lead over the other classes, "
            "and the softmax turns a small loss of lead into a large loss of probability."
        )
    if cells == half:
        return "That many cells hold half of the positive evidence; the probability falls sooner."
    if cells < first:
        return f"Not yet: without {cells:.0f} cells the probability is still above one half."
    return f"Without {cells:.0f} cells it is below one half, but already with fewer taken away."


@functools.cache
def _polar_bear() -> tuple[Tensor, Tensor, int]:
    """(1000, 49) shares of the logits of notebook 00's picture, (1000,) biases, its top class."""
    classifier = load_classifier("efficientnet_lite0")
    picture = load_image(data_path("scenes", "polar_bear.webp"))
    cams = cell_evidence(classifier, classifier.preprocess(picture)).flatten(1)
    shares = cams / cams.shape[1]
    bias = classifier.model.classifier[-1].bias.detach()
    return shares, bias, int((shares.sum(1) + bias).argmax())


@checker
def check_01_5(answer: Any) -> str:
    """Exercise 5: which of four sentences a map carries, as letters."""
    wrong = {
        "a": "Not a: a cell that adds little to the logit need not be empty of faces. The map "
        "shows what was counted for this class, not what was noticed.",
        "c": "Not c: that is a prediction about another picture. Only the network's answer to the "
        "painted picture can tell.",
    }
    missing = {
        "b": "Something is missing: what exactly is a cell of a CAM a share of?",
        "d": "Something is missing: how much of the picture does one cell see?",
    }
    right = "Right: the map is exact about the last layer, and says nothing about other pictures."
    return compare_letters(answer, wrong, missing, right)


@checker
def check_01_6(as_linear: Any) -> str:
    """Exercise 6: `as_linear(convolution)`, an `nn.Linear` that does the same."""

    def solution(convolution: nn.Conv2d) -> Tensor:
        kernels = convolution.weight.detach().flatten(1)
        return torch.cat([kernels, convolution.bias.detach()[:, None]], dim=1)

    cases = []
    for sizes in ((3, 4, 5), (3, 4, 5), (2, 6, 3)):
        convolution = nn.utils.skip_init(nn.Conv2d, *sizes)
        for parameter in convolution.parameters():
            parameter.data = random_tensor(*parameter.shape, seed=len(cases))
        cases.append((convolution,))
    return check_function(as_linear, solution, cases, read=_weights_and_bias)


def _weights_and_bias(linear: Any) -> Tensor:
    """(outputs, inputs + 1): the weights of a linear layer and, in the last column, its bias."""
    if not isinstance(linear, nn.Linear):
        raise AnswerError(f"Expected an nn.Linear, got {type(linear).__name__}.")
    if linear.bias is None:
        raise AnswerError("Nearly: the bias is missing.")
    weight, bias = read_tensor(linear.weight), read_tensor(linear.bias)
    if len(weight) != len(bias):
        raise AnswerError("Its bias has not one number for each of its outputs.")
    return torch.cat([weight, bias[:, None]], dim=1)
