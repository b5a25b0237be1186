"""Figures come with alternative text, caption and credits, and are written the same twice."""

import base64
import csv
import io
import re
import tomllib
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image
from scripts import load_script

from camutils import data_path, overlay, show_cam, show_images
from course import credits, figures
from course.figures import add_colour_bar, show_figure
from course.scenes import scene_path

export = load_script("notebooks/pages/figures.py")

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
BEAR = data_path("scenes", "polar_bear.webp")
CAPTIONS = """
[02-a]
caption = "A caption."
alt = "Two elephants stand in dry grass."

[02-credited]
caption = "A."
alt = "Two elephants."
pictures = ["elephants", "scenes/polar_bear.webp", "scenes/elephants.jpg"]

[02-b]
caption = '''
Second
 "caption" of {network}.'''
alt = "Two elephants, {label} both."
pictures = ["elephants"]

[02-d]
caption = "A caption."
alt = "Two elephants."

[02-e]
caption = "A caption."
alt = "A bear."

[02-no-caption]
caption = " "
alt = "Two elephants."

[02-no-alt]
caption = "A caption."
"""


@pytest.fixture
def shown(monkeypatch, tmp_path):
    """What was displayed: (bundle or object, metadata); with the captions above."""
    gathered = []
    monkeypatch.setattr(
        figures, "display", lambda what, metadata=None, **_: gathered.append((what, metadata))
    )
    (tmp_path / "captions.toml").write_text(CAPTIONS, "utf-8")
    monkeypatch.setattr(figures, "CAPTIONS", tmp_path / "captions.toml")
    monkeypatch.setenv("CAMUTILS_WEIGHTS", "embedded")
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
    show_figure(show_images([photograph if is_photo else np.eye(3)]), "02-a")
    (bundle, metadata), (caption, _) = shown
    assert set(bundle) == {kind, "text/plain"}
    assert bundle["text/plain"] == "Two elephants stand in dry grass."
    assert metadata == {kind: {"alt": "Two elephants stand in dry grass."}}
    with Image.open(io.BytesIO(base64.b64decode(bundle[kind]))) as picture:
        assert picture.width > 900
        if is_photo:  # No chroma subsampling: all three channels in full.
            assert [layer[1:3] for layer in picture.layer] == [(1, 1)] * 3
    assert caption.data.startswith("**Figure 02-a.** A caption.\n\n<details>")
    assert "Two elephants stand in dry grass." in caption.data  # For JupyterLab's readers.


def test_values_stand_in_caption_and_alternative_text(shown, photograph):
    show_figure(show_images([photograph]), "02-b", network="{vgg}", label="tuskers")
    (bundle, _), (caption, _) = shown
    assert bundle["text/plain"] == "Two elephants, tuskers both."
    assert caption.data.startswith('**Figure 02-b.** Second "caption" of {vgg}.\n\n<details>')


@pytest.mark.parametrize(
    ("name", "values", "fact"),
    [
        ("02-c", {}, "02-c"),
        ("../a", {}, r"\.\./a"),
        ("02-no-caption", {}, "caption"),
        ("02-no-alt", {}, "alt"),
        ("02-b", {"network": "vgg"}, "label"),
        ("02-b", {"network": "vgg", "label": "tuskers", "rival": "koala"}, "rival"),
    ],
)
def test_a_figure_without_a_text_or_a_value_is_refused(shown, name, values, fact):
    with pytest.raises(ValueError, match=fact) as caught:
        show_figure(show_images([np.eye(2)]), name, **values)
    assert name in str(caught.value)
    assert shown == []


def test_the_captions_are_those_that_the_notebooks_show():
    used = []
    for path in NOTEBOOKS.glob("**/[0-9]*.ipynb"):
        for cell in nbformat.read(path, 4).cells:
            if cell.cell_type == "code":
                names = re.findall(r"show_figure\(\s*figure,\s*\"(.+?)\"", cell.source)
                assert len(names) == len(re.findall(r"show_figure\(", cell.source))
                assert all(name.startswith(path.name[:3].replace("_", "-")) for name in names)
                used += names
    entries = tomllib.loads(figures.CAPTIONS.read_text("utf-8"))
    assert sorted(used) == sorted(entries)
    for name, entry in entries.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", name)  # Of a file, and of an anchor.
        assert set(entry) <= {"caption", "alt", "pictures", "changes"}
        paths = [figures._picture_path(picture) for picture in entry.get("pictures", [])]
        assert all(path.is_file() for path in paths), name


