"""Notebook 02."""

import torch

from camutils import grad_cam, normalize_map

from . import CLASSIFIER, Exercise, X

model = CLASSIFIER.model
A = model[:2](X).detach().requires_grad_()
GRADIENT = torch.autograd.grad(model[2:](A).max(), A)[0][0]
A = A.detach()[0]
SIGNED = (GRADIENT.mean((1, 2), keepdim=True) * A).sum(0)
SHARE = GRADIENT**2 / (2 * GRADIENT**2 + GRADIENT**3 * A.sum((1, 2), keepdim=True))


def plus_plus(gradient):
    return ((SHARE * gradient).sum((1, 2), keepdim=True) * A).sum(0).relu()


BEST = model(X)[0].topk(2).indices.tolist()
FIRST, SECOND = grad_cam(model, "1", X, BEST).maps[0]
RIGHT_2_1, RIGHT_2_4 = (-SIGNED).relu(), plus_plus(GRADIENT.relu())
CAM = torch.tensor([[1.0, 2.0, -3.0], [0.5, 9.0, 1.5]])

EXERCISES = {
    "check_02_1": Exercise(
        RIGHT_2_1,
        (CLASSIFIER, X),
        mistakes=[SIGNED.relu(), -SIGNED, SIGNED, normalize_map(RIGHT_2_1), 2 * RIGHT_2_1],
    ),
    "check_02_2": Exercise(
        SECOND, (CLASSIFIER, X), mistakes=[FIRST, normalize_map(SECOND), 2 * SECOND]
    ),
    "check_02_3": Exercise(1.5, (CAM,), mistakes=[9, -1.5, 9 / 11, 0.3]),
    "check_02_4": Exercise(
        RIGHT_2_4,
        (CLASSIFIER, X),
        mistakes=[SIGNED.relu(), plus_plus(GRADIENT), normalize_map(RIGHT_2_4), 2 * RIGHT_2_4],
    ),
    "check_02_5": Exercise("ad", mistakes=["abd", "acd", "a", "d"]),
    "check_02_6": Exercise("bc", mistakes=["abc", "bcd", "b", "c"]),
}
