"""Right answers to every exercise, and mistakes that have a hint of their own.

`EXERCISES` of each module has an entry for every check of the notebook's. `test_exercises.py` makes
more wrong answers of the right ones.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Exercise(NamedTuple):
    """What a check is tested with."""

    right: Any  #: letters, a number, whole numbers, words, a tensor or a function
    given: tuple = ()  #: what the notebook passes beside the answer
    mistakes: Sequence = ()  #: wrong answers, each with a sentence of its own
    also: Sequence = ()  #: other right answers
    tolerance: float = 0.01  #: how far a number that is not whole may be off, as a share of it


def random_numbers(*shape: int, seed: int = 0) -> Tensor:
    """The same normal numbers every time."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape) + seed))


def small_classifier() -> SimpleNamespace:
    """1000 classes on maps of 7x7, in no time."""
    model = nn.Sequential(
        nn.Conv2d(3, 4, 2, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1000)
    )
    for parameter in model.parameters():
        parameter.data = random_numbers(*parameter.shape) / 2
    model[4].weight.data[:, 0] -= 2  # One channel lowers every logit.
    model[4].weight.data[270, 1:] += 2  # The white wolf, which notebook 00 asks for, has a map.
    return SimpleNamespace(model=model.eval(), target_layer="1")


CLASSIFIER = small_classifier()
X = random_numbers(1, 3, 14, 14)
