"""Checks of notebook 05: find the shortcut."""

from typing import Any

from torch import Tensor

from .answers import (
    check_function,
    checker,
    choose,
    compare_letters,
    compare_whole_numbers,
    random_tensor,
)


@checker
def check_05_1(answer: Any) -> str:
    """The rows and columns of the 7x7 cells that the dots touch, counted from 0."""
    mistakes = [
        ((6, 7, 1, 4), "The cells are those; count rows and columns from 0."),
        ((0, 3, 5, 6), "The cells are those; the rows come first."),
    ]
    return compare_whole_numbers(
        answer,
        ("first row", "last row", "first column", "last column"),
        (5, 6, 0, 3),
        mistakes,
        right="Right: two rows and four columns, eight of the 49 cells.",
        otherwise="Not those cells yet. Divide the picture into seven rows and seven columns.",
    )


@checker
def check_05_2(energy_share: Any) -> str:
    """A function from maps (N, h, w), signed, rows and columns to the share of energy (N,)."""

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

    mistakes = [
        (signed, "What speaks against the class is still in it: set it to zero first."),
        (of_means, "That divides means; energy is a sum."),
        (
            lambda maps, rows, columns: maps.relu()[:, rows, columns].sum((1, 2)),
            "That is the energy inside; its share of the map was asked for.",
        ),
        (lambda *case: 1 - solution(*case), "That is the share outside the box."),
        (together, "That is one share for all maps together; one for each was asked for."),
    ]
    cases = [
        (random_tensor(5, 7, 7), slice(5, 7), slice(0, 4)),
        (random_tensor(5, 7, 7, seed=1), slice(1, 4), slice(3, 6)),
        (random_tensor(3, 7, 7), slice(2, 6), slice(2, 7)),
    ]
    return check_function(
        energy_share, solution, cases, mistakes, right="Right: it can now name a place."
    )


@checker
def check_05_3(answer: Any) -> str:
    """Which sentence the tests of the dots support: a, b, c or d."""
    sentences = {
        "a": "Not a: then moved dots would help as little as none. Compare these two lines.",
        "b": "Right: the evidence goes where the dots go.",
        "c": "Not c: how many does it still find when the dots are taken away?",
        "d": "Not d: it concerns one class only. What do the dots do to the other?",
    }
    return choose(answer, sentences)


@checker
def check_05_4(answer: Any) -> str:
    """Which of the mean maps A, B and C give their shortcut away, as letters."""
    place = "what place would you name, and what would you cover?"
    right = (
        "Right: B names a place that can be covered. The other two name none, and one of them "
        "comes from networks that are just as wrong."
    )
    wrong = {"a": f"Not A: {place}", "c": f"Not C: {place}"}
    return compare_letters(answer, wrong, {"b": "Something is missing."}, right)