def test_credits_are_folded_complete_and_grouped(shown, photograph):
    show_figure(show_images([photograph]), "02-credited")
    text = shown[1][0].data
    caption, _, folded = text.partition("\n\n<details>")
    assert caption == "**Figure 02-credited.** A."
    lines = [line for line in folded.splitlines() if line.startswith("- ")]
    assert len(lines) == 2
    assert "[GPL-2.0-only](<https://www.gnu.org/" in lines[0]
    assert "](<https://commons.wikimedia.org/wiki/File:" in lines[1]


def test_pictures_that_the_cell_knows_are_credited_too(shown, photograph):
    show_figure(show_images([photograph]), "02-a", pictures=[BEAR, "/elsewhere/me.jpg"])
    text = shown[1][0].data
    assert "](<https://commons.wikimedia.org/wiki/File:" in text
    assert "- me.jpg: the reader's own." in text


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
    show_figure(show_images([photograph]), "02-a", pictures=[original, BEAR])
    assert "reader's own" not in shown[1][0].data
    assert f"- elephants.jpg: {credits.NOT_OURS}." in shown[1][0].data
    assert "<li>elephants.jpg: from one of" in credits.credits_html(
        [original], "heat map laid over"
    )
    monkeypatch.setenv("CAMUTILS_FIGURES", str(tmp_path))
    show_figure(show_images([photograph]), "02-a", pictures=[original])
    assert f"elephants.jpg: {credits.NOT_OURS}." in (tmp_path / "captions.md").read_text("utf-8")


def test_the_command_writes_a_notebooks_figures_and_says_which_may_not_be_published(
    monkeypatch, tmp_path, capsys
):
    code = """
from camutils import data_path, show_images
from course.figures import show_figure
figure = show_images([[[0.0, 1.0]]])
show_figure(figure, "00-picture")
show_figure(figure, "05-mean-maps", pictures=[data_path("originals", "elephants.jpg")])
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbformat.write(notebook, tmp_path / "07_x.ipynb")
    monkeypatch.setattr(export, "NOTEBOOKS", tmp_path)
    export.main(["07", "--width", "300", "--output", str(tmp_path / "figures")])
    written = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert written == {"00-picture", "05-mean-maps", "captions"}
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first == "07_x.ipynb ..."
    assert "05-mean-maps" in last
    assert "00-picture" not in last
    with pytest.raises(SystemExit):
        export.main(["99"])


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
        show_figure(one_object, "02-b", pictures=[BEAR], network="a & b", label='"tuskers"')
        show_figure(show_images([np.eye(3)], ["a title"]), "02-a")
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
    told = (
        f'height="{height}" alt="Two elephants, &quot;tuskers&quot; both." style="max-width: 100%;'
    )
    assert told in second
    assert 'Second "caption" of a &amp; b.' in second
    assert "Whoever passes this figure on does so under the same licence." in second
    assert second.count('<a href="https://') >= 3


def test_figures_that_anybody_may_pass_on_come_first(shown, monkeypatch, tmp_path, photograph):
    monkeypatch.setenv("CAMUTILS_FIGURES", str(tmp_path))
    figure = show_images([photograph])
    elephants = data_path("scenes", "elephants.jpg")  # Under the GPL.
    original = data_path("originals", "elephants.jpg")  # Nobody's to pass on.
    for name, picture in (("02-a", original), ("02-d", elephants), ("02-e", BEAR)):
        show_figure(figure, name, [picture])
    written = re.findall('<figure id="(.+?)">', (tmp_path / "captions.md").read_text("utf-8"))
    assert written == ["02-e", "02-d", "02-a"]


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
