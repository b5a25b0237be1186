"""Check cells of the exercises: they say in words what is right or wrong, and never the solution.

An answer that is not there yet (`...` or None) prints "not yet" and raises nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from camutils import Classifier, class_activation_map, grad_cam, normalize_map


def _missing(answer: Any) -> bool:
    if answer is None or answer is ...:
        print("Not yet: put your answer into the cell above and run both again.")
        return True
    return False


def _compare(
    answer: Any, expected: Tensor, wrong: Sequence[tuple[Tensor, str]], right: str = "Right."
) -> None:
    """Say whether a map is the expected one, or which of the typical wrong ones it is."""
    if _missing(answer):
        return
    if not isinstance(answer, Tensor):
        print(f"Expected a tensor, got {type(answer).__name__}.")
        return
    answer = answer.detach().float()
    if answer.shape != expected.shape:
        print(f"Expected shape {tuple(expected.shape)}, got {tuple(answer.shape)}.")
    elif _close(answer, expected):
        print(right)
    else:
        words = (text for other, text in wrong if _close(answer, other))
        print(next(words, "Not yet right: the shape is, the values are not."))


def _close(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other.float(), rtol=1e-3, atol=1e-4 * float(other.abs().max()))


def _gradient(classifier: Classifier, x: Tensor) -> tuple[Tensor, Tensor]:
    """The target layer's activation and the gradient of the top logit, each (1, C, h, w)."""
    kept: list[Tensor] = []
    layer = classifier.model.get_submodule(classifier.target_layer)
    handle = layer.register_forward_hook(lambda module, args, output: kept.append(output))
    try:
        with torch.enable_grad():
            top = classifier.model(x).amax()
            (gradient,) = torch.autograd.grad(top, kept[0])
    finally:
        handle.remove()
    return kept[0].detach(), gradient


# --- 00 ---


def check_00_1(answer: Any) -> None:
    """Notebook 00, exercise 1: how many pixels of the input one cell covers."""
    _check_number(answer, 32, {
        7: "That is the number of cells; how many of the 224 pixels does one of them get?",
        1024: "That is the area of one cell; its side was asked for.",
    })  # fmt: skip


def check_00_2(answer: Any) -> None:
    """Notebook 00, exercise 2: the opacity that gives the photograph back."""
    _check_number(answer, 0, {
        1: "With that opacity only the colours are left.",
        0.4: "That is the default; it mixes photograph and colours.",
    })  # fmt: skip


def check_00_3(answer: Any, classifier: Classifier, x: Tensor) -> None:
    """Notebook 00, exercise 3: the map of the white wolf."""
    top = grad_cam(classifier.model, classifier.target_layer, x).maps[0, 0]
    wolf = grad_cam(classifier.model, classifier.target_layer, x, classes=270).maps[0, 0]
    _compare(answer, wolf, [
        (top, "That is the map of the first answer; `classes` chooses another one."),
        (normalize_map(wolf), "The right map, but normalised; it was asked for as it is."),
    ], "Right. Draw it: for want of a wolf, the evidence lies on the bear.")  # fmt: skip


def _check_number(answer: Any, expected: float, wrong: Mapping[float, str]) -> None:
    if _missing(answer):
        return
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        print(f"Expected a number, got {type(answer).__name__}.")
    elif answer == expected:
        print("Right.")
    else:
        print(wrong.get(answer, "Not that number yet."))


# --- 01 ---


def check_01_1(answer: Any) -> None:
    """Notebook 01, exercise 1: height, width and head parameters for pictures of 320x320."""
    if _missing(answer):
        return
    try:
        height, width, parameters = (int(value) for value in answer)
    except (TypeError, ValueError):
        print("Expected three whole numbers: (height, width, parameters).")
        return
    size, head = 320 // 2**5, 512 * 4 + 4
    if (height, width) == (7, 7):
        print("The map is not 7x7 any more: that belongs to pictures of 224x224.")
    elif (height, width) != (size, size):
        print("The height and width are not right. What is left of 320 after all the pools?")
    elif parameters == head - 4:
        print("The map is right. The head has some more parameters: not only weights.")
    elif parameters != head:
        print("The map is right, the parameters are not. Does the head ever see the map's size?")
    else:
        print("Right: the map grows, and the head stays as it was.")


