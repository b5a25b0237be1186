"""What a teacher hands out holds no answer; the exam is found from the teachers' page only."""

import re
from pathlib import Path

import nbformat
import pytest
from scripts import load_script

ROOT = Path(__file__).parents[2]
students = load_script("notebooks/pages/students.py")


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    folder = tmp_path_factory.mktemp("students") / "edition"
    students.write_edition(folder)
    return folder


def test_the_students_notebooks_are_the_courses_without_results(edition):
    paths = sorted(edition.glob("notebooks/*.ipynb"))
    originals = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert [path.name for path in paths] == [path.name for path in originals]
    for path, original in zip(paths, originals, strict=True):
        cells, before = nbformat.read(path, 4).cells, nbformat.read(original, 4).cells
        assert [cell.source for cell in cells] == [cell.source for cell in before]
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


def test_the_edition_has_all_that_the_notebooks_need_and_no_answer(edition):
    names = {path.relative_to(edition).as_posix() for path in edition.rglob("*")}
    answers = ("solutions", "exam.md", "teaching.md", "data/capstone/prepare.py", "tests", ".git")
    assert not [name for name in names if any(answer in name for answer in answers)]
    assert "notebooks/pages/network.js" in names  # Of which notebook 00 makes the explorer.
    needed = ("camutils", "notebooks/course", "data/photos", "data/scenes", "data/weights")
    for folder in needed:
        for path in (ROOT / folder).rglob("*"):
            name = path.relative_to(ROOT).as_posix()
            if path.is_file() and not re.search(r"/\.|__pycache__", name):
                assert name in names


def test_every_lesson_has_its_predictions(tmp_path):
    page = students.sheet()
    lessons = page.split("<h1>Lesson ")[1:]
    assert len(lessons) == len(students.LESSONS) == 6
    assert all(lesson.count("I predict, because") >= 4 for lesson in lessons)
    boxes = 0
    for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"):
        cells = nbformat.read(path, 4).cells
        boxes += sum(len(re.findall(r"(?m)^> \*\*Predict\.\*\*", c.source)) for c in cells)
    # All but those of 04 that lie behind its third section: lesson 5 leaves them out.
    assert boxes - 5 <= page.count("I predict, because") < boxes
    assert "<math" in page


def test_only_the_teachers_page_leads_to_the_exam():
    pages = [ROOT / "README.md", *(ROOT / "notebooks").rglob("*.md")]
    pages += (ROOT / "notebooks").rglob("*.ipynb")
    linking = [path.name for path in pages if "(exam.md" in path.read_text("utf-8")]
    assert linking == ["teaching.md"]
    questions, answers = (ROOT / "notebooks" / "exam.md").read_text("utf-8").split("## Answers")
    assert len(re.findall(r"(?m)^\d+\. ", questions)) == len(re.findall(r"(?m)^\d+\. ", answers))
