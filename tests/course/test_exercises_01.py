"""The checks of notebook 01's exercises: right answers, typical wrong ones, none yet."""

import pytest
import torch
from torch import nn

from camutils import class_activation_map
from camutils.course.exercises import check_01_1, check_01_2, check_01_3, check_01_4


def said(capsys, check, answer):
    check(answer)
    return capsys.readouterr().out.lower()


CHECKS = [check_01_1, check_01_2, check_01_3, check_01_4]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("answer", [..., None])
def test_no_answer_yet(capsys, check, answer):
    assert said(capsys, check, answer).startswith("not yet")


@pytest.mark.parametrize("check", CHECKS[1:])
def test_a_function_without_an_answer_yet(capsys, check):
    assert said(capsys, check, lambda *_: ...).startswith("not yet")
    assert said(capsys, check, lambda *_: ...).count("\n") == 1


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(
    "answer", [3, "seven", (1, 2), lambda: 1, lambda *_: 1 / 0, torch.zeros(2)]
)
def test_nothing_raises_and_nothing_odd_is_right(capsys, check, answer):
    words = said(capsys, check, answer)
    assert words
    assert "right:" not in words
    assert "right." not in words


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((10, 10, 2052), "right:"),
        ([10, 10, 2052], "right:"),
        ((7, 7, 2052), "7x7"),
        ((20, 20, 2052), "height and width"),
        ((10, 10, 2048), "not only weights"),
        ((10, 10, 204804), "parameters are not"),
    ],
)
def test_another_size_of_picture(capsys, answer, words):
    assert words in said(capsys, check_01_1, answer)


def cam(features, weight, c):
    return (weight[c] @ features.flatten(1)).reshape(features.shape[1:])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (cam, "right."),
        (lambda f, w, c: class_activation_map(f[None], w, c)[0, 0], "right."),
        (lambda f, w, c: nn.Parameter(cam(f, w, c)), "right."),
        (lambda f, w, c: cam(f, w, c).relu(), "sign"),
        (lambda f, w, c: cam(f, w, c) / 12, "places"),
        (lambda f, w, c: cam(f, w, c)[None], "expected shape (3, 4)"),
        (lambda f, w, c: w[c] @ f.flatten(1), "expected shape"),
        (lambda f, w, c: cam(f, w, c + 1), "another class"),
        (lambda f, w, c: f.mean(0), "mean of the maps"),
        (lambda f, w, c: cam(f, w, c).numpy(), "tensor"),
        (lambda f, w, c: w[c] @ f, "stopped with"),
        (lambda f, w, c: 2 * cam(f, w, c), "not yet right"),
    ],
)
def test_a_cam_without_einsum(capsys, answer, words):
    assert words in said(capsys, check_01_2, answer)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda m, r, c: m[r, c] / m.numel(), "right:"),
        (lambda m, r, c: (m[r, c] / m.numel()).item(), "right:"),
        (lambda m, r, c: m[r, c], "cell itself"),
        (lambda m, r, c: -m[r, c] / m.numel(), "sign"),
        (lambda m, r, c: m[r, c] / 49, "another size"),
        (lambda m, r, c: m[c, r] / m.numel(), "stopped with"),
        (lambda m, r, c: m.mean(), "not right"),
        (lambda m, r, c: m / m.numel(), "one number"),
        (lambda m, r, c: m[1, 4] / m.numel(), "not right"),
    ],
)
def test_what_one_cell_is_worth(capsys, answer, words):
    assert words in said(capsys, check_01_3, answer)


def linear(convolution, transform=lambda weight: weight.flatten(1), bias=True):
    weight = transform(convolution.weight.detach())
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias)
    made.weight = nn.Parameter(weight)
    if bias:
        made.bias = convolution.bias
    return made


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (linear, "right."),
        (lambda c: linear(c, bias=False), "bias is missing"),
        (lambda c: linear(c, lambda w: w.permute(0, 2, 3, 1).flatten(1)), "not yet right"),
        (lambda c: linear(c, lambda w: w.flatten(1).T), "expected a weight of shape (4, 75)"),
        (lambda c: c, "expected an nn.linear"),
        (lambda c: nn.Linear(75, 4).requires_grad_(False), "not yet right"),
    ],
)
def test_the_way_back_to_a_linear_layer(capsys, answer, words):
    torch.manual_seed(0)
    assert words in said(capsys, check_01_4, answer)


def test_a_copied_weight_with_another_bias_is_told(capsys):
    def answer(convolution):
        made = nn.Linear(75, 4)
        made.weight.data = convolution.weight.detach().flatten(1)
        return made

    assert "bias is another one" in said(capsys, check_01_4, answer)


def test_the_checks_leave_the_random_state():
    state = torch.get_rng_state()
    check_01_2(cam)
    check_01_3(lambda m, r, c: 0)
    check_01_4(lambda c: nn.utils.skip_init(nn.Linear, 75, 4))
    assert torch.equal(torch.get_rng_state(), state)
