"""Checks of notebook 00: start here."""

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from camutils import data_path, load_classifier, load_image

from ..photographs import photograph_mask
from .answers import AnswerError, checker, compare_letters, read_number

ICE_BEAR = 296
LEAST_HEAT = 0.1  # Of the hottest cell of the ice bear's map.
MOST_ON_BEAR = 1 / 3  # Of the heat; the cells that touch the bear are 0.35 of the picture.


@checker
def check_00_1(answer: Any) -> str:
    """Exercise 1: what the map of the white wolf shows, as letters."""
    wrong = {
        "a": "Not a: its first answer was ice bear, and the wolf's map is far cooler. A map of a "
        "class can be made whether or not the network thinks that the class is there.",
    }
    missing = {
        "b": "Something is missing: what is a map a map of?",
        "c": "Something is missing: on which animal does this map lie, and of which class is it?",
    }
    right = "Right: a map says where the evidence for a class lies, not that it is good evidence."
    return compare_letters(answer, wrong, missing, right)


@checker
def check_00_2(answer: Any) -> str:
    """Exercise 2: a class whose map keeps off the polar bear, by its name or its number."""
    heat, on_bear = _compare_maps()
    categories = load_classifier("efficientnet_lite0").categories
    i = _read_class(answer, categories)
    label = categories[i].replace("_", " ")
    if on_bear[i] >= MOST_ON_BEAR:
        return f"Not yet: {on_bear[i]:.2f} of the heat of {label} lies in cells with bear in them."
    if heat[i] < LEAST_HEAT:
        return (
            f"The map of {label} keeps off the bear, but it is hardly warm: {heat[i]:.2f} times "
            "the hottest cell of ice bear. For which class is there more evidence?"
        )
    return (
        f"Right: {label}, {heat[i]:.2f} times as hot as ice bear, and {on_bear[i]:.2f} of it on "
        "the bear. Draw it!"
    )


def _read_class(answer: Any, categories: Sequence[str]) -> int:
    """The number of a class: "Arctic_fox", "arctic fox", 279 and "279" are the same one.

    Raises:
        AnswerError: neither the name of a class nor its number.
    """
    if isinstance(answer, str) and not answer.strip().replace(".", "").isdigit():
        name = answer.strip().lower().replace(" ", "_")
        names = [category.lower() for category in categories]
        if name not in names:
            raise AnswerError(f'Expected a name from classifier.categories, got "{answer}".')
        return names.index(name)
    number = read_number(answer)
    if number not in range(len(categories)):
        raise AnswerError(f"Expected the number of a class, from 0 to {len(categories) - 1}.")
    return int(number)


@functools.cache
def _compare_maps() -> tuple[Tensor, Tensor]:
    """Of the map of each class: how hot its hottest cell is, if ice bear's is 1; its share on it.

    Returns:
        (1000,) and (1000,), the share of the heat in the cells that touch the bear.
    """
    classifier = load_classifier("efficientnet_lite0")
    path = data_path("scenes", "polar_bear.webp")
    maps = classifier.grad_cam(load_image(path), list(range(1000))).maps[0]
    bear = torch.from_numpy(photograph_mask(path)).float()[None]
    touched = nn.functional.adaptive_max_pool2d(bear, maps.shape[-2:])
    hottest = maps.amax((1, 2))
    shares = (maps * touched).sum((1, 2)) / maps.sum((1, 2)).clamp_min(1e-9)
    return hottest / hottest[ICE_BEAR], shares
