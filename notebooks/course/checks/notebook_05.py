"""Checks of notebook 05: find the shortcut."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from .answers import (
    check_function,
    checker,
    choose,
    compare_whole_numbers,
    quiz,
    random_tensor,
    read_letters,
    reflect,
)

STICKER = 0  #: which of the three kinds of networks in exercise 5 was trained with the sticker


@checker
def recall_05(answer: Any) -> str:
    """Recall: an interval that begins at zero, a peak on the animal, asking the network."""
    first = {
        "a": "Not a: with other pictures the mean might have been zero.",
        "b": "Not b: the true difference may be 0.16.",
        "c": "Right: the interval contains zero, and much else.",
    }
    second = {
        "a": "Not a: ask the network by taking the animal away.",
        "b": "Not b: with one animal in the picture, maps of other classes lie on it too.",
        "c": "Right: it shows where the map is, not what the network uses.",
    }
    third = {
        "a": "The pointing game asks a mask.",
        "b": "Right: it takes pixels away and looks at the probability.",
        "c": "The box test asks a box that somebody drew.",
    }
    return quiz(answer, first, second, third)


@checker
def check_05_1(answer: Any) -> str:
    """Exercise 1: the box (left, upper, right, lower) of two rows and two columns, in pixels."""
    mistakes = [
        ((5, 0, 6, 1), "These are cells; a cell is 64 pixels wide and 48 high."),
        ((5, 0, 7, 2), "These are cells; a cell is 64 pixels wide and 48 high."),
        ((320, 0, 384, 48), "That is the block's first cell only: the last ones belong to it."),
        ((0, 320, 96, 448), "Across first, then down: left and right are columns."),
        ((240, 0, 336, 128), "A cell is not square: 64 pixels wide and 48 high."),
        ((320, 0, 447, 95), "One pixel short: a crop ends before its right and its lower side."),
        ((0, 0, 128, 96), "Columns count from the left: that is the upper left corner."),
    ]
    return compare_whole_numbers(
        answer,
        ("left", "upper", "right", "lower"),
        (320, 0, 448, 96),
        mistakes,
        right="Right: now cut it out and look.",
        otherwise="Not that box yet. Which rows and columns are hot?",
    )


@checker
def check_05_2(energy_share: Any) -> str:
    """Exercise 2: a function from signed maps (N, h, w), rows and columns to the shares (N,)."""

    def solution(maps: Tensor, rows: slice, columns: slice) -> Tensor:
        positive = maps.relu()
        return positive[:, rows, columns].sum((1, 2)) / positive.sum((1, 2))

    def signed(maps: Tensor, rows: slice, columns: slice) -> Tensor:
        return maps[:, rows, columns].sum((1, 2)) / maps.sum((1, 2))

    def of_means(maps: Tensor, rows: slice, columns: slice) -> Tensor:
        positive = maps.relu()
        return positive[:, rows, columns].mean((1, 2)) / positive.mean((1, 2))

    def together(maps: Tensor, rows: slice, columns: slice) -> Tensor:
        positive = maps.relu()
        return (positive[:, rows, columns].sum() / positive.sum()).expand(len(maps))

    def unsigned(maps: Tensor, rows: slice, columns: slice) -> Tensor:
        return maps.abs()[:, rows, columns].sum((1, 2)) / maps.abs().sum((1, 2))

    mistakes = [
        (unsigned, "Evidence against the class counts like evidence for it: set it to zero first."),
        (signed, "Evidence against the class is still in it: set it to zero first."),
        (of_means, "That divides means; energy is a sum."),
        (
            lambda maps, rows, columns: maps.relu()[:, rows, columns].sum((1, 2)),
            "That is the energy inside; its share of the map was asked for.",
        ),
        (lambda *case: 1 - solution(*case), "That is the share outside the block."),
        (together, "That is one share for all maps together; one for each was asked for."),
    ]
    cases = [
        (random_tensor(5, 7, 7), slice(5, 7), slice(0, 2)),
        (random_tensor(5, 7, 7, seed=1), slice(1, 4), slice(3, 6)),
        (random_tensor(3, 7, 7), slice(2, 6), slice(2, 7)),
    ]
    return check_function(
        energy_share, solution, cases, mistakes, right="Right: it can now name a place."
    )


@checker
def check_05_3(answer: Any) -> str:
    """Exercise 3: which sentence the tests of the sticker support: a, b, c or d."""
    sentences = {
        "a": "Not a: then a moved sticker would help as little as none. Compare these two lines.",
        "b": "Right: it works on other pictures and in other places, if less well lower down.",
        "c": "Not c: how many are still found when the sticker is taken away?",
        "d": "Not d: it concerns one class only. What does the sticker do to the other?",
    }
    return choose(answer, sentences)


@checker
def check_05_4(answer: Any, order: Sequence[int]) -> str:
    """Exercise 5: which of the mean maps names a place; `order` has the kind behind each letter."""
    kinds = dict(zip("abc", order, strict=True))
    chosen = set(read_letters(answer, kinds))
    named = {letter for letter, kind in kinds.items() if kind == STICKER}
    if chosen == named:
        return (
            "Right: it names a place that can be covered. The other two name none, and one of "
            "them comes from networks that are just as wrong."
        )
    if wrong := sorted(letter.upper() for letter in chosen - named):
        return f"Not {' and '.join(wrong)}: what place would you name, and what would you cover?"
    return "Something is missing."


@checker
def reflect_05(answer: Any) -> str:
    """Exercise 4: whether the owner of the archive can use the network now."""
    return reflect(
        answer,
        "Does it say how good the mended network is, compared with always saying 'elsewhere'?",
        "Does it say for which pictures: those of this archive, or new ones?",
        "Does it keep apart what was mended, and what was never learnt?",
        "Would somebody understand it who does not know what an interval is?",
        least=10,
    )