def check_01_2(my_cam: Any) -> None:
    """Notebook 01, exercise 2: `my_cam(features (C, h, w), weight (n_classes, C), c)`."""
    features, weight = _random(5, 3, 4), _random(6, 5)
    answer = _try(my_cam, features.clone(), weight.clone(), 2)
    if answer is _FAILED:
        return
    cam = class_activation_map(features[None], weight, 2)[0, 0]
    wrong = [
        (cam.relu(), "Nearly: the negative cells are gone, but a CAM keeps its sign."),
        (cam / cam.numel(), "Nearly: that is a sum divided by the number of places; CAM is not."),
        (normalize_map(cam), "Nearly: that is scaled to [0, 1], which belongs to showing it."),
        (features.sum(0), "That is the plain sum of the maps: where do the weights come in?"),
        (features.mean(0), "That is the plain mean of the maps: where do the weights come in?"),
    ]
    wrong += [
        (class_activation_map(features[None], weight, c)[0, 0], "That is another class's map.")
        for c in (0, 1, 3, 4, 5)
    ]
    _compare(answer, cam, wrong)


def check_01_3(fall_of_the_logit: Any) -> None:
    """Notebook 01, exercise 3: `fall_of_the_logit(cam (h, w), row, column)`."""
    cam = _random(4, 6)
    for row, column in ((1, 4), (3, 0)):
        answer = _try(fall_of_the_logit, cam.clone(), row, column)
        if answer is _FAILED or _missing(answer):
            return
        try:
            answer = float(answer)
        except (TypeError, ValueError, RuntimeError):
            print(f"Expected one number, got {type(answer).__name__}.")
            return
        cell = cam[row, column].item()
        if abs(answer - cell / cam.numel()) < 1e-5:
            continue
        if abs(answer - cell) < 1e-5:
            print("That is the cell itself. The logit is not the sum of the cells.")
        elif abs(answer + cell / cam.numel()) < 1e-5:
            print("The size is right, the sign is not: a positive cell's loss lets the logit fall.")
        elif abs(answer - cell / 49) < 1e-5:
            print("Right for 7x7 cells; the map may have another size, as it has here.")
        else:
            print("Not right. How does the mean of the map change when one cell becomes zero?")
        return
    print("Right: and this holds for every cell, so the map accounts for the whole logit.")


def check_01_4(as_linear: Any) -> None:
    """Notebook 01, exercise 4: `as_linear(convolution)`, an `nn.Linear` that does the same."""
    weight, bias, x = _random(4, 3, 5, 5), _random(4), _random(2, 3, 5, 5)
    convolution = nn.utils.skip_init(nn.Conv2d, 3, 4, 5)
    convolution.weight.data, convolution.bias.data = weight, bias
    linear = _try(as_linear, convolution)
    if linear is _FAILED or _missing(linear):
        return
    if not isinstance(linear, nn.Linear):
        print(f"Expected an nn.Linear, got {type(linear).__name__}.")
        return
    if linear.weight.shape != (4, 75):
        print(f"Expected a weight of shape (4, 75), got {tuple(linear.weight.shape)}.")
        return
    answer = _try(linear, x.flatten(1))
    if answer is _FAILED:
        return
    expected = nn.functional.conv2d(x, weight, bias).flatten(1)
    without = [(expected - bias, "Nearly: the bias is missing.")]
    if linear.bias is not None:
        without.append((expected - bias + linear.bias.detach(), "Nearly: the bias is another one."))
    _compare(answer, expected, without)


_FAILED = object()


def _try(function: Any, *arguments: Any) -> Any:
    """What the reader's function returns, or `_FAILED` with a word about what went wrong."""
    if _missing(function):
        return _FAILED
    if not callable(function):
        print(f"Expected a function, got {type(function).__name__}.")
        return _FAILED
    try:
        return function(*arguments)
    except Exception as error:
        print(f"The function stopped with {type(error).__name__}: {error}")
        return _FAILED


