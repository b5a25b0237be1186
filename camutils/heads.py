"""Global average pooling and one linear layer on a frozen feature stack, trained once over."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm


class FitResult(NamedTuple):
    """What `fit_head` returns."""

    head: nn.Linear  #: (C) → (n_classes), on the raw spatial mean of the activations.
    history: dict[str, list[float]]  #: "loss" and "accuracy" on the training data, per epoch.


class GAPClassifier(nn.Module):
    """Feature stack → global average pooling → one linear layer: the form that CAM asks for.

    The stack is frozen: its parameters need no gradient, and it stays in eval mode when the rest
    is put into train mode, so that no batch norm or dropout changes it. Zhou et al., section 2.

    Args:
        features: (N, C_in, H, W) → (N, C, h, w); frozen in place.
        n_classes: at least 2.

    Attributes:
        features: the stack. head: `nn.Linear(C, n_classes)`, the only part that is trained.

    Raises:
        TypeError: features is no module. ValueError: n_classes off range, or features that do not
            give (N, C, h, w) on a 64x64 picture.
    """

    def __init__(self, features: nn.Module, n_classes: int) -> None:
        if not isinstance(features, nn.Module):
            raise TypeError(f"features: got {type(features).__name__}, expected a torch module.")
        _check_whole("n_classes", n_classes, 2)
        super().__init__()
        self.features = features.eval().requires_grad_(False)
        parameter = next(features.parameters(), torch.empty(0))
        first = next((m for m in features.modules() if isinstance(m, nn.Conv2d)), None)
        with torch.no_grad():  # A small blank picture tells C for any kind of stack.
            probe = parameter.new_zeros(1, first.in_channels if first else 3, 64, 64)
            channels = _check_activations("features", features(probe)).shape[1]
        self.head = nn.Linear(channels, n_classes).to(parameter)

    def train(self, mode: bool = True) -> "GAPClassifier":
        """Set the mode of the head; the stack stays in eval mode."""
        super().train(mode)
        self.features.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) → logits (N, n_classes)."""
        return self.head(self.features(x).mean((2, 3)))


def extract_features(
    features: nn.Module, loader: Iterable[tuple[Tensor, Tensor]], *, progress: bool = True
) -> tuple[Tensor, Tensor]:
    """Run a feature stack once over a data set.

    With the stack frozen its output never changes, so there is no reason to run it every epoch.

    Args:
        features: (N, C_in, H, W) → (N, C, h, w); run in eval mode, its own mode is restored.
        loader: batches of pictures and whole-number labels, as from a `DataLoader`.
        progress: show a tqdm bar.

    Returns:
        Activations (N, C, h, w), float32 on the CPU, before pooling, and labels (N,), int64.

    Raises:
        ValueError: no batches, batches that are no pairs, activations that are not finite
            (N, C, h, w). TypeError: features is no module.
    """
    if not isinstance(features, nn.Module):
        raise TypeError(f"features: got {type(features).__name__}, expected a torch module.")
    parameter = next(features.parameters(), torch.empty(0))
    modes = [(module, module.training) for module in features.modules()]
    activations, labels = [], []
    try:
        features.eval()
        with torch.inference_mode(False), torch.no_grad():
            for batch in tqdm(loader, desc="features", disable=not progress):
                if not isinstance(batch, tuple | list) or len(batch) != 2:
                    raise ValueError("loader: got a batch that is not (pictures, labels).")
                x, y = batch[0], torch.as_tensor(batch[1])
                if not isinstance(x, Tensor) or x.ndim != 4 or y.shape != x.shape[:1]:
                    raise ValueError(
                        f"loader: got pictures {tuple(getattr(x, 'shape', ()))} and labels "
                        f"{tuple(y.shape)}, expected (N, C, H, W) and (N,)."
                    )
                output = _check_activations("features", features(x.to(parameter)))
                activations.append(output.float().cpu())
                labels.append(_check_labels("loader", y).cpu())
    finally:
        for module, mode in modes:
            module.training = mode
    if not activations:
        raise ValueError("loader: got no batches, expected at least one.")
    if len({a.shape[1:] for a in activations}) > 1:
        raise ValueError("loader: got pictures of several sizes, expected one size for all.")
    return torch.cat(activations), torch.cat(labels)


