"""How long the notebooks take: `python -m camutils.course.times`.

Counts words and lines of code and brings the table in `notebooks/teaching.md` up to date. With
`--measure` it also executes each notebook, which takes minutes, and prints the seconds; they are
put into `COMPUTING` by hand, with the machine, since a busy machine measures something else.
"""

import argparse
import math
import os
import re
import time
from pathlib import Path

import nbformat

from camutils.data import data_path, whole_file

NOTEBOOKS = data_path().parent / "notebooks"
PAGE = NOTEBOOKS / "teaching.md"
WORDS_A_MINUTE, LINES_A_MINUTE = 200, 20  # Nobody was timed.
START, END = "<!-- times: written by `python -m camutils.course.times` -->\n", "<!-- times: end -->"
MACHINE = "two cores of an AMD EPYC with nothing else running"
COMPUTING = {  # Seconds, kernel and imports included.
    "00_start_here": 8,
    "01_cam_vgg16": 48,
    "02_gradcam_vgg19_elephants": 22,
    "03_gradcam_densenet201_iguanas": 19,
    "04_how_good_is_a_map": 48,
    "05_find_the_shortcut": 42,
    "06_your_own_model": 9,
}


def reading(path: Path) -> tuple[int, int, int]:
    """Words of prose, lines of code, and minutes, rounded up to 5, of a notebook.

    Formulas, addresses and HTML tags are no words; hints that are folded away count, and so does
    the code of exercises, empty lines do not.
    """
    cells = nbformat.read(path, 4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    prose = re.sub(r"\$\$.*?\$\$|\$[^$\n]+\$|<[^>]*>|\]\([^)]*\)", " ", prose, flags=re.DOTALL)
    words = len(re.findall(r"\b[^\W\d_][\w'’-]*", prose))
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    lines = sum(bool(line.strip()) for line in code.splitlines())
    minutes = words / WORDS_A_MINUTE + lines / LINES_A_MINUTE
    return words, lines, 5 * math.ceil(minutes / 5)


def table() -> str:
    """The table, in Markdown."""
    lines = [
        "| notebook | words | lines of code | reading | computing |",
        "|---|---|---|---|---|",
    ]
    for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")):
        words, code, minutes = reading(path)
        seconds = COMPUTING.get(path.stem)
        computing = f"{seconds} s" if seconds else "not measured"
        link = f"[{path.stem}]({path.name})"
        lines.append(f"| {link} | {words} | {code} | {minutes} min | {computing} |")
    note = (
        f"Reading: prose at {WORDS_A_MINUTE} words and code at {LINES_A_MINUTE} lines a minute, "
        f"rounded up to five minutes. The rates are assumed, no reader was timed; exercises and "
        f"discussions are extra. Computing: measured on {MACHINE}."
    )
    return "\n".join([*lines, "", note, ""])


def with_table(page: str) -> str:
    """The page with its table renewed.

    Raises:
        ValueError: the page has no place for it.
    """
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"page: got {PAGE.name} without {START!r} and {END!r}, expected both.")
    return f"{before}{start}\n{table()}\n{end}{after}"


def measure() -> None:
    """Execute each notebook with the embedded networks and print the seconds."""
    from nbclient import NotebookClient
    from traitlets.config import Config

    os.environ["CAMUTILS_WEIGHTS"] = "embedded"  # The kernels inherit it.
    config = Config({"KernelManager": {"transport_encryption": "auto"}})
    place = {"metadata": {"path": NOTEBOOKS}}
    for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")):
        notebook, begin = nbformat.read(path, 4), time.perf_counter()
        client = NotebookClient(notebook, kernel_name="python3", resources=place, config=config)
        client.execute()
        print(f'    "{path.stem}": {time.perf_counter() - begin:.0f},', flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Renew the table of the page."""
    parser = argparse.ArgumentParser(prog="python -m camutils.course.times", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="execute the notebooks, print times")
    if parser.parse_args(arguments).measure:
        measure()
        return
    before = PAGE.read_text("utf-8")
    text = with_table(before)
    with whole_file(PAGE) as path:
        path.write_text(text, "utf-8", newline="\n")
    print(f"The table in {PAGE.name} {'is as it was' if text == before else 'has changed'}.")


if __name__ == "__main__":
    main()
