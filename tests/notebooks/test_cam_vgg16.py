"""CAM on the embedded VGG16, retrained on the photographs: notebook 01's claims as tests.

`python tests/notebooks/test_cam_vgg16.py` writes the reference maps anew.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from camutils import (
    GAPClassifier,
    class_activation_map,
    data_path,
    extract_features,
    fit_head,
    grad_cam,
    image_folder,
    load_image,
    load_vgg16_features,
)
from course import evidence
from course.photographs import photograph_mask

REFERENCE = Path(__file__).parent / "reference" / "cam_vgg16.npz"
PICTURES = ("scarlet_macaw", "wrench", "windmill8")  # Of data/unseen: never trained on.
ANSWERS = ("animal", "tool", "windmill")
PER_CLASS = 12  # Photographs that the head is trained on: as few as give the same answers.


class Retrained(NamedTuple):
    model: GAPClassifier
    classes: list[str]
    x: Tensor  # (3, 3, 224, 224): PICTURES
    maps: Tensor  # (3, 512, 7, 7): the stack's output for them


def retrain():
    """The head, trained on evenly chosen photographs of each class."""
    features, preprocess = load_vgg16_features()
    dataset = image_folder(data_path("photos"), preprocess)
    labels = np.array([label for _, label in dataset.samples])
    chosen = []
    for c in range(len(dataset.classes)):
        mine = np.flatnonzero(labels == c)
        chosen += mine[np.linspace(0, len(mine) - 1, PER_CLASS).round().astype(int)].tolist()
    loader = DataLoader(Subset(dataset, chosen), batch_size=16)
    model = GAPClassifier(features, len(dataset.classes))
    model.head = fit_head(*extract_features(features, loader, progress=False)).head
    model.eval()
    x = torch.stack([preprocess(load_image(data_path("unseen", f"{p}.webp"))) for p in PICTURES])
    with torch.no_grad():
        maps = features(x).contiguous()
    return Retrained(model, dataset.classes, x, maps)


def maps_of_answers(vgg):
    """(3, 7, 7) CAMs of the predicted classes, (3, 4) logits."""
    with torch.no_grad():
        logits = vgg.model.head(vgg.maps.mean((2, 3)))
    classes = logits.argmax(1, keepdim=True)
    return class_activation_map(vgg.maps, vgg.model.head.weight.detach(), classes)[:, 0], logits


@pytest.fixture(scope="module")
def vgg():
    return retrain()


# What the article says of linear layers, on random tensors


@pytest.mark.parametrize("size", [7, 10])
def test_linear_layers_rewritten_as_convolutions_give_the_same_logits(size):
    """Equal where the kernel fits once; on a larger map, each score is that of its window."""
    torch.manual_seed(6)
    first, last = nn.Linear(8 * 7 * 7, 6).double(), nn.Linear(6, 3).double()
    maps = torch.randn(2, 8, size, size, dtype=torch.float64)
    with torch.no_grad():
        hidden = nn.functional.conv2d(maps, first.weight.view(6, 8, 7, 7), first.bias).relu()
        scores = nn.functional.conv2d(hidden, last.weight.view(3, 6, 1, 1), last.bias)
        places = size - 6
        assert scores.shape == (2, 3, places, places)
        for i in range(places):
            for j in range(places):
                window = maps[:, :, i : i + 7, j : j + 7].flatten(1)
                difference = scores[:, :, i, j] - last(first(window).relu())
                assert difference.abs().max() < 1e-10


# The real network


def test_the_stack_is_vgg16_s(vgg):
    assert sum(p.numel() for p in vgg.model.features.parameters()) == 14_714_688
    assert vgg.maps.shape == (3, 512, 7, 7)


def test_the_mean_of_a_map_plus_the_bias_is_the_logit(vgg):
    head = vgg.model.head
    with torch.no_grad():
        cam = class_activation_map(vgg.maps, head.weight, range(4))
        assert (cam.mean((2, 3)) + head.bias - head(vgg.maps.mean((2, 3)))).abs().max() < 1e-4


def test_grad_cam_is_cam_over_49(vgg):
    result = grad_cam(vgg.model, "features", vgg.x, torch.arange(4).repeat(3, 1))
    cam = class_activation_map(vgg.maps, vgg.model.head.weight.detach(), [0, 1, 2, 3])
    assert (result.maps - cam.relu() / 49).abs().max() < 1e-4


def test_grad_cam_before_the_last_pool_has_four_times_the_cells(vgg):
    result = grad_cam(vgg.model, "features.29", vgg.x[:1])
    assert result.maps.shape == (1, 1, 14, 14)
    assert result.maps.max() > 0


def test_pictures_never_seen_get_their_class(vgg):
    _, logits = maps_of_answers(vgg)
    assert [vgg.classes[c] for c in logits.argmax(1)] == list(ANSWERS)
    assert (logits.softmax(1).amax(1) > 0.9).all()


def test_maps_are_those_of_the_reference(vgg):
    cam, logits = maps_of_answers(vgg)
    with np.load(REFERENCE) as reference:
        assert reference["pictures"].tolist() == list(PICTURES)
        expected = torch.from_numpy(reference["maps"])
        # Training on another processor rounds otherwise: a hundredth of each map's range.
        span = expected.amax((1, 2)) - expected.amin((1, 2))
        assert ((cam - expected).abs().amax((1, 2)) < 0.01 * span).all()
        assert (logits - torch.from_numpy(reference["logits"])).abs().max() < 0.05


# The kitten of section 8


def test_the_kitten_stays_and_only_what_is_named_changes():
    variants = {
        name: np.asarray(one).astype(int) for name, one in evidence.kitten_variants().items()
    }
    photo = variants.pop("as it is")
    kitten = photograph_mask(evidence.KITTEN)
    row, column = 382, 597  # The middle of the ball, which is not the kitten's.
    corner = np.s_[:100, :100]
    for name, variant in variants.items():
        differs = np.abs(variant - photo).sum(2) > 60
        assert differs[kitten].mean() < 0.03, name
        assert np.abs(variant[row, column] - photo[row, column]).sum() > 60, name
        assert differs[corner].any() == (name != "no ball, no thread"), name
    plain = variants["the floor's plain colour"][~kitten]
    assert (np.ptp(plain, axis=0) > 0).all()  # The soft edge of the kitten.
    assert np.median(np.abs(plain - np.median(plain, axis=0)).sum(1)) == 0


def test_the_floors_are_parts_of_the_floor():
    """Both without ball and thread: the colours of all of their pixels are like the floor's."""
    variants = {
        name: np.asarray(one).astype(int) for name, one in evidence.kitten_variants().items()
    }
    outside = ~photograph_mask(evidence.KITTEN)
    outside[:, 160:] = False  # Where no edge of the kitten is near.
    for name in ("floor of the lower right", "floor of the upper right"):
        red, green, blue = variants[name][outside].T
        assert (red - green > 60).all(), name
        assert (red - blue > 30).all(), name


if __name__ == "__main__":
    cam, logits = maps_of_answers(retrain())
    np.savez(REFERENCE, pictures=PICTURES, maps=cam.numpy(), logits=logits.numpy())
