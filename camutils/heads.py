"""Global average pooling and one linear layer on a frozen feature stack that runs only once."""

import copy
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from .cam import check_tensor
from .models import Seeded


class FitResult(NamedTuple):
    """What `fit_head` returns."""

    head: nn.Linear  #: from C to n_classes, on the raw spatial mean of the activations.
    history: dict[str, list[float]]  #: "loss" and "accuracy" on the training data before each step.


class GAPClassifier(nn.Module):
    """Feature stack → global average pooling → one linear layer: the architecture that CAM needs.

    The stack is frozen: its parameters need no gradient, and it stays in eval mode when the rest
    is put into train mode, so that no batch norm or dropout changes it. Section 2 of Zhou et al.,
    Learning Deep Features for Discriminative Localization (CVPR 2016).

    Args:
        features: (N, C_in, H, W) → (N, C, h, w); frozen in place.
        n_classes: at least 2.

    Attributes:
        features: the stack.
        head: `nn.Linear(C, n_classes)`, the only part that is trained.

    Raises:
        TypeError: n_classes is not an integer.
        ValueError: n_classes out of range, or features that do not give (N, C, h, w).
    """

    def __init__(self, features: nn.Module, n_classes: int) -> None:
        if n_classes < 2:
            raise ValueError(f"n_classes: got {n_classes}, expected at least 2.")
        super().__init__()
        self.features = features.eval().requires_grad_(False)
        first = next((m for m in features.modules() if isinstance(m, nn.Conv2d)), None)
        parameter = next(features.parameters(), torch.empty(0))
        # C is found by a trial run, on 256 pixels: deep stacks shrink a small picture to nothing.
        blank = parameter.new_zeros(1, first.in_channels if first else 3, 256, 256)
        with torch.no_grad():
            activations = features(blank)
        check_tensor("features", activations, 4, "(N, C, h, w)")
        self.head = nn.Linear(activations.shape[1], n_classes).to(activations)

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
        features: (N, C_in, H, W) → (N, C, h, w); in train mode, a copy of it runs in eval mode.
        loader: batches of pictures and integer labels, as from a `DataLoader`.
        progress: show a tqdm bar.

    Returns:
        Activations (N, C, h, w), float32 on the CPU, before pooling, and labels (N,), int64.

    Raises:
        ValueError: no batches, or activations that are not finite (N, C, h, w).
        TypeError: labels that are not integers.
    """
    is_training = any(module.training for module in features.modules())
    stack = copy.deepcopy(features).eval() if is_training else features
    parameter = next(stack.parameters(), torch.empty(0))
    activations, labels = [], []
    with torch.inference_mode(False), torch.no_grad():
        for x, y in tqdm(loader, desc="features", disable=not progress):
            check_tensor("loader", x, 4, "(N, C, H, W)")
            output = stack(x.to(parameter))
            check_tensor("features", output, 4, "(N, C, h, w)")
            activations.append(output.float().cpu())
            labels.append(_check_labels("loader", y, len(output)).cpu())
        if not activations:
            raise ValueError("loader: got no batches, expected at least one.")
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
        labels: (N,), integers from 0 to n_classes - 1.
        n_classes: None for the largest label plus 1; at least 2.
        epochs: passes over the data, at least 1.
        lr: learning rate, above 0.
        weight_decay: L2 penalty, at least 0.
        seed: of the head's first weights.

    Returns:
        `FitResult(head, history)`.

    Raises:
        ValueError: an argument out of range or of the wrong shape, NaN, a head of more than a
            gigabyte, a training that diverged.
        TypeError: n_classes, epochs or labels that are not integers.
    """
    check_tensor("activations", activations, 4, "(N, C, h, w)")
    labels = _check_labels("labels", labels, len(activations))
    if n_classes is None:
        n_classes = int(labels.max()) + 1
    if epochs < 1:
        raise ValueError(f"epochs: got {epochs}, expected at least 1.")
    least, most = max(2, int(labels.max()) + 1), 2**28 // activations.shape[1]
    if not least <= n_classes <= most:  # A label of 10^9, a slip, would ask for terabytes.
        raise ValueError(f"n_classes: got {n_classes}, expected {least} (labels) to {most} (size).")
    with torch.inference_mode(False), torch.enable_grad():
        pooled = activations.detach().float().mean((2, 3))
        labels = labels.clone()  # Autograd refuses tensors made in inference mode.
        with torch.device("cpu"), Seeded(seed):
            head = nn.Linear(pooled.shape[1], n_classes).to(pooled.device)
        optimizer = torch.optim.Adam(head.parameters(), lr=lr, weight_decay=weight_decay)
        history = {"loss": [], "accuracy": []}
        for _ in range(epochs):
            logits = head(pooled)
            loss = nn.functional.cross_entropy(logits, labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()  # The head comes out without gradients.
            history["loss"].append(loss.item())
            history["accuracy"].append((logits.argmax(1) == labels).float().mean().item())
    if not all(value.isfinite().all() for value in (loss, *head.parameters())):
        raise ValueError(f"lr: got {lr}, and training diverged, expected a smaller one.")
    return FitResult(head.eval(), history)


def _check_labels(name: str, labels: Tensor, n: int) -> Tensor:
    if not isinstance(labels, Tensor) or "int" not in str(labels.dtype):
        raise TypeError(f"{name}: got labels {labels!r:.60}, expected a tensor of integers.")
    if labels.shape != (n,) or labels.min() < 0:
        raise ValueError(f"{name}: got labels {labels!r:.60}, expected {n} labels, none negative.")
    return labels.long()
