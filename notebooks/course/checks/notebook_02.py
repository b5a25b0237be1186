"""Checks of notebook 02: Grad-CAM on VGG19."""

from typing import Any

import torch
from torch import Tensor

from camutils import Classifier, grad_cam, normalize_map
from camutils.cam import backpropagate

from .answers import (
    NORMALISED,
    checker,
    compare_letters,
    compare_number,
    compare_tensor,
    read_number,
    read_tensor,
)


@checker
def check_02_1(answer: Any, classifier: Classifier, x: Tensor) -> str:
    """The counterfactual map (h, w) of the top class."""
    answer = read_tensor(answer)
    activation, gradient = _activation_and_gradient(classifier, x)
    signed = _weighted_sum(gradient.mean((1, 2), keepdim=True), activation)
    mistakes = [
        (signed.relu(), "That is Grad-CAM itself: the gradient has not been negated."),
        (-signed, "The sign is right; the ReLU is missing."),
        (signed, "Neither the sign nor the ReLU is there yet: this is the plain weighted sum."),
        (_weighted_sum(-gradient, activation).relu(), "Pool the gradient over its cells first."),
        (normalize_map((-signed).relu()), NORMALISED),
    ]
    return compare_tensor(answer, (-signed).relu(), mistakes)


@checker
def check_02_2(answer: Any, classifier: Classifier, x: Tensor) -> str:
    """The map (h, w) of the second-best class of the picture x, (1, 3, H, W)."""
    answer = read_tensor(answer)
    model, layer = classifier.model, classifier.target_layer
    best = grad_cam(model, layer, x).logits.topk(2).indices
    first, second = grad_cam(model, layer, x, best).maps[0]
    mistakes = [
        (first, "That is the map of the best class; the second-best was asked for."),
        (normalize_map(second), NORMALISED),
    ]
    return compare_tensor(answer, second, mistakes)


@checker
def check_02_3(answer: Any, cam: Tensor) -> str:
    """How far the logit falls without the hottest cell of its class's CAM (h, w)."""
    fall = read_number(answer)
    hottest, cells = cam.max().item(), cam.numel()
    mistakes = [
        (hottest, "That is the cell itself. The logit is the mean of the cells, not their sum."),
        (-hottest / cells, "The size is right; a positive number was asked for."),
        (hottest / cam.sum().item(), "That is its share of the map. How far does the logit fall?"),
    ]
    return compare_number(
        fall,
        hottest / cells,
        mistakes,
        right="Right: its share of the mean, and that is exact.",
        otherwise="Not that number. What becomes of the mean if one of the cells is zero?",
    )


@checker
def check_02_4(answer: Any, classifier: Classifier, x: Tensor) -> str:
    """The Grad-CAM++ map (h, w) of the top class."""
    answer = read_tensor(answer)
    activation, gradient = _activation_and_gradient(classifier, x)
    below = 2 * gradient**2 + gradient**3 * activation.sum((1, 2), keepdim=True)
    share = torch.where(below == 0, 0, gradient**2 / torch.where(below == 0, 1, below))
    weights = (share * gradient.relu()).sum((1, 2), keepdim=True)
    unclipped = (share * gradient).sum((1, 2), keepdim=True)
    pooled = gradient.mean((1, 2), keepdim=True)
    right = _weighted_sum(weights, activation).relu()
    mistakes = [
        (_weighted_sum(pooled, activation).relu(), "That is Grad-CAM, without the new weights."),
        (_weighted_sum(unclipped, activation).relu(), "The gradient needs a ReLU inside the sum."),
        (normalize_map(right), NORMALISED),
    ]
    return compare_tensor(answer, right, mistakes)


@checker
def check_02_5(answer: Any) -> str:
    """Which of four sentences the map of a difference of two logits carries, as letters."""
    wrong = {
        "b": "Not b: blue says that these cells raise the tusker's logit more. The map does not "
        "tell whether they raise or lower the other one's.",
        "c": "Not c: that is a prediction about another picture. It is worth testing, and the next "
        "cells do.",
    }
    missing = {
        "a": "Something is missing: what does a blue cell say about the maps of the two classes?",
        "d": "Something is missing: what do all cells of the map add up to?",
    }
    right = "Right: the map is exact about this difference, and only about the difference."
    return compare_letters(answer, wrong, missing, right)


@checker
def check_02_6(answer: Any) -> str:
    """What can be told of two maps of which each was scaled by its own maximum, as letters."""
    wrong = {
        "a": "Not a: each map was scaled by its own maximum, so the hottest cells of both have the "
        "same colour.",
        "d": "Not d: a map says where, not how likely. The probability depends on the logits of "
        "all classes.",
    }
    missing = {
        "b": "Something is missing: does scaling move the hottest cell of a map?",
        "c": "Something is missing: does scaling change the order of the cells of one map?",
    }
    right = "Right: within a map the order of the colours holds, between two maps it means nothing."
    return compare_letters(answer, wrong, missing, right)


def _weighted_sum(weights: Tensor, activation: Tensor) -> Tensor:
    return (weights * activation).sum(0)


def _activation_and_gradient(classifier: Classifier, x: Tensor) -> tuple[Tensor, Tensor]:
    """The target layer's activation for one picture and its top logit's gradient, (C, h, w)."""
    activations, gradients, *_ = backpropagate(classifier.model, classifier.target_layer, x, None)
    return activations[0], gradients[0, 0]
