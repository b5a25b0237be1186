"""The check cells of notebook 02: right answers, typical wrong ones, none yet."""

import pytest
import torch

from camutils import grad_cam, load_classifier, normalize_map
from camutils.course import exercises


@pytest.fixture(scope="module")
def case(elephants):
    """Classifier, input, activation and gradient of the top logit, made the long way."""
    classifier = load_classifier("efficientnet_lite0")
    x = classifier.preprocess(elephants)[None]
    activation = classifier.model.features(x).detach().requires_grad_()
    logit = classifier.model.classifier(classifier.model.pooling(activation)).max()
    (gradient,) = torch.autograd.grad(logit, activation)
    return classifier, x, activation.detach(), gradient


@pytest.mark.parametrize("number", [2, 3, 4])
@pytest.mark.parametrize("answer", [..., None])
def test_not_yet(number, answer, case, capsys):
    getattr(exercises, f"check_02_{number}")(answer, *case[:2])
    assert "not yet" in capsys.readouterr().out.lower()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (..., "Not yet"),
        ((8, 2), "Right"),
        ((2, 8), "order"),
        ((9, 3), "Not that cell"),
        (5, "two whole numbers"),
    ],
)
def test_find_the_cell(answer, said, capsys):
    exercises.check_02_1(answer)
    assert said in capsys.readouterr().out


def test_second_best(case, capsys):
    classifier, x, *_ = case
    first, second = grad_cam(classifier.model, "features", x, [386, 101]).maps[0]
    for answer, said in [
        (second, "Right"),
        (first, "best class"),
        (normalize_map(second), "normalised"),
        (second[None], "shape"),
        (second.tolist(), "tensor"),
        (torch.rand(7, 7), "Not yet right"),
    ]:
        exercises.check_02_2(answer, classifier, x)
        assert said in capsys.readouterr().out


def test_counterfactual(case, capsys):
    classifier, x, activation, gradient = case
    signed = (gradient.mean((2, 3), keepdim=True) * activation).sum(1)[0]
    for answer, said in [
        ((-signed).relu(), "Right"),
        (signed.relu(), "not been negated"),
        (-signed, "ReLU is missing"),
        (signed, "plain weighted sum"),
    ]:
        exercises.check_02_3(answer, classifier, x)
        assert said in capsys.readouterr().out


def test_grad_cam_plus_plus(case, capsys):
    classifier, x, activation, gradient = case
    g, total = gradient.double(), activation.double().sum((2, 3), keepdim=True)
    share = (g**2 / (2 * g**2 + g**3 * total)).nan_to_num(0, 0, 0)
    right = ((share * g.relu()).sum((2, 3), keepdim=True) * activation).sum(1)[0].relu()
    plain = (gradient.mean((2, 3), keepdim=True) * activation).sum(1)[0].relu()
    for answer, said in [(right, "Right"), (plain, "That is Grad-CAM"), (right * 2, "Not yet")]:
        exercises.check_02_4(answer, classifier, x)
        assert said in capsys.readouterr().out
