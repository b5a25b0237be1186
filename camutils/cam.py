"""Class activation maps as pure tensor functions: CAM, Grad-CAM and their normalisation."""

import contextlib
import difflib
import math
import threading
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from .checks import check, check_module, check_tensor, check_type, describe, is_finite, run

Map = TypeVar("Map", Tensor, np.ndarray)
Classes = int | Sequence[int] | Tensor


class CamResult(NamedTuple):
    """What `grad_cam` returns; detached tensors on the model's device."""

    maps: Tensor  #: (N, K, h, w), after the ReLU, at least 0, not normalised.
    logits: Tensor  #: (N, n_classes), the model's output.
    classes: Tensor  #: (N, K) int64, the class each map belongs to.


def class_activation_map(features: Tensor, weight: Tensor, classes: Classes) -> Tensor:
    """CAM of a network that ends in global average pooling and one linear layer.

    M_c(x, y) = sum_k w_k^c f_k(x, y): equation 2 of Zhou et al., Learning Deep Features for
    Discriminative Localization (CVPR 2016). Its spatial mean plus the class's bias is the logit.

    Args:
        features: (N, C, h, w), the feature maps that are pooled.
        weight: (n_classes, C), the weight of the linear layer.
        classes: an int for all pictures, K ints for every picture, or a tensor (N, K).

    Returns:
        (N, K, h, w), signed: no ReLU, no bias.

    Raises:
        ValueError: shapes that do not fit, a class out of range, NaN.
        TypeError: not tensors, or classes that are not whole numbers.
    """
    check_tensor("features", features, "(N, C, h, w)")
    check_tensor("weight", weight, "(n_classes, C)")
    check(
        weight.shape[1] == features.shape[1], "weight",
        f"{weight.shape[1]} weights per class for {features.shape[1]} feature maps",
        "one each: is there global average pooling and one linear layer only?",
    )  # fmt: skip
    _check_alike("weight", weight, "features", features)
    chosen = _check_classes(classes, len(features), len(weight)).to(weight.device)
    return torch.einsum("nkc,nchw->nkhw", weight[chosen], features)


def grad_cam(
    model: nn.Module, layer: nn.Module | str, x: Tensor, classes: Classes | None = None
) -> CamResult:
    """Grad-CAM at about the cost of a forward pass, leaving no trace on the model.

    The weight of a feature map is the mean gradient of the class's logit over it (equation 1 of
    Selvaraju et al., Grad-CAM, ICCV 2017), the map the ReLU of the weighted sum (equation 2).

    Args:
        model: in eval mode, (N, C, H, W) → logits (N, n_classes).
        layer: the target layer: a module of the model, its dotted name (`"features.35"`), or that
            name with underscores (`"features_35"`). If it runs several times, the last run counts.
        x: (N, C, H, W), floating, finite, preprocessed as the model wants it.
        classes: None for each picture's top class, an int for all pictures, K ints for every
            picture, or a tensor (N, K). All K share one forward pass and one batched backward pass
            through the layers after the target, whose time and memory grow with K.

    Returns:
        `CamResult(maps (N, K, h, w), logits (N, n_classes), classes (N, K))`.

    Raises:
        ValueError: train mode; an unknown layer, one that did not run, that gives no
            (N, C, h, w) map or does not lead to the output; x or classes out of their range; an
            output that is not finite logits (N, n_classes).
        TypeError: model is no module, x no tensor, layer neither, classes no whole numbers.
        RuntimeError: the model itself could not run on x.
    """
    check_module("model", model)
    name, target = _find_layer(model, layer)
    if _in_train_mode(model):
        raise ValueError(
            "model: got it in train mode, where dropout and batch norm change the answer from run "
            "to run; expected eval mode: call model.eval() first."
        )
    check_tensor("x", x, "(N, C, H, W)")
    parameter = next(model.parameters(), x)
    if x.dtype == parameter.dtype or not torch.is_autocast_enabled(x.device.type):
        _check_alike("x", x, "the model", parameter)
    caller, leaves = threading.get_ident(), []

    def cut(module: nn.Module, args: object, output: object) -> Tensor | None:
        if threading.get_ident() != caller:
            return None  # Another thread's forward pass through the same model: not ours.
        _check_map(name, output, x)
        # What lies before the layer needs no gradient; what lies after it starts from a leaf.
        torch.set_grad_enabled(True)
        leaves[:] = [output.detach().requires_grad_()]
        return leaves[0].clone()  # The next module may be an in-place ReLU: it gets a copy.

    with torch.inference_mode(False), torch.no_grad():
        if x.is_inference():
            x = x.clone()  # Autograd takes no inference tensor, should x come back after the layer.
        handle = target.register_forward_hook(cut)
        try:
            logits = run(model, x, "x")
        finally:
            handle.remove()
        check(leaves, "layer", f"{name!r}, which did not run", "one of the forward pass")
        shaped = isinstance(logits, Tensor) and logits.ndim == 2 and len(logits) == len(x)
        shaped = shaped and logits.shape[1] and logits.is_floating_point()
        form = f"floating logits (N, n_classes) with N = {len(x)}"
        check(shaped, "model", describe(logits), form)
        check(is_finite(logits), "model", "logits with NaN or inf", "finite ones")
        if classes is None:
            classes = logits.detach().argmax(1, keepdim=True)
        chosen = _check_classes(classes, *logits.shape).to(logits.device)
        gradients = _class_gradients(logits, chosen, leaves[0], name)
        weights = gradients.mean(dim=(3, 4))
        maps = torch.einsum("knc,nchw->nkhw", weights, leaves[0].detach()).relu_()
    return CamResult(maps, logits.detach(), chosen)


