"""The checks of notebook 04: right answers and common mistakes."""

import pytest
import torch

from camutils import class_activation_map, normalize_map
from course.checks import check_04_1, check_04_2, check_04_3, check_04_4


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


OFF = torch.tensor([3.0, 40, 15, 16, 80, 1])  # Hits with the tolerance: a, c, f.
DIFFERENCES = random(57).sign() * (random(57, seed=1) > 0.8)
NEEDED = (1.96 * DIFFERENCES.std().item() / 0.05) ** 2
FEATURES, WEIGHT = random(4, 8, 7, 7).abs(), random(30, 8, seed=1)
LOGITS = FEATURES.mean((2, 3)) @ WEIGHT.T
ORDER = LOGITS.argsort(dim=1, descending=True)


def cam(rank):
    return class_activation_map(FEATURES, WEIGHT, ORDER[:, [rank]])[:, 0]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("acf", "Right"),
        ("F, C, A", "Right"),
        (["a", "c", "f"], "Right"),
        ({"a", "cf"}, "Right"),
        ("ac", "1 more"),
        ("acdf", "also 1 too far"),
        ("ab", "2 missing, 1 too far"),
        ("", "3 more"),
        ("xyz", "letters from a to f"),
        (3, "letters from a to f"),
        ([1, 2], "letters from a to f"),
    ],
)
def test_letters_of_near_misses(answer, words, said):
    assert words in said(check_04_1, answer, OFF)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (NEEDED, "Right"),
        (round(NEEDED), "Right"),
        (torch.tensor(NEEDED), "Right"),
        (NEEDED / 4, "either side"),
        (NEEDED / 1.96**2, "factor 1.96"),
        (NEEDED**0.5, "root"),
        (NEEDED * 2, "not needed"),
        (NEEDED * 0.7, "so few"),
        ("many", "Expected one number"),
    ],
)
def test_how_many_photographs(answer, words, said):
    assert words in said(check_04_2, answer, DIFFERENCES)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (cam(9).relu(), "Right."),
        (cam(9).relu()[:, None], "Right."),
        (cam(9), "ReLU is missing"),
        (normalize_map(cam(9).relu()), "normalised"),
        (cam(0).relu(), "first class"),
        (cam(8).relu(), "ninth"),
        (cam(10).relu(), "eleventh"),
        (cam(20).relu(), "tenth from the end"),
        (cam(9)[0], "Expected shape (4, 7, 7), got (7, 7)."),
        (cam(9).relu() * 2, "values are not"),
    ],
)
def test_maps_of_the_tenth_class(answer, words, said):
    assert words in said(check_04_3, answer, FEATURES, WEIGHT, LOGITS)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (["top", "top", "bottom"], "Right"),
        (("Top ", "TOP", "bottom"), "Right"),
        (["bottom", "bottom", "top"], "in none"),
        (["top", "bottom", "bottom"], "2 of 3"),
        (["top", "top"], "Expected 3 words"),
        ("top", "Expected 3 words"),
        (["left", "top", "top"], "Expected 3 words"),
    ],
)
def test_which_row_is_averaged(answer, words, said):
    assert words in said(check_04_4, answer, [0, 0, 1])
