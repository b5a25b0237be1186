"""Notebook 06."""

import numpy as np
import torch

from . import Exercise

AGAINST = torch.zeros(7, 7)
AGAINST[2, 3] = 0.09
EMPTY = np.zeros((288, 512), bool)
TOUCHED = EMPTY.copy()
TOUCHED[100, 230] = True  # In row 2 and column 3.


def laid_out(patches, rows, columns):
    return patches.transpose(1, 2).unflatten(2, (rows, columns))


def as_grid(tokens, rows, columns):
    return laid_out(tokens[:, -rows * columns :], rows, columns)


def gradient_at(model, layer, x, c, copies=True):
    kept = []

    def keep(module, inputs, output):
        kept.append(output.detach().clone().requires_grad_() if copies else output)
        return kept[0].clone() if copies else output

    model.get_submodule(layer).register_forward_hook(keep)
    return torch.autograd.grad(model(x)[0, c], kept[0])[0]


def with_a_backward_hook(model, layer, x, c):
    caught = []
    module = model.get_submodule(layer)
    module.register_full_backward_hook(lambda m, g_in, g_out: caught.append(g_out[0]))
    model(x)[0, c].backward()
    return caught[0]


def on_one_scale(maps):
    return maps / maps.max() if maps.any() else maps


def heat_map(front, back, x, c, mode=(False, False)):
    front.train(mode[0])
    back.train(mode[1])
    leaf = front(x).detach().requires_grad_()
    gradient = torch.autograd.grad(back(leaf)[0, c], leaf)[0]
    return (gradient.mean((2, 3), keepdim=True) * leaf).sum(1).relu()[0].detach()


EXERCISES = {
    "check_06_1": Exercise(
        (2, 3, 1),
        (AGAINST, TOUCHED),
        mistakes=[(2, 3, 0), (3, 2, 1), (3, 4, 1), (0, 0, 1), (2, 3, 2)],
    ),
    "check_06_2": Exercise(
        as_grid,
        mistakes=[
            lambda t, h, w: t[:, -h * w :].reshape(len(t), -1, h, w),
            lambda t, h, w: as_grid(t, w, h).transpose(2, 3),
            lambda t, h, w: laid_out(t[:, 1 : 1 + h * w], h, w),
            lambda t, h, w: laid_out(t[:, : h * w], h, w),
            lambda t, h, w: laid_out(t[:, 1:], h, w),
            lambda t, h, w: t,
        ],
    ),
    "check_06_3": Exercise(
        gradient_at,
        mistakes=[
            with_a_backward_hook,
            lambda model, layer, x, c: gradient_at(model, layer, x, c, copies=False),
            lambda model, layer, x, c: gradient_at(model, layer, x, c)[0],
            lambda model, layer, x, c: -gradient_at(model, layer, x, c),
        ],
    ),
    "check_06_4": Exercise(
        on_one_scale,
        mistakes=[
            lambda maps: (
                (maps - maps.amin((1, 2), True))
                / (maps.amax((1, 2), True) - maps.amin((1, 2), True))
            ),
            lambda maps: maps / maps.amax((1, 2), True).clamp(min=1e-9),
            lambda maps: (maps - maps.min()) / (maps.max() - maps.min()).clamp(min=1e-9),
            lambda maps: maps,
        ],
    ),
    "check_06_5": Exercise(
        heat_map,
        mistakes=[
            lambda front, back, x, c: heat_map(front, back, x, c, (True, False)),
            lambda front, back, x, c: heat_map(front, back, x, c)[None],
        ],
        also=[lambda front, back, x, c: heat_map(front, back, x, c, (False, True))],
    ),
    "check_06_6": Exercise((7, 1, 8), mistakes=[(1, 7, 8), (7, 1, 3), (7, 2, 3), (7, 1, 13)]),
    "recall_06": Exercise("cab", mistakes=["aab", "bab", "cbb", "ccb", "caa", "cac"]),
}
