"""The controls of notebook 03: what they show, and the still picture beside them."""

import io

import pytest
from PIL import Image

from camutils import data_path, load_image
from course import widgets
from course.widgets import FIRST, explore_crop, look_at_crop


@pytest.fixture(scope="module")
def lite(classifier):
    return classifier("efficientnet_lite0")


@pytest.fixture(scope="module")
def lizard():
    return load_image(data_path("scenes", "lizard.webp"))


def test_a_look_is_a_jpeg_and_the_top_three_of_the_crop(lite, lizard):
    picture, line = look_at_crop(lite, lizard, (25, 75), (0, 100))
    assert Image.open(io.BytesIO(picture)).size == (860, 360)
    answers = lite.predict(lizard.crop((256, 0, 768, 768)))
    assert line == ", ".join(f"{a.label} {a.probability:.2f}" for a in answers)


def test_choosing_a_class_prints_its_probability_and_changes_the_map(lite, lizard):
    first, _ = look_at_crop(lite, lizard, (20, 80), (0, 79))
    other, line = look_at_crop(lite, lizard, (20, 80), (0, 79), "marmoset")
    assert first != other
    label, probability = line.rpartition("chosen: ")[2].split()
    assert label == "marmoset"
    assert 0 <= float(probability) <= 1


def test_an_empty_crop_is_made_a_small_one(lite, lizard):
    for edge in ((0, 0), (100, 100)):
        picture, _ = look_at_crop(lite, lizard, edge, edge)
        assert Image.open(io.BytesIO(picture)).format == "JPEG"


def test_an_unknown_class_is_refused(lite, lizard):
    with pytest.raises(ValueError, match="label: got 'unicorn'"):
        look_at_crop(lite, lizard, (0, 100), (0, 100), "unicorn")


def test_the_controls_change_picture_and_line_and_a_still_picture_stays(lite, lizard, monkeypatch):
    shown = []
    monkeypatch.setattr(widgets, "display", lambda bundle, **options: shown.append(bundle))
    alt = "The lizard and its crop."
    panel = explore_crop(lite, lizard, ["marmoset"], (20, 80), (0, 79), alt=alt)
    across, _, menu, picture, text = panel.children
    assert menu.options == (FIRST, "marmoset")
    still = picture.value
    assert shown[0]["image/jpeg"] == still
    assert shown[0]["text/plain"] == alt
    assert "application/vnd.jupyter.widget-view+json" in shown[0]
    across.value = (0, 100)
    assert picture.value != still
    assert "chosen" not in text.value
    menu.value = "marmoset"
    assert "chosen: marmoset" in text.value
