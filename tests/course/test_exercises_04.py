"""The checks of notebook 04's exercises: right answers, typical wrong ones, none yet."""

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


def cam(rank):
    return class_activation_map(FEATURES, WEIGHT, ORDER[:, rank : rank + 1])[:, 0]


def bootstrap(values, ends=(0.025, 0.975), size=None):
    generator = torch.Generator().manual_seed(0)
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


CHECKS = {
    check_04_1: (MAPS, MASKS),
    check_04_2: (),
    check_04_3: (FEATURES, WEIGHT, LOGITS),
    check_04_4: (DIFFERENCES,),
}


def said(capsys, check, answer):
    check(answer, *CHECKS[check])
    return capsys.readouterr().out


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("answer", [..., None])
def test_no_answer_yet(capsys, check, answer):
    assert said(capsys, check, answer).startswith("Not yet")


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(
    "answer", [True, "half", (1, 2, 3), {}, lambda: 1, lambda *_: 1 / 0, torch.zeros(2), len]
)
def test_nothing_raises_and_nothing_odd_is_right(capsys, check, answer):
    words = said(capsys, check, answer)
    assert words
    assert "Right" not in words


def test_the_threshold_that_fits_the_disc_is_right(capsys):
    assert "Right" in said(capsys, check_04_1, 0.6)


@pytest.mark.parametrize(
    ("answer", "word"),
    [(0.3, "higher"), (0.5, "higher"), (0.8, "lower"), (0.55, "one of"), (60, "one of")],
)
def test_another_threshold_is_told_which_way_to_go(capsys, answer, word):
    words = said(capsys, check_04_1, answer)
    assert word in words
    assert "Right" not in words


def test_flat_maps_do_not_trip_the_threshold(capsys):
    check_04_1(0.5, torch.zeros(3, 7, 7), MASKS)
    assert "Right" in capsys.readouterr().out


def test_the_grown_mask_is_right(capsys):
    assert "Right: " in said(capsys, check_04_2, pointing_with_margin)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (lambda m, a, margin: pointing_with_margin(m, a, 0), "margin 2"),
        (lambda m, a, margin: pointing_with_margin(m, a, margin + 1), "margin 4"),
        (lambda m, a, margin: pointing_with_margin(m, a, margin).mean(), "one value for each"),
        (lambda m, a, margin: ..., "Not yet"),
        (lambda m, a, margin: torch.zeros(4), "is a hit"),
        (lambda m, a, margin: pointing_with_margin(F.pad(m, (0, 0)), a, margin)[:, None], "got"),
        (same_size_only, "not yet for a 4x4"),
    ],
)
def test_a_wrong_margin_is_named(capsys, wrong, word):
    words = said(capsys, check_04_2, wrong)
    assert word in words
    assert "Right: " not in words


@pytest.mark.parametrize("answer", [cam(1), cam(1).relu(), cam(1)[:, None]])
def test_the_second_best_class_is_right_with_or_without_relu(capsys, answer):
    assert said(capsys, check_04_3, answer) == "Right.\n"


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (cam(0), "best class"),
        (cam(0).relu(), "best class"),
        (cam(2), "third"),
        (cam(9), "least"),
        (cam(1)[0], "shape"),
        (cam(1) * 2, "values"),
    ],
)
def test_another_class_is_named(capsys, answer, word):
    words = said(capsys, check_04_3, answer)
    assert word in words
    assert "Right" not in words


def test_the_interval_over_animals_is_right_whatever_the_seed(capsys):
    animals = DIFFERENCES.view(15, 5).mean(1)
    assert "Right" in said(capsys, check_04_4, bootstrap(animals))
    assert "Right" in said(capsys, check_04_4, torch.tensor(bootstrap(animals)))


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (bootstrap(DIFFERENCES), "one by one"),
        (bootstrap(DIFFERENCES.view(15, 5).mean(1))[::-1], "comes first"),
        ((0.8, 0.9), "outside"),
        (bootstrap(DIFFERENCES.view(15, 5).mean(1), (0.25, 0.75)), "too narrow"),
        (bootstrap(DIFFERENCES.view(15, 5).mean(1), size=1), "too wide"),
        (3.0, "two numbers"),
        ((1, 2, 3), "two numbers"),
    ],
)
def test_another_interval_is_told_why(capsys, answer, word):
    words = said(capsys, check_04_4, answer)
    assert word in words
    assert "Right" not in words


def test_equal_maps_have_an_interval_of_no_width(capsys):
    check_04_4((0.0, 0.0), torch.zeros(75))
    assert "Right" in capsys.readouterr().out
