"""Class activation maps as pure tensor functions: CAM, Grad-CAM and their normalisation."""

import difflib
import math
import threading
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

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
    _check_tensor("features", features, "(N, C, h, w)")
    _check_tensor("weight", weight, "(n_classes, C)")
    if weight.shape[1] != features.shape[1]:
        raise ValueError(
            f"weight: got {weight.shape[1]} weights per class for {features.shape[1]} feature "
            "maps; expected one each. Is there global average pooling and one linear layer only?"
        )
    if (weight.dtype, weight.device) != (features.dtype, features.device):
        raise ValueError(
            f"weight: got {weight.dtype} on {weight.device}, expected what features have: "
            f"{features.dtype} on {features.device}."
        )
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
            picture, or a tensor (N, K). K classes cost one forward pass.

    Returns:
        `CamResult(maps (N, K, h, w), logits (N, n_classes), classes (N, K))`.

    Raises:
        ValueError: train mode; an unknown layer, one that did not run, that gives no
            (N, C, h, w) map or does not lead to the output; x or classes out of their range.
        TypeError: x is no tensor, layer no module or name, classes no whole numbers.
        RuntimeError: the model itself could not run on x.
    """
    name, target = _find_layer(model, layer)
    _check_model(model)
    _check_tensor("x", x, "(N, C, H, W)")
    parameter = next(model.parameters(), x)
    if parameter.device != x.device or (
        parameter.dtype != x.dtype and not torch.is_autocast_enabled(x.device.type)
    ):
        raise ValueError(
            f"x: got {x.dtype} on {x.device}, expected the model's {parameter.dtype} on "
            f"{parameter.device}."
        )
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
            logits = model(x)
        except RuntimeError as error:
            if type(error) is not RuntimeError:  # Out of memory and the like keep their type.
                raise
            raise RuntimeError(
                f"x: the model could not run on shape {tuple(x.shape)}: {error}"
            ) from error
        finally:
            handle.remove()
        if not leaves:
            raise ValueError(f"layer: {name!r} did not run in the model's forward pass.")
        _check_logits(logits, len(x))
        chosen = (
            logits.detach().argmax(1, keepdim=True)
            if classes is None
            else _check_classes(classes, *logits.shape).to(logits.device)
        )
        gradients = _class_gradients(logits, chosen, leaves[0], name)
        weights = gradients.mean(dim=(3, 4))
        maps = torch.einsum("knc,nchw->nkhw", weights, leaves[0].detach()).relu_()
    return CamResult(maps, logits.detach(), chosen)


def _class_gradients(logits: Tensor, classes: Tensor, leaf: Tensor, name: str) -> Tensor:
    """(K, N, C, h, w): the gradients of the K class scores, all K in one backward pass."""
    one_hot = nn.functional.one_hot(classes.T, logits.shape[1]).to(logits.dtype)
    if not logits.requires_grad:
        raise ValueError(f"layer: the model's output does not depend on {name!r}.")
    batched = len(one_hot) > 1
    (gradients,) = torch.autograd.grad(
        logits, leaf, one_hot if batched else one_hot[0], is_grads_batched=batched,
        allow_unused=True,
    )  # fmt: skip
    if gradients is None:
        raise ValueError(f"layer: the model's output does not depend on {name!r}.")
    return gradients if batched else gradients[None]


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
    if not isinstance(map, Tensor) or map.is_complex():
        kind = getattr(map, "dtype", type(map).__name__)
        raise TypeError(f"map: got {kind}, expected a tensor or an array of real numbers.")
    if map.ndim < 2 or not map.numel():
        raise ValueError(f"map: got shape {tuple(map.shape)}, expected (..., h, w).")
    map = map if map.is_floating_point() else map.float()
    if not map.isfinite().all():
        raise ValueError("map: got NaN or inf, expected finite values.")
    # The span of two huge values overflows, that of their halves does not; tiny ones stay exact.
    map = map / torch.where(map.abs().amax((-2, -1), keepdim=True) > 1, 2, 1)
    low, high = map.amin((-2, -1), keepdim=True), map.amax((-2, -1), keepdim=True)
    flat = high == low
    return torch.where(flat, 0, (map - low) / torch.where(flat, 1, high - low))


def _find_layer(model: nn.Module, layer: nn.Module | str) -> tuple[str, nn.Module]:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: got {type(model).__name__}, expected a torch.nn.Module.")
    modules = {name: module for name, module in model.named_modules() if name}
    if isinstance(layer, nn.Module):
        for name, module in modules.items():
            if module is layer:
                return name, module
        raise ValueError(f"layer: this {type(layer).__name__} is not a module of the model.")
    if not isinstance(layer, str):
        raise TypeError(
            f"layer: got {type(layer).__name__}, expected a module of the model or its name."
        )
    if layer in modules:
        return layer, modules[layer]
    for name, module in modules.items():
        if name.replace(".", "_") == layer:
            return name, module
    near = difflib.get_close_matches(layer, modules, n=3, cutoff=0.3) or list(modules)[-3:]
    raise ValueError(f"layer: the model has no {layer!r}; near ones: {', '.join(near)}.")


def _check_model(model: nn.Module) -> None:
    if any(module.training for module in model.modules()):
        raise ValueError(
            "model: got it in train mode, where dropout and batch norm change the answer from run "
            "to run; expected eval mode: call model.eval() first."
        )


def _check_tensor(name: str, value: Tensor, shape: str) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: got {type(value).__name__}, expected a tensor {shape}.")
    if value.ndim != shape.count(",") + 1 or not value.numel():
        raise ValueError(f"{name}: got shape {tuple(value.shape)}, expected {shape}.")
    if not value.is_floating_point():
        raise ValueError(f"{name}: got {value.dtype}, expected floating point values.")
    if not value.isfinite().all():
        raise ValueError(f"{name}: got NaN or inf, expected finite values.")


def _check_map(name: str, output: object, x: Tensor) -> None:
    if not isinstance(output, Tensor) or output.ndim != 4:
        got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(f"layer: {name!r} gives {got}, expected a feature map (N, C, h, w).")
    if not output.is_floating_point():
        raise ValueError(f"layer: {name!r} gives {output.dtype}, expected floating point maps.")
    # A map has the proportions of its picture: if dimensions 1 and 2 have them and 2 and 3 are
    # far from them, the channels stand last.
    aspect = math.log(x.shape[2] / x.shape[3])
    first, last = (
        abs(math.log(max(output.shape[i], 1) / max(output.shape[i + 1], 1)) - aspect)
        for i in (2, 1)
    )
    if first > math.log(2) and last < first / 4:
        raise ValueError(
            f"layer: {name!r} gives {tuple(output.shape)}, channels last; expected (N, C, h, w)."
        )


def _check_logits(logits: object, n: int) -> None:
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != n:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"model: gave {got}, expected logits (N, n_classes) with N = {n}.")
    if not logits.isfinite().all():
        raise ValueError("model: gave logits with NaN or inf; are its weights broken?")


def _check_classes(classes: Classes, n: int, n_classes: int) -> Tensor:
    """(N, K) int64, whichever of the three forms came."""
    if isinstance(classes, Tensor | np.ndarray):
        if classes.ndim == 1:
            raise ValueError(
                f"classes: got a one-dimensional {type(classes).__name__} of {len(classes)}, which "
                "could mean K classes for every picture (pass a list) or one class for each "
                "picture (pass a tensor (N, 1))."
            )
        if "int" not in str(classes.dtype):  # As NumPy and torch both write whole numbers.
            raise TypeError(f"classes: got {classes.dtype}, expected whole numbers.")
        chosen = torch.as_tensor(classes).to(torch.int64)
        if chosen.ndim == 0:
            chosen = chosen.expand(n, 1)
    else:
        listed = list(classes) if isinstance(classes, list | tuple | range) else [classes]
        for c in listed:
            if isinstance(c, bool) or not isinstance(c, int | np.integer):
                raise TypeError(
                    f"classes: got {c!r}, expected an int, a list of ints, or a tensor (N, K)."
                )
        off = [c for c in listed if not 0 <= c < n_classes]
        if off:
            raise ValueError(f"classes: got {off[0]}, expected 0 to {n_classes - 1}.")
        chosen = torch.tensor(listed, dtype=torch.int64).expand(n, -1)
    if chosen.ndim != 2 or len(chosen) != n or not chosen.shape[1]:
        raise ValueError(
            f"classes: got shape {tuple(chosen.shape)}, expected (N, K) with N = {n}, K >= 1."
        )
    if chosen.min() < 0 or chosen.max() >= n_classes:
        off = chosen[(chosen < 0) | (chosen >= n_classes)][0].item()
        raise ValueError(f"classes: got {off}, expected 0 to {n_classes - 1}.")
    return chosen