def _class_gradients(logits: Tensor, classes: Tensor, leaf: Tensor, name: str) -> Tensor:
    """(K, N, C, h, w): the gradients of the K class scores, all K in one backward pass."""
    gradients = None
    if logits.requires_grad:
        one_hot = logits.new_zeros(classes.shape[1], *logits.shape)
        one_hot.scatter_(2, classes.T[..., None], 1)
        several = len(one_hot) > 1
        (gradients,) = torch.autograd.grad(
            logits, leaf, one_hot if several else one_hot[0],
            is_grads_batched=several, allow_unused=True,
        )  # fmt: skip
    lost = f"{name!r}, on which the output does not depend"
    check(gradients is not None, "layer", lost, "one that leads to it")
    return gradients if several else gradients[None]


def normalize_map(map: Map) -> Map:
    """Scale each map to [0, 1] by its own minimum and maximum; a flat map gives zeros.

    Args:
        map: (..., h, w), tensor or array; each (h, w) is a map by itself.

    Returns:
        The same type and shape; whole numbers become float32.

    Raises:
        ValueError: NaN, inf or no pixels. TypeError: neither a tensor nor an array of numbers.
    """
    if isinstance(map, np.ndarray) and map.dtype.kind in "biuf" and map.itemsize <= 8:
        native = map.dtype.newbyteorder("=") if map.dtype.kind == "f" else np.float32
        return normalize_map(torch.from_numpy(map.astype(native))).numpy()
    real = isinstance(map, Tensor) and not map.is_complex()
    kind = getattr(map, "dtype", type(map).__name__)
    check(real, "map", kind, "a tensor or an array of real numbers", TypeError)
    check(map.ndim > 1 and map.numel(), "map", f"shape {tuple(map.shape)}", "(..., h, w)")
    map = map if map.is_floating_point() else map.float()
    check(is_finite(map), "map", "NaN or inf", "finite values")
    # The span of two huge values overflows, that of their halves does not; tiny ones stay exact.
    map = map / torch.where(map.abs().amax((-2, -1), keepdim=True) > 1, 2, 1)
    low, high = map.amin((-2, -1), keepdim=True), map.amax((-2, -1), keepdim=True)
    flat = high == low
    return torch.where(flat, 0, (map - low) / torch.where(flat, 1, high - low))


