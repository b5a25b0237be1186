"""Notebook 02."""

import torch

from camutils import normalize_map

from . import CLASSIFIER, Exercise, X

model = CLASSIFIER.model
A = model[:2](X).detach().requires_grad_()
GRADIENT = torch.autograd.grad(model[2:](A).max(), A)[0][0]
A = A.detach()[0]


def signed(gradient, activation):
    return (gradient.mean((1, 2), keepdim=True) * activation).sum(0)


def relu_first(gradient, activation):
    return signed(gradient.relu(), activation)


def layer_cam(gradient, activation):
    return (gradient.relu() * activation).sum(0)


def plus_plus(gradient, activation, clip=torch.relu):
    below = 2 * gradient**2 + gradient**3 * activation.sum((1, 2), keepdim=True)
    share = torch.where(below == 0, 0, gradient**2 / torch.where(below == 0, 1, below))
    return ((share * clip(gradient)).sum((1, 2), keepdim=True) * activation).sum(0).relu()


RIGHT_2_1 = relu_first(GRADIENT, A)

EXERCISES = {
    "check_02_1": Exercise(
        RIGHT_2_1,
        (CLASSIFIER, X),
        mistakes=[
            signed(GRADIENT, A).relu(),
            signed(GRADIENT, A),
            layer_cam(GRADIENT, A) * 1.5,
            normalize_map(RIGHT_2_1),
        ],
    ),
    "check_02_2": Exercise(
        layer_cam,
        mistakes=[
            lambda gradient, activation: (gradient * activation).sum(0),
            relu_first,
            lambda gradient, activation: gradient.relu() * activation,
            lambda gradient, activation: ... * activation,
            lambda gradient, activation: 2 * layer_cam(gradient, activation),
        ],
    ),
    "check_02_3": Exercise(
        plus_plus,
        mistakes=[
            lambda gradient, activation: signed(gradient, activation).relu(),
            lambda gradient, activation: plus_plus(gradient, activation, clip=lambda g: g),
            relu_first,
            lambda gradient, activation: 2 * plus_plus(gradient, activation),
        ],
    ),
    "check_02_4": Exercise("ac", mistakes=["abc", "acd", "a", "c"]),
    "recall_02": Exercise("bca", mistakes=["aca", "cca", "baa", "bba", "bcb", "bcc"]),
}
