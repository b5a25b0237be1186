"""Figures come with alternative text, caption and credits, and are written the same twice."""

import base64
import csv
import io
import re

import nbformat
import numpy as np
import pytest
from PIL import Image
from scripts import load_script

from camutils import data_path, overlay, show_cam, show_images
from course import credits
from course.figures import add_colour_bar, show_figure
from course.scenes import scene_path

figures = load_script("notebooks/pages/figures.py")

ELEPHANTS = data_path("scenes", "elephants.jpg")
BEAR = data_path("scenes", "polar_bear.webp")
ALT = "Two elephants stand in dry grass."


@pytest.fixture
def shown(monkeypatch):
    """What was displayed: (bundle or object, metadata)."""
    gathered = []
    monkeypatch.setattr(
        figures, "display", lambda what, metadata=None, **_: gathered.append((what, metadata))
    )
    monkeypatch.delenv("CAMUTILS_FIGURES", raising=False)
    return gathered


@pytest.fixture
def photograph():
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize(("is_photo", "kind"), [(True, "image/jpeg"), (False, "image/png")])
def test_a_figure_is_shown_as_one_picture_with_its_alternative_text(
    shown, photograph, is_photo, kind
):
    show_figure(show_images([photograph if is_photo else np.eye(3)]), "02-a", "A caption.", alt=ALT)
    (bundle, metadata), (caption, _) = shown
    assert set(bundle) == {kind, "text/plain"}
    assert metadata == {kind: {"alt": ALT}}
    with Image.open(io.BytesIO(base64.b64decode(bundle[kind]))) as picture:
        assert picture.width > 900
        if is_photo:  # No chroma subsampling: all three channels in full.
            assert [layer[1:3] for layer in picture.layer] == [(1, 1)] * 3
    assert caption.data == "**Figure 02-a.** A caption."


def test_credits_are_folded_complete_and_grouped(shown, photograph):
    show_figure(show_images([photograph]), "02-a", "A.", [ELEPHANTS, BEAR, ELEPHANTS], alt=ALT)
    text = shown[1][0].data
    caption, credits_text = text.split("<details><summary>Credits</summary>")
    assert caption == "**Figure 02-a.** A.\n\n"
    lines = credits_text.strip().removesuffix("</details>").strip().splitlines()
    assert len(lines) == 2
    assert "[GPL-2.0-only](<https://www.gnu.org/" in lines[0]
    assert "](<https://commons.wikimedia.org/wiki/File:" in lines[1]


