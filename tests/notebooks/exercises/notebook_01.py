"""Notebook 01."""

import torch
from torch import nn

from . import Exercise


def logit_without(cam, bias, mask):
    return (cam * (1 - mask)).mean() + bias


def class_maps(maps, linear):
    return nn.functional.conv2d(maps, linear.weight[:, :, None, None], linear.bias)


def as_convolution(maps, linear):
    convolution = nn.Conv2d(linear.in_features, linear.out_features, 1)
    convolution.weight = nn.Parameter(linear.weight[:, :, None, None])
    convolution.bias = nn.Parameter(linear.bias)
    return convolution(maps)


EXERCISES = {
    "check_01_1": Exercise(
        logit_without,
        also=[
            lambda cam, bias, mask: logit_without(cam, bias, mask).item(),
            lambda cam, bias, mask: bias + cam[mask == 0].sum() / mask.numel(),
        ],
        mistakes=[
            lambda cam, bias, mask: (cam * (1 - mask)).mean(),
            lambda cam, bias, mask: cam[mask == 0].mean() + bias,
            lambda cam, bias, mask: (cam * (1 - mask)).sum() + bias,
            lambda cam, bias, mask: (cam * mask).mean() + bias,
            lambda cam, bias, mask: cam * (1 - mask) + bias,
            lambda cam, bias, mask: cam.mean() + bias,
        ],
    ),
    "check_01_2": Exercise(6, mistakes=[9, 5, 7, 50]),
    "check_01_3": Exercise("bd", mistakes=["abd", "bcd", "b", "d"]),
    "check_01_4": Exercise(
        class_maps,
        also=[
            as_convolution,
            lambda maps, linear: linear(maps.movedim(1, -1)).movedim(-1, 1),
        ],
        mistakes=[
            lambda maps, linear: torch.einsum("ck,nkhw->nchw", linear.weight, maps),
            lambda maps, linear: class_maps(maps, linear).relu(),
            lambda maps, linear: class_maps(maps, linear).mean((2, 3)),
            lambda maps, linear: class_maps(maps.flip(2), linear),
        ],
    ),
}
