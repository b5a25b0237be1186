"""Checks of notebook 01: CAM on VGG16."""

import functools
from typing import Any

from torch import Tensor, nn

from camutils import class_activation_map, data_path, load_classifier, load_image, normalize_map

from ..evidence import cell_evidence
from .answers import (
    RIGHT,
    call,
    checker,
    compare_letters,
    compare_number,
    compare_tensor,
    random_tensor,
    read_number,
    read_numbers,
    read_tensor,
)


@checker
def check_01_1(answer: Any) -> str:
    """Exercise 1: height and width of the map and parameters of the head for 320x320 pixels."""
    height, width, parameters = read_numbers(answer, "height", "width", "parameters", whole=True)
    side, weights = 320 // 2**5, 512 * 4
    if (height, width) == (7, 7):
        return "The map is not 7x7 any more: that belongs to pictures of 224x224."
    if (height, width) != (side, side):
        return "The height and width are not right. What is left of 320 after all the pools?"
    sentences = {
        weights + 4: "Right: the map grows, and the head stays as it was.",
        weights: "The map is right. The head has some more parameters: not only weights.",
    }
    otherwise = "The map is right, the parameters are not. Does the head ever see the map's size?"
    return sentences.get(parameters, otherwise)


@checker
def check_01_2(my_cam: Any) -> str:
    """Exercise 2: `my_cam(features (C, h, w), weight (n_classes, C), c)`, a CAM (h, w)."""
    features, weight, c = random_tensor(5, 3, 4), random_tensor(6, 5), 2
    answer = call(my_cam, features, weight, c)
    maps = class_activation_map(features[None], weight, list(range(6)))[0]
    cam = maps[c]
    mistakes = [
        (cam.relu(), "Nearly: the negative cells are gone, but a CAM keeps its sign."),
        (cam / cam.numel(), "Nearly: that is divided by the number of cells; a CAM is not."),
        (normalize_map(cam), "Nearly: that is scaled to [0, 1], which belongs to showing it."),
        (features.sum(0), "That is the plain sum of the maps: where do the weights come in?"),
        (features.mean(0), "That is the plain mean of the maps: where do the weights come in?"),
    ]
    mistakes += [(other, "That is another class's map.") for other in maps]
    return compare_tensor(answer, cam, mistakes)


@checker
def check_01_3(fall_of_the_logit: Any) -> str:
    """Exercise 3: `fall_of_the_logit(cam (h, w), row, column)`, one number."""
    right = "Right: and this holds for every cell, so the map accounts for the whole logit."
    otherwise = "Not right. How does the mean of the map change when one cell becomes zero?"
    cam = random_tensor(4, 6)
    for row, column in [(1, 4), (3, 0)]:
        fall = read_number(call(fall_of_the_logit, cam, row, column))
        cell, cells = cam[row, column].item(), cam.numel()
        sentences = {
            cell / cells: right,
            cell: "That is the cell itself. The logit is not the sum of the cells.",
            -cell / cells: "The size is right, the sign is not: is a fall positive or negative?",
            cell / 49: "Right for 7x7 cells; the map may have another size, as it has here.",
        }
        sentence = compare_number(fall, sentences, otherwise)
        if sentence != right:
            return sentence
    return right


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


@checker
def check_01_5(answer: Any) -> str:
    """Exercise 5: which of four sentences a map carries, as letters."""
    refused = {
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
    return compare_letters(answer, refused, missing, right)


@functools.cache
def _polar_bear() -> tuple[Tensor, Tensor, int]:
    """(1000, 49) shares of the logits of notebook 00's picture, (1000,) biases, its top class."""
    classifier = load_classifier("efficientnet_lite0")
    picture = load_image(data_path("scenes", "polar_bear.webp"))
    cams = cell_evidence(classifier, classifier.preprocess(picture)).flatten(1)
    shares, bias = cams / cams.shape[1], classifier.model.classifier[-1].bias.detach()
    return shares, bias, int((shares.sum(1) + bias).argmax())


@checker
def check_01_6(as_linear: Any) -> str:
    """Exercise 6: `as_linear(convolution)`, an `nn.Linear` that does the same."""
    convolution = nn.utils.skip_init(nn.Conv2d, 3, 4, 5)
    kernels, bias = random_tensor(4, 3, 5, 5), random_tensor(4)
    convolution.weight.data, convolution.bias.data = kernels, bias
    linear = call(as_linear, convolution)
    if not isinstance(linear, nn.Linear):
        return f"Expected an nn.Linear, got {type(linear).__name__}."
    weight = read_tensor(linear.weight)
    if weight.shape != (4, 75):
        return (
            f"Its weight has shape {tuple(weight.shape)}, for kernels of shape {(4, 3, 5, 5)}: "
            "how many numbers go in, how many come out?"
        )
    sentence = compare_tensor(weight, kernels.flatten(1))
    if sentence != RIGHT:
        return sentence
    if linear.bias is None:
        return "Nearly: the bias is missing."
    if compare_tensor(linear.bias, bias) != RIGHT:
        return "Nearly: the bias is another one."
    return RIGHT
