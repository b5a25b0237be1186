"""What a teacher hands out: `python notebooks/pages/students.py`.

`class-activation-maps.zip` is the course without outputs, solutions, exam and tests: no result
stands below a prediction, though the text further down tells it. `predictions.html` has a sheet for
each lesson, to be printed.
"""

import argparse
import html
import re
import shutil
import tempfile
from pathlib import Path

import nbformat
from rendering import MARKDOWN

ROOT = Path(__file__).parents[2]
NAME = "class-activation-maps"
HANDED_OUT = ("camutils", "data", "notebooks", "pyproject.toml", "constraints.txt", "LICENSE")
LEFT_OUT = shutil.ignore_patterns(
    *("solutions", "exam.md", "teaching.md", "originals"),
    *("conf.py", "index.md", "api.md", "explorer_page.md", "_static", "_templates"),
    *("slide*", "talks.toml", "rendering.py", "site_pages.py", "thumbnails.py"),
    *(".*", "__pycache__", "*.egg-info"),
)
README = """# Class activation maps

The course without its results: run the cells, and predict first. You need Python 3.11 to 3.14.

    python3 -m venv .venv
    .venv/bin/pip install -c constraints.txt -e '.[course]'
    .venv/bin/jupyter lab notebooks/00_start_here.ipynb

On Windows write `py` for `python3`, `.venv\\Scripts\\` for `.venv/bin/` and double quotes.
Links to solutions lead nowhere here: your teacher has them.
"""
# Lesson → what it takes from which notebook: the first and the last section.
LESSONS = {
    "1 · The map": {"00": (1, 7), "01": (1, 3)},
    "2 · Reading a map": {"01": (4, 9)},
    "3 · The gradient": {"02": (1, 11)},
    "4 · A wrong answer": {"03": (1, 7)},
    "5 · Is it any good?": {"04": (1, 3), "05": (1, 5)},
    "6 · Your own model": {"06": (1, 7)},
}
STYLE = """
@page { margin: 12mm; }
body { font: 11pt/1.4 serif; margin: 2em auto; max-width: 44em; }
section { break-after: page; }
article { break-inside: avoid; margin: 0.8em 0; }
h2 { font: bold 10pt sans-serif; margin: 0; }
p { margin: 0.3em 0; }
.line { border-bottom: 1px solid #999; height: 2.2em; font: 8pt sans-serif; color: #555; }
"""


def predictions(notebook: str, first: int, last: int) -> list[tuple[str, str]]:
    """The (section, question) of each box **Predict** in these sections of a notebook."""
    (path,) = (ROOT / "notebooks").glob(f"{notebook}_*.ipynb")
    found = []
    section = ""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "markdown":
            continue
        for part in re.split(r"\n\s*\n", cell.source):
            if heading := re.match(r"## (.+)", part):
                section = heading[1]
            number = re.match(r"\d+", section)
            box = re.sub(r"(?m)^> ?", "", part)
            if box.startswith("**Predict.**") and number and first <= int(number[0]) <= last:
                found.append(
                    (f"Notebook {notebook}, section {section}", box.removeprefix("**Predict.**"))
                )
    return found


def sheet() -> str:
    """The predictions of all lessons as a page, a sheet for each lesson."""
    parts = []
    for lesson, sections in LESSONS.items():
        parts.append(f"<section><h1>Lesson {lesson}</h1><p class='line'>Name</p>")
        for notebook, (first, last) in sections.items():
            for section, question in predictions(notebook, first, last):
                heading = html.escape(re.sub("[`*]", "", section))
                parts.append(f"<article><h2>{heading}</h2>{MARKDOWN.render(question)}")
                parts += [f"<p class='line'>{word}</p>" for word in ("I predict, because", "I saw")]
                parts.append("</article>")
        parts.append("</section>")
    head = f"<title>Predictions</title><meta charset='utf-8'><style>{STYLE}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{''.join(parts)}</body></html>"


def write_edition(folder: Path) -> None:
    """The course as students get it, in a new folder."""
    folder.mkdir(parents=True)
    for name in HANDED_OUT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=LEFT_OUT)
        else:
            shutil.copy(source, folder)
    (folder / "data" / "capstone" / "prepare.py").unlink()  # It tells what it did.
    for name in ("explorer.html", "network.js"):  # Made by notebook 00, 16 MB.
        (folder / "notebooks" / name).unlink(missing_ok=True)
    (folder / "README.md").write_text(README, "utf-8")
    for path in folder.glob("notebooks/*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = []
                cell.execution_count = None
        nbformat.write(notebook, path)


def main(arguments: list[str] | None = None) -> None:
    """Write both into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default="build/students", help="(%(default)s)")
    folder = Path(parser.parse_args(arguments).folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "predictions.html").write_text(sheet(), "utf-8")
    with tempfile.TemporaryDirectory() as temporary:
        write_edition(Path(temporary, NAME))
        shutil.make_archive(str(folder / NAME), "zip", temporary)
    print(f"{folder / NAME}.zip and {folder / 'predictions.html'} are ready to be handed out.")


if __name__ == "__main__":
    main()
