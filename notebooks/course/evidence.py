"""What the experiments of notebooks 00 and 01 do to pictures, and what they measure."""

from typing import NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps
from torch import Tensor

from camutils import (
    Classifier,
    class_activation_map,
    data_path,
    extract_features,
    fit_head,
    load_image,
    load_vgg16_features,
    normalize_map,
)

from . import shortcut
from .photographs import photograph_mask, photographs
from .scenes import BACKGROUNDS
from .trials import correlation, paint_over

KITTEN = data_path("scenes", "cat.webp")
BALL = (597, 382, 115)  # Column and row of the middle, radius, in pixels of the kitten's picture.
THREAD_BELOW = 458  # Row.
NO_THREAD = 620  # From this column on.
UNLIKE_THE_FLOOR = 25  # The thread's colour differs more from the floor's, in Lab units.


def cell_evidence(classifier: Classifier, x: Tensor) -> Tensor:
    """(1000, 7, 7): the CAM of every class for one prepared picture (3, 224, 224)."""
    with torch.inference_mode():
        features = classifier.model.get_submodule(classifier.target_layer)(x[None])
        weight = classifier.model.classifier[-1].weight
        return class_activation_map(features, weight, list(range(len(weight))))[0]


def compare_runners_up(classifier: Classifier) -> Tensor:
    """For each photograph that has a mask, the correlation of its two best classes' maps, (57,)."""
    correlations = []
    for photograph in photographs():
        image = load_image(photograph.path)
        best_two = [answer.index for answer in classifier.predict(image, k=2)]
        maps = classifier.grad_cam(image, best_two).maps[0]
        correlations.append(correlation(*maps))
    return torch.tensor(correlations)


class Sorted(NamedTuple):
    """A photograph of `shortcut`'s archive, and what a network that has not seen it says."""

    photo: Image.Image
    plain: Image.Image  #: the same without the dots
    heat: Tensor  #: (7, 7) in [0, 1]: what raises its answer above the other one
    label: str
    probability: float
    without: float  #: the probability of the same class where the dots are not there
    n_right: int  #: of the photographs held out
    n_held_out: int


def sort_archive(name: str, seed: int) -> Sorted:
    """Train notebook 05's network on three quarters of its archive; see what it says of the rest.

    Args:
        name: of a held-out photograph, "france_mont_st_michel".
        seed: of the split; 1 holds out that one.
    """
    paths, labels = shortcut.list_archive()
    pictures = [shortcut.load_archived(path) for path in paths]
    stack, preprocess = load_vgg16_features()
    x = torch.stack([preprocess(picture) for picture in pictures])
    batches = zip(x.split(8), labels.split(8), strict=True)
    maps, _ = extract_features(stack, batches, progress=False)
    held_out = shortcut.deal_folds(labels, seed=seed) == 0
    head = fit_head(maps[~held_out], labels[~held_out]).head
    with torch.no_grad():
        probabilities = head(maps.mean((2, 3))).softmax(1)
    right = probabilities.argmax(1) == labels
    i = [path.stem for path in paths].index(name)
    answer = int(probabilities[i].argmax())
    plain = shortcut.load_plain(paths[i])
    with torch.no_grad():
        without = head(stack(preprocess(plain)[None]).mean((2, 3))).softmax(1)
    cams = class_activation_map(maps[[i]], head.weight.detach(), [answer, 1 - answer])[0]
    return Sorted(
        pictures[i],
        plain,
        normalize_map((cams[0] - cams[1]).relu()),
        shortcut.CLASSES[answer],
        float(probabilities[i, answer]),
        float(without[0, answer]),
        int(right[held_out].sum()),
        int(held_out.sum()),
    )


def kitten_variants() -> dict[str, Image.Image]:
    """The kitten with ball and thread painted over, or alone on another ground; by what was done.

    The floor is carried on, mirrored again and again, from one of its corners: seen from close by
    at the lower right, from farther away at the upper right.
    """
    photo = load_image(KITTEN)
    kitten = photograph_mask(KITTEN)
    width, height = photo.size
    upper = _carry_on(photo, (NO_THREAD, 0, width, height // 5))
    lower = _carry_on(photo, (NO_THREAD, height - height // 5, width, height))
    # A little larger, or their rims stay.
    spot = cv2.dilate(_ball_and_thread(photo, kitten).astype(np.uint8), np.ones((9, 9), np.uint8))
    variants = {
        "as it is": photo,
        "no ball, no thread": paint_over(photo, spot, radius=7),
        "floor of the lower right": _lay(photo, kitten, lower),
        "floor of the upper right": _lay(photo, kitten, upper),
    }
    colour = tuple(np.median(np.asarray(photo)[~kitten], axis=0).astype(int).tolist())
    variants["the floor's plain colour"] = _lay(photo, kitten, Image.new("RGB", photo.size, colour))
    for name in BACKGROUNDS:
        ground = load_image(data_path("backgrounds", f"{name}.jpg")).resize(photo.size)
        variants[f"on {name}"] = _lay(photo, kitten, ground)
    return variants


def _ball_and_thread(photo: Image.Image, kitten: np.ndarray) -> np.ndarray:
    """(height, width) bool: the ball as a disc, and below it what has not the floor's colour."""
    rows, columns = np.mgrid[: photo.height, : photo.width]
    column, row, radius = BALL
    ball = np.hypot(rows - row, columns - column) < radius
    # Colour alone: the floor's brightness varies.
    colours = cv2.cvtColor(np.asarray(photo), cv2.COLOR_RGB2LAB)[..., 1:].astype(int)
    floor = np.median(colours[~kitten & ~ball], axis=0)
    differs = np.abs(colours - floor).sum(2) > UNLIKE_THE_FLOOR
    thread = (differs & ~kitten & (rows > THREAD_BELOW)).astype(np.uint8)
    thread = cv2.dilate(thread, np.ones((7, 7), np.uint8)) > 0
    return (ball | thread) & ~kitten


def _carry_on(photo: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """A picture of the same size, of nothing but one part of it, mirrored from tile to tile."""
    part = photo.crop(box)
    ground = Image.new("RGB", photo.size)
    for down in range(-(-photo.height // part.height)):
        for across in range(-(-photo.width // part.width)):
            tile = ImageOps.mirror(part) if across % 2 else part
            tile = ImageOps.flip(tile) if down % 2 else tile
            ground.paste(tile, (across * part.width, down * part.height))
    return ground


def _lay(photo: Image.Image, mask: np.ndarray, ground: Image.Image) -> Image.Image:
    """What the mask shows of the photograph, with a soft edge, on another ground."""
    soft = Image.fromarray(mask).convert("L").filter(ImageFilter.GaussianBlur(2))
    return Image.composite(photo, ground, soft)
