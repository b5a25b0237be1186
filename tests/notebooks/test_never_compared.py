"""What is never compared with published logits: other networks, untrained ones, other pictures."""

import json
import re
from dataclasses import replace

import pytest
from PIL import Image

from camutils import data_path, load_classifier, load_image
from course.published import compare_published

NETWORK = "efficientnet_lite0"


@pytest.fixture(scope="module")
def trained():
    return load_classifier(NETWORK, "embedded")


@pytest.fixture
def published(trained, tmp_path, monkeypatch):
    """A made-up case whose network and picture are here: `compare_published` has all it needs."""
    photo = load_image(data_path("scenes", "polar_bear.webp")).resize((320, 240))
    (tmp_path / "originals").mkdir()
    photo.save(tmp_path / "originals" / "bear.png")
    top = [(answer.wnid, answer.label, 7.77) for answer in trained.predict(photo)]
    cases = {"bear": {"network": NETWORK, "picture": "bear.png", "top": top}}
    (tmp_path / "published.json").write_text(json.dumps({"cases": cases}), "utf-8")
    monkeypatch.setenv("CAMUTILS_DATA", str(tmp_path))
    monkeypatch.setenv("CAMUTILS_WEIGHTS", "auto")
    return tmp_path / "originals" / "bear.png"


def measured(table):
    """The last column of the table; None where nothing was measured."""
    rows = re.findall(r"(?m)^  n\d{8} \S+ +7\.77 +(\S+)$", table)
    assert len(rows) == 3
    return [None if value == "-" else float(value) for value in rows]


def test_the_same_trained_network_is_compared_on_the_same_picture(published, trained):
    with Image.open(published) as photo:
        logits = [round(answer.logit, 2) for answer in trained.predict(photo)]
    table = compare_published("bear", trained)
    assert measured(table) == logits
    assert "not measured" not in table


@pytest.mark.parametrize("name", [NETWORK, "resnet18"])
def test_an_untrained_network_is_not(published, name):
    untrained = load_classifier(name, "random")
    table = compare_published("bear", untrained)
    assert measured(table) == [None] * 3
    assert f"{NETWORK}'s weights" in table


def test_nor_is_another_trained_network(published, trained):
    """One that has the same classes and would print plausible numbers."""
    table = compare_published("bear", replace(trained, name="efficientnet_lite4"))
    assert measured(table) == [None] * 3
    assert f"{NETWORK}'s weights" in table


def test_nor_is_anything_without_the_articles_picture(published, trained, monkeypatch):
    monkeypatch.setenv("CAMUTILS_WEIGHTS", "embedded")  # As in committed outputs.
    assert measured(compare_published("bear", trained)) == [None] * 3
    monkeypatch.setenv("CAMUTILS_WEIGHTS", "auto")
    published.unlink()
    table = compare_published("bear", trained)
    assert measured(table) == [None] * 3
    assert "bear.png" in table
