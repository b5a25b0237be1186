"""Checks of notebook 04: how good is a map?"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from camutils import class_activation_map, normalize_map

from .answers import (
    NORMALISED,
    AnswerError,
    checker,
    compare_number,
    compare_tensor,
    read_letters,
    read_number,
    read_tensor,
    read_words,
)

TOLERANCE = 15


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
def check_04_2(answer: Any, differences: Tensor) -> str:
    """Exercise 2: how many photographs narrow the interval of `differences` (N,) to 0.05."""
    number = read_number(answer)
    expected = (1.96 * differences.std().item() / 0.05) ** 2
    mistakes = [
        (expected / 4, "Not yet: 0.05 to either side is half the interval, not all of it."),
        (expected / 1.96**2, "Not yet: a 95 % interval has a factor 1.96."),
        (expected**0.5, "Not yet: that is the root of the number. Square it."),
    ]
    few, many = "so few are not enough", "that many are not needed"
    return compare_number(
        number,
        expected,
        mistakes,
        right="Right: half the width falls with the root of the number of photographs.",
        otherwise=f"Not yet: {few if number < expected else many}.",
        relative=0.05,  # A factor of 2 for 1.96 makes 4 %, N for N - 1 in the deviation up to 2 %.
    )


@checker
def check_04_3(answer: Any, features: Tensor, weight: Tensor, logits: Tensor) -> str:
    """Exercise 3: CAM of each picture's tenth class, (N, h, w), after the ReLU."""
    answer = read_tensor(answer)
    if answer.ndim == 4 and answer.shape[1] == 1:
        answer = answer[:, 0]
    order = logits.argsort(dim=1, descending=True)
    maps = class_activation_map(features, weight, order[:, [0, 8, 9, 10, -10]])
    first, ninth, tenth, eleventh, last = maps.relu().unbind(1)
    mistakes = [
        (maps[:, 2], "The right class; the ReLU is missing."),
        (normalize_map(tenth), NORMALISED),
        (first, "These are the maps of the first class."),
        (ninth, "These are the maps of the ninth class: the first has index 0."),
        (eleventh, "These are the maps of the eleventh class: the first has index 0."),
        (last, "These are the maps of the tenth from the end: in which order did you sort?"),
    ]
    return compare_tensor(answer, tenth, mistakes)


@checker
def check_04_4(answer: Any, swapped: Sequence[int]) -> str:
    """Exercise 4: in which row Grad-CAM is, for each pair; `swapped` is 1 where it is below."""
    rows = ["bottom" if swap else "top" for swap in swapped]
    words = read_words(answer)
    if len(words) != len(rows) or not set(words) <= {"top", "bottom"}:
        raise AnswerError(f"Expected {len(rows)} words, each 'top' or 'bottom'.")
    hits = sum(word == row for word, row in zip(words, rows, strict=True))
    if hits == len(rows):
        return "Right: with one weight per channel, cells that did not count light up as well."
    if hits == 0:
        return "Not yet: in none of the pairs. Which of the two lights up more beside the animal?"
    return f"Not yet: {hits} of {len(rows)} are right. Look for heat far from the animal."
