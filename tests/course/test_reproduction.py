"""The page of what is reproduced: as the command writes it, each row beside what it names."""

import ast
import json
import re
from collections import Counter
from pathlib import Path

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from torch import nn
from torchvision import models

from camutils import data_path, load_classifier
from camutils.course import reproduction
from camutils.course.reproduction import (
    CANNOT,
    COMMAND,
    CONNECTION,
    DOWNLOAD,
    HERE,
    OTHER_ORDER,
    SOURCES,
    STAND_IN,
    STATES,
    Place,
)
from camutils.models import EMBEDDED

ROOT = Path(__file__).parents[2]
ROWS = [row for source in SOURCES.values() for row in source]
PLACES = sorted({place for row in ROWS for place in row.places})
PAGE = reproduction.PAGE.read_text("utf-8")
CASES = json.loads(data_path("published.json").read_text("utf-8"))["cases"]


def test_the_committed_page_is_what_the_command_writes():
    assert reproduction.table() == PAGE


@pytest.mark.parametrize("place", [p for p in PLACES if p.holds], ids=lambda place: place.holds)
def test_one_section_of_a_notebook_holds_what_its_rows_promise(place):
    (heading,) = reproduction.headings(place)
    assert heading, "it stands above the first heading"
    assert f"]({place.file}), {heading}" in PAGE


def test_sections_are_cut_at_headings_and_hold_code(monkeypatch, tmp_path):
    cells = [
        new_markdown_cell("# Title\n\nzero"),
        new_markdown_cell("## 1 · One\n\nfirst"),
        new_code_cell("## no heading\nx = 1"),
        new_markdown_cell("still one\n\n### Below\n\n## 2 · Two\n\nx = 2"),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "sections.ipynb")
    monkeypatch.setattr(reproduction, "NOTEBOOKS", tmp_path)

    def headings(text):
        return reproduction.headings(Place("sections.ipynb", text))

    assert headings("zero") == [""]
    assert headings("x = 1") == headings("### Below") == ["1 · One"]
    assert headings("x = 2") == ["2 · Two"]
    assert headings("x = ") == ["1 · One", "2 · Two"]
    assert headings("y") == []


@pytest.mark.parametrize("place", [p for p in PLACES if not p.holds], ids=lambda p: p.file)
def test_a_test_that_a_row_names_is_there(place):
    file, _, name = place.file.partition("::")
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_row_says_no_more_than_it_can():
    assert len(SOURCES) == 4
    for row in ROWS:
        assert row.state in STATES, row.printed
        if row.state in (HERE, STAND_IN):
            assert row.places, row.printed
        if row.state == STAND_IN:
            assert re.search("|".join([*EMBEDDED, "trained here"]), row.how), row
        if row.state == CONNECTION:
            (command,) = re.findall(r"`(\.venv/bin/.*?)`", row.how)
            assert command.startswith((COMMAND, f"{DOWNLOAD} ")), row
    commands = re.findall(r"tests/[\w/]+\.py", COMMAND)
    assert commands
    assert all((ROOT / file).is_file() for file in commands)


def test_layer_35_of_vgg19_is_the_last_relu():
    with torch.device("meta"):
        features = models.vgg19(weights=None).features
    assert [type(layer) for layer in features[34:]] == [nn.Conv2d, nn.ReLU, nn.MaxPool2d]
    assert not any(isinstance(layer, nn.Conv2d) for layer in features[35:])


def test_resnet_101_gives_the_map_of_class_10(elephants):
    network = load_classifier("resnet101", "random")
    result = network.grad_cam(elephants, 10)
    assert network.target_layer == "layer4"
    assert result.maps.shape == (1, 1, 7, 7)
    assert result.classes.tolist() == [[10]]


def test_every_published_figure_has_its_row():
    figures = reproduction.published_figures()
    assert len(figures) == 18
    for figure in figures:
        assert PAGE.count(f"| {' | '.join(map(str, figure))} |") == 1
        is_recorded = CASES[figure.case].get("measured") is not None
        assert (figure.measured != "no") == is_recorded
        if not is_recorded:
            assert figure.state == (CONNECTION if figure.case == "elephants" else CANNOT)
    assert ("None of them has been measured" in PAGE) == all(f.measured == "no" for f in figures)


@pytest.mark.parametrize(("ranks", "state"), [([1, 2, 3], HERE), ([2, 1, 3], OTHER_ORDER)])
def test_what_somebody_measured_is_shown_with_its_difference(ranks, state):
    measured = {"date": "2030-01-31", "logits": [20.9, 18.0, 15.153353], "ranks": ranks}
    about = CASES["elephants"] | {"measured": measured}
    first, second, third = reproduction.published_figures({"elephants": about})
    assert first.measured == f"20.9000 (+0.0086), rank {ranks[0]}, 2030-01-31"
    assert second.measured == f"18.0000 (-0.0358), rank {ranks[1]}, 2030-01-31"
    assert third.measured == "15.1534 (+0.0000), rank 3, 2030-01-31"
    assert {first.state, second.state, third.state} == {state}


def test_the_readme_gives_the_same_counts():
    readme = (ROOT / "README.md").read_text("utf-8")
    counts = Counter(row.state for row in ROWS)
    for state in STATES:
        assert re.search(rf"{state}[^|\n]*\| {counts[state]} \|", readme), state
    assert f"| of the {len(ROWS)} steps" in readme
    later = sum(reproduction.LATER in row.how for row in ROWS if row.state == STAND_IN)
    assert f"(for {later} the download below brings" in readme
    assert "(notebooks/reproduction.md)" in readme
    is_measured = any(about.get("measured") for about in CASES.values())
    assert ("None of the 18 printed logits has been measured" in readme) != is_measured
