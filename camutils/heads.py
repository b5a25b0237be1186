"""Global average pooling and one linear layer on a frozen feature stack, trained once over."""

import math
from collections.abc import Iterable
from numbers import Real
from typing import NamedTuple

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from .checks import check, check_module, check_tensor, check_type, check_whole, run


class FitResult(NamedTuple):
    """What `fit_head` returns."""

    head: nn.Linear  #: (C) → (n_classes), on the raw spatial mean of the activations.
    history: dict[str, list[float]]  #: "loss" and "accuracy" on the training data before each step.


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
        check_module("features", features)
        check_whole("n_classes", n_classes, 2)
        super().__init__()
        self.features = features.eval().requires_grad_(False)
        parameter = next(features.parameters(), torch.empty(0))
        first = next((m for m in features.modules() if isinstance(m, nn.Conv2d)), None)
        with torch.no_grad():  # A small blank picture tells C for any kind of stack.
            probe = parameter.new_zeros(1, first.in_channels if first else 3, 64, 64)
            activations = run(features, probe, "features")
        check_tensor("features", activations, "(N, C, h, w)")
        self.head = nn.Linear(activations.shape[1], n_classes).to(parameter)

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
    check_module("features", features)
    parameter = next(features.parameters(), torch.empty(0))
    modes = [(module, module.training) for module in features.modules()]
    activations, labels = [], []
    try:
        features.eval()
        with torch.inference_mode(False), torch.no_grad():
            for batch in tqdm(loader, desc="features", disable=not progress):
                pair = isinstance(batch, tuple | list) and len(batch) == 2
                check(pair, "loader", type(batch).__name__, "batches (pictures, labels)")
                x, y = batch
                check_tensor("loader", x, "(N, C, H, W)")
                y = _check_labels("loader", y)
                check(len(x) == len(y), "loader", f"{len(y)} labels", f"{len(x)}, one a picture")
                output = run(features, x.to(parameter), "loader")
                check_tensor("features", output, "(N, C, h, w)")
                activations.append(output.float().cpu())
                labels.append(y.cpu())
    finally:
        for module, mode in modes:
            module.training = mode
    check(activations, "loader", "no batches", "at least one")
    alike = len({a.shape[1:] for a in activations}) == 1
    check(alike, "loader", "pictures of several sizes", "one size for all")
    with torch.inference_mode(False):  # What comes out can be trained on, wherever it was made.
        return torch.cat(activations), torch.cat(labels)


def fit_head(
    activations: Tensor,
    labels: Tensor,
    *,
    n_classes: int | None = None,
    epochs: int = 200,
    lr: float = 0.003,
    weight_decay: float = 0.1,
    seed: int = 0,
) -> FitResult:
    """Train the linear layer on pooled activations: multinomial logistic regression.

    Cross-entropy, full-batch Adam. The same arguments give the same head; the global random state
    is neither used nor changed. The weight decay is large on purpose: a few hundred pictures in
    512 dimensions can always be told apart, and without it the probabilities end at 0 and 1.

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
    check_tensor("activations", activations, "(N, C, h, w)")
    labels, n = _check_labels("labels", labels), len(activations)
    check(len(labels) == n, "labels", len(labels), f"{n}, one for each of the activations")
    n_classes = int(labels.max()) + 1 if n_classes is None else n_classes
    for name, value, least in (("n_classes", n_classes, 2), ("epochs", epochs, 1)):
        check_whole(name, value, least)
    check(labels.max() < n_classes, "labels", labels.max().item(), f"0 to {n_classes - 1}")
    check(isinstance(lr, Real) and 0 < lr < math.inf, "lr", repr(lr), "a number above 0")
    decays = isinstance(weight_decay, Real) and 0 <= weight_decay < math.inf
    check(decays, "weight_decay", repr(weight_decay), "a number of at least 0")
    with torch.inference_mode(False), torch.enable_grad():
        pooled = activations.detach().float().mean((2, 3))
        labels = labels.clone()  # Made in inference mode, they could not be trained on.
        head = nn.utils.skip_init(nn.Linear, pooled.shape[1], n_classes, device=pooled.device)
        generator = torch.Generator(pooled.device).manual_seed(seed)
        bound = pooled.shape[1] ** -0.5  # PyTorch's own for a linear layer, from our generator.
        for parameter in head.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)
        optimizer = torch.optim.Adam(head.parameters(), lr=lr, weight_decay=weight_decay)
        history = {"loss": [], "accuracy": []}
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # Steps this small gain nothing from threads that wait in turn.
        try:
            for _ in range(epochs):
                logits = head(pooled)
                loss = nn.functional.cross_entropy(logits, labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                history["loss"].append(loss.item())
                history["accuracy"].append((logits.argmax(1) == labels).float().mean().item())
        finally:
            torch.set_num_threads(threads)
        head.zero_grad(set_to_none=True)
    return FitResult(head.eval(), history)


def _check_labels(name: str, value: Tensor) -> Tensor:
    check_type(name, value, Tensor, "a tensor of labels (N,)")
    check("int" in str(value.dtype), name, f"labels of {value.dtype}", "whole numbers", TypeError)
    fits = value.ndim == 1 and len(value) and value.min() >= 0
    check(fits, name, f"labels of shape {tuple(value.shape)}", "(N,) from 0 on")
    return value.to(torch.int64)
