"""What the experiments of notebook 02 do to a picture or to a map, and how maps are compared.

`python -m course.trials` repeats section 5 of notebook 02 on the photographs of section 7: which
map agrees better with an occlusion map. It takes some minutes.
"""

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from camutils import Classifier, data_path, load_classifier, load_image

from .photographs import photographs

# Rows and columns of `data/scenes/elephants.jpg` that hold the tusks of one elephant each.
PLACES = (np.s_[248:308, 28:98], np.s_[290:328, 586:618])
IVORY = 130  # All but a few pixels of skin are darker than this in some colour.


def correlation(one: Tensor, other: Tensor) -> float:
    """The correlation of two maps of one shape, cell by cell; NaN if one of them is flat."""
    return torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1].item()


def all_but_hottest(heatmap: Tensor, n: int, size: int) -> Tensor:
    """A mask that is 0 in the hottest cells of a map and 1 in all others.

    Args:
        heatmap: (h, w), both of them multiples of `size`.
        n: how many cells, a multiple of `size` squared.
        size: the cells go in blocks of size x size, those with the highest mean.

    Returns:
        (h, w).
    """
    blocks = F.avg_pool2d(heatmap[None], size)[0]
    mask = torch.ones(blocks.numel())
    mask[blocks.flatten().topk(n // size**2).indices] = 0
    return mask.view_as(blocks).repeat_interleave(size, 0).repeat_interleave(size, 1)


def elephant_mask() -> np.ndarray:
    """(480, 640) bool: True on the two elephants of the scene."""
    mask = load_image(data_path("scenes", "elephants_elephant_mask.png"))
    return np.asarray(mask)[..., 0] > 127


def tusk_mask() -> np.ndarray:
    """(480, 640) bool: True on the tusks of both elephants and four pixels around them."""
    scene = load_image(data_path("scenes", "elephants.jpg"))
    bright = elephant_mask() & (np.asarray(scene).min(2) > IVORY)
    tusks = np.zeros(bright.shape, np.uint8)
    for place in PLACES:
        tusks[place] = bright[place]
    return cv2.dilate(tusks, np.ones((9, 9), np.uint8)).astype(bool)


def paint_over(picture: Image.Image, spot: np.ndarray, radius: int = 5) -> Image.Image:
    """The picture with `spot`, (h, w) bool, filled in from the `radius` pixels around it."""
    pixels = np.asarray(picture)
    return Image.fromarray(cv2.inpaint(pixels, spot.astype(np.uint8), radius, cv2.INPAINT_TELEA))


def move_spot(
    spot: np.ndarray, ground: np.ndarray, least: float, most: float, n: int, seed: int = 0
) -> list[np.ndarray]:
    """A spot, moved to random places that do not touch the place where it was.

    Args:
        spot: (h, w) bool; what is pushed over an edge comes back at the opposite one.
        ground: (h, w) bool.
        least: at least this share of the moved spot lies on the ground.
        most: at most this share does.
        n: how many places.
        seed: the same seed gives the same places.

    Returns:
        n masks (h, w).
    """
    draw = np.random.default_rng(seed)
    places: list[np.ndarray] = []
    while len(places) < n:
        moved = np.roll(spot, draw.integers(spot.shape), (0, 1))
        if least <= ground[moved].mean() <= most and not (moved & spot).any():
            places.append(moved)
    return places


def occlusion_map(model: nn.Module, x: Tensor, c: int) -> Tensor:
    """How far the logit of class c falls where a grey square covers each 32nd part of a picture.

    Args:
        model: in eval mode, (N, 3, 224, 224) → (N, n_classes).
        x: (1, 3, 224, 224); its mean colour is 0.
        c: the class.

    Returns:
        (7, 7); each square reaches 16 pixels beyond its cell.
    """
    covered = []
    for row in range(7):
        for column in range(7):
            picture = x.clone()
            top, left = max(0, 32 * row - 16), max(0, 32 * column - 16)
            picture[:, :, top : 32 * row + 48, left : 32 * column + 48] = 0
            covered.append(picture)
    with torch.no_grad():
        rest = [model(batch)[:, c] for batch in torch.cat(covered).split(7)]
        return model(x)[0, c] - torch.cat(rest).view(7, 7)


def agree_with_occlusion(classifier: Classifier, image: Image.Image) -> tuple[float, float]:
    """How Grad-CAM and the gradient of the pixels correlate with the first answer's occlusion."""
    x = classifier.preprocess(image)[None].requires_grad_()
    logits = classifier.model(x)[0]
    c = logits.argmax().item()
    (gradient,) = torch.autograd.grad(logits[c], x)
    tiles = F.avg_pool2d(gradient.abs().amax(1), 32)[0]  # (7, 7)
    blocks = F.avg_pool2d(classifier.grad_cam(image).maps[0], 2)[0]
    occlusion = occlusion_map(classifier.model, x.detach(), c)
    return correlation(occlusion, blocks), correlation(occlusion, tiles)


def main() -> None:
    """Print both correlations for each photograph, and how often the first is the larger."""
    classifier = load_classifier("vgg16_animals")
    better = []
    for photo in photographs():
        grad_cam, pixels = agree_with_occlusion(classifier, load_image(photo.path))
        print(f"{photo.path.stem:24} Grad-CAM {grad_cam:5.2f}  pixels {pixels:5.2f}")
        better.append(grad_cam > pixels)
    print(f"Grad-CAM agrees better with occlusion on {sum(better)} of {len(better)} photographs")


if __name__ == "__main__":
    main()
