"""CAM and Grad-CAM as pure functions; scaling a map, and the crop around its hottest part."""

import contextlib
import math
import threading
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module

Size, Box, Tensors = tuple[int, int], tuple[int, int, int, int], tuple[Tensor, ...]
Map = TypeVar("Map", Tensor, np.ndarray)
Classes = int | Sequence[int] | Tensor | None


class CamResult(NamedTuple):
    """What `grad_cam` returns; detached tensors on the model's device."""

    maps: Tensor  #: (N, K, h, w), after the ReLU, at least 0, finite, not normalised.
    logits: Tensor  #: (N, n_classes), the model's output.
    classes: Tensor  #: (N, K) int64, the class that each map belongs to.


def class_activation_map(features: Tensor, weight: Tensor, classes: Classes) -> Tensor:
    """CAM of a network that ends in global average pooling and one linear layer.

    ``M_c(x, y) = sum_k w_k^c f_k(x, y)``: equation 2 of Zhou et al., Learning Deep Features for
    Discriminative Localization (CVPR 2016). Its spatial mean plus the class's bias is the logit.

    Args:
        features: (N, C, h, w), the feature maps that are pooled.
        weight: (n_classes, C), the weight of the linear layer.
        classes: an int for all pictures, a list of K ints for every picture, or a tensor (N, K).

    Returns:
        (N, K, h, w), signed, without ReLU and bias.

    Raises:
        ValueError: shapes that do not fit, a class out of range, NaN.
        TypeError: not tensors, or classes that are not integers.
    """
    check_tensor("features", features, 4, "(N, C, h, w)")
    check_tensor("weight", weight, 2, "(n_classes, C)")
    if weight.shape[1] != features.shape[1]:
        # As after global average pooling: one weight for each feature map.
        raise ValueError(f"weight: got {weight.shape}, expected (n_classes, {features.shape[1]}).")
    chosen = _check_classes(classes, len(features), len(weight)).to(weight.device)
    # Autograd refuses tensors made in inference mode.
    features = features.clone() if features.is_inference() else features
    return torch.einsum("nkc,nchw->nkhw", weight[chosen], features)


def grad_cam(model: Module, layer: Module | str, x: Tensor, classes: Classes = None) -> CamResult:
    """Grad-CAM at about the cost of a forward pass, leaving no trace on the model.

    The weight of a feature map is the mean gradient of the class's logit over it (equation 1 of
    Selvaraju et al., Grad-CAM, ICCV 2017), the map the ReLU of the weighted sum (equation 2).

    Two limits: only the layer's return value counts, not other uses of its output; and channels
    last are recognised by comparing its shape with the picture's, so that (N, h, h, h) passes as
    a map. A model that changes its input in place changes x, as in any forward pass.

    Args:
        model: in eval mode, (N, C, H, W) → logits (N, n_classes).
        layer: the target layer: a module of the model or its dotted name, such as
            `"features.35"`. If it runs several times in one forward pass, the last run counts.
        x: (N, C, H, W), floating, finite, preprocessed as in training.
        classes: None for each picture's top class, an int for all pictures, a list of K ints for
            the one picture, or a tensor (N, K). All K share one forward pass and one batched
            backward pass through the layers after the target, whose time and memory grow with K.
            Where those layers cannot be batched, each class takes a backward pass of its own.

    Returns:
        `CamResult(maps (N, K, h, w), logits (N, n_classes), classes (N, K))`.

    Raises:
        ValueError: a model in train mode, traced, scripted or made in inference mode; an unknown
            layer, one that did not run, that gives no (N, C, h, w) map of these pictures or from
            which no gradient reaches the logits; x or classes out of their range; an output that
            is not finite logits (N, n_classes); a map that is not finite.
        TypeError: x, the layer's or the model's output is not a tensor, or classes not integers.
    """
    with torch.inference_mode(False):
        activations, gradients, logits, chosen = backpropagate(model, layer, x, classes)
        weights = gradients.mean((3, 4))
        maps = torch.einsum("knc,nchw->nkhw", weights, activations).relu_()
    if not _is_finite(maps):  # A gradient is undefined, or half precision overflowed.
        raise ValueError(f"layer: got NaN or inf in the map of {layer!r:.60}, expected none.")
    return CamResult(maps, logits, chosen)


