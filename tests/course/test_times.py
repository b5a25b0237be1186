"""Reading times: counted as the page says, and the committed page up to date."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from camutils.course import times


def test_words_and_lines_are_counted_without_formulas_addresses_and_empty_lines(tmp_path):
    prose = "# One two\n\nthree [four](address.html) $x + y$ don't\n\n$$a\nb$$ <b>six</b> 7"
    cells = [new_markdown_cell(prose), new_code_cell("a = 1\n\nb = 2\n")]
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebook.ipynb")
    assert times.reading(tmp_path / "notebook.ipynb") == (6, 2, 5)


@pytest.mark.parametrize(("words", "lines", "minutes"), [(1000, 0, 5), (1000, 1, 10), (0, 100, 5)])
def test_minutes_are_rounded_up_to_five(tmp_path, words, lines, minutes):
    cells = [new_markdown_cell("word " * words), new_code_cell("x\n" * lines)]
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebook.ipynb")
    assert times.reading(tmp_path / "notebook.ipynb") == (words, lines, minutes)


def test_the_committed_table_is_what_the_command_writes():
    page = times.PAGE.read_text("utf-8")
    assert times.with_table(page) == page


@pytest.mark.parametrize(
    "path", sorted(times.NOTEBOOKS.glob("0[1-9]*.ipynb")), ids=lambda p: p.stem
)
def test_a_notebook_says_the_minutes_of_the_table(path):
    first = nbformat.read(path, 4).cells[0].source
    assert f"About {times.reading(path)[2]} minutes of reading" in first


def test_a_page_without_a_place_for_the_table_is_refused():
    with pytest.raises(ValueError, match=r"^page: got teaching.md without"):
        times.with_table("# Teaching")


def test_measured_times_belong_to_notebooks():
    assert set(times.COMPUTING) <= {path.stem for path in times.NOTEBOOKS.glob("[0-9]*.ipynb")}
