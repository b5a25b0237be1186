"""Helpers of notebook 06: what `grad_cam` says to a network."""

import torch
from torch import Tensor, nn

from camutils import grad_cam


class BackboneUnderNoGrad(nn.Module):
    """A network whose convolutions run under `no_grad()`, as in transfer learning."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) → logits (N, n_classes)."""
        with torch.no_grad():
            grid = self.model.features(x)
        return self.model.classifier(self.model.pooling(grid))


def attempt(what: str, model: nn.Module, layer: nn.Module, x: Tensor, classes: int = 0) -> None:
    """Print the shape of the map that `grad_cam` gives, or its reason to give none."""
    try:
        print(f"{what}: a map", tuple(grad_cam(model, layer, x, classes).maps.shape))
    except (TypeError, ValueError) as error:
        print(f"{what}: {type(error).__name__}: {error}")