def _random(*shape: int) -> Tensor:
    """The same normal numbers every time, without touching the global random state."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


# --- 02 ---


def check_02_1(answer: Any) -> None:
    """Notebook 02, exercise 1: the cell of a 14x14 map that covers a pixel."""
    if _missing(answer):
        return
    try:
        row, column = (int(value) for value in answer)
    except (TypeError, ValueError):
        print("Expected two whole numbers, (row, column).")
        return
    cell = (300 * 14 // 480, 100 * 14 // 640)
    if (row, column) == cell:
        print("Right: that is the cell.")
    elif (column, row) == cell:
        print("The numbers are right, their order is not: rows go with y and come first.")
    else:
        print("Not that cell. How many pixels is one cell wide, and how many high? Count from 0.")


def check_02_2(answer: Any, classifier: Classifier, x: Tensor) -> None:
    """Notebook 02, exercise 2: the map of the second-best class."""
    logits = grad_cam(classifier.model, classifier.target_layer, x).logits
    first, second = logits[0].topk(2).indices.tolist()
    maps = grad_cam(classifier.model, classifier.target_layer, x, [first, second]).maps[0]
    _compare(answer, maps[1], [
        (maps[0], "That is the map of the best class; the second-best was asked for."),
        (normalize_map(maps[1]), "The right map, but normalised; it was asked for as it is."),
    ])  # fmt: skip


def check_02_3(answer: Any, classifier: Classifier, x: Tensor) -> None:
    """Notebook 02, exercise 3: the counterfactual map of the top class."""
    activation, gradient = _gradient(classifier, x)
    signed = (gradient.mean((2, 3), keepdim=True) * activation).sum(1)[0]
    _compare(answer, (-signed).relu(), [
        (signed.relu(), "That is Grad-CAM itself: the gradient has not been negated."),
        (-signed, "The sign is right; the ReLU is missing."),
        (signed, "Neither the sign nor the ReLU is there yet: this is the plain weighted sum."),
        ((-gradient * activation).sum(1)[0].relu(), "Pool the gradient over its cells first."),
    ])  # fmt: skip


def check_02_4(answer: Any, classifier: Classifier, x: Tensor) -> None:
    """Notebook 02, exercise 4: Grad-CAM++."""
    activation, gradient = _gradient(classifier, x)
    below = 2 * gradient**2 + gradient**3 * activation.sum((2, 3), keepdim=True)
    share = torch.where(below == 0, 0, gradient**2 / torch.where(below == 0, 1, below))
    weights = (share * gradient.relu()).sum((2, 3), keepdim=True)
    unclipped = (share * gradient).sum((2, 3), keepdim=True)
    plain = gradient.mean((2, 3), keepdim=True)
    signed = (weights * activation).sum(1)[0]
    _compare(answer, signed.relu(), [
        ((plain * activation).sum(1)[0].relu(), "That is Grad-CAM, without the new weights."),
        ((unclipped * activation).sum(1)[0].relu(), "The gradient needs a ReLU inside the sum."),
    ])  # fmt: skip


# --- 03 ---


def check_03_1(answer: Any) -> None:
    """Notebook 03, exercise 1: the channels of DenseNet121's `norm5`."""
    _check_number(answer, 512 + 16 * 32, {
        512: "With these the block begins; its layers add to them.",
        16 * 32: "These are the new ones; those with which the block begins stay.",
        512 + 32: "Each of the 16 layers adds 32.",
        1920: "That is DenseNet201.",
    })  # fmt: skip


def check_03_2(answer: Any) -> None:
    """Notebook 03, exercise 2: the box around one cell in row 0, column 5, with its margin."""
    if _missing(answer):
        return
    try:
        box = tuple(round(float(value)) for value in answer)
    except (TypeError, ValueError, OverflowError):
        box = ()
    if len(box) != 4:
        print("Expected four numbers: (left, upper, right, lower).")
    elif box == (480, 0, 620, 60):
        print("Right: the upper edge is the picture's, the other three have moved outwards.")
    elif box == (500, 0, 600, 50):
        print("That is the cell itself; the margin is missing.")
    elif box == (480, -10, 620, 60):
        print("Nearly: the box reaches beyond the picture.")
    elif box == (0, 240, 120, 310):
        print("Row and column are swapped: the row counts downwards, the column to the right.")
    elif box == (360, 0, 740, 120):
        print("The margin is a share of the box's sides, not of the picture's.")
    else:
        print("Not that box. A cell is 100 pixels wide and 50 high; count from 0.")


