"""Checks of notebook 04: how good is a map?"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .answers import (
    AnswerError,
    check_function,
    checker,
    quiz,
    random_tensor,
    read_letters,
    read_tensor,
    reflect,
)

TOLERANCE = 15


@checker
def recall_04(answer: Any) -> str:
    """Recall: CAM's mean, Grad-CAM's weights, what a crop changes."""
    first = {
        "a": "Not the probability: that depends on the logits of all classes.",
        "b": "Right: pooling and the weighted sum may trade places.",
        "c": "Not an area: the values count, not how many cells are hot.",
    }
    second = {
        "a": "Not the largest: one cell would decide for the whole channel.",
        "b": "Not of the activations: they enter when the channels are added up.",
        "c": "Right: one number for each channel takes the place of CAM's weight.",
    }
    third = {
        "a": "Right: change one thing at a time.",
        "b": "Not the weights: the network is the same.",
        "c": "The scale of a map plays no part in which class comes first.",
    }
    return quiz(answer, first, second, third)


@checker
def check_04_1(answer: Any, off: Tensor) -> str:
    """Exercise 1: the letters of the pictures whose peak is at most 15 pixels off; `off` (N,)."""
    letters = "abcdefghijklmnopqrstuvwxyz"[: len(off)]
    chosen = set(read_letters(answer, letters))
    near = {a for a, pixels in zip(letters, off.tolist(), strict=True) if pixels <= TOLERANCE}
    missing, wrong = len(near - chosen), len(chosen - near)
    if not missing and not wrong:
        return "Right: in these, and in no others, the circle reaches the animal."
    if not wrong:
        return f"Not yet: all yours are hits, but there are {missing} more."
    if not missing:
        return f"Not yet: you have all the hits, and also {wrong} too far off."
    return f"Not yet: {missing} missing, {wrong} too far off. Does the circle reach the outline?"


@checker
def check_04_2(answer: Any, masks: Tensor, score: Tensor) -> str:
    """Exercise 2: one map (h, w) with more energy on all masks (N, H, W) than `score`, on average.

    The map is enlarged as the notebook enlarges it, bilinearly.
    """
    if isinstance(answer, np.ndarray) and answer.dtype.kind == "f":
        answer = torch.from_numpy(answer)
    heat = read_tensor(answer)
    score = float(score)
    if heat.ndim != 2:
        raise AnswerError(f"Expected one map (h, w), got the shape {tuple(heat.shape)}.")
    if (heat < 0).any():
        raise AnswerError("Energy is a share of a sum: no value may be below 0.")
    if heat.max() == 0:
        raise AnswerError("Your map is 0 everywhere; it has no energy.")
    large = functional.interpolate(heat[None, None], masks.shape[1:], mode="bilinear")[0, 0]
    inside = ((large * masks).sum((1, 2)) / large.sum()).mean().item()
    if inside <= score:
        return f"Not yet: it has {inside:.2f} of its energy on the animals, CAM has {score:.2f}."
    return (
        f"Right, and shameless: {inside:.2f} of its energy lies on the animals, CAM's has "
        f"{score:.2f}. It would win every table that holds nothing but energy."
    )


@checker
def check_04_3(coldest: Any) -> str:
    """Exercise 3: a function from maps (N, h, w) and n to the n coldest of 14x14 cells, as 1."""

    def cells(maps: Tensor) -> Tensor:
        return functional.interpolate(maps[:, None], (14, 14), mode="bilinear").flatten(1)

    def mark(values: Tensor, n: int, largest: bool) -> Tensor:
        chosen = values.topk(n, largest=largest).indices
        return torch.zeros_like(values).scatter(1, chosen, 1).view(-1, 14, 14)

    def solution(maps: Tensor, n: int) -> Tensor:
        return mark(cells(maps), n, largest=False)

    mistakes = [
        (lambda maps, n: mark(cells(maps), n, largest=True), "Those are the hottest cells."),
        (lambda maps, n: 1 - solution(maps, n), "That is 0 on the coldest cells and 1 elsewhere."),
        (
            lambda maps, n: mark(cells(maps).abs(), n, largest=False),
            "Those are the cells nearest to zero: what is negative is colder.",
        ),
        (lambda maps, n: 0 * solution(maps, n), "No cell is marked yet."),
    ]
    cases = [
        (random_tensor(3, 7, 7), 20),
        (random_tensor(2, 14, 14), 50),
        (random_tensor(3, 5, 5, seed=1), 20),
    ]
    return check_function(
        coldest,
        solution,
        cases,
        mistakes,
        right="Right: compare how far the probability falls with the fall for the hottest.",
    )


@checker
def reflect_04(answer: Any) -> str:
    """Exercise 4: a sentence of conclusion."""
    return reflect(
        answer,
        "Does it say which network and how many photographs?",
        "Does it say compared with what, a blob in the middle or another photograph's map?",
        "Does it say by which measure, and leave out those whose interval contains zero?",
        "Would it still be true for another 57 photographs?",
    )
