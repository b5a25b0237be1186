"""Checks of notebook 01: CAM on VGG16."""

import functools
from typing import Any

import torch
from torch import Tensor, nn

from camutils import data_path, load_classifier, load_image

from ..evidence import cell_evidence
from .answers import (
    check_function,
    checker,
    compare_letters,
    random_tensor,
    read_number,
    reflect,
)


@checker
def check_01_1(logit_without: Any) -> str:
    """Exercise 1: `logit_without(cam (h, w), bias, mask (h, w))`, one number."""

    def solution(cam: Tensor, bias: float, mask: Tensor) -> Tensor:
        return (cam * (1 - mask)).mean() + bias

    masks = [random_tensor(4, 6, seed=3) > 0, random_tensor(5, 7, seed=4) > 0.5]
    first, second = [mask.float() for mask in masks]
    cases = [
        (random_tensor(4, 6), 0.5, first),
        (random_tensor(4, 6, seed=1), -1.5, first.flip(0)),
        (random_tensor(5, 7), 2.0, second),
    ]
    mistakes = [
        (
            lambda cam, bias, mask: (cam * (1 - mask)).mean(),
            "Nearly: the map does not hold the whole logit. What does not come from any cell?",
        ),
        (
            lambda cam, bias, mask: cam[mask == 0].mean() + bias,
            "Nearly: a cell whose feature maps are zero still counts in the mean.",
        ),
        (
            lambda cam, bias, mask: (cam * (1 - mask)).sum() + bias,
            "Nearly: the logit is not the sum of the cells.",
        ),
        (
            lambda cam, bias, mask: (cam * mask).mean() + bias,
            "That is the logit from the masked cells alone: they are what is taken away.",
        ),
    ]
    right = (
        "Right: and this holds for every set of cells, so the map accounts for all of the logit."
    )
    return check_function(logit_without, solution, cases, mistakes, right=right)


@checker
def check_01_2(answer: Any) -> str:
    """Exercise 2: how many of the hottest cells leave the polar bear's probability below 1/2."""
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
            "and the softmax turns a small loss of lead into a large loss of probability. (In "
            "random order it takes more; the solutions count.)"
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
def check_01_3(answer: Any) -> str:
    """Exercise 3: which of four sentences a map carries, as letters."""
    wrong = {
        "a": "Not a: a cell that adds little to the logit need not be empty of faces. The map "
        "shows what was counted for this class, not what was noticed.",
        "c": "Not c: that is a prediction about another picture. Only what the network says of "
        "the painted picture can tell.",
    }
    missing = {
        "b": "Something is missing: what exactly is a cell of a CAM a share of?",
        "d": "Something is missing: how much of the picture does one cell see?",
    }
    right = "Right: the map is exact about the last layer, and says nothing about other pictures."
    return compare_letters(answer, wrong, missing, right)


@checker
def check_01_4(class_maps: Any) -> str:
    """Exercise 5: `class_maps(maps (N, C, h, w), linear)`, (N, n_classes, h, w), bias included."""

    def solution(maps: Tensor, linear: nn.Linear) -> Tensor:
        return torch.einsum("ck,nkhw->nchw", linear.weight, maps) + linear.bias[:, None, None]

    cases = [
        (random_tensor(1, 5, 7, 7), _linear(5, 3, seed=1)),
        (random_tensor(2, 5, 4, 6), _linear(5, 3, seed=2)),
        (random_tensor(2, 5, 4, 6, seed=1), _linear(5, 3, seed=3)),
    ]
    mistakes = [
        (
            lambda maps, linear: torch.einsum("ck,nkhw->nchw", linear.weight, maps),
            "Nearly: these are the CAMs, but the layer's bias is missing.",
        ),
        (
            lambda maps, linear: solution(maps, linear).relu(),
            "Nearly: the negative cells are gone, but they count as well.",
        ),
    ]
    right = "Right: pool these maps, and you have the logits. One forward pass, all the maps."
    return check_function(class_maps, solution, cases, mistakes, right=right)


def _linear(n_inputs: int, n_outputs: int, seed: int) -> nn.Linear:
    linear = nn.utils.skip_init(nn.Linear, n_inputs, n_outputs).requires_grad_(False)
    linear.weight.copy_(random_tensor(n_outputs, n_inputs, seed=seed))
    linear.bias.copy_(random_tensor(n_outputs, seed=seed))
    return linear


@checker
def reflect_01(answer: Any) -> str:
    """Exercise 4: one sentence on what the experiments with the kitten show."""
    return reflect(
        answer,
        "Does it say what was changed in the picture, and what was left as it was?",
        "Does it give the counts: in how many backgrounds, with how many of the heads?",
        "Does it keep to what was tested? Nobody has tried another carpet, or another kitten.",
        "Does it say what the map alone could not have told you?",
        least=8,
    )
