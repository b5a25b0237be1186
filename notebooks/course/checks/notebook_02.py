"""Checks of notebook 02: Grad-CAM on VGG19."""

from typing import Any

import torch
from torch import Tensor

from camutils import Classifier, normalize_map
from camutils.cam import backpropagate

from .answers import (
    NORMALISED,
    check_function,
    checker,
    compare_letters,
    compare_tensor,
    quiz,
    random_tensor,
    read_tensor,
    reflect,
)


@checker
def recall_02(answer: Any) -> str:
    """What notebooks 00 and 01 said of logits, signs and linear layers, as three letters."""
    mean = {
        "a": "Not a: the probability needs the logits of all classes.",
        "b": "Right: pooling and the weighted sum trade places.",
        "c": "Not c: a map is in units of the logit, not of the picture.",
    }
    sign = {
        "a": "Not a: zero would be nothing of interest.",
        "b": "Not b: each class has evidence for it and evidence against it.",
        "c": "Right: blue cells count against the class.",
    }
    weights = {
        "a": "Right: each hidden unit mixes all maps and all places.",
        "b": "Not b: 14x14 cells are more than most networks have.",
        "c": "Not c: no network is trained for its CAM; it needs the right last layers.",
    }
    return quiz(answer, mean, sign, weights)


@checker
def check_02_1(answer: Any, classifier: Classifier, x: Tensor) -> str:
    """The map (h, w) of the top class with a ReLU before the mean."""
    answer = read_tensor(answer)
    activations, gradients, *_ = backpropagate(classifier.model, classifier.target_layer, x)
    activation, gradient = activations[0], gradients[0, 0]
    signed = _weight_channels(gradient, activation)
    right = _weight_channels(gradient.relu(), activation)
    mistakes = [
        (signed.relu(), "That is Grad-CAM itself: the ReLU has to come before the mean."),
        (signed, "There is no ReLU yet: it belongs before the mean."),
        (
            _weight_channels(gradient, activation, clip=True),
            "Here the ReLU comes after the mean. The document has it before.",
        ),
        ((gradient.relu() * activation).sum(0), "Take the mean over the cells, too."),
        (normalize_map(right), NORMALISED),
    ]
    return compare_tensor(answer, right, mistakes)


@checker
def check_02_2(layer_cam: Any) -> str:
    """LayerCAM: gradient and activation (C, h, w) → map (h, w)."""

    def solution(gradient: Tensor, activation: Tensor) -> Tensor:
        return (gradient.relu() * activation).sum(0)

    def without_relu(gradient: Tensor, activation: Tensor) -> Tensor:
        return (gradient * activation).sum(0)

    mistakes = [
        (without_relu, "The gradient has lost its ReLU: this is HiResCAM before its ReLU."),
        (_relu_first, "Each cell has a weight of its own; nothing is averaged here."),
    ]
    return check_function(layer_cam, solution, _cases(), mistakes)


@checker
def check_02_3(grad_cam_plus_plus: Any) -> str:
    """Grad-CAM++: gradient and activation (C, h, w) → map (h, w)."""

    def with_share(gradient: Tensor, activation: Tensor, clipped: Tensor) -> Tensor:
        below = 2 * gradient**2 + gradient**3 * activation.sum((1, 2), keepdim=True)
        share = torch.where(below == 0, 0, gradient**2 / torch.where(below == 0, 1, below))
        weights = (share * clipped).sum((1, 2), keepdim=True)
        return (weights * activation).sum(0).relu()

    def solution(gradient: Tensor, activation: Tensor) -> Tensor:
        return with_share(gradient, activation, gradient.relu())

    mistakes = [
        (
            lambda gradient, activation: _weight_channels(gradient, activation).relu(),
            "That is Grad-CAM, without the new weights.",
        ),
        (
            lambda gradient, activation: with_share(gradient, activation, gradient),
            "The gradient needs a ReLU inside the sum.",
        ),
        (_relu_first, "The ReLU is there, the weights of the cells are not."),
    ]
    return check_function(grad_cam_plus_plus, solution, _cases(), mistakes)


@checker
def check_02_4(answer: Any) -> str:
    """Which of four sentences the map of a difference of two logits carries, as letters."""
    wrong = {
        "b": "Not b: blue says that these cells raise the tusker's logit more. The map does not "
        "tell whether they raise or lower the other one's.",
        "d": "Not d: that is a prediction about another picture. It is worth testing, and the next "
        "cells do.",
    }
    missing = {
        "a": "Something is missing: what does a blue cell say about the maps of the two classes?",
        "c": "Something is missing: what do all cells of the map add up to?",
    }
    right = "Right: the map is exact about this difference, and only about the difference."
    return compare_letters(answer, wrong, missing, right)


@checker
def reflect_02(answer: Any) -> str:
    """What the mean throws away, as a sentence."""
    return reflect(
        answer,
        "Does it name what differs from cell to cell (or what a feature is worth in which place)?",
        "Does it say for which last layers nothing is lost, because all cells have one gradient?",
        "Would somebody who knows CAM, and not this notebook, understand it?",
    )


def _weight_channels(gradient: Tensor, activation: Tensor, clip: bool = False) -> Tensor:
    weights = gradient.mean((1, 2), keepdim=True)
    return ((weights.relu() if clip else weights) * activation).sum(0)


def _relu_first(gradient: Tensor, activation: Tensor) -> Tensor:
    return _weight_channels(gradient.relu(), activation)


def _cases() -> list[tuple[Tensor, Tensor]]:
    """Gradients with both signs and zeros, and activations as after a ReLU."""
    cases = []
    for shape in ((4, 3, 5), (6, 4, 4)):
        gradient = random_tensor(*shape)
        gradient[gradient.abs() < 0.2] = 0
        cases.append((gradient, random_tensor(*shape, seed=1).relu()))
    return cases