def backpropagate(model: Module, layer: Module | str, x: Tensor, classes: Classes) -> Tensors:
    """What Grad-CAM and its relatives start from; takes and raises what `grad_cam` does.

    Returns:
        The layer's activations (N, C, h, w); the gradients of the K logits with respect to them,
        (K, N, C, h, w); the logits (N, n_classes); the classes (N, K). All detached.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    if any(module.training for module in modules.values()):  # Dropout, batch norm would differ.
        raise ValueError("model: got one in train mode, expected eval mode; call model.eval().")
    if isinstance(model, torch.jit.ScriptModule):
        raise ValueError("model: got a traced or scripted one, expected the original.")
    name, target = _find_layer(modules, layer)
    check_tensor("x", x, 4, "(N, C, H, W); x[None] makes one picture a batch")
    caller, leaf = threading.get_ident(), None

    def cut(module: Module, args: object, output: object) -> Tensor | None:
        nonlocal leaf
        if threading.get_ident() != caller:
            return None  # Another thread's forward pass through the same model: not ours.
        _check_map(name, output, x)
        # What lies before the layer needs no gradient; what lies after it starts from a leaf.
        torch.set_grad_enabled(True)
        # Both are copies, since the model may later write into its output and into what it gets.
        leaf = output.detach().clone().requires_grad_()
        return leaf.clone()

    with torch.inference_mode(False), torch.no_grad():
        # The first parameter will do: checking all of a deep network's takes a millisecond.
        if next(model.parameters(), torch.empty(0)).is_inference():
            raise ValueError("model: got one built in inference_mode(), expected one built before.")
        # Autograd refuses tensors made in inference mode, and x may be used again after the layer.
        with target.register_forward_hook(cut):
            logits = model(x.clone() if x.is_inference() else x)
        if leaf is None:
            hint = "one that does; for a compiled or traced model, pass the original"
            raise ValueError(f"layer: got {name!r}, which did not run, expected {hint}.")
        check_tensor("model's output", logits, 2, "of logits (N, n_classes)", len(x))
        if classes is None:
            classes = logits.detach().argmax(1, keepdim=True)
        elif isinstance(classes, Sequence) and len(classes) > 1 and len(x) > 1:
            raise ValueError("classes: got a list for several pictures, expected a tensor (N, K).")
        chosen = _check_classes(classes, *logits.shape).to(logits.device)
        gradients = _class_gradients(logits, chosen, leaf) if logits.requires_grad else None
        if gradients is None:
            # Gradients have been on since the hook, unless the model switched them off.
            cause = "no logit depends on it" if torch.is_grad_enabled() else "it is under no_grad()"
            raise ValueError(f"layer: got {name!r}, but {cause}, expected one with a gradient.")
    return leaf.detach(), gradients, logits.detach(), chosen


def _class_gradients(logits: Tensor, classes: Tensor, leaf: Tensor) -> Tensor | None:
    """(K, N, C, h, w), the gradients of the K class scores; None if they do not depend on leaf."""
    one_hot = torch.nn.functional.one_hot(classes.T, logits.shape[1]).to(logits)
    options = {"retain_graph": len(one_hot) > 1, "allow_unused": True}
    if len(one_hot) > 1:
        # Hooks with .item(), anomaly detection and custom backwards cannot be batched, and raise
        # errors of many kinds. Then the classes go one by one; a genuine error is raised again.
        with contextlib.suppress(Exception):
            batch = one_hot.clone()  # A backward may change its argument in place.
            return torch.autograd.grad(logits, leaf, batch, is_grads_batched=True, **options)[0]
    rows = [torch.autograd.grad(logits, leaf, row, **options)[0] for row in one_hot]
    return None if rows[0] is None else torch.stack(rows)


def _find_layer(modules: dict[str, Module], layer: Module | str) -> tuple[str, Module]:
    for name, module in modules.items():
        # torch.compile puts `_orig_mod.` into the names.
        if name and (module is layer or layer in (name, name.replace("_orig_mod.", ""))):
            return name, module
    expected = f"a module of this model or its name: {[n for n in modules if n and '.' not in n]}"
    raise ValueError(f"layer: got {layer!r:.60}, expected {expected}.")


def _check_map(name: str, output: Any, x: Tensor) -> None:
    """Refuse what is not a feature map (N, C, h, w) of these pictures."""
    check_tensor(f"layer: output of {name!r}", output, 4, "(N, C, h, w)", len(x))
    (height, width), slack = x.shape[2:], max(x.shape[2:])
    # Do dimensions 1 and 2, and 2 and 3, have the picture's proportions, give or take a cell?
    fits = [abs(a * width - b * height) <= slack for a, b in pairwise(output.shape[1:])]
    if fits == [True, False]:
        raise ValueError(f"layer: got {name!r}, {tuple(output.shape)}, which has channels last.")


def _check_classes(classes: Classes, n: int, n_classes: int) -> Tensor:
    """(N, K) int64 from any of the three forms."""
    expected = f"an int, a list of ints or a tensor (N, K), N = {n}, from 0 to {n_classes - 1}"
    if isinstance(classes, Tensor):
        if "int" not in str(classes.dtype):
            raise TypeError(f"classes: got {classes.dtype}, expected {expected}.")
        chosen = classes.long().expand(n, 1) if classes.ndim == 0 else classes.long()
    else:
        row = list(classes) if isinstance(classes, Sequence) else [classes]
        if not all(isinstance(c, int | np.integer) and not isinstance(c, bool) for c in row):
            raise TypeError(f"classes: got {classes!r}, expected {expected}.")
        # Out of range becomes -1, since a huge int would overflow; int() for NumPy's integers.
        chosen = torch.tensor([[int(c) if 0 <= c < n_classes else -1 for c in row]] * n)
    has_form = chosen.ndim == 2 and len(chosen) == n and chosen.numel()
    if not has_form or chosen.min() < 0 or chosen.max() >= n_classes:
        raise ValueError(f"classes: got {classes!r}, expected {expected}.")
    return chosen


def check_tensor(name: str, value: Any, ndim: int, form: str, n: int | None = None) -> None:
    """Raise unless `value` is a finite floating tensor with `ndim` dimensions and batch size `n`.

    `form`, such as `"(N, C, h, w)"`, is what the message says was expected; any `n` if it is None.
    """
    expected = f"a floating tensor {form}" + (f", N = {n}" if n else "")
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: got {type(value).__name__}, expected {expected}.")
    has_form = value.ndim == ndim and value.numel() and n in (None, len(value))
    if not has_form or not value.is_floating_point():
        raise ValueError(f"{name}: got {tuple(value.shape)} {value.dtype}, expected {expected}.")
    if not _is_finite(value):
        raise ValueError(f"{name}: got NaN or inf, expected finite values.")


def _is_finite(value: Tensor) -> bool:
    """Whether all values are finite; the sum is quicker, but huge values may add up to infinity."""
    return math.isfinite(value.detach().sum()) or bool(value.isfinite().all())


def normalize_map(heatmap: Map) -> Map:
    """Scale each map to [0, 1] by its own minimum and maximum; a flat map gives zeros.

    Args:
        heatmap: (..., h, w), real, a tensor or an array; each (h, w) is a map by itself.

    Returns:
        The same type and shape; integers become float32.

    Raises:
        ValueError: NaN, inf or no pixels.
        TypeError: neither an array of numbers nor anything that NumPy can turn into one.
    """
    if not isinstance(heatmap, Tensor):
        return normalize_map(torch.from_numpy(np.array(heatmap, order="C"))).numpy()
    if heatmap.ndim < 2 or not heatmap.numel():
        raise ValueError(f"heatmap: got shape {tuple(heatmap.shape)}, expected (..., h, w).")
    if not _is_finite(heatmap):
        raise ValueError("heatmap: got NaN or inf, expected finite values.")
    heatmap = heatmap / 1  # Integers become floats.
    # Maps above 1 are halved: the span of huge values would overflow. Small ones stay exact.
    safe = heatmap / (1 + (heatmap.amax((-2, -1), keepdim=True) > 1))
    low, high = safe.amin((-2, -1), keepdim=True), safe.amax((-2, -1), keepdim=True)
    return (safe - low) / torch.where(low < high, high - low, 1)


def as_array(values: Any) -> np.ndarray:
    """A NumPy array of whatever NumPy takes, or of any tensor, with or without a gradient."""
    return np.asarray(values.detach().cpu().double() if isinstance(values, Tensor) else values)


def as_heatmap(heatmap: Any, highest: float = math.inf) -> np.ndarray:
    """A map (h, w), tensor or array, from 0 to `highest`, as float64; anything else is refused."""
    cells = as_array(heatmap)
    if cells.ndim != 2 or not cells.size or cells.dtype.kind not in "biuf":
        raise ValueError(f"heatmap: got {cells.shape} of {cells.dtype}, expected real (h, w).")
    low, high = cells.min(), cells.max()
    if not (low >= -1e-6 and high <= highest + 1e-6 and high < math.inf):  # NaN fails too.
        got = f"values from {low:.3g} to {high:.3g}"
        raise ValueError(f"heatmap: got {got}, expected 0 to {highest}; normalize_map scales them.")
    return cells.astype(np.float64).clip(0, highest)


def crop_box(heatmap: Any, size: Size, threshold: float = 0.5, margin: float = 0.1) -> Box:
    """The smallest box around the hottest part of a map, grown by a margin.

    Args:
        heatmap: (h, w) tensor or array, not negative; its cells tile the picture.
        size: width and height of the picture in pixels, above 0, as `image.size`.
        threshold: cells of at least this share of the maximum belong to the hottest part; (0, 1].
        margin: added on each side, as a share of the box's width and height; at least 0.

    Returns:
        (left, upper, right, lower) in pixels, as `image.crop` takes it; never beyond the picture.
        A flat map singles out nothing and gives the whole picture.

    Raises:
        ValueError: a map that is not (h, w), negative or not finite; threshold or margin out of
            range.
    """
    cells = as_heatmap(heatmap)
    if not (0 < threshold <= 1 and 0 <= margin < math.inf):
        raise ValueError(f"threshold, margin: got {threshold}, {margin}, expected (0, 1] and >= 0.")
    rows, columns = np.nonzero(cells >= threshold * cells.max())

    def span(indices: np.ndarray, count: int, pixels: int) -> tuple[int, int]:
        first, last = indices.min() * pixels / count, (indices.max() + 1) * pixels / count
        grow = margin * (last - first)
        return math.floor(max(0, first - grow)), math.ceil(min(pixels, last + grow))

    left, right = span(columns, cells.shape[1], size[0])
    upper, lower = span(rows, cells.shape[0], size[1])
    return left, upper, right, lower