def check_03_3(dense_map: Any) -> None:
    """Notebook 03, exercise 3: `dense_map(activation (C, h, w), weight (n_classes, C), c)`."""
    activation, weight = _random(6, 4, 5), _random(3, 6)
    answer = _try(dense_map, activation.clone(), weight.clone(), 1)
    if answer is _FAILED:
        return
    share = (activation > 0).float().mean((1, 2))
    cells = activation[0].numel()

    def summed(weights: Tensor, maps: Tensor = activation) -> Tensor:
        return torch.einsum("k,khw->hw", weights, maps)

    right = summed(weight[1] * share / cells)
    _compare(answer, right.relu(), [
        (right, "Nearly: the final ReLU is missing."),
        (right.relu() * cells, "Nearly: the mean over the cells is missing in the weights."),
        (right.relu() * cells / 49, "Right for 7x7 cells; these maps have another size."),
        (summed(weight[1] / cells).relu(), "That is the article's map: no ReLU follows norm5."),
        (summed(weight[1] / cells, activation.relu()).relu(),
         "That is the map behind the ReLU; at norm5 the activation is still signed."),
        (summed(weight[1] * share / cells, activation.relu()).relu(),
         "That is the spoilt map of section 3: the gradient from before the ReLU, the activation "
         "from behind it."),
        (normalize_map(right.relu()), "The right map, but normalised; it was asked for as it is."),
    ])  # fmt: skip


def check_03_4(share_inside: Any) -> None:
    """Notebook 03, exercise 4: `share_inside(heat (h, w), box, size)`, one number."""
    heat = _random(4, 5).abs()
    total = heat.sum().item()
    top_left = heat[:2, :2].sum().item() / total
    cut = (heat[0, 0] + heat[0, 1] / 2 + heat[1, 0] / 4 + heat[1, 1] / 8).item() / total
    swapped = heat[:, :4].sum().item() / total  # Of the first box, read as upper, left, ...
    for box, right in (
        ((0, 0, 500, 400), 1.0),
        ((0, 0, 200, 200), top_left),
        ((0, 0, 150, 125), cut),
    ):
        answer = _try(share_inside, heat.clone(), box, (500, 400))
        if answer is _FAILED or _missing(answer):
            return
        try:
            answer = float(answer)
        except (TypeError, ValueError, RuntimeError):
            print(f"Expected one number, got {type(answer).__name__}.")
            return
        if abs(answer - right) < 1e-4:
            continue
        if abs(answer - right * total) < 1e-4:
            print("That is the energy inside; the share of the whole was asked for.")
        elif right == cut and abs(answer - top_left) < 1e-4:
            print("A cell that the box cuts counts in part, not as a whole.")
        elif right == 1 and abs(answer - swapped) < 1e-4:
            print("x and y are swapped: the box is (left, upper, right, lower).")
        elif right == cut and abs(answer - heat[0, 0].item() / total) < 1e-4:
            print("A cell that the box cuts counts in part; you leave it out.")
        else:
            print(f"Not right yet: the box {box} of a picture of 500x400 has another share.")
        return
    print("Right, also where the box cuts through cells.")


# --- 04 ---


def check_04_1(answer: Any, maps: Tensor, masks: Tensor) -> None:
    """Which threshold (0.1, 0.2, ... 0.9) gives these maps their largest mean IoU?"""
    if _missing(answer):
        return
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        print(f"Expected a number, got {type(answer).__name__}.")
        return
    thresholds = [tenth / 10 for tenth in range(1, 10)]
    size = tuple(masks.shape[-2:])
    fine = torch.nn.functional.interpolate(maps[:, None], size=size, mode="bilinear")[:, 0]
    means = []
    for threshold in thresholds:
        hot = (fine >= threshold * fine.amax((1, 2), keepdim=True)) & (fine > 0)
        both, either = (hot & masks).sum((1, 2)), (hot | masks).sum((1, 2))
        means.append((both / either.clamp_min(1)).mean().item())
    near = [i for i, threshold in enumerate(thresholds) if abs(answer - threshold) < 1e-6]
    if not near:
        print("Expected one of 0.1, 0.2, ... 0.9.")
    elif means[near[0]] >= max(means) - 0.002:  # So near the best that rounding may decide.
        print("Right: neither a lower nor a higher threshold agrees better with the masks.")
    elif near[0] < means.index(max(means)):
        print("Not yet: the region is still too large; a higher threshold agrees better.")
    else:
        print("Not yet: too little of the animal is left; a lower threshold agrees better.")


