"""The page of what is reproduced: as the command writes it, and true of the places it names."""

import ast
import json
import re
from collections import Counter
from pathlib import Path

import nbformat
import pytest

from camutils import data_path
from camutils.course import reproduction
from camutils.course.reproduction import CANNOT, CONNECTION, HERE, SOURCES, STAND_IN, STATES
from camutils.models import EMBEDDED

ROOT = Path(__file__).parents[2]
ROWS = [row for source in SOURCES.values() for row in source]
PLACES = sorted({place for row in ROWS for place in row.places})
PAGE = reproduction.PAGE.read_text("utf-8")


def test_the_committed_page_is_what_the_command_writes():
    assert reproduction.table() == PAGE


@pytest.mark.parametrize("place", [p for p in PLACES if p.subject], ids=lambda place: place.holds)
def test_a_notebook_holds_what_its_rows_promise(place):
    notebook = nbformat.read(ROOT / "notebooks" / place.file, 4)
    assert place.holds
    assert any(place.holds in cell.source for cell in notebook.cells)


@pytest.mark.parametrize("place", [p for p in PLACES if not p.subject], ids=lambda p: p.file)
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
            assert re.search("|".join([*EMBEDDED, "trained here", "ResNet-18"]), row.how), row
        if row.state == CONNECTION:
            assert re.search("`(pytest .*--pretrained|python -m camutils.download .*)`", row.how)
    commands = re.findall(r"tests/[\w/]+\.py", reproduction.COMMAND)
    assert commands
    assert all((ROOT / file).is_file() for file in commands)


def test_every_published_figure_has_its_row_and_none_is_called_measured():
    cases = json.loads(data_path("published.json").read_text("utf-8"))["cases"]
    figures = [(case, *row[1:]) for case, about in cases.items() for row in about["top"]]
    assert len(figures) == 18
    for case, label, logit in figures:
        state = CONNECTION if case == "elephants" else CANNOT
        row = f"| {case} | {cases[case]['network']} | {label} | {logit} | no | {state} |"
        assert PAGE.count(row) == 1


def test_the_readme_gives_the_same_counts():
    readme = (ROOT / "README.md").read_text("utf-8")
    counts = Counter(row.state for row in ROWS)
    for state in STATES:
        assert re.search(rf"{state}[^|\n]*\| {counts[state]} \|", readme), state
    assert "(notebooks/reproduction.md)" in readme
