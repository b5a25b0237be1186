"""Notebook 01."""

from torch import nn

from camutils import class_activation_map, normalize_map

from . import Exercise


def my_cam(features, weight, c):
    return (weight[c] @ features.flatten(1)).reshape(features.shape[1:])


def fall_of_the_logit(cam, row, column):
    return cam[row, column] / cam.numel()


def as_linear(convolution, transform=lambda kernels: kernels.flatten(1), bias=True):
    weight = transform(convolution.weight.detach())
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias)
    linear.weight = nn.Parameter(weight)
    if bias:
        linear.bias = convolution.bias
    return linear


def with_another_bias(convolution):
    linear = as_linear(convolution)
    linear.bias = nn.Parameter(linear.bias + 1)
    return linear


EXERCISES = {
    "check_01_1": Exercise((10, 10, 2052), mistakes=[(7, 7, 2052), (10, 10, 2048), (20, 20, 2052)]),
    "check_01_2": Exercise(
        my_cam,
        also=[
            lambda f, w, c: class_activation_map(f[None], w, c)[0, 0],
            lambda f, w, c: nn.Parameter(my_cam(f, w, c)),
        ],
        mistakes=[
            lambda f, w, c: my_cam(f, w, c).relu(),
            lambda f, w, c: my_cam(f, w, c) / f[0].numel(),
            lambda f, w, c: normalize_map(my_cam(f, w, c)),
            lambda f, w, c: my_cam(f, w, (c + 1) % len(w)),
            lambda f, w, c: f.sum(0),
            lambda f, w, c: f.mean(0),
            lambda f, w, c: my_cam(f, w, c).numpy(),
            lambda f, w, c: my_cam(f, w, c).flatten(),
            lambda f, w, c: 2 * my_cam(f, w, c),
        ],
    ),
    "check_01_3": Exercise(
        fall_of_the_logit,
        also=[lambda m, r, c: fall_of_the_logit(m, r, c).item()],
        mistakes=[
            lambda m, r, c: m[r, c],
            lambda m, r, c: -fall_of_the_logit(m, r, c),
            lambda m, r, c: m[r, c] / 49,
            lambda m, r, c: m / m.numel(),
            lambda m, r, c: fall_of_the_logit(m, c, r),
            lambda m, r, c: m.mean(),
        ],
    ),
    "check_01_4": Exercise(6, mistakes=[9, 5, 7, 50]),
    "check_01_5": Exercise("bd", mistakes=["abd", "bcd", "b", "d"]),
    "check_01_6": Exercise(
        as_linear,
        also=[lambda c: as_linear(c).half()],
        mistakes=[
            lambda c: as_linear(c, bias=False),
            lambda c: as_linear(c, lambda kernels: kernels.flatten(1).T),
            lambda c: c,
            with_another_bias,
        ],
    ),
}
