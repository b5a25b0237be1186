"""CAM and Grad-CAM as pure functions; scaling a map, and the crop around its hottest part.

Notebook 01 builds `class_activation_map` by hand, notebook 02 `backpropagate` and `grad_cam`,
notebook 03 finds the cells of `crop_box`.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module

Layer = Module | str
Classes = int | Sequence[int] | Tensor | None


class CamResult(NamedTuple):
    """What `grad_cam` returns; detached tensors on the model's device."""

    maps: Tensor  #: (N, K, h, w), after the ReLU, at least 0, finite, not normalised.
    logits: Tensor  #: (N, n_classes), the model's output; with `score`, its numbers (N, K).
    classes: Tensor  #: (N, K) int64, the class of each map; with `score`, 0 to K - 1.


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
        ValueError: shapes that do not fit, a class out of range, NaN in the features.
        TypeError: features that are not a tensor, or classes that are not integers.

    Example:
        >>> cam = class_activation_map(model.features(x), model.head.weight, 3)
    """
    check_tensor("features", features, 4, "(N, C, h, w)")
    if weight.shape[1:] != features.shape[1:2]:
        raise ValueError(
            f"weight is {tuple(weight.shape)}; it must be (n_classes, {features.shape[1]}), one "
            "number for each feature map, as behind global average pooling."
        )
    chosen = _check_classes(classes, len(features), len(weight)).to(weight.device)
    return torch.einsum("nkc,nchw->nkhw", weight[chosen], features)


def grad_cam(
    model: Module,
    layer: Layer,
    x: Tensor,
    classes: Classes = None,
    *,
    score: Callable | None = None,
    reshape: Callable | None = None,
) -> CamResult:
    """Grad-CAM at about the cost of a forward pass; no hook and no gradient stays on the model.

    The weight of a feature map is the mean gradient of the class's logit over it (equation 1 of
    Selvaraju et al., Grad-CAM, ICCV 2017), the map the ReLU of the weighted sum (equation 2).

    Args:
        model: in eval mode, (N, C, H, W) → logits (N, n_classes), or, with `score`, anything.
        layer: the target layer: a module of the model or its dotted name, such as
            `"features.35"`. If it runs several times in one forward pass, the last run counts.
        x: (N, C, H, W), floating, finite, preprocessed as in training.
        classes: None for each picture's top class, an int for all pictures, a list of K ints for
            the one picture, or a tensor (N, K). All K share one forward pass and one batched
            backward pass through the layers after the target, whose time and memory grow with K.
            Where those layers cannot be batched, each class takes a backward pass of its own.
        score: instead of `classes`: a function of the model's output, whatever that is, that
            returns the numbers to be explained, (N,) or (N, K). `logits` then holds these.
        reshape: a function that rearranges the layer's output, and its gradient, to
            (N, C, h, w): for channels last or for the tokens of a transformer. (Take the first norm
            of a transformer's last block: behind it only the class token has a gradient.)

    Returns:
        `CamResult(maps (N, K, h, w), logits (N, n_classes), classes (N, K))`.

    Raises:
        ValueError: a model in train mode; an unknown layer, one that did not run, that gives no
            (N, C, h, w) map of these pictures or from which no gradient reaches the scores; x or
            classes out of their range; an output that is not finite logits (N, n_classes); a map
            that is not finite.
        TypeError: x, the layer's or the model's output is not a tensor, or classes not integers.
            What `score` and `reshape` raise is passed on.

    Four limits, and what to do:
        Pictures that influence each other in a batch (batch norm without running statistics): a
        map then also holds what its picture does to the others. Pass them one at a time.

        A model that stores what it computes keeps the graph of this pass, and `copy.deepcopy`
        fails. Call it once under `torch.no_grad()` first: then what it stores has no graph.

        A single picture through batch norm and straight into tokens, on the CPU: PyTorch 2.14
        itself gives a wrong gradient. Pass the picture twice, `torch.cat([x, x])`.

        A model that uses the layer's output otherwise than as returned (kept as an attribute):
        what goes that way counts as constant. Choose a later layer.

    Example:
        >>> result = grad_cam(model, "features.35", x, [386, 101])
        >>> difference = grad_cam(model, "features.35", x, score=lambda y: y[:, 386] - y[:, 101])
        >>> swin = grad_cam(model, "norm", x, reshape=lambda t: t.permute(0, 3, 1, 2))
    """
    activations, gradients, scores, classes = backpropagate(
        model, layer, x, classes, score=score, reshape=reshape
    )
    weights = gradients.mean((3, 4))  # Equation 1: alpha, (K, N, C).
    # Equation 2, for all N pictures and K classes at once.
    maps = torch.einsum("knc,nchw->nkhw", weights, activations).relu()
    if not is_finite(maps):
        raise ValueError(
            f"layer {layer!r:.60} gives a map that is not finite: a gradient is undefined there, "
            "or half precision overflowed. Try another layer, or model.float()."
        )
    return CamResult(maps, scores, classes)


def backpropagate(
    model: Module,
    layer: Layer,
    x: Tensor,
    classes: Classes = None,
    *,
    score: Callable | None = None,
    reshape: Callable | None = None,
) -> tuple[Tensor, ...]:
    """The activations and gradients that Grad-CAM and its relatives start from.

    What lies before the target layer needs no gradient. So the forward pass runs without, until
    the layer's output is replaced by a leaf: there the graph begins. Arguments, errors and limits
    are those of `grad_cam`.

    Returns:
        The layer's activations (N, C, h, w); the gradients of the K scores with respect to them,
        (K, N, C, h, w), K first; the scores (N, n_classes); the classes (N, K). All detached.

    Example:
        >>> activations, gradients, scores, classes = backpropagate(model, "features.35", x)
        >>> hirescam = (gradients * activations).sum(2).relu()  # (K, N, h, w)
    """
    if score is not None and classes is not None:
        raise ValueError("classes and score were both given; score alone says what is explained.")
    check_tensor("x", x, 4, "(N, C, H, W)", hint="Of one picture (C, H, W) pass x[None].")
    refuse_train_mode(model)
    name, target = _find_layer(model, layer)
    caller = threading.get_ident()
    leaf = None

    def start_from_a_leaf(module: Module, inputs: object, output: Any) -> Tensor | None:
        nonlocal leaf  # Handed out this way: what a hook returns goes to the network.
        if threading.get_ident() != caller:
            return None  # Another thread's pass through the same model.
        _check_layer_output(name, output, x, reshape)
        leaf = output.detach().clone().requires_grad_()
        # From here on the pass builds its graph; leaving the no_grad() below switches back.
        torch.set_grad_enabled(True)
        # What a forward hook returns takes the output's place. An in-place ReLU that follows must
        # not overwrite the leaf.
        return leaf.clone()

    # Whatever mode the caller is in. The hook is removed, even if the model raises.
    with torch.inference_mode(False), torch.no_grad():
        with target.register_forward_hook(start_from_a_leaf):
            output = model(x.clone())  # A copy: autograd keeps no tensor made in inference mode.
        if leaf is None:
            raise ValueError(
                f"layer {name!r} did not run in the forward pass. Choose one that does. (Of a "
                "traced, scripted or exported model pass the original; a compiled one runs its "
                'layers after torch.compiler.set_stance("force_eager").)'
            )
        # A forward decorated with no_grad() has switched gradients off again; score needs them.
        with torch.enable_grad():
            scores, chosen = _scores(output, classes, score, len(x))
        gradients = _gradients(scores, chosen, leaf) if scores.requires_grad else None
        if gradients is None:
            raise ValueError(
                f"layer {name!r} has no gradient: the scores do not depend on its output, or only "
                "through what has none (argmax, detach, a quantized layer), or it runs under "
                "torch.no_grad(), or in a checkpoint (give that use_reentrant=False). Choose a "
                "layer that comes later, or another score."
            )
        activations = leaf.detach()
        if reshape is not None:
            activations = reshape(activations)
            gradients = torch.stack([reshape(gradient) for gradient in gradients])
    return activations, gradients, scores.detach(), chosen


def _scores(output: Any, classes: Classes, score: Callable | None, n: int) -> tuple[Tensor, Tensor]:
    """The numbers that can be explained, (N, n_classes), and which K of them are, (N, K)."""
    if score is None:
        scores = output
        check_tensor(
            "the model's output", scores, 2, "(N, n_classes)", n, "For another output pass score=."
        )
    else:
        scores = score(output)
        if scores.ndim == 1:
            scores = scores[:, None]
        check_tensor("the result of score", scores, 2, "(N,) or (N, K)", n)
        classes = torch.arange(scores.shape[1]).expand(n, -1)
    if classes is None:
        classes = scores.argmax(1, keepdim=True)
    chosen = _check_classes(classes, n, scores.shape[1]).to(scores.device)
    if isinstance(classes, Sequence) and n > 1 and chosen.shape[1] > 1:
        raise ValueError("classes is a list for several pictures; pass a tensor (N, K).")
    return scores, chosen


def _gradients(scores: Tensor, chosen: Tensor, leaf: Tensor) -> Tensor | None:
    """The gradients of the K chosen scores, (K, *leaf.shape); None if they do not depend on it."""
    # Row k picks class k of every picture. Pictures do not mix, so the gradient of their sum is
    # each one's own.
    one_hot = torch.nn.functional.one_hot(chosen.T, scores.shape[1]).to(scores)

    # For one picture and one class this is autograd.grad(logits[0, c], leaf), as in notebook 02.
    def gradient(picks: Tensor, batched: bool = False) -> Tensor | None:
        return torch.autograd.grad(  # The graph is kept for the next row.
            scores, leaf, picks, retain_graph=True, allow_unused=True, is_grads_batched=batched
        )[0]

    if len(one_hot) > 1:
        # Hooks with .item(), anomaly detection and custom backwards cannot be batched, and raise
        # errors of many kinds. Then the classes go one by one; a genuine error is raised again.
        with contextlib.suppress(Exception):
            return gradient(one_hot.clone(), batched=True)  # A backward may write into it.
    rows = [gradient(row) for row in one_hot]
    return None if rows[0] is None else torch.stack(rows)


def refuse_train_mode(model: Module) -> None:
    """Raise if the model, or a part of it, is in train mode, where answers differ from run to run.

    Raises:
        ValueError: it is; the message names the part.
    """
    for name, module in model.named_modules():
        if module.training:
            raise ValueError(
                f"{name or 'model'} is in train mode; call model.eval() first. If a module's own "
                "train() prevents that: for m in model.modules(): m.training = False. The modules "
                "of torch.export have no eval mode: pass the original."
            )


def _find_layer(model: Module, layer: Layer) -> tuple[str, Module]:
    """Name and module of the target layer."""
    for name, module in model.named_modules(remove_duplicate=False):
        if name and layer in (name, module):  # A module may have two names.
            return name, module
    raise ValueError(
        f"layer {layer!r:.60} is not in the model; it must be one of its modules or a dotted name "
        "of model.named_modules(). (torch.compile puts `_orig_mod.` before the names.)"
    )


def _check_layer_output(name: str, output: Any, x: Tensor, reshape: Callable | None) -> None:
    """Refuse what is not a feature map (N, C, h, w) of these pictures."""
    source = f"the output of layer {name!r}"
    grid = output if reshape is None else reshape(output)
    check_tensor(source, grid, 4, "(N, C, h, w)", len(x), "Choose another layer, or pass reshape=.")
    height, width = x.shape[2:]
    _, a, b, c = grid.shape
    # If a : b is height : width, then a * width is b * height; a cell more or less shifts that by
    # at most slack. True of dimensions 1 and 2, not of 2 and 3: the channels are last.
    slack = max(height, width)
    if reshape is None and abs(a * width - b * height) <= slack < abs(b * width - c * height):
        raise ValueError(
            f"{source} has the shape {tuple(grid.shape)}: are its channels last? If they are, "
            "pass reshape=lambda t: t.permute(0, 3, 1, 2); if not, reshape=lambda t: t."
        )


def _check_classes(classes: Classes, n: int, n_classes: int) -> Tensor:
    """(N, K) int64 from any of the three forms."""
    refusal = (
        f"classes is {classes!r:.60}; it must be class numbers from 0 to {n_classes - 1}: an int, "
        f"a list of ints or a tensor (N, K), here N = {n}. A label's number is its place in the "
        "list of labels."
    )
    chosen = classes if isinstance(classes, Tensor) else np.asarray(classes)
    if "int" not in str(chosen.dtype):
        raise TypeError(refusal)
    chosen = torch.as_tensor(chosen).long()
    if chosen.ndim == 0 or (chosen.ndim == 1 and isinstance(classes, Sequence)):
        chosen = chosen.reshape(1, -1).expand(n, -1)
    if chosen.shape[:-1] != (n,) or not 0 <= chosen.min() <= chosen.max() < n_classes:
        raise ValueError(refusal)
    if chosen.shape[1] == n_classes > 2 and chosen.sum() == n:
        raise ValueError(
            "classes looks one-hot; pass class numbers: "
            "torch.as_tensor(classes).view(len(x), -1).argmax(1)[:, None]."
        )
    return chosen


def check_tensor(
    name: str, value: Any, ndim: int, form: str, n: int | None = None, hint: str = ""
) -> None:
    """Raise unless `value` is a finite tensor with `ndim` dimensions and batch size `n`.

    Args:
        name: of the argument, with which the message begins.
        value: anything.
        ndim: number of dimensions.
        form: in words, such as `"(N, C, h, w)"`.
        n: the size of the first dimension; None for any.
        hint: a sentence that ends the message.

    Raises:
        TypeError: not a tensor.
        ValueError: a tensor of another form, an empty one, NaN or inf.
    """
    batch = f", N = {n}" if n else ""
    expected = f"it must be a tensor {form}{batch}. {hint}"
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} is a {type(value).__name__}; {expected}")
    if value.ndim != ndim or n not in (None, len(value)):
        raise ValueError(f"{name} is {tuple(value.shape)}; {expected}")
    if not is_finite(value):
        raise ValueError(f"{name} is empty or holds NaN or inf.")


def is_finite(value: Tensor) -> bool:
    """Whether there are values and none of them is NaN or inf."""
    # A tenth of the time of isfinite().all(), and NaN is not less than anything.
    return value.numel() > 0 and bool(value.abs().max() < torch.inf)


def normalize_map(heatmap: Any) -> Any:
    """Scale each map to [0, 1] by its own minimum and maximum; a flat map gives zeros.

    Args:
        heatmap: (..., h, w), real, a tensor or an array; each (h, w) is a map by itself.

    Returns:
        The same type and shape; integers become float32.

    Raises:
        ValueError: NaN, inf or no pixels.
        TypeError: neither an array of numbers nor anything that NumPy can turn into one.

    Example:
        >>> heat = normalize_map(result.maps[0, 0])
    """
    if not isinstance(heatmap, Tensor):
        return normalize_map(torch.from_numpy(np.array(heatmap, order="C"))).numpy()
    # On the CPU, since not every GPU has 64 bits; halved, so that no span overflows.
    values = heatmap.cpu().double() / 2
    if values.ndim < 2 or not is_finite(values):
        raise ValueError("heatmap must be (..., h, w), without NaN and inf.")
    values = values - values.amin((-2, -1), keepdim=True)
    span = values.amax((-2, -1), keepdim=True)
    scaled = values / torch.where(span > 0, span, 1)
    dtype = heatmap.dtype if heatmap.is_floating_point() else torch.float32
    return scaled.to(heatmap.device, dtype)


def as_array(values: Any) -> np.ndarray:
    """A NumPy array of whatever NumPy takes, or of any tensor, with or without a gradient."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().double()
    return np.asarray(values)


def as_heatmap(heatmap: Any, highest: float = np.inf) -> np.ndarray:
    """A map (h, w), tensor or array, from 0 to `highest`, as float64; others are refused."""
    cells = as_array(heatmap).astype(float)
    is_map = cells.ndim == 2 and -1e-6 < cells.min() <= cells.max() < highest + 1e-6
    if not is_map:  # Nor is one with NaN.
        raise ValueError(
            f"heatmap is {cells.shape}; it must be (h, w), with finite values from 0 to {highest}. "
            "Of several maps pass one, maps[0, 0]; normalize_map scales it to [0, 1]."
        )
    return cells.clip(0, highest)


def crop_box(
    heatmap: Any, size: tuple[int, int], threshold: float = 0.5, margin: float = 0.1
) -> tuple[int, int, int, int]:
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
        ValueError: a map that is not (h, w), negative or not finite; threshold out of range.

    Example:
        >>> crop = image.crop(crop_box(heat, image.size))
    """
    cells = as_heatmap(heatmap)
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is {threshold}; it must be above 0 and at most 1.")
    hot = np.argwhere(cells >= threshold * cells.max())
    pixels = np.array(size[::-1])  # Height and width, as the axes of the map.
    first = hot.min(0) * pixels / cells.shape
    last = (hot.max(0) + 1) * pixels / cells.shape
    grow = margin * (last - first)
    upper, left = np.maximum(first - grow, 0).astype(int).tolist()
    lower, right = np.ceil(np.minimum(last + grow, pixels)).astype(int).tolist()
    return left, upper, right, lower
