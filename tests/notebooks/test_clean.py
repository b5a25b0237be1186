"""What the hook refuses to commit, and that what rebuild.py writes is not refused."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from scripts import load_script

ROOT = Path(__file__).parents[2]
FIRST = ROOT / "notebooks/00_start_here.ipynb"
OUTPUT = {"output_type": "stream", "name": "stdout", "text": ["fine"]}
ERROR = {"output_type": "error", "ename": "E", "evalue": "no", "traceback": ["fine"]}
ADDRESS = "<a href='https://example.org/home/me/'>"
VIEW = {"application/vnd.jupyter.widget-view+json": {}}

clean = load_script(".ci/clean.py")
rebuild = load_script("notebooks/pages/rebuild.py")


@pytest.fixture
def found(tmp_path, capsys):
    """`found(notebook)`: what is said to be wrong with it, without the advice at the end."""

    def found(notebook):
        path = tmp_path / "notebook.ipynb"
        path.write_text(json.dumps(notebook), "utf-8")
        code = clean.main([str(path)])
        lines = capsys.readouterr().out.splitlines()
        assert code == bool(lines)
        return lines[:-1]

    return found


@pytest.fixture
def notebook():
    return json.loads(FIRST.read_text("utf-8"))


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize(
    ("fact", "change"),
    [
        ("", {}),
        ("", {"metadata": {"tags": ["slide"], "jupyter": {"outputs_hidden": True}}}),
        ("", {"outputs": [ERROR]}),
        ("once", {"execution_count": 7}),
        ("metadata", {"metadata": {"collapsed": True}}),
        ("metadata", {"metadata": {"jupyter": {"outputs_hidden": False}}}),
        ("metadata", {"metadata": {"jupyter": {"outputs_hidden": True, "source_hidden": True}}}),
        ("warning", {"outputs": [{**OUTPUT, "name": "stderr"}]}),
        ("folder", {"outputs": [{**OUTPUT, "text": ["in /home/me/x.py"]}]}),
        ("folder", {"outputs": [{**ERROR, "evalue": "no '/tmp/x'"}]}),
        ("folder", {"outputs": [{**ERROR, "traceback": ["E", "\x1b[32m/home/me/x.py\x1b[0m"]}]}),
        ("folder", {"outputs": [{"data": {"text/plain": ["in ", "'/home/me/x.py'"]}}]}),
        ("folder", {"outputs": [{"data": {"text/html": ["<b>in</b> ", "'/home/me/x.py'"]}}]}),
        ("folder", {"outputs": [{"data": {"text/markdown": ["in `/home/me/x.py`"]}}]}),
        ("", {"outputs": [{"data": {"text/html": ADDRESS, "application/pdf": "/tmp/"}}]}),
        ("widget", {"outputs": [{"data": VIEW}]}),
        ("MB", {"outputs": [{**OUTPUT, "text": ["x" * 1_300_000]}]}),
    ],
)
def test_a_cell_that_is_not_clean_is_refused(found, notebook, fact, change):
    code_cells(notebook)[0].update(change)
    lines = found(notebook)
    assert len(lines) == bool(fact)
    assert all(fact in line for line in lines)


def test_a_notebook_with_the_state_of_widgets_is_refused(found, notebook):
    notebook["metadata"]["widgets"] = {}
    (line,) = found(notebook)
    assert "metadata" in line


def figure_of(notebook):
    """The first cell whose figure names the network, its picture and its caption."""
    for cell in code_cells(notebook):
        if "network=classifier.name" in "".join(cell["source"]):
            *_, picture, caption = cell["outputs"]
            return cell, picture, caption


def test_a_figure_whose_cell_has_changed_is_refused(found, notebook):
    cell, _, _ = figure_of(notebook)
    cell["source"].insert(0, "heat = heat / 2\n")
    (line,) = found(notebook)
    assert "heat = heat / 2" in line


def test_a_picture_that_rebuild_has_not_marked_is_refused(found, notebook):
    _, picture, _ = figure_of(notebook)
    del picture["metadata"]["drawn_by"]
    assert len(found(notebook)) == 1


@pytest.mark.parametrize("at", [0, -1])
def test_a_figure_whose_caption_has_changed_is_refused(found, notebook, at):
    _, _, caption = figure_of(notebook)
    text = "".join(caption["data"]["text/markdown"])
    head, caption_line, rest = re.fullmatch(r"(?s)(\*\*.+?\*\* )(.+?)($|\n.*)", text).groups()
    words = caption_line.split()
    words[at] += "s"
    caption["data"]["text/markdown"] = head + " ".join(words) + rest
    (line,) = found(notebook)
    assert "caption" in line
    assert re.search(r"00-[\w-]+", head)[0] in line


def test_a_figure_whose_alternative_text_has_changed_is_refused(found, notebook):
    _, picture, _ = figure_of(notebook)
    (about,) = [value for key, value in picture["metadata"].items() if key.startswith("image/")]
    about["alt"] += " And a cat."
    (line,) = found(notebook)
    assert "alt" in line


def test_a_figure_without_a_table_is_refused(found, notebook):
    _, _, caption = figure_of(notebook)
    text = "".join(caption["data"]["text/markdown"])
    caption["data"]["text/markdown"] = re.sub(r"00-[\w-]+", "00-other", text)
    lines = found(notebook)
    assert lines
    assert all("00-other" in line for line in lines)


def test_a_caption_may_hold_any_value(found, notebook):
    _, _, caption = figure_of(notebook)
    text = "".join(caption["data"]["text/markdown"])
    assert "efficientnet_lite0" in text
    caption["data"]["text/markdown"] = text.replace("efficientnet_lite0", "another (one) + 1")
    assert found(notebook) == []


def test_what_rebuild_leaves_of_a_run_is_clean(found):
    run = nbformat.read(FIRST, 4)
    cell, picture, _ = figure_of(run)
    cell.source = f"# Changed, and run again.\n{cell.source}"
    cell.metadata = nbformat.from_dict({"tags": ["hide-output"], "collapsed": True})
    cell.metadata["jupyter"] = {"outputs_hidden": True, "source_hidden": True}
    picture.data.update(VIEW)
    run.metadata["widgets"] = {}
    assert len(found(run)) == 4
    assert found(rebuild.tidy(run)) == []
    kept = {"tags": ["hide-output"], "jupyter": {"outputs_hidden": True}}
    assert cell.metadata == kept


def test_committed_notebooks_are_clean_by_python_alone():
    command = [sys.executable, "-S", ROOT / ".ci/clean.py"]  # -S: without any package.
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
