"""Helpers of notebook 06: what `grad_cam` says to a network, and figures of several maps."""

from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import ImageDraw
from torch import Tensor, nn

from camutils import (
    Classifier,
    crop_box,
    grad_cam,
    load_image,
    normalize_map,
    overlay,
    show_images,
)

from .figures import add_colour_bar, show_figure


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


def show_mistakes(classifier: Classifier, path: Path, label: str) -> None:
    """Three attempts at a map of one class, with one mistake each, for exercise 1.

    Args:
        classifier: the embedded network that ends in global average pooling.
        path: the photograph.
        label: the class, as in `classifier.categories`.
    """
    photo, c = load_image(path), classifier.categories.index(label)
    x = classifier.preprocess(photo)[None]
    good = normalize_map(classifier.grad_cam(photo, c).maps[0, 0])
    early = normalize_map(grad_cam(classifier.model, "features.5", x, c).maps[0, 0])
    height, width = photo.size  # The mistake of the third picture.
    framed = overlay(photo, good, grey=True)
    box = crop_box(good, (width, height), margin=0)
    ImageDraw.Draw(framed).rectangle(box, outline="white", width=4)
    attempts = [overlay(photo, 1 - good, grey=True), overlay(photo, early, grey=True), framed]
    show_figure(
        show_images(attempts, ["A", "B", "C"]),
        "06-mistakes",
        f"Three attempts to show where {classifier.name} sees the class {label}, with one "
        "mistake each; every map scaled by itself, the frame is to be the crop.",
        [path],
        alt="The same photograph three times in grey, the animal at its left edge: twice under "
        "a heat map, once under a heat map and a white frame.",
        changes="heat maps and a frame laid over",
    )


def show_on_one_scale(
    path: Path, maps: Mapping[str, Tensor], unit: str, name: str, caption: str, alt: str
) -> None:
    """A photograph and maps of it, cell by cell, on one scale with a colour bar.

    Args:
        path: the photograph.
        maps: (h, w) each, not negative, by their titles.
        unit: what the values are, beside the colour bar.
        name: of the figure, as in `show_figure`.
        caption: as in `show_figure`.
        alt: as in `show_figure`.
    """
    figure = show_images([load_image(path), *maps.values()], ["photograph", *maps])
    highest = torch.stack(list(maps.values())).max().item()
    add_colour_bar(figure, (0, highest or 1), unit)
    show_figure(figure, name, caption, [path], alt=alt, changes="")