def _find_layer(model: nn.Module, layer: nn.Module | str) -> tuple[str, nn.Module]:
    check_type("layer", layer, nn.Module | str, "a module of the model or its name")
    if isinstance(layer, str) and layer:
        with contextlib.suppress(AttributeError):
            return layer, model.get_submodule(layer)  # Listing DenseNet's modules takes 2 %.
    modules = dict(model.named_modules(remove_duplicate=False))
    modules.pop("")
    for name, module in modules.items():
        if layer in (name, module):
            return name, module
    for name, module in modules.items():
        if layer == name.replace(".", "_"):
            return name, module
    # Near names; else what has convolutions inside, the outermost first: there the maps are.
    near = difflib.get_close_matches(str(layer), modules, n=3)
    near += [n for n, m in modules.items() if any(isinstance(k, nn.Conv2d) for k in m.modules())]
    names = ", ".join(list(dict.fromkeys([*near, *modules]))[:3])
    got = repr(layer) if isinstance(layer, str) else f"a {type(layer).__name__}"
    raise ValueError(f"layer: got {got}, expected a module of the model: {names}, ...")


def _in_train_mode(model: nn.Module) -> bool:
    """Whether any part is. `model.modules()` would tell too, but slower: it looks for twins."""
    level = [model]
    while level:
        if any([module.training for module in level]):
            return True
        level = [m for module in level for m in module._modules.values() if m is not None]
    return False


def _check_alike(name: str, value: Tensor, other_name: str, other: Tensor) -> None:
    got, expected = (f"{tensor.dtype} on {tensor.device}" for tensor in (value, other))
    check(got == expected, name, got, f"what {other_name} has: {expected}")


def _check_map(name: str, output: object, x: Tensor) -> None:
    got, form = f"{name!r}, which gives {describe(output)}", "a feature map (N, C, h, w)"
    check(isinstance(output, Tensor) and output.ndim == 4, "layer", got, form)
    check(output.is_floating_point(), "layer", got, f"floating {form}")
    # A map has the proportions of its picture: if dimensions 1 and 2 have them and 2 and 3 are
    # far from them, the channels stand last.
    aspect = math.log(x.shape[2] / x.shape[3])
    first, last = (
        abs(math.log(max(output.shape[i], 1) / max(output.shape[i + 1], 1)) - aspect)
        for i in (2, 1)
    )
    channels_last = first > math.log(2) and last < first / 4
    check(not channels_last, "layer", f"{got}, channels last", form)


def _check_classes(classes: Classes, n: int, n_classes: int) -> Tensor:
    """(N, K) int64, whichever of the three forms came."""
    if isinstance(classes, Tensor | np.ndarray):
        check(
            classes.ndim != 1, "classes", f"a one-dimensional {type(classes).__name__}",
            "a list (these classes for every picture) or a tensor (N, 1) (one class for each)",
        )  # fmt: skip
        check("int" in str(classes.dtype), "classes", classes.dtype, "whole numbers", TypeError)
        if isinstance(classes, np.ndarray):
            classes = classes.copy()  # Contiguous, as argsort()[:, ::-1] is not.
        chosen = torch.as_tensor(classes).to(torch.int64)
        off = chosen[(chosen < 0) | (chosen >= n_classes)].tolist()
        check(not off, "classes", *off[:1] or [None], f"0 to {n_classes - 1}")
    else:
        listed = list(classes) if isinstance(classes, list | tuple | range) else [classes]
        for c in listed:
            whole = isinstance(c, int | np.integer) and not isinstance(c, bool)
            form = "an int, a list of ints, or a tensor (N, K)"
            check(whole, "classes", repr(c), form, TypeError)
            check(0 <= c < n_classes, "classes", c, f"0 to {n_classes - 1}")
        chosen = torch.tensor([listed] * n, dtype=torch.int64)
    if chosen.ndim == 0:
        chosen = chosen.expand(n, 1)
    fits = chosen.ndim == 2 and len(chosen) == n and chosen.shape[1]
    shape = f"shape {tuple(chosen.shape)}"
    check(fits, "classes", shape, f"(N, K) with N = {n}, K >= 1")
    return chosen