def check_04_2(pointing_with_margin: Any) -> None:
    """The pointing game with a tolerance: `(maps, masks, margin)` → (N,) of 0 and 1."""
    masks = torch.zeros(4, 16, 16, dtype=torch.bool)
    masks[:, 4:8, 4:8] = True
    maps = torch.zeros(4, 16, 16)
    peaks = ((5, 5), (5, 9), (5, 11), (12, 5))  # 0, 2, 4 and 5 pixels off the animal.
    for scene, (row, column) in enumerate(peaks):
        maps[scene, row, column] = 1
    expected = {0: [1, 0, 0, 0], 2: [1, 1, 0, 0], 4: [1, 1, 1, 0], 5: [1, 1, 1, 1]}
    for margin, hits in expected.items():
        found = _try(pointing_with_margin, maps.clone(), masks.clone(), margin)
        if found is _FAILED or _missing(found):
            return
        if not isinstance(found, Tensor) or found.shape != (4,):
            got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            print(f"Expected one value for each of 4 scenes, a tensor (4,); got {got}.")
            return
        for off, value, right in zip((0, 2, 4, 5), found.float().tolist(), hits, strict=True):
            if value != right:
                print(
                    f"Not yet: with margin {margin}, a peak {off} pixels off the animal is "
                    f"{'a hit' if right else 'no hit'} (1 or 0); got {value:g}."
                )
                return
    coarse = torch.nn.functional.max_pool2d(maps[:1, None], 4)[:, 0]
    found = _try(pointing_with_margin, coarse, masks[:1], 1)
    if isinstance(found, Tensor) and found.tolist() == [1]:
        print("Right: margin 0 is the old game, and a larger margin never loses a hit.")
    elif found is not _FAILED:
        print("Right for maps as fine as the mask; not yet for a 4x4 map and a 16x16 mask.")


def check_04_3(answer: Any, features: Tensor, weight: Tensor, logits: Tensor) -> None:
    """CAM of each scene's second-best class, (N, h, w), with or without the ReLU."""
    if _missing(answer):
        return
    if not isinstance(answer, Tensor):
        print(f"Expected a tensor, got {type(answer).__name__}.")
        return
    order = logits.argsort(dim=1, descending=True)
    first, second, third, last = (
        class_activation_map(features, weight, order[:, [k]])[:, 0] for k in (0, 1, 2, -1)
    )
    if answer.ndim == 4 and answer.shape[1] == 1:
        answer = answer[:, 0]
    if answer.shape == second.shape and _close(answer.detach().float(), second.relu()):
        print("Right.")
        return
    _compare(
        answer,
        second,
        [
            (first, "These are the maps of the best class."),
            (first.relu(), "These are the maps of the best class."),
            (third, "These are the maps of the third-best class."),
            (third.relu(), "These are the maps of the third-best class."),
            (last, "These are the maps of the least likely class: in which order did you sort?"),
            (last.relu(), "These are the maps of the least likely class: which way did you sort?"),
        ],
    )


def check_04_4(answer: Any, differences: Tensor) -> None:
    """A 95 % bootstrap interval of the mean difference, drawing whole animals (5 scenes each)."""
    if _missing(answer):
        return
    try:
        low, high = (float(end) for end in answer)
    except (TypeError, ValueError):
        print("Expected two numbers: the lower and the upper end of the interval.")
        return
    mean = differences.mean().item()
    animals = differences.reshape(-1, 5).mean(1)
    half = 1.96 * animals.std(correction=0).item() / len(animals) ** 0.5
    one_by_one = 1.96 * differences.std(correction=0).item() / len(differences) ** 0.5
    slack = 0.2 * half + 1e-6
    off = max(abs(low - (mean - half)), abs(high - (mean + half)))
    if low > high:
        print("Not yet: the lower end comes first.")
    elif not low - 1e-6 <= mean <= high + 1e-6:
        print("Not yet: the mean of the differences lies outside your interval.")
    elif off <= slack:
        print("Right: whole animals were drawn, and the interval is as wide as it must be.")
    elif abs((high - low) / 2 - one_by_one) <= 0.1 * one_by_one:
        print("Not yet: so narrow an interval comes from drawing scenes one by one; draw animals.")
    elif high - low > 2 * half:
        print("Not yet: too wide. Is each draw the mean of as many animals as there are?")
    else:
        print("Not yet: too narrow. Do the ends leave 2.5 % of the draws on each side?")
