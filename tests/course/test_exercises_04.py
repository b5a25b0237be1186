"""The checks of notebook 04: right answers and common mistakes."""

import pytest
import torch
from torch.nn import functional as F

from camutils import class_activation_map
from camutils.course.exercises import check_04_1, check_04_2, check_04_3, check_04_4


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# A cone on a disc: cut at 0.6 of its maximum, the region is the disc.
GRID = torch.arange(64.0) - 31.5
RADIUS = (GRID[:, None] ** 2 + GRID**2).sqrt()
MAPS = (1 - RADIUS / 30).clamp_min(0).expand(3, 64, 64)
MASKS = (RADIUS <= 12).expand(3, 64, 64)

FEATURES, WEIGHT = random(4, 8, 7, 7).abs(), random(10, 8, seed=1)
LOGITS = FEATURES.mean((2, 3)) @ WEIGHT.T
ORDER = LOGITS.argsort(dim=1, descending=True)
DIFFERENCES = (0.1 + 0.1 * random(15, 1) + 0.02 * random(15, 5, seed=1)).flatten()
ANIMALS = DIFFERENCES.view(15, 5).mean(1)


def cam(rank):
    return class_activation_map(FEATURES, WEIGHT, ORDER[:, rank : rank + 1])[:, 0]


def bootstrap(values, ends=(0.025, 0.975), size=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draws = torch.randint(len(values), (4000, size or len(values)), generator=generator)
    return tuple(values[draws].mean(1).quantile(torch.tensor(ends)).tolist())


def pointing_with_margin(maps, masks, margin):
    grown = F.max_pool2d(masks[:, None].float(), 2 * margin + 1, 1, margin)[:, 0]
    cell = masks.shape[-1] // maps.shape[-1]
    peak = maps.flatten(1).argmax(1)
    row, column = (cell * i + cell // 2 for i in (peak // maps.shape[-1], peak % maps.shape[-1]))
    return grown[torch.arange(len(maps)), row, column]


def same_size_only(maps, masks, margin):
    fine = F.pad(maps, (0, 16 - maps.shape[-1], 0, 16 - maps.shape[-1]))
    return pointing_with_margin(fine, masks, margin)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (0.6, "Right"),
        (torch.tensor(0.6), "Right"),
        (0.3, "higher"),
        (0.5, "higher"),
        (0.8, "lower"),
        (0.55, "one of 0.1"),
        (60, "one of 0.1"),
    ],
)
def test_the_threshold_that_fits_the_disc(answer, words, said):
    assert words in said(check_04_1, answer, MAPS, MASKS)


def test_flat_maps_do_not_trip_the_threshold(said):
    assert "Right" in said(check_04_1, 0.5, torch.zeros(3, 7, 7), MASKS)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (pointing_with_margin, "Right: "),
        (lambda m, a, margin: pointing_with_margin(m, a, margin) > 0, "Right: "),
        (lambda m, a, margin: pointing_with_margin(m, a, 0), "with margin 2"),
        (lambda m, a, margin: pointing_with_margin(m, a, margin + 1), "with margin 4"),
        (lambda m, a, margin: pointing_with_margin(m, a, margin).mean(), "one value for each"),
        (lambda m, a, margin: pointing_with_margin(m, a, margin)[:, None], "got (4, 1)"),
        (lambda m, a, margin: pointing_with_margin(m, a, margin).tolist(), "Expected a tensor"),
        (lambda m, a, margin: torch.zeros(4), "is a hit"),
        (same_size_only, "not yet for a 4x4"),
    ],
)
def test_pointing_with_a_margin(answer, words, said):
    assert words in said(check_04_2, answer)


def test_the_function_may_spoil_its_arguments(said, rude):
    assert said(check_04_2, rude(pointing_with_margin)).startswith("Right: ")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (cam(1), "Right."),
        (cam(1).relu(), "Right."),
        (cam(1)[:, None], "Right."),
        (cam(0), "best class"),
        (cam(0).relu(), "best class"),
        (cam(2), "third"),
        (cam(9), "least"),
        (cam(1)[0], "Expected shape (4, 7, 7), got (7, 7)."),
        (cam(1) * 2, "values are not"),
        (cam(1).abs(), "values are not"),
    ],
)
def test_maps_of_the_second_best_class(answer, words, said):
    assert words in said(check_04_3, answer, FEATURES, WEIGHT, LOGITS)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (bootstrap(ANIMALS), "Right"),
        (torch.tensor(bootstrap(ANIMALS, seed=1)), "Right"),
        (bootstrap(DIFFERENCES), "one by one"),
        (bootstrap(ANIMALS)[::-1], "comes first"),
        ((0.8, 0.9), "outside"),
        (bootstrap(ANIMALS, ends=(0.25, 0.75)), "too narrow"),
        (bootstrap(ANIMALS, size=1), "too wide"),
        ((1, 2, 3), "numbers: (lower end, upper end)"),
    ],
)
def test_an_interval_over_animals(answer, words, said):
    assert words in said(check_04_4, answer, DIFFERENCES)


def test_equal_maps_have_an_interval_of_no_width(said):
    assert "Right" in said(check_04_4, (0.0, 0.0), torch.zeros(75))
