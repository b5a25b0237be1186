"""The checks of notebook 01: right answers and common mistakes."""

import pytest
from torch import nn

from camutils import class_activation_map
from course.checks import (
    check_01_1,
    check_01_2,
    check_01_3,
    check_01_4,
    check_01_5,
    check_01_6,
)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((10, 10, 2052), "Right:"),
        ((7, 7, 2052), "7x7"),
        ((20, 20, 2052), "height and width"),
        ((10, 10, 2048), "not only weights"),
        ((10, 10, 204804), "parameters are not"),
        ((10.9, 10.2, 2052), "whole numbers: (height, width, parameters)"),
    ],
)
def test_another_size_of_picture(answer, words, said):
    assert words in said(check_01_1, answer)


def cam(features, weight, c):
    return (weight[c] @ features.flatten(1)).reshape(features.shape[1:])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (cam, "Right."),
        (lambda f, w, c: class_activation_map(f[None], w, c)[0, 0], "Right."),
        (lambda f, w, c: nn.Parameter(cam(f, w, c)), "Right."),
        (lambda f, w, c: cam(f, w, c).relu(), "keeps its sign"),
        (lambda f, w, c: cam(f, w, c) / 12, "number of cells"),
        (lambda f, w, c: cam(f, w, c)[None], "Expected shape (3, 4)"),
        (lambda f, w, c: w[c] @ f.flatten(1), "Expected shape"),
        (lambda f, w, c: cam(f, w, c + 1), "another class"),
        (lambda f, w, c: f.sum(0), "sum of the maps"),
        (lambda f, w, c: f.mean(0), "mean of the maps"),
        (lambda f, w, c: cam(f, w, c).numpy(), "Expected a tensor"),
        (lambda f, w, c: 2 * cam(f, w, c), "values are not"),
    ],
)
def test_a_cam_without_einsum(answer, words, said):
    assert words in said(check_01_2, answer)


def fall(cam, row, column):
    return cam[row, column] / cam.numel()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (fall, "Right:"),
        (lambda m, r, c: fall(m, r, c).item(), "Right:"),
        (lambda m, r, c: m[r, c], "cell itself"),
        (lambda m, r, c: -fall(m, r, c), "sign"),
        (lambda m, r, c: m[r, c] / 49, "another size"),
        (lambda m, r, c: m.mean(), "Not right"),
        (lambda m, r, c: fall(m, 1, 4), "Not right"),
        (lambda m, r, c: m / m.numel(), "Expected one number"),
        (lambda m, r, c: fall(m, c, r), "IndexError"),
    ],
)
def test_what_one_cell_is_worth(answer, words, said):
    assert words in said(check_01_3, answer)


def linear(convolution, transform=lambda weight: weight.flatten(1), bias=True):
    weight = transform(convolution.weight.detach())
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias)
    made.weight = nn.Parameter(weight)
    if bias:
        made.bias = convolution.bias
    return made


def with_another_bias(convolution):
    made = linear(convolution)
    made.bias = nn.Parameter(made.bias + 1)
    return made


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (linear, "Right."),
        (lambda c: linear(c).half(), "Right."),
        (lambda c: linear(c, bias=False), "bias is missing"),
        (with_another_bias, "bias is another one"),
        (lambda c: linear(c, lambda w: w.permute(0, 2, 3, 1).flatten(1)), "values are not"),
        (lambda c: nn.Linear(75, 4), "values are not"),
        (lambda c: linear(c, lambda w: w.flatten(1).T), "Its weight has shape (75, 4)"),
        (lambda c: nn.LazyLinear(4), "values can be read"),
        (lambda c: c, "Expected an nn.Linear"),
    ],
)
def test_the_way_back_to_a_linear_layer(answer, words, said):
    assert words in said(check_01_6, answer)


def test_functions_may_spoil_their_arguments(said, rude):
    for check, function in [(check_01_2, cam), (check_01_3, fall), (check_01_6, linear)]:
        assert said(check, rude(function)).startswith("Right")


def test_the_solution_is_not_told(said):
    assert "75" not in said(check_01_6, lambda convolution: nn.Linear(1, 1))
    assert "2052" not in said(check_01_1, (10, 10, 1))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (6, "Right."),
        (9, "half of the positive evidence"),
        (5, "still above one half"),
        (7, "already with fewer"),
        (6.5, "whole number of cells"),
        (50, "from 0 to 49"),
        (..., "Not yet: put your answer"),
    ],
)
def test_half_as_sure(answer, words, said):
    assert words in said(check_01_4, answer)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("bd", "Right:"),
        ("d, b", "Right:"),
        ({"b", "d"}, "Right:"),
        ("abd", "Not a:"),
        ("bcd", "Not c:"),
        ("b", "how much of the picture"),
        ("d", "a share of"),
        ("be", "letters from a to d"),
        ("", "letters from a to d"),
        (3, "letters from a to d"),
        (..., "Not yet: put your answer"),
    ],
)
def test_what_may_be_concluded(answer, words, said):
    assert words in said(check_01_5, answer)
