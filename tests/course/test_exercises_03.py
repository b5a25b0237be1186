"""The check cells of notebook 03, against right and typical wrong answers."""

import math

import numpy as np
import pytest
import torch

from camutils import crop_box, normalize_map
from camutils.course import exercises


def said(capsys, check, *answers):
    check(*answers)
    return capsys.readouterr().out


def summed(weights, maps):
    return torch.einsum("k,khw->hw", weights, maps)


def dense_map(activation, weight, c):
    share = (activation > 0).float().mean((1, 2))
    return summed(weight[c] * share / activation[0].numel(), activation).relu()


def share_inside(heat, box, size, parts=True):
    rows, columns = heat.shape
    total = 0.0
    for i in range(rows):
        for j in range(columns):
            wide = min(box[2], (j + 1) * size[0] / columns) - max(box[0], j * size[0] / columns)
            high = min(box[3], (i + 1) * size[1] / rows) - max(box[1], i * size[1] / rows)
            part = max(0, wide) * columns / size[0] * max(0, high) * rows / size[1]
            total += heat[i, j] * (part if parts else math.ceil(part))
    return total / heat.sum()


@pytest.mark.parametrize("number", range(1, 5))
@pytest.mark.parametrize("answer", [..., None])
def test_an_empty_answer_is_not_yet_one(capsys, number, answer):
    assert said(capsys, getattr(exercises, f"check_03_{number}"), answer).startswith("Not yet")


@pytest.mark.parametrize("number", [3, 4])
def test_a_function_without_a_body_is_not_yet_one(capsys, number):
    check = getattr(exercises, f"check_03_{number}")
    assert said(capsys, check, lambda *arguments: ...).startswith("Not yet")


@pytest.mark.parametrize("number", range(1, 5))
@pytest.mark.parametrize(
    "answer", ["words", [1, "x"], 7.5, lambda: 0, torch.ones(2), float("nan"), (1, 2, 3, math.inf)]
)
def test_nonsense_is_refused_in_words(capsys, number, answer):
    text = said(capsys, getattr(exercises, f"check_03_{number}"), answer)
    assert text.strip()
    assert "Right" not in text


def test_channels_of_densenet121(capsys):
    assert said(capsys, exercises.check_03_1, 1024) == "Right.\n"
    assert "begins" in said(capsys, exercises.check_03_1, 512)
    assert "Each of the 16" in said(capsys, exercises.check_03_1, 544)
    assert "DenseNet201" in said(capsys, exercises.check_03_1, 1920)
    assert "Not that number" in said(capsys, exercises.check_03_1, 3)


def test_box_of_one_cell(capsys):
    heat = torch.zeros(7, 7)
    heat[0, 5] = 1
    right = crop_box(heat, (700, 350), margin=0.2)
    assert "Right" in said(capsys, exercises.check_03_2, right)
    assert "margin is missing" in said(capsys, exercises.check_03_2, (500, 0, 600, 50))
    assert "beyond" in said(capsys, exercises.check_03_2, (480, -10, 620, 60))
    swapped = crop_box(heat.T, (700, 350), margin=0.2)
    assert "swapped" in said(capsys, exercises.check_03_2, swapped)
    assert "picture's" in said(capsys, exercises.check_03_2, (360, 0, 740, 120))
    assert "Not that box" in said(capsys, exercises.check_03_2, (0, 0, 1, 1))
    assert "four numbers" in said(capsys, exercises.check_03_2, (0, 0, 1))


def test_map_without_a_gradient(capsys):
    assert said(capsys, exercises.check_03_3, dense_map) == "Right.\n"


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (lambda a, w, c: summed(w[c] / a[0].numel(), a).relu(), "article"),
        (lambda a, w, c: summed(w[c] / a[0].numel(), a.relu()).relu(), "behind the ReLU"),
        (lambda a, w, c: dense_map(a, w, c) * a[0].numel(), "mean over the cells"),
        (lambda a, w, c: dense_map(a, w, c) * a[0].numel() / 49, "another size"),
        (lambda a, w, c: normalize_map(dense_map(a, w, c)), "normalised"),
        (lambda a, w, c: summed(w[c] * (a > 0).float().mean((1, 2)) / 20, a), "ReLU is missing"),
        (
            lambda a, w, c: summed(w[c] * (a > 0).float().mean((1, 2)) / 20, a.relu()).relu(),
            "spoilt",
        ),
        (lambda a, w, c: a, "shape"),
        (lambda a, w, c: dense_map(a, w, 0), "values"),
        (lambda a, w: a, "stopped with TypeError"),
    ],
)
def test_maps_that_are_not_it(capsys, wrong, word):
    text = said(capsys, exercises.check_03_3, wrong)
    assert word in text
    assert "Right." not in text


def test_share_inside_a_box(capsys):
    assert "Right" in said(capsys, exercises.check_03_4, share_inside)
    numpy_too = lambda heat, box, size: share_inside(np.asarray(heat), box, size)  # noqa: E731
    assert "Right" in said(capsys, exercises.check_03_4, numpy_too)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (lambda h, b, s: share_inside(h, b, s) * h.sum(), "share of the whole"),
        (lambda h, b, s: share_inside(h, b, s, parts=False), "in part"),
        (lambda h, b, s: share_inside(h, (b[1], b[0], b[3], b[2]), s), "swapped"),
        (lambda h, b, s: 0.0, "another share"),
        (lambda h, b, s: h, "one number"),
        (lambda h, b, s: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_shares_that_are_not_it(capsys, wrong, word):
    text = said(capsys, exercises.check_03_4, wrong)
    assert word in text
    assert "Right" not in text
