"""Networks of other shapes for notebook 06, and what `grad_cam` says to them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from camutils import grad_cam


class Then(nn.Module):
    """A network, then a function of what it returns; a new one is in train mode."""

    def __init__(self, model: nn.Module, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.model = model
        self.function = function

    def forward(self, x: Tensor) -> Any:
        """(N, 3, H, W) → whatever the function makes of the network's output."""
        return self.function(self.model(x))


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


def last_of_each_grid(model: nn.Module, x: Tensor) -> dict[tuple[int, int], tuple[str, int]]:
    """The last module for each size of grid: (h, w) → (its name, its channels).

    Only names with at most one dot are looked at, which is enough for an overview.
    """
    names = {module: name for name, module in model.named_modules() if name.count(".") < 2}
    last = {}

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        if module in names and isinstance(output, Tensor) and output.ndim == 4:
            last[tuple(output.shape[2:])] = (names[module], output.shape[1])

    with register_module_forward_hook(note), torch.no_grad():
        model(x)
    return last


def attempt(what: str, model: nn.Module, layer: nn.Module | str, x: Tensor, **options: Any) -> None:
    """Print the shape of the maps that `grad_cam` gives, or its reason to give none."""
    try:
        print(f"{what}: maps", tuple(grad_cam(model, layer, x, **options).maps.shape))
    except (TypeError, ValueError) as error:
        print(f"{what}: {type(error).__name__}: {error}")