def fit_head(
    activations: Tensor,
    labels: Tensor,
    *,
    n_classes: int | None = None,
    epochs: int = 300,
    lr: float = 0.01,
    weight_decay: float = 1e-4,
    seed: int = 0,
) -> FitResult:
    """Train the linear layer on pooled activations: multinomial logistic regression.

    Cross-entropy, full-batch Adam. The same arguments give the same head; the global random state
    is neither used nor changed.

    Args:
        activations: (N, C, h, w), finite, as `extract_features` returns them.
        labels: (N,), whole numbers from 0 to n_classes - 1.
        n_classes: None for the largest label plus 1; at least 2.
        epochs: passes over the data, at least 1.
        lr: learning rate, above 0.
        weight_decay: L2 penalty, at least 0.
        seed: of the head's first weights.

    Returns:
        `FitResult(head, history)`.

    Raises:
        ValueError, TypeError: an argument off its range or shape, or NaN.
    """
    _check_activations("activations", activations)
    labels = _check_labels("labels", labels)
    if len(labels) != len(activations):
        raise ValueError(f"labels: got {len(labels)} for {len(activations)} activations.")
    n_classes = int(labels.max()) + 1 if n_classes is None else n_classes
    for name, value, least in (("n_classes", n_classes, 2), ("epochs", epochs, 1)):
        _check_whole(name, value, least)
    if labels.max() >= n_classes:
        raise ValueError(f"labels: got {labels.max()}, expected 0 to {n_classes - 1}.")
    if not (0 < lr < math.inf and 0 <= weight_decay < math.inf):
        raise ValueError(
            f"lr, weight_decay: got {lr}, {weight_decay}, expected lr > 0 and weight_decay >= 0."
        )
    with torch.inference_mode(False), torch.enable_grad():
        pooled = activations.detach().float().mean((2, 3))
        head = nn.utils.skip_init(nn.Linear, pooled.shape[1], n_classes, device=pooled.device)
        generator = torch.Generator(pooled.device).manual_seed(seed)
        bound = pooled.shape[1] ** -0.5  # PyTorch's own for a linear layer, from our generator.
        for parameter in head.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)
        optimizer = torch.optim.Adam(head.parameters(), lr=lr, weight_decay=weight_decay)
        history = {"loss": [], "accuracy": []}
        for _ in range(epochs):
            logits = head(pooled)
            loss = nn.functional.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history["loss"].append(loss.item())
            history["accuracy"].append((logits.argmax(1) == labels).float().mean().item())
        head.zero_grad(set_to_none=True)
    return FitResult(head.eval(), history)


def _check_whole(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: got {value!r}, expected a whole number.")
    if value < least:
        raise ValueError(f"{name}: got {value}, expected at least {least}.")


def _check_activations(name: str, value: Tensor) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: got {type(value).__name__}, expected a tensor (N, C, h, w).")
    if value.ndim != 4 or not value.numel() or not value.is_floating_point():
        raise ValueError(
            f"{name}: got {value.dtype} of shape {tuple(value.shape)}, expected floating "
            "(N, C, h, w)."
        )
    if not value.isfinite().all():
        raise ValueError(f"{name}: got NaN or inf, expected finite activations.")
    return value


def _check_labels(name: str, value: Tensor) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: got {type(value).__name__}, expected a tensor of labels (N,).")
    if value.is_floating_point() or value.is_complex() or value.dtype == torch.bool:
        raise TypeError(f"{name}: got labels of {value.dtype}, expected whole numbers.")
    if value.ndim != 1 or not len(value) or value.min() < 0:
        raise ValueError(
            f"{name}: got labels of shape {tuple(value.shape)}, expected (N,) from 0 on."
        )
    return value.to(torch.int64)
