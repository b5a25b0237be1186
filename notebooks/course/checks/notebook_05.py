"""Checks of notebook 05: find the shortcut."""

from typing import Any

from .answers import (
    call,
    checker,
    compare_tensor,
    random_tensor,
    read_numbers,
    read_word,
)


@checker
def check_05_1(answer: Any) -> str:
    """The rows and columns of the 7x7 cells that the dots touch, counted from 0."""
    names = ("first row", "last row", "first column", "last column")
    cells = read_numbers(answer, *names, whole=True)
    if cells == (5, 6, 0, 3):
        return "Right: two rows and four columns, eight of the 49 cells."
    if cells == (6, 7, 1, 4):
        return "The cells are those; count rows and columns from 0."
    if cells == (0, 3, 5, 6):
        return "The cells are those; the rows come first."
    if cells[:2] == (5, 6):
        return "The rows fit. Which columns? A cell is a seventh of the picture wide."
    if cells[2:] == (0, 3):
        return "The columns fit. Which rows? A cell is a seventh of the picture high."
    return "Not those cells yet. Divide the picture into seven rows and seven columns."


@checker
def check_05_2(answer: Any) -> str:
    """A function from maps (N, h, w), signed, rows and columns to the share of energy (N,)."""
    maps = random_tensor(5, 7, 7)
    rows, columns = slice(5, 7), slice(0, 4)
    positive = maps.relu()
    box = positive[:, rows, columns]
    share = box.sum((1, 2)) / positive.sum((1, 2))
    signed = maps[:, rows, columns].sum((1, 2)) / maps.sum((1, 2))
    pooled = (box.sum() / positive.sum()).expand(5)
    mistakes = [
        (signed, "What speaks against the class is still in it: set it to zero first."),
        (box.mean((1, 2)) / positive.mean((1, 2)), "That divides means; energy is a sum."),
        (box.sum((1, 2)), "That is the energy inside; its share of the map was asked for."),
        (1 - share, "That is the share outside the box."),
        (pooled, "That is one share for all maps together; one for each was asked for."),
    ]
    return compare_tensor(
        call(answer, maps, rows, columns), share, mistakes, "Right: it can now name a place."
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
    return sentences[read_word(answer, *sentences)]


@checker
def check_05_4(answer: Any) -> str:
    """Which of the mean maps A, B and C gives its shortcut away: a letter or "abc"."""
    sentences = {
        "a": "Not A alone: what place would you name, and what would you cover?",
        "b": "Right: B names a place that can be covered. The other two name none, and one of "
        "them comes from networks that are just as wrong.",
        "c": "Not C alone: what place would you name, and what would you cover?",
        "ab": "Only one of these two has a place that you could cover.",
        "ac": "Neither has a place that you could cover.",
        "bc": "Only one of these two has a place that you could cover.",
        "abc": "Only one of them has a place that you could cover.",
    }
    return sentences[read_word(answer, *sentences)]
