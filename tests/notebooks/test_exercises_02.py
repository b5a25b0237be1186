"""The checks of notebook 02: right answers and common mistakes."""

import pytest
import torch

from camutils import grad_cam, load_classifier, normalize_map
from course.checks import (
    check_02_1,
    check_02_2,
    check_02_3,
    check_02_4,
    check_02_5,
    check_02_6,
)


@pytest.fixture(scope="module")
def given(elephants):
    """Classifier and input, as the notebook passes them."""
    classifier = load_classifier("efficientnet_lite0")
    return classifier, classifier.preprocess(elephants)[None]


@pytest.fixture(scope="module")
def case(given):
    """Activation and gradient of the top logit, (C, h, w) each, made the long way."""
    classifier, x = given
    activation = classifier.model.features(x).detach().requires_grad_()
    logit = classifier.model.classifier(classifier.model.pooling(activation)).max()
    (gradient,) = torch.autograd.grad(logit, activation)
    return activation.detach()[0], gradient[0]


def test_one_cells_share(said):
    cam = torch.tensor([[1.0, 2.0, -3.0], [0.5, 9.0, 1.5]])
    for answer, words in [
        (1.5, "Right"),
        (9 / 6 + 0.001, "Right"),
        (9, "the cell itself"),
        (-1.5, "positive number"),
        (9 / 11, "share of the map"),
        (0.3, "Not that number"),
    ]:
        assert words in said(check_02_3, answer, cam)


def test_second_best(given, said):
    classifier, x = given
    first, second = grad_cam(classifier.model, "features", x, [386, 101]).maps[0]
    for answer, words in [
        (second, "Right."),
        (first, "best class"),
        (normalize_map(second), "normalised"),
        (second[None], "Expected shape"),
        (second.tolist(), "Expected a tensor"),
        (torch.ones(7, 7), "values are not"),
    ]:
        assert words in said(check_02_2, answer, *given)


def test_counterfactual(given, case, said):
    activation, gradient = case
    signed = (gradient.mean((1, 2), keepdim=True) * activation).sum(0)
    for answer, words in [
        ((-signed).relu(), "Right."),
        (signed.relu(), "not been negated"),
        (-signed, "ReLU is missing"),
        (signed, "plain weighted sum"),
        (normalize_map((-signed).relu()), "normalised"),
    ]:
        assert words in said(check_02_1, answer, *given)


def test_grad_cam_plus_plus(given, case, said):
    activation, gradient = (tensor.double() for tensor in case)
    total = activation.sum((1, 2), keepdim=True)
    share = (gradient**2 / (2 * gradient**2 + gradient**3 * total)).nan_to_num(0, 0, 0)
    right = ((share * gradient.relu()).sum((1, 2), keepdim=True) * activation).sum(0).relu()
    unclipped = ((share * gradient).sum((1, 2), keepdim=True) * activation).sum(0).relu()
    plain = (gradient.mean((1, 2), keepdim=True) * activation).sum(0).relu()
    for answer, words in [
        (right, "Right."),
        (plain, "That is Grad-CAM"),
        (unclipped, "inside the sum"),
        (normalize_map(right), "normalised"),
        (2 * right, "values are not"),
    ]:
        assert words in said(check_02_4, answer, *given)


def test_the_reader_may_have_switched_gradients_off(given, case, said):
    activation, gradient = case
    signed = (gradient.mean((1, 2), keepdim=True) * activation).sum(0)
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            classifier, x = given
            assert said(check_02_1, (-signed).relu(), classifier, x.clone()) == "Right."


def test_a_network_in_train_mode_is_named_as_the_cause(given, case, capsys):
    classifier, x = given
    classifier.model.train()
    try:
        check_02_1(case[0][0], classifier, x)
    finally:
        classifier.model.eval()
    assert "train mode" in capsys.readouterr().out


def test_what_a_difference_says(said):
    for answer, words in [
        ("ad", "Right:"),
        ("D, A", "Right:"),
        ("abd", "Not b:"),
        ("acd", "Not c:"),
        ("a", "add up to"),
        ("d", "blue cell"),
        ("ae", "letters from a to d"),
    ]:
        assert words in said(check_02_5, answer)


def test_two_scales(said):
    for answer, words in [
        ("bc", "Right:"),
        ("C, B", "Right:"),
        ("abc", "Not a:"),
        ("bcd", "Not d:"),
        ("c", "hottest cell"),
        ("b", "order of the cells"),
        ("be", "letters from a to d"),
    ]:
        assert words in said(check_02_6, answer)
