"""Checks of notebook 04: how good is a map?"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from camutils import class_activation_map

from .answers import call, checker, compare_tensor, read_number, read_numbers, read_tensor


@checker
def check_04_1(answer: Any, maps: Tensor, masks: Tensor) -> str:
    """Exercise 1: the threshold at which maps (N, h, w) and masks (N, H, W) agree best."""
    answer = read_number(answer)
    thresholds = [tenth / 10 for tenth in range(1, 10)]
    near = [i for i, threshold in enumerate(thresholds) if abs(answer - threshold) < 1e-6]
    if not near:
        return "Expected one of 0.1, 0.2, ... 0.9."
    means = [_mean_iou(maps, masks, threshold) for threshold in thresholds]
    best = max(means)
    if means[near[0]] >= best - 0.002:  # So near the best that rounding may decide.
        return "Right: neither a lower nor a higher threshold agrees better with the masks."
    if near[0] < means.index(best):
        return "Not yet: the region is still too large; a higher threshold agrees better."
    return "Not yet: too little of the animal is left; a lower threshold agrees better."


@checker
def check_04_2(pointing_with_margin: Any) -> str:
    """Exercise 2: `pointing_with_margin(maps (N, h, w), masks (N, H, W), margin)`, 0 or 1 each."""
    # One mask, four peaks: so many pixels is each of them off the animal.
    offsets = (0, 2, 4, 5)
    masks = torch.zeros(4, 16, 16, dtype=torch.bool)
    masks[:, 4:8, 4:8] = True
    maps = torch.zeros(4, 16, 16)
    maps[range(4), [5, 5, 5, 12], [5, 9, 11, 5]] = 1
    for margin in offsets:
        hits = read_tensor(call(pointing_with_margin, maps, masks, margin))
        if hits.shape != (4,):
            return f"Expected one value for each of 4 scenes, shape (4,), got {tuple(hits.shape)}."
        for offset, hit in zip(offsets, hits.tolist(), strict=True):
            if hit != (offset <= margin):
                verdict = "a hit" if offset <= margin else "no hit"
                return (
                    f"Not yet: with margin {margin}, a peak {offset} pixels off the animal is "
                    f"{verdict} (1 or 0); got {hit:g}."
                )
    coarse = F.max_pool2d(maps[:1], 4)
    hits = read_tensor(call(pointing_with_margin, coarse, masks[:1], 1))
    if hits.tolist() != [1]:
        return "Right for maps as fine as the mask; not yet for a 4x4 map and a 16x16 mask."
    return "Right: margin 0 is the old game, and a larger margin never loses a hit."


@checker
def check_04_3(answer: Any, features: Tensor, weight: Tensor, logits: Tensor) -> str:
    """Exercise 3: CAM of each scene's second-best class, (N, h, w), with or without a ReLU."""
    answer = read_tensor(answer)
    if answer.ndim == 4 and answer.shape[1] == 1:
        answer = answer[:, 0]
    order = logits.argsort(dim=1, descending=True)
    maps = class_activation_map(features, weight, order[:, [0, 1, 2, -1]])
    if (answer >= 0).all():
        maps = maps.relu()
    first, second, third, last = maps.unbind(1)
    mistakes = [
        (first, "These are the maps of the best class."),
        (third, "These are the maps of the third-best class."),
        (last, "These are the maps of the least likely class: in which order did you sort?"),
    ]
    return compare_tensor(answer, second, mistakes)


@checker
def check_04_4(answer: Any, differences: Tensor) -> str:
    """Exercise 4: a 95 % bootstrap interval of the mean, drawing animals of five scenes each."""
    low, high = read_numbers(answer, "lower end", "upper end")
    mean = differences.mean().item()
    half = _half_interval(differences.reshape(-1, 5).mean(1))
    half_of_scenes = _half_interval(differences)
    off = max(abs(low - (mean - half)), abs(high - (mean + half)))
    if low > high:
        return "Not yet: the lower end comes first."
    if not low - 1e-6 <= mean <= high + 1e-6:
        return "Not yet: the mean of the differences lies outside your interval."
    if off <= 0.2 * half + 1e-6:
        return "Right: whole animals were drawn, and the interval is as wide as it must be."
    if abs((high - low) / 2 - half_of_scenes) <= 0.1 * half_of_scenes:
        return "Not yet: so narrow an interval comes from drawing scenes one by one; draw animals."
    if high - low > 2 * half:
        return "Not yet: too wide. Is each draw the mean of as many animals as there are?"
    return "Not yet: too narrow. Do the ends leave 2.5 % of the draws on each side?"


def _mean_iou(maps: Tensor, masks: Tensor, threshold: float) -> float:
    fine = F.interpolate(maps[:, None], size=masks.shape[-2:], mode="bilinear")[:, 0]
    hot = (fine >= threshold * fine.amax((1, 2), keepdim=True)) & (fine > 0)
    both, either = (hot & masks).sum((1, 2)), (hot | masks).sum((1, 2))
    return (both / either.clamp_min(1)).mean().item()


def _half_interval(values: Tensor) -> float:
    """Half the width of the normal 95 % interval that a bootstrap of these values comes to."""
    return 1.96 * values.std(correction=0).item() / len(values) ** 0.5
