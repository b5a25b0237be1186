"""Helpers of notebook 06: what `grad_cam` says to a network, and figures of several maps."""

from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import Image, ImageDraw
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
from .judging import draw_outline
from .masks import photograph_mask


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
        "mistake each. Each map is scaled to its own minimum and maximum; the white frame marks "
        "the intended crop.",
        [path],
        alt="The same photograph three times in grey, the animal at its left edge: twice under "
        "a heat map, once under a heat map and a white frame.",
        changes="heat maps and a frame laid over",
    )


def keep_region(photo: Image.Image, region: Tensor) -> Image.Image:
    """The photograph where the region (h, w) is 1, and a dark shade of it where it is 0."""
    levels = (64 + 191 * region).byte().numpy()
    mask = Image.fromarray(levels).resize(photo.size)
    return Image.composite(photo, Image.new("RGB", photo.size), mask)


def show_on_one_scale(
    path: Path,
    panels: Mapping[str, Image.Image | Tensor],
    unit: str,
    name: str,
    caption: str,
    alt: str,
    columns: int = 3,
) -> None:
    """Maps of a photograph, cell by cell, on one scale, with its animal's outline in white.

    Args:
        path: the photograph; it has a mask.
        panels: by their titles: pictures, and maps (h, w) that are not negative.
        unit: what the values are, beside the colour bar.
        name: of the figure, as in `show_figure`.
        caption: as in `show_figure`.
        alt: as in `show_figure`.
        columns: of the grid of panels.
    """
    figure = show_images(list(panels.values()), list(panels), columns=columns)
    animal = photograph_mask(path)
    for axes, panel in zip(figure.axes, panels.values(), strict=True):
        if isinstance(panel, Tensor):
            draw_outline(axes, animal, "white")
    maps = [panel for panel in panels.values() if isinstance(panel, Tensor)]
    add_colour_bar(figure, (0, torch.stack(maps).max().item() or 1), unit)
    show_figure(figure, name, caption, [path], alt=alt, changes="")
