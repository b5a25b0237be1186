"""Global average pooling and one linear layer on a frozen feature stack that runs only once.

Notebook 01 builds the network and its training by hand.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from .cam import check_tensor, is_finite, refuse_train_mode
from .models import Seeded


class FitResult(NamedTuple):
    """What `fit_head` returns."""

    head: nn.Linear  #: from C to n_classes, on the raw spatial mean of the activations.
    history: dict[str, list]  #: "loss" and "accuracy" on the training data before each step.


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

    Example:
        >>> model = GAPClassifier(load_vgg16_features()[0], n_classes=4)
    """

    def __init__(self, features: nn.Module, n_classes: int) -> None:
        super().__init__()
        self.features = features.eval().requires_grad_(False)
        # C is found by a trial run, on 256 pixels: deep stacks shrink a small picture to nothing.
        kernel = next(features.parameters())
        with torch.no_grad():
            activations = features(kernel.new_zeros(1, kernel.shape[1], 256, 256))
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
    features: nn.Module, loader: Iterable, *, progress: bool = True
) -> tuple[Tensor, Tensor]:
    """Run a feature stack once over a data set.

    With the stack frozen its output never changes, so there is no reason to run it every epoch.

    Args:
        features: (N, C_in, H, W) → (N, C, h, w), in eval mode.
        loader: batches of pictures and integer labels, as from a `DataLoader`.
        progress: show a tqdm bar.

    Returns:
        Activations (N, C, h, w), float32, before pooling, and labels (N,), both on the CPU.

    Raises:
        ValueError: a stack in train mode, activations that are not finite (N, C, h, w).
        RuntimeError: no batches.

    Example:
        >>> activations, labels = extract_features(features, DataLoader(data, 16))
    """
    refuse_train_mode(features)
    parameter = next(features.parameters())
    activations = []
    labels = []
    with torch.inference_mode(False), torch.no_grad():
        for x, y in tqdm(loader, desc="features", disable=not progress):
            output = features(x.to(parameter))
            check_tensor("the output of features", output, 4, "(N, C, h, w)", len(x))
            activations.append(output.float().cpu())
            labels.append(y.cpu())
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
        ValueError: activations or labels of the wrong shape or type, NaN, a head of more than a
            gigabyte, a training that diverged.

    Example:
        >>> head = fit_head(activations, labels, epochs=100).head
    """
    check_tensor("activations", activations, 4, "(N, C, h, w)")
    n, n_channels = activations.shape[:2]
    if "int" not in str(labels.dtype) or labels.shape != (n,) or labels.min() < 0:
        raise ValueError(f"labels must be a tensor of {n} integers from 0 on.")
    n_classes = n_classes or max(2, int(labels.max()) + 1)
    if not labels.max() < n_classes < 2**28 / n_channels:
        raise ValueError(
            f"labels must be below n_classes = {n_classes}, and the head below a gigabyte."
        )
    history = {"loss": [], "accuracy": []}
    with torch.inference_mode(False), torch.enable_grad():
        pooled = activations.detach().float().mean((2, 3))
        labels = labels.long().clone()  # Autograd refuses tensors made in inference mode.
        with Seeded(seed):
            head = nn.Linear(n_channels, n_classes, device="cpu").to(pooled.device)
        optimizer = torch.optim.Adam(head.parameters(), lr=lr, weight_decay=weight_decay)
        for _ in range(epochs):
            logits = head(pooled)
            loss = nn.functional.cross_entropy(logits, labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()  # The head comes out without gradients.
            accuracy = (logits.argmax(1) == labels).float().mean()
            history["loss"].append(loss.item())
            history["accuracy"].append(accuracy.item())
    if not is_finite(head(pooled)):
        raise ValueError(f"lr is {lr}, and training diverged; it must be smaller.")
    return FitResult(head.eval(), history)
