"""Figures come with caption and credits, and are written the same twice."""

import csv

import numpy as np
import pytest
from PIL import Image

from camutils import data_path, scene_path, show_cam, show_figure, show_images
from camutils.figures import credits

ELEPHANTS = data_path("scenes", "elephants.jpg")


@pytest.fixture
def shown(monkeypatch):
    """What was displayed."""
    gathered = []
    monkeypatch.setattr("camutils.figures.display", lambda shown, **_: gathered.append(shown))
    return gathered


@pytest.fixture
def figure():
    return show_cam(Image.new("RGB", (40, 30), "red"), np.eye(3), "two lines\nof title")


def test_figure_caption_and_credits_are_displayed(shown, figure, monkeypatch):
    monkeypatch.delenv("CAMUTILS_FIGURES", raising=False)
    show_figure(figure, "02-elephants", "Where VGG19 looks.", [ELEPHANTS, ELEPHANTS])
    assert shown[0] is figure
    text = shown[1].data
    assert text.startswith("**Figure 02-elephants.** Where VGG19 looks. *Picture: Two elephants")
    assert text.count("GPL-2.0-only") == 1


def test_without_pictures_there_are_no_credits(shown, figure):
    show_figure(figure, "02-a", "A caption.")
    assert shown[1].data == "**Figure 02-a.** A caption."


@pytest.mark.parametrize("name", ["", "02_a", "Fig", "../a", "a-", "-a", "a b", "a.png"])
def test_a_name_that_is_no_slug_is_refused(shown, figure, name):
    with pytest.raises(ValueError, match=r"^name: got .* expected small letters, digits and hyph"):
        show_figure(figure, name, "A caption.")
    assert shown == []


def test_every_credited_file_has_a_credit_and_the_readers_own_has_none():
    with open(data_path("ATTRIBUTION.csv"), encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            sentence = credits([data_path(row["file"])])
            words = f"{row['title']}, {row['author']}, {row['licence']}."
            assert sentence == f"Picture: {words}"
    assert credits([data_path("originals", "me.jpg")]) == "Picture: me.jpg, the reader's own."
    assert credits(["/elsewhere/me.jpg"]) == "Picture: me.jpg, the reader's own."


def test_files_are_equal_when_written_twice(shown, monkeypatch, tmp_path):
    monkeypatch.setenv("CAMUTILS_DATA", str(data_path()))
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8))
    for folder in ("one", "two"):
        monkeypatch.setenv("CAMUTILS_FIGURES", str(tmp_path / folder))
        for _ in range(2):
            show_figure(
                show_images([picture], ["a\nb"], width=1), "02-b", "Second\n caption.", [ELEPHANTS]
            )
        show_figure(show_images([picture], ["a"], width=1), "02-a", "First caption.")
    names = ["02-a.png", "02-a.svg", "02-b.png", "02-b.svg", "captions.txt"]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    captions = (tmp_path / "one" / "captions.txt").read_text("utf-8").split("\n\n")
    assert captions[0] == "Figure 02-a. First caption."
    assert captions[1].startswith("Figure 02-b. Second caption. Picture: Two elephants")
    with Image.open(tmp_path / "one" / "02-b.png") as png:
        assert round(png.info["dpi"][0]) == 300
    assert "<dc:date>" not in (tmp_path / "one" / "02-b.svg").read_text("utf-8")


def test_data_is_found_from_the_variable_or_refused(monkeypatch, tmp_path):
    assert data_path("a", "b.txt").parts[-3:] == ("data", "a", "b.txt")
    monkeypatch.setenv("CAMUTILS_DATA", str(tmp_path))
    assert data_path("a") == tmp_path.resolve() / "a"
    monkeypatch.setenv("CAMUTILS_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"^CAMUTILS_DATA: .*nowhere is not a folder; exp"):
        data_path("a")


def test_the_readers_own_original_takes_the_place_of_the_scene(monkeypatch, tmp_path):
    for folder, name in (("scenes", "a.webp"), ("scenes", "a_b_mask.png"), ("originals", "a.jpg")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).touch()
    monkeypatch.setenv("CAMUTILS_DATA", str(tmp_path))
    assert scene_path("a") == tmp_path.resolve() / "scenes" / "a.webp"
    monkeypatch.setenv("CAMUTILS_WEIGHTS", "auto")
    assert scene_path("a") == tmp_path.resolve() / "originals" / "a.jpg"
    with pytest.raises(FileNotFoundError, match=r"^name: there is no scene 'b'.* \['a'\]"):
        scene_path("b")