def test_every_file_of_data_has_author_licence_and_address():
    with open(data_path("ATTRIBUTION.csv"), encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    for row in rows:
        ((group, pictures),) = credits.credit_groups([data_path(row["file"])]).items()
        line = credits.markdown_line(group, pictures)
        for column in ("title", "author", "licence", "licence_url"):
            assert row[column] in line
        address = re.match(r"https?://\S+", row["source"])
        assert (address[0] if address else row["source"]) in line
    assert len(rows) > 200


def test_the_readers_own_picture_has_no_other_credit():
    ((group, pictures),) = credits.credit_groups(["/elsewhere/me.jpg"]).items()
    assert credits.markdown_line(group, pictures) == "me.jpg: the reader's own."


def test_an_original_is_never_called_the_readers_own(shown, monkeypatch, tmp_path, photograph):
    original = data_path("originals", "elephants.jpg")  # Need not be there.
    show_figure(show_images([photograph]), "02-a", "A.", [original, BEAR], alt=ALT)
    assert "reader's own" not in shown[1][0].data
    assert f"- elephants.jpg: {credits.NOT_OURS}." in shown[1][0].data
    assert "<li>elephants.jpg: from one of" in credits.credits_html(
        [original], "heat map laid over"
    )
    monkeypatch.setenv("CAMUTILS_FIGURES", str(tmp_path))
    show_figure(show_images([photograph]), "02-a", "A.", [original], alt=ALT)
    assert f"elephants.jpg: {credits.NOT_OURS}." in (tmp_path / "captions.md").read_text("utf-8")


def test_the_command_says_which_figures_may_not_be_published(monkeypatch, tmp_path, capsys):
    code = """
from camutils import data_path, show_images
from course.figures import show_figure
for name, folder in (("07-a", "scenes"), ("07-b", "originals")):
    path = data_path(folder, "elephants.jpg")
    show_figure(show_images([[[0.0, 1.0]]]), name, "A.", [path], alt="x" * 21)
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbformat.write(notebook, tmp_path / "07_x.ipynb")
    monkeypatch.setattr(figures, "NOTEBOOKS", tmp_path)
    figures.main(["07", "--width", "300", "--output", str(tmp_path / "figures")])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "Not to be published: 07-b, with a photograph of data/originals."


@pytest.mark.parametrize("name", ["", "02_a", "Fig", "../a", "a-", "-a", "a b", "a.png"])
def test_a_name_that_is_no_slug_is_refused(shown, name):
    with pytest.raises(ValueError, match=r"^name: got .* expected small letters, digits and hyph"):
        show_figure(show_images([np.eye(2)]), name, "A caption.", alt=ALT)
    assert shown == []


@pytest.mark.parametrize("alt", ["", "An elephant.", "x" * 20])
def test_too_short_an_alternative_text_is_refused(shown, alt):
    with pytest.raises(ValueError, match=r"^alt: got .* expected more than 20 characters"):
        show_figure(show_images([np.eye(2)]), "02-a", "A caption.", alt=alt)
    assert shown == []


def test_a_colour_bar_puts_all_maps_on_one_scale(photograph):
    figure = show_images([np.eye(3), photograph, np.eye(3) / 2], colormap="coolwarm")
    add_colour_bar(figure, (-1, 1), "evidence")
    first, photo, second, bar = figure.axes
    assert first.images[0].get_clim() == second.images[0].get_clim() == (-1, 1)
    assert np.array_equal(photo.images[0].get_array(), np.asarray(photograph))
    assert bar.get_ylabel() == "evidence"
    assert first.images[0].get_cmap().name == "coolwarm"


def test_a_figure_of_overlays_can_have_a_colour_bar_too(photograph):
    figure = add_colour_bar(show_images([overlay(photograph, np.eye(3))]), (0, 1))
    assert len(figure.axes) == 2


@pytest.mark.parametrize("kind", ["webp", "png"])
def test_files_are_equal_when_written_twice(shown, monkeypatch, tmp_path, photograph, kind):
    monkeypatch.setenv("CAMUTILS_FIGURES_WIDTH", "400")
    monkeypatch.setenv("CAMUTILS_FIGURES_FORMAT", kind)
    one_object = show_cam(photograph, np.eye(3), "two lines\nof title")
    for folder in ("one", "two"):
        monkeypatch.setenv("CAMUTILS_FIGURES", str(tmp_path / folder))
        show_figure(one_object, "02-b", 'Second\n "caption".', [ELEPHANTS, BEAR], alt=ALT)
        show_figure(show_images([np.eye(3)], ["a title"]), "02-a", "First.", alt=ALT)
    names = sorted(["02-a.svg", f"02-a.{kind}", f"02-b.{kind}", "captions.md"])
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    with Image.open(tmp_path / "one" / f"02-b.{kind}") as picture:
        width, height = picture.size
    assert width == 400
    svg = (tmp_path / "one" / "02-a.svg").read_text("utf-8")
    assert ">a title</text>" in svg  # Selectable.
    assert "<dc:date>" not in svg
    first, second = (tmp_path / "one" / "captions.md").read_text("utf-8").split("\n\n")
    assert first.startswith(f'<figure id="02-a">\n<img src="02-a.{kind}" width="400"')
    assert f'height="{height}" alt="{ALT}">' in second
    assert 'Second "caption".' in second
    assert "Whoever passes this figure on does so under the same licence." in second
    assert second.count('<a href="https://') >= 3


def test_a_licence_that_asks_for_it_is_told_what_was_changed():
    group = ("Someone", "CC-BY-SA-4.0", "https://example.org/licence")
    line = credits.html_line(
        group, [("A & B", "https://example.org/picture")], "heat map laid over"
    )
    assert line == (
        '<a href="https://example.org/picture">A &amp; B</a>: Someone, '
        '<a href="https://example.org/licence">CC-BY-SA-4.0</a>. Changed: heat map laid over.'
    )
    assert "Changed" not in credits.html_line(group, [("A", "")], "")


def test_the_command_writes_the_figures_of_a_notebook(tmp_path, capsys):
    figures.main(["00", "--width", "300", "--output", str(tmp_path)])
    written = {path.stem for path in tmp_path.iterdir()}
    text = (figures.NOTEBOOKS / "00_start_here.ipynb").read_text("utf-8")
    assert written == {*re.findall(r"\*\*Figure (00-[a-z-]+)\.", text), "captions"}
    assert capsys.readouterr().out.startswith("00_start_here.ipynb ...\n")
    with pytest.raises(SystemExit):
        figures.main(["99"])


def test_the_readers_own_original_takes_the_place_of_the_scene(monkeypatch, tmp_path):
    for folder, name in (("scenes", "a.webp"), ("scenes", "a_b_mask.png"), ("originals", "a.jpg")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).touch()
    monkeypatch.setenv("CAMUTILS_DATA", str(tmp_path))
    assert scene_path("a") == tmp_path.resolve() / "scenes" / "a.webp"
    monkeypatch.setenv("CAMUTILS_WEIGHTS", "auto")
    assert scene_path("a") == tmp_path.resolve() / "originals" / "a.jpg"
    with pytest.raises(FileNotFoundError, match=r"^name: got 'b', expected .* \['a'\]"):
        scene_path("b")
